"""E5: what becomes of the carbon fluxes nobody learnt from, and what does learning them cost?

First the run as it is: GPP and NEE of its own simulations, default and learnt, against what the
towers measured. Then the reverse: a surrogate of the run's tasks and GPP from the same ensemble,
which stored GPP all along, and through it one generator a point of a grid: several weights of GPP
at the run's prior, and several weights of the prior without GPP, for a stronger pull to the
defaults may save GPP too. Towers that do not measure GPP learn from the other tasks. The land
model runs at every tower for each point; all are in ``scores.csv`` and ``gains.csv``.

``front.csv`` has what each point gains in each flux, and whether another point is at least as
good in both GPP and the heat fluxes. The surrogate is the same at every point, so the loss in
Qle and Qh is told against the point of weight 0, at the same prior.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ConfigError
from mdpl.evaluation import scores as scoring
from mdpl.experiments.learning import (
    COST,
    Experiment,
    Plan,
    judge,
    learn,
    open_experiment,
    simulate,
    train_surrogate,
    with_tasks,
    working,
)
from mdpl.job import simulation_path
from mdpl.lsm.offers import name_of
from mdpl.progress import Progress

NAME = "untargeted"
TARGET = "GPP"
CARBON = ("GPP", "NEE")
SURROGATE = "with-GPP"


@dataclass(frozen=True)
class Options:
    """The grid.

    Attributes:
        weights: of GPP beside tasks of weight one, at the run's prior; 0 is always among them.
        priors: weights of the prior, without GPP.
    """

    weights: tuple[float, ...] = (0.0, 0.1, 0.3, 1.0, 3.0)
    priors: tuple[float, ...] = (0.1, 0.5)

    def points(self, config: GeneratorConfig) -> list[Point]:
        """The grid about a run's settings, without doubles."""
        own = config.prior_weight
        pairs = [*((w, own) for w in (0.0, *self.weights)), *((0.0, p) for p in self.priors)]
        return [Point(weight, prior) for weight, prior in dict.fromkeys(pairs)]


@dataclass(frozen=True)
class Point:
    """One trade-off."""

    weight: float
    prior: float

    @property
    def label(self) -> str:
        return f"gpp-{self.weight:g}-prior-{self.prior:g}"

    def config(self, config: GeneratorConfig) -> GeneratorConfig:
        """A run's settings at this point, task weights as given and not learnt."""
        weights = {**config.task_weights, TARGET: self.weight}
        return config.model_copy(
            update={"task_weights": weights, "prior_weight": self.prior, "balance": "fixed"}
        )


def prepare(path: Path, options: Options) -> Experiment:
    """Open a finished run that did not learn from GPP.

    Raises:
        ConfigError: it did, no tower measures GPP, or a weight is below zero.
        RunError: it is not finished.
    """
    below = [w for w in (*options.weights, *options.priors) if w < 0]
    if below:
        raise ConfigError(f"weights: expected zero or more, found {below[0]:g}")
    experiment = open_experiment(path, NAME)
    if TARGET in experiment.job.config.tasks:
        raise ConfigError(
            f"{path}: {TARGET} is a task of this run, so it is not untargeted; use a run of Qle "
            "and Qh"
        )
    job = experiment.job
    if not any(job.measures(site, TARGET) for site in job.training):
        raise ConfigError(
            f"{path}: no tower this run learns from measures {TARGET} in its calibration period"
        )
    if TARGET not in job.outputs:
        raise ConfigError(f"{path}: {name_of(job.model)} gives no {TARGET}")
    return experiment


def plan(experiment: Experiment, options: Options) -> Plan:
    """One surrogate, a generator a point, and the land model at every tower for each point."""
    config = experiment.job.config.generator
    points = options.points(config)
    models = {experiment.surrogate(SURROGATE): 1}
    models |= {experiment.parameters(point.label): config.ensemble for point in points}
    runs = [
        experiment.simulation(point.label, site.code)
        for point in points
        for site in experiment.given
    ]
    return Plan(models, runs)


