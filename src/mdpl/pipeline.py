"""The main job: towers, ensemble, surrogate, generator, the land model again, scores, report.

A stage reads what the stages before it wrote in the run folder, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.calibration import mdpl as learning
from mdpl.config import Config, SupplyConfig
from mdpl.ensemble.run import Plan, run_ensemble
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.periods import split
from mdpl.evaluation.resolution import Coverage
from mdpl.generator.train import TowerObservations
from mdpl.lsm.matsiro.mixture import Mixture
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.place import SupplyOptions
from mdpl.lsm.model import ParameterSpace
from mdpl.memory import give_back
from mdpl.progress import Progress
from mdpl.report import page
from mdpl.runs import RunFolder, create, locked, open_run, writing
from mdpl.runs import load_dataset as _load
from mdpl.runs import save_dataset as _save
from mdpl.sites.catalogue import open_sites
from mdpl.sites.qc import measured
from mdpl.sites.site import Site
from mdpl.surrogate import train as surrogate_training
from mdpl.surrogate.store import load_surrogate, save_surrogate
from mdpl.surrogate.windows import SiteTensors, build

STATE = ("SoilStress", "SoilMoist", "SoilTemp", "CanopInt", "GPP")
"""Outputs of the reference run that tell the surrogate the state of the land."""

JUDGED = ("Qle", "Qh", "GPP")


@dataclass(frozen=True)
class Job:
    """A configuration with its towers and its land model opened."""

    config: Config
    sites: tuple[Site, ...]
    model: Matsiro

    @cached_property
    def space(self) -> ParameterSpace:
        """The parameters that are free, within the bounds of this run."""
        names = self.config.model.parameters or self.model.recommended
        every = self.model.parameters.narrow(self.config.model.ranges)
        return every.subset(names)

    @property
    def training(self) -> tuple[Site, ...]:
        return tuple(s for s in self.sites if s.code not in self.config.sites.held_out)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("Qle", "Qh", *self.config.tasks, "GPP")))

    def coverage(self) -> Coverage:
        chosen = self.config.evaluation
        return Coverage(chosen.day_share, chosen.month_days)


def open_job(config: Config) -> Job:
    """Open the towers and the model a configuration names.

    Raises:
        ConfigError, SiteError, ModelError: what is wrong with them, all found before any work.
    """
    chosen = config.sites
    named = None if chosen.codes is None else (*chosen.codes, *chosen.held_out)
    wanted = None if named is None else tuple(dict.fromkeys(named))
    sites = tuple(open_sites(chosen.folder, wanted))
    codes = [s.code for s in sites]
    unknown = sorted(set(chosen.held_out) - set(codes))
    if unknown:
        raise ConfigError(
            f"sites.held_out: no tower {', '.join(unknown)}; there are {', '.join(codes)}"
        )
    if set(codes) == set(chosen.held_out):
        raise ConfigError("sites.held_out: every tower is held out; leave some to learn from")
    model = Matsiro(
        newton_steps=config.model.newton_steps,
        default_cycles=config.model.default_cycles,
        member_cycles=config.model.member_cycles,
        supply={code: _supply(options) for code, options in config.model.supply.items()},
        mixtures={code: Mixture(**dict(m)) for code, m in config.model.mixtures.items()},
    )
    for code in (*config.model.supply, *config.model.mixtures):
        if code not in codes:
            raise ConfigError(
                f"model.supply, model.mixtures: no tower {code}; there are {', '.join(codes)}"
            )
    job = Job(config, sites, model)
    for site in sites:
        _check_site(job, site)
    return job


def _supply(options: SupplyConfig) -> SupplyOptions:
    depth = float("inf") if options.water_table is None else options.water_table
    return SupplyOptions(options.irrigation_target, options.irrigation_below, depth)


def _check_site(job: Job, site: Site) -> None:
    job.space.check(job.space.defaults(site.attributes))
    observed = scoring.observations(site, job.config.tasks, job.config.sites.flux, split(site.time))
    for task in job.config.tasks:
        counts = f"{task}_measured"
        if site in job.training and (counts not in observed or not observed[counts].any()):
            raise ConfigError(
                f"{site.code}: no measured {task} to learn from; leave the tower out, hold it "
                "out, or take the flux from 'tasks'"
            )


def run(config: Config, path: Path, progress: Progress, *, report: bool = True) -> Path:
    """Do every stage that is not done; the path of the report.

    Args:
        report: False leaves the page for later (`run_stage`).

    Raises:
        MdplError: what a user can mend.
    """
    with locked(path):
        folder = create(path, config)
        job = open_job(config)
        folder.note_manifest(job.sites)
        for stage in STAGES:
            if not folder.done(stage) and (report or stage != "report"):
                _do(stage, job, folder, progress)
    return path / "report.html"


def run_stage(stage: str, path: Path, progress: Progress) -> None:
    """Do one stage again, and forget those after it.

    Raises:
        RunError: a stage before it is not done.
    """
    folder = open_run(path)
    with locked(path):
        order = list(STAGES)
        for before in order[: order.index(stage)]:
            if not folder.done(before):
                raise RunError(
                    f"{path}: stage '{stage}' needs '{before}', which is not done; "
                    f"give 'mdpl {before} {path}' first"
                )
        job = open_job(folder.config)
        folder.note_manifest(job.sites)
        folder.reopen(order[order.index(stage) :])
        _do(stage, job, folder, progress)


def _do(stage: str, job: Job, folder: RunFolder, progress: Progress) -> None:
    progress.stage(stage)
    with folder.timed(stage) as counts, writing(folder.path):
        STAGES[stage](job, folder, progress, counts)
    folder.finish(stage)
    give_back()


def _ensemble(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    with progress.task("default runs", len(job.sites)) as task:
        todo = [s for s in job.sites if not _simulation(folder, "default", s.code).exists()]
        task.advance(len(job.sites) - len(todo))
        for site, run in zip(todo, job.model.simulate_each(todo, [None] * len(todo)), strict=True):
            _save(run, _simulation(folder, "default", site.code))
            counts["lsm_runs"] += 1
            task.advance(1)
    observed = {site.code: _observe(job, site) for site in job.sites}
    for code, dataset in observed.items():
        _save(dataset, folder / f"observations/{code}.nc")
    folder.write("sites.json", _describe_sites(job))
    plan = Plan(
        job.space,
        job.config.ensemble.members,
        job.config.ensemble.design,
        job.config.ensemble.seed,
        job.outputs,
    )
    store = EnsembleStore(folder / "ensemble.zarr")
    job.model.equilibrate(job.training)
    before = _runs_done(store, job.training)
    try:
        run_ensemble(job.model, job.training, plan, store, progress)
    finally:
        counts["lsm_runs"] += _runs_done(store, job.training) - before


def _surrogate(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    store = EnsembleStore(folder / "ensemble.zarr")
    seen_by_surrogate = tensors(job, folder)
    seen, unseen = [], []
    for site in job.training:
        made = store.site(site.code)
        runs = surrogate_training.TowerRuns(
            seen_by_surrogate[site.code],
            made.unit[made.usable],
            {task: made.read(task, made.usable) for task in job.config.tasks},
        )
        learn, judge = surrogate_training.hold_out(
            len(made.usable), job.config.ensemble.unseen, job.config.ensemble.seed
        )
        seen.append(runs.select(learn))
        unseen.append(runs.select(judge))
    place = folder / "surrogate"
    trained, _ = surrogate_training.train(
        seen, job.space.names, job.config.surrogate, folder=place, progress=progress
    )
    save_surrogate(trained, job.config.surrogate, place / "surrogate.eqx")
    fidelity = surrogate_training.evaluate(trained, unseen)
    folder.write("surrogate/fidelity.csv", fidelity.to_csv(index=False))
    counts["models_trained"] += 1


def _calibrate(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    surrogate = load_surrogate(folder / "surrogate/surrogate.eqx")
    seen_by_surrogate = tensors(job, folder)
    towers = []
    for site in job.training:
        observed = _load(folder / f"observations/{site.code}.nc")
        inside = scoring.masks(observed)["calibration"]
        towers.append(
            TowerObservations(
                seen_by_surrogate[site.code],
                learning.describe(site),
                {task: observed[task].values for task in surrogate.tasks},
                {
                    task: (observed[f"{task}_measured"].values > 0) & inside
                    for task in surrogate.tasks
                },
            )
        )
    found = learning.calibrate(
        surrogate,
        job.space,
        job.sites,
        towers,
        job.config.generator,
        folder / "generator",
        progress,
    )
    counts["models_trained"] += found.models_trained
    folder.write("parameters.csv", found.table().to_csv(index=False))
    rows = []
    for site in job.sites:
        if site.code not in found.unit:
            continue
        guess = surrogate.predict(seen_by_surrogate[site.code], found.unit[site.code])
        series = {task: ("time", guess[:, i]) for i, task in enumerate(surrogate.tasks)}
        rows.append(_score(job, site, "surrogate", xr.Dataset(series, {"time": site.time})))
    every = pd.concat(rows)
    native = every[(every["metric"] == "rmse") & (every["resolution"] == "native")]
    promised = native.rename(columns={"value": "rmse"})[["site", "flux", "period", "rmse"]]
    folder.write("promised.csv", promised.to_csv(index=False))


def _evaluate(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    table = pd.read_csv(folder / "parameters.csv")
    learnt = {str(c): t.set_index("parameter")["value"] for c, t in table.groupby("site")}
    todo = [
        s
        for s in job.sites
        if s.code in learnt and not _made_from(_simulation(folder, "mdpl", s.code), learnt[s.code])
    ]
    values = [
        job.model.parameters.complete(
            tuple(learnt[s.code].index), learnt[s.code].to_numpy(), s.attributes
        )
        for s in todo
    ]
    with progress.task("land model at the learnt parameters", len(todo)) as task:
        for site, simulated in zip(todo, job.model.simulate_each(todo, values), strict=True):
            _check_learnt(simulated, site, learnt[site.code])
            told = simulated.assign_attrs(parameters=learnt[site.code].to_json())
            _save(told, _simulation(folder, "mdpl", site.code))
            counts["lsm_runs"] += 1
            task.advance(1)
    tables = [
        _score(job, site, name, _load(_simulation(folder, name, site.code)))
        for site in job.sites
        for name in ("default", "mdpl")
        if name == "default" or site.code in learnt
    ]
    scores = pd.concat(tables, ignore_index=True)
    folder.write("scores.csv", scores.to_csv(index=False))
    folder.write("gains.csv", scoring.gains(scores).to_csv(index=False))


def _report(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    page.build(folder.path)


STAGES: dict[str, Callable[[Job, RunFolder, Progress, dict[str, int]], None]] = {
    "ensemble": _ensemble,
    "surrogate": _surrogate,
    "calibrate": _calibrate,
    "evaluate": _evaluate,
    "report": _report,
}
"""Stage name -> what does it, in order."""


def tensors(job: Job, folder: RunFolder) -> dict[str, SiteTensors]:
    """What the surrogate sees of each tower, by code; needs the default runs."""
    names = list(dict.fromkeys((*job.config.tasks, *STATE)))
    made = {}
    for site in job.sites:
        reference = _load(_simulation(folder, "default", site.code))[names]
        default = job.space.to_unit(job.space.defaults(site.attributes))
        made[site.code] = build(site, reference, default, job.config.tasks)
    return made


def _score(job: Job, site: Site, name: str, simulation: xr.Dataset) -> pd.DataFrame:
    fluxes = [f for f in JUDGED if f in site.fluxes and f in simulation]
    return scoring.score(
        site,
        name,
        simulation,
        fluxes,
        job.config.sites.flux,
        split(site.time),
        job.coverage(),
    )


def _observe(job: Job, site: Site) -> xr.Dataset:
    fluxes = [f for f in JUDGED if f in site.fluxes]
    return scoring.observations(site, fluxes, job.config.sites.flux, split(site.time))


def _check_learnt(dataset: xr.Dataset, site: Site, parameters: pd.Series) -> None:
    for flux in ("Qle", "Qh"):
        bad = ~np.isfinite(dataset[flux].values)
        if bad.any():
            shown = ", ".join(f"{name} {value:.4g}" for name, value in parameters.items())
            raise RunError(
                f"{site.code}: the land model gave no finite {flux} at {site.time[bad.argmax()]} "
                f"with the learnt parameters ({shown}); narrow their bounds under model.ranges"
            )


def _describe_sites(job: Job) -> str:
    entries = {}
    for site in job.sites:
        held = site.code in job.config.sites.held_out
        chosen = "named in the configuration" if job.config.sites.codes else "all of the folder"
        entries[site.code] = {
            "attributes": {k: _plain(v) for k, v in site.attributes.items()},
            "role": "held_out" if held else "train",
            "why": f"{chosen}; {'held out: nothing is learnt from it' if held else 'learnt from'}",
            "years": float(site.attributes["years"]),
            "measured": {f: int(measured(site, f).sum()) for f in JUDGED if f in site.fluxes},
            "period": [str(site.time[0])[:16], str(site.time[-1])[:16]],
        }
    return json.dumps(entries, indent=2)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _runs_done(store: EnsembleStore, sites: Sequence[Site]) -> int:
    done = 0
    for site in sites:
        try:
            done += int((store.site(site.code).status > 0).sum())
        except (RunError, FileNotFoundError):
            continue
    return done


def _simulation(folder: RunFolder, model: str, code: str) -> Path:
    return folder / f"simulations/{model}/{code}.nc"


def _made_from(path: Path, parameters: pd.Series) -> bool:
    return path.exists() and _load(path).attrs.get("parameters") == parameters.to_json()
