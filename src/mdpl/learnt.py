"""Learnt parameters: how a run folder keeps them, and the land model's runs at them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import RunError
from mdpl.files import load_dataset, read_table, save_dataset
from mdpl.job import Job
from mdpl.lsm.offers import simulate_each
from mdpl.progress import Progress
from mdpl.sites.site import Site


def made_from(path: Path, parameters: pd.Series) -> bool:
    """Whether a run is there and was made with these parameters."""
    return path.exists() and load_dataset(path).attrs.get("parameters") == exactly(parameters)


def exactly(parameters: pd.Series) -> str:
    """Parameters by name as JSON that holds all their digits."""
    return json.dumps({str(name): float(value) for name, value in parameters.items()})


def read_parameters(path: Path) -> pd.DataFrame:
    """A ``parameters.csv`` of a run folder.

    Raises:
        RunError: it is missing, cut short or no such table.
    """
    table = read_table(path, again="mdpl calibrate")
    if not len(table) or not {"site", "parameter", "value"} <= set(table.columns):
        raise RunError(
            f"{path}: expected rows of site, parameter and value, found {len(table)} rows of "
            f"{', '.join(map(str, table.columns))}; give 'mdpl calibrate' again"
        )
    return table


def by_tower(parameters: pd.DataFrame) -> dict[str, pd.Series]:
    """Tower -> values by parameter, of a ``parameters.csv``."""
    return {
        str(code): own.set_index("parameter")["value"] for code, own in parameters.groupby("site")
    }


def simulate_learnt(
    job: Job,
    learnt: Mapping[str, pd.Series],
    where: Callable[[str], Path],
    progress: Progress,
    counts: dict[str, int],
) -> None:
    """Run the land model at learnt parameters, where such a run is not there yet.

    Args:
        learnt: tower -> values by parameter.
        where: tower -> file of its run.
        counts: gets a ``lsm_runs`` more for each run made.

    Raises:
        RunError: a run is not finite.
    """
    todo = [
        s for s in job.sites if s.code in learnt and not made_from(where(s.code), learnt[s.code])
    ]
    values = [
        job.model.parameters.complete(
            tuple(learnt[s.code].index), learnt[s.code].to_numpy(), s.attributes
        )
        for s in todo
    ]
    with progress.task("land model at the learnt parameters", len(todo)) as task:
        for site, simulated in zip(todo, simulate_each(job.model, todo, values), strict=True):
            _check_finite(simulated, site, learnt[site.code], job.config.tasks)
            told = simulated.assign_attrs(
                parameters=exactly(learnt[site.code]),
                flux_choice=job.config.sites.flux,
                learnt_from=", ".join(job.config.tasks),
            )
            save_dataset(told, where(site.code))
            counts["lsm_runs"] += 1
            task.advance(1)


def _check_finite(
    dataset: xr.Dataset, site: Site, parameters: pd.Series, tasks: Sequence[str]
) -> None:
    for flux in dict.fromkeys(("Qle", "Qh", *tasks)):
        bad = ~np.isfinite(dataset[flux].values)
        if bad.any():
            shown = ", ".join(f"{name} {value:.4g}" for name, value in parameters.items())
            raise RunError(
                f"{site.code}: the land model gave no finite {flux} at {site.time[bad.argmax()]} "
                f"with the learnt parameters ({shown}); narrow their bounds under model.ranges"
            )
