"""How much does it matter which heat fluxes are called the truth?

The default and the learnt run are scored against the fluxes as measured, as corrected by the
network, and with the energy balance closed by Bowen ratio or residual (`mdpl.sites.closure`), at
every tower that has what a choice is made of. Asked to learn again, the experiment trains a
generator against each choice through the run's own surrogate; the land model runs with what it
found, and is scored against all of them. What a tower cannot give is told, not guessed.

Tables in ``experiments/flux-choice/``: ``scores.csv`` (those of the run, and the column
``choice``: what the run was judged by; a model learnt anew is called after the choice it was
learnt from, ``mdpl-residual``), ``gains.csv`` and ``left_out.csv`` (site, choice, why).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import pandas as pd

from mdpl import rounds
from mdpl.errors import ConfigError, SiteError
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.periods import split
from mdpl.experiments.learning import Experiment, Plan, learn, open_experiment, simulate, working
from mdpl.files import load_dataset, save_dataset
from mdpl.job import observe, simulation_path
from mdpl.progress import Progress
from mdpl.sites.closure import HEAT, FluxChoice, choose
from mdpl.sites.site import Site

NAME = "flux-choice"
CHOICES: tuple[FluxChoice, ...] = get_args(FluxChoice)


@dataclass(frozen=True)
class Opened:
    """A finished run, and the towers at which each choice can be made.

    Attributes:
        towers: choice -> towers; choices no tower allows are absent.
        left_out: (site, choice, why).
    """

    experiment: Experiment
    towers: dict[FluxChoice, tuple[Site, ...]]
    left_out: tuple[tuple[str, str, str], ...]
    relearn: bool

    @property
    def learnt(self) -> tuple[FluxChoice, ...]:
        """Choices a generator is trained against: all but the run's, where a tower can teach."""
        if not self.relearn:
            return ()
        own, teachers = self.experiment.job.config.sites.flux, set(self._teachers)
        return tuple(
            choice
            for choice, sites in self.towers.items()
            if choice != own and teachers & {s.code for s in sites}
        )

    @property
    def _teachers(self) -> tuple[str, ...]:
        return tuple(site.code for site in self.experiment.job.training)


def prepare(path: Path, relearn: bool = False) -> Opened:
    """Open a finished run that learnt from a heat flux.

    Raises:
        ConfigError: it learnt from no heat flux, or from daily observations, whose fluxes are
            what their file says.
        RunError: it is not finished.
    """
    experiment = open_experiment(path, NAME, of_steps=False)
    config = experiment.job.config
    if not set(config.tasks) & set(HEAT):
        raise ConfigError(f"{path}: expected a run with the task Qle or Qh, found {config.tasks}")
    if config.sites.daily is not None and relearn:
        raise ConfigError(
            f"{path}: learnt from daily observations, whose fluxes are those of their files; "
            "leave --relearn away"
        )
    towers: dict[FluxChoice, tuple[Site, ...]] = {}
    left_out = []
    for choice in CHOICES:
        able = []
        for site in experiment.job.sites:
            why = _obstacle(site, choice)
            if why:
                left_out.append((site.code, choice, why))
            else:
                able.append(site)
        if able:
            towers[choice] = tuple(able)
    return Opened(experiment, towers, tuple(left_out), relearn)


def plan(opened: Opened) -> Plan:
    """Generators to train and land-model runs to make."""
    made = opened.experiment
    size = made.job.config.generator.ensemble
    return Plan(
        {made.parameters(choice): size for choice in opened.learnt},
        [made.simulation(_name(c), s.code) for c in opened.learnt for s in made.given],
    )


def run(opened: Opened, progress: Progress) -> pd.DataFrame:
    """Do the experiment, or what is left of it; its gains.

    Returns:
        the columns of ``gains.csv``, and ``choice``.
    """
    experiment = opened.experiment
    with working(experiment):
        with experiment.place.timed(NAME, "cost.json") as counts:
            for choice in opened.learnt:
                progress.stage(f"flux choice: learning from {choice}")
                _learn(opened, choice, progress, counts)
        scores = pd.concat(_scores(opened), ignore_index=True)
        gains = pd.concat(
            [scoring.gains(own).assign(choice=c) for c, own in scores.groupby("choice")],
            ignore_index=True,
        )
        left = pd.DataFrame(list(opened.left_out), columns=["site", "choice", "why"])
        for name, table in (("left_out", left), ("scores", scores), ("gains", gains)):
            experiment.place.write(f"{name}.csv", table.to_csv(index=False))
    return gains


def summary(opened: Opened, gains: pd.DataFrame) -> list[str]:
    """Median gains by choice, model and flux, validation period; and who was left out."""
    own = gains[(gains["period"] == "validation") & (gains["resolution"] == "native")]
    lines = []
    for (choice, model, flux), rows in own.groupby(["choice", "model", "flux"], sort=False):
        known = rows["dRMSE"].dropna()
        if len(known):
            lines.append(
                f"judged by {choice} fluxes: {model}: median dRMSE of {flux} "
                f"{100 * known.median():+.1f} % at {len(known)} towers"
            )
    return lines + [f"{site}: not by {choice}: {why}" for site, choice, why in opened.left_out]


def _obstacle(site: Site, choice: FluxChoice) -> str:
    """Why a choice cannot be made at a tower; empty where it can."""
    try:
        for flux in HEAT:
            if flux in site.fluxes:
                choose(site, flux, choice)
        observed = scoring.observations(site, HEAT, choice)
    except SiteError as error:
        return str(error)
    if not any(observed[f"{f}_measured"].values.any() for f in HEAT if f in observed):
        return f"no step at which {choice} fluxes can be told"
    return ""


def _name(choice: FluxChoice) -> str:
    return f"mdpl-{choice}"


def _with_choice(experiment: Experiment, choice: FluxChoice) -> Experiment:
    """The experiment with another truth; its observations lie beside it."""
    config = experiment.job.config
    sites = config.sites.model_copy(update={"flux": choice})
    job = replace(experiment.job, config=config.model_copy(update={"sites": sites}))
    return replace(experiment, job=job)


def _learn(opened: Opened, choice: FluxChoice, progress: Progress, counts: dict[str, int]) -> None:
    """A generator against one choice, and the land model at its parameters."""
    own = _with_choice(opened.experiment, choice)
    teachers = [s for s in own.job.training if s in opened.towers[choice]]
    observed = {}
    for site in teachers:
        path = own.place / f"{choice}/observations/{site.code}.nc"
        if not path.exists():
            save_dataset(observe(own.job, site), path)
        observed[site.code] = path
    surrogate = rounds.newest_surrogate(own.run)
    parameters = learn(
        own,
        choice,
        surrogate,
        teachers,
        own.given,
        own.job.config.generator,
        progress,
        counts,
        observed=observed,
    )
    simulate(own, _name(choice), parameters, progress, counts)


def _scores(opened: Opened) -> list[pd.DataFrame]:
    experiment = opened.experiment
    job, tables = experiment.job, []
    for choice, sites in opened.towers.items():
        for site in sites:
            files = {m: simulation_path(experiment.run, m, site.code) for m in ("default", "mdpl")}
            files |= {_name(c): experiment.simulation(_name(c), site.code) for c in opened.learnt}
            fluxes = [flux for flux in HEAT if flux in site.fluxes]
            for model, path in files.items():
                if path.exists():
                    table = scoring.score(
                        site,
                        model,
                        load_dataset(path),
                        fluxes,
                        choice,
                        split(site.time),
                        job.coverage(),
                    )
                    tables.append(table.assign(choice=choice))
    return tables
