"""Learning once, and again where the land model did not deliver what the surrogate promised.

Parameters that look good in the surrogate may be worse in the land model, for the generator goes
where the surrogate is wrong in its favour. So the land model is run at the learnt parameters and
around them, the surrogate is trained further on these runs, and the generator learns again; until
promise and delivery agree or the rounds are spent. Each round has a folder, ``rounds/<n>/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.calibration import mdpl as learning
from mdpl.calibration.calibration import Calibration
from mdpl.ensemble.design import around, site_seed
from mdpl.ensemble.run import Plan, run_ensemble
from mdpl.ensemble.store import DONE, EnsembleStore, SiteEnsemble
from mdpl.errors import RunError
from mdpl.evaluation import scores as scoring
from mdpl.files import load_dataset, read_table, remove
from mdpl.generator.known import describe
from mdpl.generator.train import DailyTargets, TowerObservations
from mdpl.job import Job, score, simulation_path, tensors
from mdpl.learnt import by_tower, read_parameters
from mdpl.lsm.offers import by_hand, prepare
from mdpl.progress import Progress
from mdpl.runs import RunFolder
from mdpl.sites.site import Site
from mdpl.surrogate import train as surrogate_training
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.store import load_surrogate, save_surrogate
from mdpl.surrogate.train import TowerRuns
from mdpl.surrogate.windows import SiteTensors, in_whole_days

MOST = 0.8
"""Share of towers at which promise and delivery must agree."""

FARTHEST = 3.0
"""Times the tolerance by which they may differ at the others (docs/decisions/0008)."""

COLUMNS = ("round", "site", "flux", "period", "promised", "delivered", "gap")

PROMISED = ("site", "flux", "period", "rmse")


def place(folder: RunFolder, number: int) -> Path:
    """Where a round lies; round 0 is the first learning."""
    return folder / f"rounds/{number}"


def newest_surrogate(folder: RunFolder) -> Surrogate:
    """The surrogate of the last round that trained one."""
    found = sorted(folder.path.glob("rounds/*/surrogate/surrogate.eqx"), key=_number)
    return load_surrogate(found[-1] if found else folder / "surrogate/surrogate.eqx")


def runs_of(job: Job, store: EnsembleStore, seen: dict[str, SiteTensors]) -> list[TowerRuns]:
    """The usable members of every training tower."""
    found = []
    for site in job.training:
        made: SiteEnsemble = store.site(site.code)
        targets = {str(t): made.read(t, made.usable) for t in job.config.tasks}
        found.append(TowerRuns(seen[site.code], made.unit[made.usable], targets))
    return found


def run_counted(
    job: Job, plan: Plan, store: EnsembleStore, progress: Progress, counts: dict[str, int]
) -> None:
    """Run an ensemble at the training towers; what was run counts, also where it is interrupted."""
    codes = [site.code for site in job.training]
    before = store.finished(codes)
    prepare(job.model, job.training)
    try:
        run_ensemble(job.model, job.training, plan, store, progress, job.config.cluster)
    finally:
        counts["lsm_runs"] += store.finished(codes) - before


def learn(
    job: Job, folder: RunFolder, number: int, surrogate: Surrogate, progress: Progress
) -> Calibration:
    """Train the generator, and write its parameters and what the surrogate promises of them."""
    seen = tensors(job, folder)
    here = place(folder, number)
    found = learning.calibrate(
        surrogate,
        job.space,
        job.sites,
        [observed_at(job, folder, site, seen[site.code]) for site in job.training],
        job.config.generator,
        here / "generator",
        progress,
    )
    rows = []
    for site in job.sites:
        if site.code in found.unit:
            rows.append(promised(job, site, seen[site.code], surrogate, found.unit[site.code]))
    folder.write(f"rounds/{number}/parameters.csv", found.table().to_csv(index=False))
    folder.write(f"rounds/{number}/promised.csv", pd.concat(rows).to_csv(index=False))
    return found


def promised(
    job: Job, site: Site, seen: SiteTensors, surrogate: Surrogate, unit: np.ndarray
) -> pd.DataFrame:
    """What the surrogate promises of parameters in the unit cube: site, flux, period, rmse."""
    return _target_rmse(job, site, surrogate.predict(seen, unit).T, surrogate.tasks)


def observed_at(
    job: Job, folder: RunFolder, site: Site, seen: SiteTensors, path: Path | None = None
) -> TowerObservations:
    """What the generator may learn of a tower: measured steps, or days, of calibration periods.

    Fluxes the tower does not measure are left out.

    Args:
        path: file of its observations; default that of the run.
    """
    if site.code in job.daily:
        daily = _daily_targets(job, job.daily[site.code])
        return TowerObservations(seen, describe(site), {}, {}, daily)
    observed = load_dataset(path or folder / f"observations/{site.code}.nc")
    inside = scoring.masks(observed)["calibration"]
    tasks = [str(task) for task in job.config.tasks if task in observed]
    counts = {task: (observed[f"{task}_measured"].values > 0) & inside for task in tasks}
    fluxes = {task: observed[task].values for task in tasks}
    return TowerObservations(seen, describe(site), fluxes, counts)


def _daily_targets(job: Job, observed: xr.Dataset) -> DailyTargets:
    inside = scoring.masks(observed)["calibration"]
    values, variance = {}, {}
    for task in (str(task) for task in job.config.tasks if task in observed):
        own = np.where(inside, observed[task].values, np.nan)
        spread = np.nanstd(own) if np.isfinite(own).any() else 0.0
        unexplained = job.config.sites.daily_model_error * spread
        values[task] = own
        variance[task] = observed[f"{task}_sd"].values ** 2 + unexplained**2
    return DailyTargets(values, variance)


def learnt_units(job: Job, where: Path) -> dict[str, np.ndarray]:
    """Tower -> parameters of a folder's ``parameters.csv`` in the unit cube, (parameter,)."""
    path, names = where / "parameters.csv", list(job.space.names)
    learnt = by_tower(read_parameters(path))
    lacking = [
        site.code
        for site in job.training
        if site.code not in learnt or learnt[site.code].reindex(names).isna().any()
    ]
    if lacking:
        raise RunError(
            f"{path}: no learnt values of every parameter at {', '.join(lacking)}; give "
            "'mdpl calibrate' again"
        )
    return {
        code: job.space.to_unit(values[names].to_numpy(dtype=float))
        for code, values in learnt.items()
    }


