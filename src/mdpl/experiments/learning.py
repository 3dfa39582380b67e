"""What experiments that learn have in common: a finished run, trainings and runs beside it.

All lies in ``experiments/<name>/`` of the run folder: networks and ``parameters.csv`` in a folder
each, ``simulations/<model>/<tower>.nc``, tables, and ``cost.json``. Whatever is there is not made
again, so a cut experiment goes on where it stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from mdpl import rounds
from mdpl.calibration import mdpl as generators
from mdpl.config_learning import GeneratorConfig
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import RunError
from mdpl.files import load_dataset, write_sealed, writing
from mdpl.job import Job, open_job, score, simulation_path, tensors
from mdpl.learnt import by_tower, made_from, read_parameters, simulate_learnt
from mdpl.memory import give_back
from mdpl.progress import Progress
from mdpl.resuming import check
from mdpl.runs import RunFolder, locked, open_run
from mdpl.sites.site import Site
from mdpl.surrogate.audit import fidelity
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.store import load_surrogate, save_surrogate
from mdpl.surrogate.train import train

COST = "cost.json"


@dataclass(frozen=True)
class Experiment:
    """An experiment on a finished run.

    Attributes:
        name: of its folder.
        run: the folder of the run.
    """

    name: str
    run: RunFolder
    job: Job

    @property
    def place(self) -> RunFolder:
        return RunFolder(self.run / f"experiments/{self.name}", self.run.config)

    @property
    def given(self) -> tuple[Site, ...]:
        """Towers that a generator gives parameters to."""
        free = self.job.config.generator.kind == "free"
        return self.job.training if free else self.job.sites

    def surrogate(self, label: str) -> Path:
        """Where a surrogate of this experiment lies."""
        return self.place / f"{label}/surrogate/surrogate.eqx"

    def parameters(self, label: str) -> Path:
        """Where the parameters a generator of this experiment gave lie."""
        return self.place / f"{label}/parameters.csv"

    def simulation(self, model: str, code: str) -> Path:
        """Where a run of the land model made for this experiment lies."""
        return self.place / f"simulations/{model}/{code}.nc"

    def first(self, code: str) -> Path:
        """Where the land model's run at the parameters of the run's first learning lies.

        It is the run's own where no round changed these parameters; all experiments share it.
        """
        own = simulation_path(self.run, "mdpl", code)
        learnt = by_tower(first_parameters(self.run))
        if code in learnt and made_from(own, learnt[code]):
            return own
        return self.run / f"experiments/round-0/{code}.nc"


@dataclass(frozen=True)
class Plan:
    """What an experiment makes.

    Attributes:
        models: file that is there once networks are trained -> how many networks.
        runs: files of land-model runs.
    """

    models: Mapping[Path, int] = field(default_factory=dict)
    runs: Sequence[Path] = ()

    def left(self) -> tuple[int, int]:
        """Networks to train and land-model runs to make that are not there yet."""
        models = sum(n for path, n in self.models.items() if not path.exists())
        return models, sum(not path.exists() for path in self.runs)

    def words(self) -> str:
        models, runs = self.left()
        every = sum(self.models.values()), len(self.runs)
        there = (
            f"; {every[0] - models} and {every[1] - runs} more are there already"
            if (models, runs) != every
            else ""
        )
        return f"will train {models} models and make {runs} land-model runs{there}"


def open_experiment(path: Path, name: str, *, of_steps: bool = True) -> Experiment:
    """Open a finished run for an experiment.

    Args:
        of_steps: it judges by single steps, so that a run that learnt from daily observations is
            refused.

    Raises:
        ConfigError: a run that learnt from daily observations, for an experiment on steps.
        RunError: it is not finished, or the experiment was made before the run learnt anew.
    """
    run = open_run(path)
    if not run.done("evaluate"):
        raise RunError(f"{path}: not a finished run; give 'mdpl run' or 'mdpl evaluate' first")
    job = open_job(run.config)
    if of_steps:
        job.check_steps(f"mdpl experiment {name}")
    check(run, job)
    made = Experiment(name, run, job)
    mark = made.place / "made_from"
    if mark.exists() and mark.read_text(encoding="utf-8") != _learnt_from(run):
        raise RunError(
            f"{made.place.path}: made before this run learnt anew; delete the folder to make the "
            "experiment again"
        )
    return made


@contextmanager
def working(experiment: Experiment) -> Iterator[None]:
    """Hold the run folder for an experiment, and note what it is made from."""
    with locked(experiment.run.path), writing(experiment.run.path):
        experiment.place.write("made_from", _learnt_from(experiment.run))
        yield


def with_tasks(experiment: Experiment, tasks: Sequence[str]) -> Experiment:
    """The same towers and runs, with other fluxes to learn from."""
    job = experiment.job
    config = job.config.model_copy(update={"tasks": tuple(tasks)})
    return replace(experiment, job=replace(job, config=config))


def train_surrogate(
    experiment: Experiment, label: str, progress: Progress, counts: dict[str, int]
) -> Surrogate:
    """A surrogate of the experiment's tasks from the run's ensemble, with the run's settings.

    It is trained on the same members as the run's own, and judged on the same others
    (``fidelity.csv`` beside it).
    """
    path, job = experiment.surrogate(label), experiment.job
    if not path.exists():
        store = EnsembleStore(experiment.run / "ensemble.zarr")
        runs = rounds.runs_of(job, store, tensors(job, experiment.run))
        halves = [rounds.split_members(job, tower) for tower in runs]
        trained, _ = train(
            [seen for seen, _ in halves],
            job.space.names,
            job.config.surrogate,
            folder=path.parent,
            progress=progress,
        )
        judged = fidelity(trained, [unseen for _, unseen in halves])
        write_sealed(path.parent / "fidelity.csv", judged.to_csv(index=False))
        save_surrogate(trained, job.config.surrogate, path)
        counts["models_trained"] += 1
        give_back()
    return load_surrogate(path)


def learn(
    experiment: Experiment,
    label: str,
    surrogate: Surrogate,
    teachers: Sequence[Site],
    learners: Sequence[Site],
    config: GeneratorConfig,
    progress: Progress,
    counts: dict[str, int],
    observed: Mapping[str, Path] | None = None,
) -> pd.DataFrame:
    """Parameters by a generator; see `mdpl.calibration.calibration.Calibration.table`.

    Args:
        teachers: towers whose observations it is trained on; those of no other are read.
        learners: towers it gives parameters to.
        observed: tower -> file of its observations; default those of the run.
    """
    path, job = experiment.parameters(label), experiment.job
    if not path.exists():
        seen = tensors(job, experiment.run)
        found = generators.calibrate(
            surrogate,
            job.space,
            learners,
            [
                rounds.observed_at(
                    job, experiment.run, s, seen[s.code], (observed or {}).get(s.code)
                )
                for s in teachers
            ],
            config,
            path.parent / "generator",
            progress,
        )
        experiment.place.write(f"{label}/parameters.csv", found.table().to_csv(index=False))
        counts["models_trained"] += found.models_trained
        give_back()
    return read_parameters(path)


def simulate(
    experiment: Experiment,
    model: str,
    parameters: pd.DataFrame,
    progress: Progress,
    counts: dict[str, int],
) -> None:
    """The land model at learnt parameters, as a model of this experiment."""
    simulate_learnt(
        experiment.job,
        by_tower(parameters),
        lambda code: experiment.simulation(model, code),
        progress,
        counts,
    )


def simulate_first(
    experiment: Experiment, sites: Sequence[Site], progress: Progress, counts: dict[str, int]
) -> None:
    """The land model at the parameters of the run's first learning."""
    learnt = by_tower(first_parameters(experiment.run))
    chosen = {s.code: learnt[s.code] for s in sites if s.code in learnt}
    simulate_learnt(experiment.job, chosen, experiment.first, progress, counts)


def first_parameters(run: RunFolder) -> pd.DataFrame:
    """``parameters.csv`` of the run's first learning, before any round of refinement.

    Raises:
        RunError: the run has none.
    """
    path = rounds.place(run, 0) / "parameters.csv"
    if not path.exists():
        raise RunError(
            f"{path}: missing; the run was made by an earlier version; give "
            f"'mdpl calibrate {run.path}' and the stages after it again"
        )
    return read_parameters(path)


def judge(
    experiment: Experiment,
    models: Mapping[str, Mapping[str, Path]],
    fluxes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Scores of runs, columns as in ``scores.csv``.

    Args:
        models: model -> tower -> file of its run.
    """
    return pd.concat(
        [
            score(experiment.job, site, model, load_dataset(runs[site.code]), fluxes)
            for site in experiment.job.sites
            for model, runs in models.items()
            if site.code in runs
        ],
        ignore_index=True,
    )


def _learnt_from(run: RunFolder) -> str:
    """Tells what the run had learnt: its first surrogate, and the parameters it settled on."""
    digest = hashlib.sha256()
    for name in ("surrogate/surrogate.eqx", "parameters.csv"):
        digest.update((run / name).read_bytes())
    return digest.hexdigest()
