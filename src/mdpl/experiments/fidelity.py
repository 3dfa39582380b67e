"""Experiment A: is the surrogate the land model, in values, in slopes, and where it never was?

Five tables in ``audit/`` of a run folder:

- ``fidelity.csv``: fluxes at parameters never trained on; at such parameters in the validation
  period, by a surrogate trained without it; and at towers left out, by surrogates trained
  without them, a few towers at a time;
- ``where.csv``: the first of these by thirds of each parameter, by month and by hour;
- ``slopes.csv``, ``cosines.csv``: the gradient of the misfit to the calibration data, of the
  land model and of the surrogate, by the same central differences, at the defaults and at
  members of the ensemble;
- ``cloud.csv``: whether the learnt parameters lie among the ensemble's members.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl import rounds
from mdpl.ensemble.run import run_ensemble
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import RunError
from mdpl.evaluation import scores as scoring
from mdpl.files import load_dataset
from mdpl.job import Job, open_job, tensors
from mdpl.lsm.offers import prepare
from mdpl.progress import Progress
from mdpl.resuming import check
from mdpl.runs import RunFolder, locked, open_run
from mdpl.surrogate import audit
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.train import TowerRuns, train

PARAMETERS = "unseen parameters"
YEAR = "unseen parameters and period"
TOWER = "unseen tower"


@dataclass(frozen=True)
class Scope:
    """How much an audit does.

    Attributes:
        points: parameter sets of each tower at which slopes are compared; the first is the
            default.
        folds: parts the towers are cut into for "unseen tower"; 0 or 1 leaves that out.
        period: whether a surrogate is trained without the validation period.
    """

    points: int = 3
    folds: int = 4
    period: bool = True

    def models(self, towers: int) -> int:
        """Surrogates it trains."""
        folds = min(self.folds, towers) if self.folds > 1 else 0
        return folds + int(self.period)

    def lsm_runs(self, towers: int, parameters: int) -> int:
        """Land-model simulations it makes."""
        return towers * self.points * 2 * parameters


def run(path: Path, scope: Scope, progress: Progress) -> pd.DataFrame:
    """Audit the surrogate of a run folder; what is done already is not done again.

    Returns:
        kind, task, metric, value: medians over towers, as the command prints them.

    Raises:
        RunError: the run has not learnt yet, or from one tower while towers shall be left out.
    """
    folder = open_run(path)
    if not folder.done("refine"):
        raise RunError(f"{path}: nothing to audit yet; give 'mdpl run' first")
    with locked(path):
        job = open_job(folder.config)
        check(folder, job)
        if scope.folds > 1 and len(job.training) < 2:
            raise RunError(
                f"{path}: an unseen tower needs two towers at least, found one; give --folds 0"
            )
        surrogate = rounds.newest_surrogate(folder)
        store = EnsembleStore(folder / "ensemble.zarr")
        runs = rounds.runs_of(job, store, tensors(job, folder))
        halves = [rounds.split_members(job, tower) for tower in runs]
        unseen = [b for _, b in halves]
        time = {site.code: site.time for site in job.training}
        tables = [audit.fidelity(surrogate, unseen).assign(kind=PARAMETERS)]
        wrong = audit.where(surrogate, unseen, job.space.names, time)
        folder.write("audit/where.csv", wrong.to_csv(index=False))
        folder.write("audit/cloud.csv", _cloud(job, folder, runs).to_csv(index=False))
        slopes, cosines = _slopes(job, folder, surrogate, unseen, scope.points, progress)
        folder.write("audit/slopes.csv", slopes.to_csv(index=False))
        folder.write("audit/cosines.csv", cosines.to_csv(index=False))
        if scope.period:
            tables.append(_unseen_period(job, folder, halves, progress))
        if scope.folds > 1:
            tables.append(_unseen_tower(job, folder, runs, scope.folds, progress))
        every = pd.concat(tables, ignore_index=True)
        folder.write("audit/fidelity.csv", every.to_csv(index=False))
    return summary(every, cosines)


def words(path: Path, scope: Scope) -> list[str]:
    """What an audit will train and run, said beforehand."""
    job = open_job(open_run(path).config)
    towers = len(job.training)
    return [
        f"will train {scope.models(towers)} surrogates and run the land model "
        f"{scope.lsm_runs(towers, len(job.space)):,} times at {towers} towers; "
        "what is done already is not done again"
    ]


def summary(fidelity: pd.DataFrame, cosines: pd.DataFrame) -> pd.DataFrame:
    """Medians over towers: kind, task, metric, value."""
    by = ["kind", "task", "metric"]
    medians = fidelity.groupby(by, sort=False)["value"].median().reset_index()
    wanted = medians[medians["metric"].isin(["r2", "rmse_over_sd", "kge"])]
    cosine = ("slope of the misfit", "all", "cosine", float(cosines["cosine"].median()))
    return pd.concat([wanted, pd.DataFrame([cosine], columns=wanted.columns)], ignore_index=True)


def _unseen_period(
    job: Job,
    folder: RunFolder,
    halves: Sequence[tuple[TowerRuns, TowerRuns]],
    progress: Progress,
) -> pd.DataFrame:
    """A surrogate that never saw the validation period, judged there on unseen members."""
    inside = {site.code: _masks(folder, site.code) for site in job.training}
    seen = [_only(tower, inside[tower.tensors.code]["calibration"]) for tower, _ in halves]
    trained = _train(job, folder, "period", seen, progress)
    validation = {code: masks["validation"] for code, masks in inside.items()}
    return audit.fidelity(trained, [b for _, b in halves], validation).assign(kind=YEAR)


def _unseen_tower(
    job: Job, folder: RunFolder, runs: Sequence[TowerRuns], folds: int, progress: Progress
) -> pd.DataFrame:
    """Every tower judged by a surrogate trained on towers of the other folds."""
    folds = min(folds, len(runs))
    tables = []
    for k in range(folds):
        seen = [tower for i, tower in enumerate(runs) if i % folds != k]
        trained = _train(job, folder, f"towers-{k}", seen, progress)
        left_out = [tower for i, tower in enumerate(runs) if i % folds == k]
        tables.append(audit.fidelity(trained, left_out))
    return pd.concat(tables).assign(kind=TOWER)


def _train(
    job: Job, folder: RunFolder, name: str, runs: Sequence[TowerRuns], progress: Progress
) -> Surrogate:
    place = folder / f"audit/{name}"
    return train(runs, job.space.names, job.config.surrogate, folder=place, progress=progress)[0]


def _slopes(
    job: Job,
    folder: RunFolder,
    surrogate: Surrogate,
    unseen: Sequence[TowerRuns],
    count: int,
    progress: Progress,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gradients of the misfit: of every parameter, and the cosine between both, by point."""
    points = {}
    for tower in unseen:
        centres = [tower.tensors.default_unit, *tower.unit[: count - 1]]
        points[tower.tensors.code] = np.concatenate([audit.stencil(u) for u in centres])
    size = 2 * count * len(job.space)
    store = EnsembleStore(folder / f"audit/slopes-{count}.zarr")
    prepare(job.model, job.training)
    plan = replace(job.plan(), members=size, points=points)
    run_ensemble(job.model, job.training, plan, store, progress, job.config.cluster)
    slopes, cosines = [], []
    for tower in unseen:
        code, made = tower.tensors.code, store.site(tower.tensors.code)
        land = np.stack([made.read(task, range(size)) for task in job.config.tasks], axis=-1)
        promised = surrogate.predict(tower.tensors, points[code])
        observed = _counted(job, folder, code)
        both = {
            "lsm": audit.misfit(land.astype(float), observed),
            "surrogate": audit.misfit(promised.astype(float), observed),
        }
        each = 2 * len(job.space)
        for k in range(count):
            part = slice(k * each, (k + 1) * each)
            found = {who: audit.slope(points[code][part], m[part]) for who, m in both.items()}
            cosines.append((code, k, audit.cosine(found["lsm"], found["surrogate"])))
            slopes += [
                (code, k, name, float(found["lsm"][i]), float(found["surrogate"][i]))
                for i, name in enumerate(job.space.names)
            ]
    columns = ["site", "point", "parameter", "lsm", "surrogate"]
    return (
        pd.DataFrame(slopes, columns=columns),
        pd.DataFrame(cosines, columns=["site", "point", "cosine"]),
    )


def _counted(job: Job, folder: RunFolder, code: str) -> np.ndarray:
    """Observations that count in the calibration, (time, task), NaN elsewhere."""
    observed = load_dataset(folder / f"observations/{code}.nc")
    inside = scoring.masks(observed)["calibration"]
    return scoring.counting(observed, job.config.tasks, inside)


def _cloud(job: Job, folder: RunFolder, runs: Sequence[TowerRuns]) -> pd.DataFrame:
    learnt = rounds.learnt_units(job, folder.path)
    rows = [
        {"site": tower.tensors.code, **audit.cloud(learnt[tower.tensors.code], tower.unit)}
        for tower in runs
    ]
    return pd.DataFrame(rows)


def _masks(folder: RunFolder, code: str) -> Mapping[str, np.ndarray]:
    return scoring.masks(load_dataset(folder / f"observations/{code}.nc"))


def _only(tower: TowerRuns, inside: np.ndarray) -> TowerRuns:
    """A tower's runs with every step outside left out of the loss."""
    targets = {k: np.where(inside, v[:], np.nan) for k, v in tower.targets.items()}
    return replace(tower, targets=targets)