def settle(folder: RunFolder, number: int) -> None:
    """Make a round's parameters those of the run."""
    for name in ("parameters.csv", "promised.csv"):
        folder.write(name, (place(folder, number) / name).read_text(encoding="utf-8"))


def refine(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    """Run, compare, train further and learn again; the last round's parameters are the run's.

    Where what is delivered at the learnt parameters agrees with the promise, no run is made around
    them.
    """
    learnt, settings = 0, job.config.refine
    for number in range(1, settings.rounds + 1):
        look = None if by_hand(job.model) else 1
        store = _run_about(job, folder, number, progress, counts, look)
        compared = _compare(job, folder, learnt, store)
        folder.write(f"rounds/{number}/gaps.csv", compared.to_csv(index=False))
        if agreed(compared, settings.tolerance):
            break
        _run_about(job, folder, number, progress, counts)
        known = (place(folder, number) / "promised.csv").exists()
        surrogate = _train_further(job, folder, number, progress)
        found = learn(job, folder, number, surrogate, progress)
        counts["models_trained"] += 0 if known else 1 + found.models_trained
        learnt = number
    _forget_after(folder, learnt)
    settle(folder, learnt)


def _forget_after(folder: RunFolder, number: int) -> None:
    """What later rounds had learnt when more of them were asked for; their runs stay."""
    later = [p for p in folder.path.glob("rounds/[1-9]*") if int(p.name) > number]
    for here, name in product(later, ("parameters.csv", "promised.csv", "generator", "surrogate")):
        remove(here / name)


def settled(folder: RunFolder) -> int:
    """The round whose parameters are those of the run."""
    return max(int(p.parent.name) for p in folder.path.glob("rounds/*/promised.csv"))


def finish(job: Job, folder: RunFolder) -> None:
    """Put what the last round's parameters delivered, the run's own, into the table."""
    delivered, learnt = [], settled(folder)
    for site in job.sites:
        path = simulation_path(folder, "mdpl", site.code)
        if path.exists():
            run = load_dataset(path)
            series = np.stack([run[task].values for task in job.config.tasks])
            delivered.append(_target_rmse(job, site, series, job.config.tasks))
    tables = [
        read_table(place(folder, number) / "gaps.csv", COLUMNS, "mdpl refine")
        for number in range(1, learnt + 1)
    ]
    promised = read_table(folder / "promised.csv", PROMISED, "mdpl refine")
    last = gaps(learnt, promised, pd.concat(delivered))
    told = pd.concat([*tables, last], ignore_index=True)
    folder.write("rounds.csv", told.to_csv(index=False))


def agreed(table: pd.DataFrame, tolerance: float) -> bool:
    """Whether promise and delivery agree: in the median, at `MOST` of the towers, and nowhere by
    more than `FARTHEST` times the tolerance. Where the land model failed, nothing was delivered.

    Args:
        table: one round, columns `COLUMNS`; calibration is what counts.
    """
    own = table[(table["period"] == "calibration") & table["promised"].notna()]
    if own["delivered"].isna().any():
        return False
    by_flux = own.groupby("flux")["gap"]
    close = (own["gap"] <= tolerance).groupby(own["flux"]).mean()
    nowhere_far = (by_flux.max() <= FARTHEST * tolerance).all()
    return bool((by_flux.median() <= tolerance).all() and (close >= MOST).all() and nowhere_far)


def gaps(number: int, promised: pd.DataFrame, delivered: pd.DataFrame) -> pd.DataFrame:
    """Promised beside delivered RMSE of a round, columns `COLUMNS`.

    Args:
        promised, delivered: site, flux, period, rmse.
    """
    keys = ["site", "flux", "period"]
    both = promised.merge(delivered, on=keys, suffixes=("_promised", "_delivered"))
    both = both.rename(columns={"rmse_promised": "promised", "rmse_delivered": "delivered"})
    both["gap"] = (both["promised"] - both["delivered"]).abs() / both["delivered"]
    return both.assign(round=number)[list(COLUMNS)]


def _target_rmse(job: Job, site: Site, series: np.ndarray, tasks: Sequence[str]) -> pd.DataFrame:
    """RMSE of a run of shape (task, time) at what is learnt from: site, flux, period, rmse.

    Over the steps the surrogate answers, so that what is promised and what is delivered are of
    the same.
    """
    fluxes = {task: ("time", series[i]) for i, task in enumerate(tasks)}
    answered = site.fluxes.where(xr.DataArray(in_whole_days(site), dims="time"))
    seen = replace(site, fluxes=answered)
    scores = score(job, seen, "run", xr.Dataset(fluxes, {"time": site.time}))
    target = (scores["metric"] == "rmse") & (scores["resolution"] == job.target_resolution)
    return scores[target].rename(columns={"value": "rmse"})[["site", "flux", "period", "rmse"]]


def _run_about(
    job: Job,
    folder: RunFolder,
    number: int,
    progress: Progress,
    counts: dict[str, int],
    first: int | None = None,
) -> EnsembleStore:
    """Land-model runs at and around the parameters of the round before, or the first of them."""
    settings, seed = job.config.refine, job.config.ensemble.seed + number
    points = {
        code: around(centre, settings.members, settings.spread, site_seed(seed, code))
        for code, centre in learnt_units(job, place(folder, number - 1)).items()
    }
    plan = replace(job.plan(), members=settings.members, points=points, first=first)
    store = EnsembleStore(place(folder, number) / "ensemble.zarr")
    run_counted(job, plan, store, progress, counts)
    return store


def _compare(job: Job, folder: RunFolder, number: int, store: EnsembleStore) -> pd.DataFrame:
    """What a round promised and its first member, run by the next round, delivered."""
    delivered = []
    for site in job.training:
        made = store.site(site.code)
        series = np.stack([made.read(task, [0])[0] for task in job.config.tasks])
        if made.status[0] != DONE:
            series = np.full_like(series, np.nan)
        delivered.append(_target_rmse(job, site, series, job.config.tasks))
    path = place(folder, number) / "promised.csv"
    promised = read_table(path, PROMISED, "mdpl calibrate")
    return gaps(number, promised, pd.concat(delivered))


def _train_further(job: Job, folder: RunFolder, number: int, progress: Progress) -> Surrogate:
    """The surrogate of the round before, trained on with the runs of all rounds."""
    seen = tensors(job, folder)
    runs = []
    for tower in runs_of(job, EnsembleStore(folder / "ensemble.zarr"), seen):
        learnt, _ = split_members(job, tower)
        runs.append(learnt)
    for n in range(1, number + 1):
        near = runs_of(job, EnsembleStore(place(folder, n) / "ensemble.zarr"), seen)
        runs = [own.with_near(more) for own, more in zip(runs, near, strict=True)]
    before = place(folder, number - 1) / "surrogate" if number > 1 else folder / "surrogate"
    own = job.config.surrogate
    config = own.model_copy(
        update={"steps": job.config.refine.steps, "learning_rate": own.learning_rate / 3}
    )
    here = place(folder, number) / "surrogate"
    trained, _ = surrogate_training.train(
        runs,
        job.space.names,
        config,
        start=load_surrogate(before / "surrogate.eqx"),
        folder=here,
        progress=progress,
    )
    save_surrogate(trained, config, here / "surrogate.eqx")
    return trained


def split_members(job: Job, tower: TowerRuns) -> tuple[TowerRuns, TowerRuns]:
    """Members to train on, and those the surrogate never sees."""
    learnt, judged = surrogate_training.hold_out(
        len(tower.unit), job.config.ensemble.unseen, job.config.ensemble.seed
    )
    return tower.select(learnt), tower.select(judged)


def _number(path: Path) -> int:
    return int(path.parts[-3])


def settled_generators(folder: RunFolder) -> list[Path]:
    """Files of the trained generators whose mean the run's parameters are."""
    here = place(folder, settled(folder)) / "generator"
    first, more = here / "generator.eqx", here.glob("[0-9]*/generator.eqx")
    return [first, *sorted(more, key=lambda path: int(path.parent.name))]
