"""A finished run, opened to hand it on: its towers and its land model's output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import RunError
from mdpl.files import load_dataset
from mdpl.job import Job, open_job, simulation_path
from mdpl.learnt import by_tower, read_parameters
from mdpl.lsm.offers import outputs_of
from mdpl.resuming import check
from mdpl.runs import RunFolder, open_run
from mdpl.sites.site import Site

MODELS = ("default", "mdpl")


@dataclass(frozen=True)
class Opened:
    """A finished run.

    Attributes:
        learnt: tower -> learnt values by parameter.
    """

    folder: RunFolder
    job: Job
    learnt: Mapping[str, pd.Series]

    def values(self, site: Site, model: str) -> np.ndarray:
        """All parameters of a tower, default or learnt, (parameter,)."""
        space = self.job.model.parameters
        if model == "default":
            return space.defaults(site.attributes)
        own = self.learnt[site.code]
        return space.complete(tuple(own.index), own.to_numpy(dtype=float), site.attributes)

    def simulation(self, site: Site, model: str, outputs: Iterable[str]) -> xr.Dataset:
        """A run of a tower with all outputs asked for that the land model can give.

        The one of the run folder, unless it lacks some; then the land model is run again.
        """
        path = simulation_path(self.folder, model, site.code)
        wanted = [name for name in outputs if name in outputs_of(self.job.model)]
        if path.exists():
            found = load_dataset(path)
            if all(name in found for name in wanted):
                return found
        return self.members(site, self.values(site, model)[None], wanted).isel(member=0)

    def members(self, site: Site, values: np.ndarray, outputs: Sequence[str]) -> xr.Dataset:
        """Runs of a tower with several parameter sets, (member, parameter)."""
        return self.job.model.simulate(site, values, list(outputs))


def open_finished(path: Path) -> Opened:
    """Open a run whose land model was run at the learnt parameters.

    Raises:
        RunError: it is not that far, or its data changed.
    """
    folder = open_run(path)
    if not folder.done("evaluate"):
        raise RunError(f"{path}: not finished; give 'mdpl run' again, or 'mdpl evaluate {path}'")
    job = open_job(folder.config)
    check(folder, job)
    return Opened(folder, job, by_tower(read_parameters(folder / "parameters.csv")))