def run(experiment: Experiment, options: Options, progress: Progress) -> pd.DataFrame:
    """Do what is not done.

    Returns:
        the rows of ``front.csv``.
    """
    place = experiment.place
    job = experiment.job
    points = options.points(job.config.generator)
    with working(experiment):
        own = with_tasks(experiment, (*job.config.tasks, TARGET))
        progress.stage("untargeted: a surrogate with GPP")
        with place.timed("surrogate", COST) as counts:
            surrogate = train_surrogate(own, SURROGATE, progress, counts)
        for point in points:
            progress.stage(f"untargeted: GPP weight {point.weight:g}, prior {point.prior:g}")
            with place.timed(point.label, COST) as counts:
                config = point.config(job.config.generator)
                parameters = learn(
                    own, point.label, surrogate, job.training, job.sites, config, progress, counts
                )
                simulate(own, point.label, parameters, progress, counts)
        progress.stage("untargeted: scores")
        with place.timed("scores", COST):
            return _judge(experiment, points)


def _judge(experiment: Experiment, points: list[Point]) -> pd.DataFrame:
    sites, tasks = experiment.given, experiment.job.config.tasks
    own = {
        model: {s.code: simulation_path(experiment.run, model, s.code) for s in sites}
        for model in ("default", "mdpl")
    }
    grid = {
        point.label: {s.code: experiment.simulation(point.label, s.code) for s in sites}
        for point in points
    }
    scores = judge(experiment, own | grid, (*tasks, *CARBON))
    found = front(scores, points, tasks)
    for name, table in (
        ("scores.csv", scores),
        ("gains.csv", scoring.gains(scores)),
        ("front.csv", found),
    ):
        experiment.place.write(name, table.to_csv(index=False))
    return found


def front(scores: pd.DataFrame, points: list[Point], tasks: tuple[str, ...]) -> pd.DataFrame:
    """Gains of every point over the defaults, at the towers' own step, validation data.

    Returns:
        model, weight, prior, flux, towers, gain (median dRMSE), worse (towers worse than
        default), loss (median relative rise of RMSE over the point of weight 0 and the same prior
        as the weights), best (no other point is at least as good in GPP and in the mean of the
        tasks, and better in one).
    """
    chosen = scores[
        (scores["period"] == "validation")
        & (scores["resolution"] == "native")
        & (scores["metric"] == "rmse")
        & (scores["n"] > 0)
    ]
    wide = chosen.pivot(index=["flux", "site"], columns="model", values="value")
    base = wide[points[0].label]
    rows = []
    for point in points:
        gain = 1 - wide[point.label] / wide["default"]
        loss = wide[point.label] / base - 1
        for flux in dict.fromkeys(wide.index.get_level_values("flux")):
            rows.append(
                {
                    "model": point.label,
                    "weight": point.weight,
                    "prior": point.prior,
                    "flux": flux,
                    "towers": int(gain[flux].notna().sum()),
                    "gain": float(gain[flux].median()),
                    "worse": int((gain[flux] < 0).sum()),
                    "loss": float(loss[flux].median()),
                }
            )
    table = pd.DataFrame(rows)
    both = table.pivot(index="model", columns="flux", values="gain")
    goals = np.column_stack([both[TARGET], both[list(tasks)].mean(axis=1)])
    best = dict(zip(both.index, undominated(goals), strict=True))
    return table.assign(best=table["model"].map(best))


def undominated(goals: np.ndarray) -> np.ndarray:
    """Rows that no other row matches in every goal and beats in one, shape (row,).

    Args:
        goals: larger is better, shape (row, goal).
    """
    as_good = np.all(goals[None] >= goals[:, None], axis=-1)
    better = np.any(goals[None] > goals[:, None], axis=-1)
    return np.asarray(~np.any(as_good & better, axis=1))


def summary(found: pd.DataFrame) -> list[str]:
    """``front.csv``, a line a point."""
    lines = []
    for _, own in found.groupby("model", sort=False):
        rows = own.to_dict("records")
        gains = ", ".join(
            f"{row['flux']} {100 * row['gain']:+.1f} % ({row['towers']} towers)" for row in rows
        )
        point, mark = rows[0], "; on the front" if rows[0]["best"] else ""
        lines.append(f"GPP weight {point['weight']:g}, prior {point['prior']:g}: {gains}{mark}")
    return lines
