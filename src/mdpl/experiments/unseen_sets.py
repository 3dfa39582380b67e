"""A: is the surrogate the land model? One tower a PFT, parameter sets nobody trained on.

All parameters are perturbed jointly over their whole ranges, by a design of its own seed, and the
land model is run with each set; the surrogate the run ended with answers the same sets. What
``mdpl surrogate audit`` adds is other years, other towers and slopes.

Tables in ``experiments/fidelity/``: ``fidelity.csv`` by tower, and ``sets.csv`` by parameter set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl import rounds
from mdpl.ensemble import design
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import ConfigError
from mdpl.evaluation.metrics import r
from mdpl.experiments.learning import COST, Experiment, open_experiment, working
from mdpl.job import tensors
from mdpl.progress import Progress
from mdpl.sites.site import Site
from mdpl.surrogate.audit import fidelity
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.train import TowerRuns

NAME = "fidelity"
SETS = 100
APART = 7919
"""Added to the ensemble's seed, so that no set is one of its members."""


def prepare(path: Path) -> Experiment:
    """Open a finished run.

    Raises:
        RunError: it is not finished.
    """
    return open_experiment(path, NAME, of_steps=False)


def choose(experiment: Experiment, codes: Sequence[str] | None = None) -> tuple[Site, ...]:
    """The towers named, or of each PFT learnt from the one with the longest record.

    Raises:
        ConfigError: a tower is not one the run learnt from.
    """
    training = {site.code: site for site in experiment.job.training}
    unknown = sorted(set(codes or ()) - set(training))
    if unknown:
        raise ConfigError(
            f"fidelity: no tower {', '.join(unknown)} that the run learnt from; there are "
            f"{', '.join(training)}"
        )
    if codes:
        return tuple(training[code] for code in dict.fromkeys(codes))
    longest: dict[str, Site] = {}
    for site in experiment.job.training:
        best = longest.get(site.pft)
        if best is None or len(site.time) > len(best.time):
            longest[site.pft] = site
    return tuple(longest[pft] for pft in sorted(longest))


def words(experiment: Experiment, towers: Sequence[Site], sets: int) -> str:
    """What will be run, said beforehand."""
    store = EnsembleStore(_store(experiment, sets))
    left = sets * len(towers) - store.finished([site.code for site in towers])
    names = ", ".join(f"{site.code} ({site.pft})" for site in towers)
    return f"will train no models and make {left} land-model runs: {sets} sets at {names}"


def run(
    experiment: Experiment, towers: Sequence[Site], progress: Progress, sets: int = SETS
) -> pd.DataFrame:
    """Run the land model at the sets that are not there yet, and compare.

    Returns:
        site, pft, task, metric, value (`mdpl.surrogate.audit.fidelity`).
    """
    job = replace(experiment.job, sites=tuple(towers))
    seed = job.config.ensemble.seed + APART
    points = {
        site.code: design.draw(
            sets, len(job.space), "latin_hypercube", design.site_seed(seed, site.code)
        )
        for site in towers
    }
    with working(experiment):
        store = EnsembleStore(_store(experiment, sets))
        chosen = replace(job.plan(), members=sets, points=points)
        with experiment.place.timed(NAME, COST) as counts:
            rounds.run_counted(job, chosen, store, progress, counts)
            runs = rounds.runs_of(job, store, tensors(job, experiment.run))
            surrogate = rounds.newest_surrogate(experiment.run)
            pft = {site.code: site.pft for site in towers}
            table = fidelity(surrogate, runs)
            table.insert(1, "pft", table["site"].map(pft))
            each = pd.concat([_sets(surrogate, tower) for tower in runs], ignore_index=True)
            each.insert(1, "pft", each["site"].map(pft))
        experiment.place.write("fidelity.csv", table.to_csv(index=False))
        experiment.place.write("sets.csv", each.to_csv(index=False))
    return table


def summary(table: pd.DataFrame) -> list[str]:
    """Medians over towers, a line a flux."""
    middle = table.pivot_table(index="task", columns="metric", values="value", aggfunc="median")
    return [
        f"{task}: R2 {v['r2']:.3f}, RMSE {v['rmse_over_sd']:.3f} of the SD, worst set R2 "
        f"{v['r2_worst_member']:.3f} (medians of {table['site'].nunique()} towers)"
        for task, v in middle.iterrows()
    ]


def _store(experiment: Experiment, sets: int) -> Path:
    return experiment.place / f"sets-{sets}.zarr"


def _sets(surrogate: Surrogate, tower: TowerRuns) -> pd.DataFrame:
    """site, set, task, mean_lsm, mean_surrogate, sd_lsm, rmse, r: over the whole record."""
    guess = surrogate.predict(tower.tensors, np.asarray(tower.unit)).astype(float)
    rows = []
    for k, task in enumerate(tower.tensors.tasks):
        truth = np.asarray(tower.targets[task][:], dtype=float)
        for i, (mine, land) in enumerate(zip(guess[..., k], truth, strict=True)):
            keep = np.isfinite(mine) & np.isfinite(land)
            a, b = mine[keep], land[keep]
            error = float(np.sqrt(np.mean((a - b) ** 2)))
            rows.append((i, task, b.mean(), a.mean(), b.std(), error, r(a, b)))
    columns = ["set", "task", "mean_lsm", "mean_surrogate", "sd_lsm", "rmse", "r"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "site", tower.tensors.code)
    return table
