"""E2: is one network for all fluxes better than one a flux?

For each flux a surrogate and a generator of that task alone (dPL), from the same ensemble, the
same observations, the same settings and so the same number of steps as the run's multi-task ones.
Rounds of refinement are a budget of their own, so the multi-task model here is the run's first
learning (``rounds/0``), whatever the rounds made of it later. The land model runs with the
parameters of each, and each is judged by all fluxes: one learnt from Qh says nothing of Qle, but
the land model does.

Tables in ``experiments/single-task/``: ``scores.csv``, ``gains.csv`` and ``paired.csv`` (see
`mdpl.evaluation.paired`; by resolution).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import ConfigError
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.paired import ALL, BLOCK_DAYS, Pairs, compare_all, day_errors
from mdpl.evaluation.resolution import RESOLUTIONS, Resolution, sample
from mdpl.experiments.learning import (
    COST,
    Experiment,
    Plan,
    judge,
    learn,
    open_experiment,
    simulate,
    simulate_first,
    train_surrogate,
    with_tasks,
    working,
)
from mdpl.files import load_dataset
from mdpl.job import simulation_path
from mdpl.progress import Progress
from mdpl.sites.site import Site

NAME = "single-task"
MULTI = "multi-task"


def prepare(path: Path) -> Experiment:
    """Open a finished run of several tasks.

    Raises:
        ConfigError: it has one task; or its parameters are free and a tower lacks a task.
        RunError: it is not finished.
    """
    experiment = open_experiment(path, NAME)
    tasks = experiment.job.config.tasks
    if len(tasks) < 2:
        raise ConfigError(
            f"{path}: expected a run of two tasks or more, found {tasks[0]} alone; there is "
            "nothing to compare single tasks with"
        )
    job = experiment.job
    if job.config.generator.kind == "free":
        lacking = [
            f"{t} at {s.code}" for s in job.training for t in tasks if not job.measures(s, t)
        ]
        if lacking:
            raise ConfigError(
                f"{path}: free parameters of one flux need it at every tower, and nobody measured "
                f"{', '.join(lacking)}; use a run with generator.kind 'attributes'"
            )
    return experiment


def plan(experiment: Experiment) -> Plan:
    """What it trains and runs: a surrogate and a generator a task, and the land model for each."""
    models: dict[Path, int] = {}
    runs = [experiment.first(site.code) for site in experiment.given]
    for task in experiment.job.config.tasks:
        models[experiment.surrogate(label(task))] = 1
        models[experiment.parameters(label(task))] = experiment.job.config.generator.ensemble
        runs += [experiment.simulation(label(task), site.code) for site in experiment.given]
    return Plan(models, runs)


def label(task: str) -> str:
    """Name of the model of one task."""
    return f"dpl-{task}"


def run(experiment: Experiment, progress: Progress, *, seed: int = 0) -> pd.DataFrame:
    """Do what is not done.

    Returns:
        the rows of ``paired.csv`` over all towers.
    """
    job, place = experiment.job, experiment.place
    with working(experiment):
        for task in job.config.tasks:
            name, own = label(task), with_tasks(experiment, (task,))
            progress.stage(f"single task: {task}")
            with place.timed(name, COST) as counts:
                surrogate = train_surrogate(own, name, progress, counts)
                parameters = learn(
                    own,
                    name,
                    surrogate,
                    [site for site in job.training if job.measures(site, task)],
                    own.given,
                    job.config.generator,
                    progress,
                    counts,
                )
                simulate(own, name, parameters, progress, counts)
        progress.stage("single task: the multi-task model and scores")
        with place.timed(MULTI, COST) as counts:
            simulate_first(experiment, job.sites, progress, counts)
        with place.timed("scores", COST):
            return _judge(experiment, seed)


def _judge(experiment: Experiment, seed: int) -> pd.DataFrame:
    places = {site.code: _models(experiment, site) for site in experiment.given}
    models = next(iter(places.values()))
    scores = judge(experiment, {m: {c: p[m] for c, p in places.items()} for m in models})
    tables = []
    for resolution in RESOLUTIONS:
        pairs: Pairs = {}
        for site in experiment.given:
            runs = {m: load_dataset(p) for m, p in places[site.code].items() if m != "default"}
            pairs |= _errors(experiment, site, runs, resolution)
        if pairs:
            # A month is long enough to be a block of its own.
            block = 1 if resolution == "monthly" else BLOCK_DAYS
            tables.append(compare_all(pairs, ("rmse",), block, seed).assign(resolution=resolution))
    paired = pd.concat(tables, ignore_index=True).assign(period="validation")
    for name, table in (
        ("scores.csv", scores),
        ("gains.csv", scoring.gains(scores)),
        ("paired.csv", paired),
    ):
        experiment.place.write(name, table.to_csv(index=False))
    return paired[paired["site"] == ALL]


def _models(experiment: Experiment, site: Site) -> dict[str, Path]:
    """Model -> file of its run at a tower."""
    return {
        "default": simulation_path(experiment.run, "default", site.code),
        MULTI: experiment.first(site.code),
        **{
            label(task): experiment.simulation(label(task), site.code)
            for task in experiment.job.config.tasks
        },
    }


def _errors(
    experiment: Experiment, site: Site, runs: Mapping[str, xr.Dataset], resolution: Resolution
) -> Pairs:
    """The multi-task model paired with each single-task one, on validation data."""
    observed = load_dataset(experiment.run / f"observations/{site.code}.nc")
    inside = scoring.masks(observed)["validation"]
    found: Pairs = {}
    for flux in experiment.job.config.tasks:
        if flux not in observed:
            continue
        counts = inside & (observed[f"{flux}_measured"].values == 1)
        series = {"observed": observed[flux].values, **{m: r[flux].values for m, r in runs.items()}}
        values = sample(site.time, series, counts, resolution, experiment.job.coverage())
        if len(values) < 2:  # no score either
            continue
        for model in runs:
            if model != MULTI:
                found[MULTI, model, flux, site.code] = day_errors(
                    values.time,
                    values["observed"],
                    values[MULTI],
                    values[model],
                    np.ones(len(values), dtype=bool),
                )
    return found


def summary(paired: pd.DataFrame) -> list[str]:
    """Differences over all towers, a line each."""
    return [
        f"{row['flux']}, {row['resolution']}: RMSE of {row['model']} minus that of "
        f"{row['reference']} {row['difference']:+.3g} ({row['low']:+.3g} to {row['high']:+.3g})"
        for row in paired.to_dict("records")
    ]
