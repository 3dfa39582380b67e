"""The main job: towers, ensemble, surrogate, generator, rounds, the land model, scores, report.

A stage reads what the stages before it wrote in the run folder, and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl import rounds
from mdpl.config import Config
from mdpl.ensemble.run import planned
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import RunError
from mdpl.evaluation import scores as scoring
from mdpl.files import load_dataset, save_dataset, writing
from mdpl.job import Job, drivers, observe, open_job, score, simulation_path, tensors, with_variant
from mdpl.learnt import by_tower, read_parameters, simulate_learnt
from mdpl.lsm.offers import ask, simulate_each
from mdpl.memory import give_back
from mdpl.progress import Progress
from mdpl.report import page
from mdpl.resuming import check, take_up
from mdpl.runs import RunFolder, claim, locked, open_run
from mdpl.sites.qc import measured
from mdpl.surrogate.audit import fidelity
from mdpl.surrogate.store import load_surrogate, save_surrogate
from mdpl.surrogate.train import train


def run(
    config: Config, path: Path, progress: Progress, *, report: bool = True, redo: bool = False
) -> Path:
    """Do every stage that is not done with this configuration and these data.

    A folder made with others keeps what does not depend on the change.

    Args:
        report: False leaves the page for later (`run_stage`).
        redo: runs of the ensemble and experiments may be thrown away where they depend on a change.

    Returns:
        path of the report.

    Raises:
        MdplError: what a user can mend.
    """
    with locked(path):
        claim(path)
        job = open_job(config)
        folder = take_up(path, job, progress, redo=redo)
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
        check(folder, job)
        folder.reopen(order[order.index(stage) :])
        _do(stage, job, folder, progress)


def _do(stage: str, job: Job, folder: RunFolder, progress: Progress) -> None:
    progress.stage(stage)
    with folder.timed(stage) as counts, writing(folder.path):
        STAGES[stage](job, folder, progress, counts)
    folder.count_at_least(stage, _made(stage, job, folder))
    folder.finish(stage)
    give_back()


def _made(stage: str, job: Job, folder: RunFolder) -> dict[str, int]:
    """Land-model runs and networks of a stage that lie in the folder."""
    about, simulated, networks = MAKES.get(stage, ("", "", ()))
    codes = [site.code for site in job.training]
    stores = [EnsembleStore(path) for path in folder.path.glob(about)] if about else []
    single = len(list(folder.path.glob(simulated))) if simulated else 0
    return {
        "lsm_runs": single + sum(store.finished(codes) for store in stores),
        "models_trained": sum(len(list(folder.path.glob(name))) for name in networks),
    }


def _ensemble(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    ask(
        job.model,
        [*((site, None) for site in job.sites), *planned(job.model, job.training, job.plan())],
    )
    with progress.task("default runs", len(job.sites)) as task:
        todo = [s for s in job.sites if not simulation_path(folder, "default", s.code).exists()]
        task.advance(len(job.sites) - len(todo))
        for site, run in zip(todo, simulate_each(job.model, todo, [None] * len(todo)), strict=True):
            told = run.assign_attrs(flux_choice=job.config.sites.flux, learnt_from="nothing")
            save_dataset(told, simulation_path(folder, "default", site.code))
            counts["lsm_runs"] += 1
            task.advance(1)
            if run.attrs.get("spinup_settled") == "False":
                progress.say(f"{site.code}: {_unsettled(run)}")
    store = EnsembleStore(folder / "ensemble.zarr")
    rounds.run_counted(job, job.plan(), store, progress, counts)


def _unsettled(run: xr.Dataset) -> str:
    about = run.attrs
    return (
        f"not in equilibrium after {about['spinup_cycles']} cycles of spin-up: from the last to "
        f"the one before {about['spinup_water_change']} and {about['spinup_heat_change']}; more "
        "cycles: model.default_cycles"
    )


def _surrogate(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    runs = rounds.runs_of(job, EnsembleStore(folder / "ensemble.zarr"), tensors(job, folder))
    halves = [rounds.split_members(job, tower) for tower in runs]
    place = folder / "surrogate"
    known = (place / "surrogate.eqx").exists()
    trained, _ = train(
        [seen for seen, _ in halves],
        job.space.names,
        job.config.surrogate,
        folder=place,
        progress=progress,
    )
    save_surrogate(trained, job.config.surrogate, place / "surrogate.eqx")
    judged = fidelity(trained, [unseen for _, unseen in halves])
    folder.write("surrogate/fidelity.csv", judged.to_csv(index=False))
    counts["models_trained"] += 0 if known else 1


def _calibrate(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    for site in job.sites:
        save_dataset(observe(job, site), folder / f"observations/{site.code}.nc")
    for code, dataset in job.daily.items():
        save_dataset(dataset, folder / f"observations/daily/{code}.nc")
    folder.write("sites.json", _describe_sites(job))
    if job.selection:
        table = pd.DataFrame([vars(choice) for choice in job.selection])
        folder.write("selection.csv", table.rename(columns={"code": "site"}).to_csv(index=False))
    surrogate = load_surrogate(folder / "surrogate/surrogate.eqx")
    known = (rounds.place(folder, 0) / "promised.csv").exists()
    found = rounds.learn(job, folder, 0, surrogate, progress)
    counts["models_trained"] += 0 if known else found.models_trained
    rounds.settle(folder, 0)


def _evaluate(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    learnt = by_tower(read_parameters(folder / "parameters.csv"))
    simulate_learnt(
        job, learnt, lambda code: simulation_path(folder, "mdpl", code), progress, counts
    )
    tables = [
        score(job, site, name, load_dataset(simulation_path(folder, name, site.code)))
        for site in job.sites
        for name in ("default", "mdpl")
        if name == "default" or site.code in learnt
    ]
    scores = pd.concat(tables, ignore_index=True)
    folder.write("scores.csv", with_variant(job, scores).to_csv(index=False))
    folder.write("gains.csv", scoring.gains(scores).to_csv(index=False))
    rounds.finish(job, folder)


def _report(job: Job, folder: RunFolder, progress: Progress, counts: dict[str, int]) -> None:
    for site in job.sites:
        path = folder / f"drivers/{site.code}.nc"
        if not path.exists():
            save_dataset(drivers(site), path)
    page.build(folder.path)


STAGES: dict[str, Callable[[Job, RunFolder, Progress, dict[str, int]], None]] = {
    "ensemble": _ensemble,
    "surrogate": _surrogate,
    "calibrate": _calibrate,
    "refine": rounds.refine,
    "evaluate": _evaluate,
    "report": _report,
}
"""Stage name -> what does it, in order."""


MAKES = {
    "ensemble": ("ensemble.zarr", "simulations/default/*.nc", ()),
    "surrogate": ("", "", ("surrogate/surrogate.eqx",)),
    "calibrate": ("", "", ("rounds/0/generator/**/generator.eqx",)),
    "refine": (
        "rounds/[1-9]*/ensemble.zarr",
        "",
        ("rounds/[1-9]*/surrogate/surrogate.eqx", "rounds/[1-9]*/generator/**/generator.eqx"),
    ),
    "evaluate": ("", "simulations/mdpl/*.nc", ()),
}
"""Stage -> its ensembles, its other land-model runs, its networks."""


def _describe_sites(job: Job) -> str:
    entries = {}
    rule = {choice.code: choice.why for choice in job.selection}
    for site in job.sites:
        held = site.code in job.config.sites.held_out
        chosen = "named in the configuration" if job.config.sites.codes else "all of the folder"
        if site.code in rule:
            chosen = f"{chosen}; taken by sites.select: {rule[site.code]}"
        entries[site.code] = {
            "attributes": {k: _plain(v) for k, v in site.attributes.items()},
            "role": "held_out" if held else "train",
            "why": f"{chosen}; {'held out: nothing is learnt from it' if held else 'learnt from'}",
            "years": float(site.attributes["years"]),
            "measured": {f: int(measured(site, f).sum()) for f in job.judged if f in site.fluxes},
            "period": [str(site.time[0])[:16], str(site.time[-1])[:16]],
        }
    return json.dumps(entries, indent=2)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
