"""``mdpl experiment ...``: the experiments, each on a run folder or a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdpl.cli_tools import progress, resumable, say

if TYPE_CHECKING:
    from mdpl.progress import Progress

app = typer.Typer(
    help="The experiments: calibrate on a configuration, the others on a finished run.",
    no_args_is_help=True,
)

RunFolderArgument = Annotated[Path, typer.Argument(metavar="RUN", help="folder of a finished run")]


@app.command()
def calibrate(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="configuration (YAML)")],
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="run folder")],
    seeds: Annotated[
        int, typer.Option(min=1, help="runs in all; they share the ensemble of the first")
    ] = 3,
) -> None:
    """Calibrate at every tower, with several seeds of the networks (E1).

    Given again, it goes on where it stopped; more seeds may be asked for later.
    """
    from mdpl.config import load
    from mdpl.experiments import calibrate as experiment

    with resumable():
        settings = load(config)
        say(experiment.plan(settings, out, seeds).words())
        shown = progress()
        for line in experiment.summary(experiment.run(settings, out, seeds, shown)):
            say(line)
        _report(out, shown)


@app.command()
def fidelity(
    folder: RunFolderArgument,
    sets: Annotated[int, typer.Option(min=2, help="parameter sets a tower")] = 100,
    site: Annotated[
        list[str] | None,
        typer.Option("--site", help="tower code, repeatable; default the longest of each PFT"),
    ] = None,
) -> None:
    """Compare the surrogate with the land model at parameter sets nobody trained on (A).

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import unseen_sets as experiment

    with resumable():
        opened = experiment.prepare(folder)
        towers = experiment.choose(opened, site)
        say(experiment.words(opened, towers, sets))
        shown = progress()
        for line in experiment.summary(experiment.run(opened, towers, shown, sets)):
            say(line)
        _report(folder, shown)


@app.command()
def benchmark(
    folder: RunFolderArgument,
    published: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="table of published metrics (CSV, JSON); repeatable"),
    ] = None,
    model_output: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER",
            help="another model's output, NetCDF files named by tower, in ALMA or CalLMIP form, "
            "at the towers' steps or daily; repeatable",
        ),
    ] = None,
    lstm: Annotated[bool, typer.Option(help="train LSTMs too")] = True,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2, help="groups of towers the LSTM leaves out in turn; default each tower alone"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of clusters, networks and bootstrap")] = 0,
) -> None:
    """Compare a run with regressions on weather, an LSTM and other land models (E3).

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import benchmark as experiment

    options = experiment.Options(
        published=tuple(published or ()),
        outputs=tuple(model_output or ()),
        networks=lstm,
        folds=folds,
        seed=seed,
    )
    with resumable():
        bench = experiment.prepare(folder, options)
        for line in bench.words:
            say(line)
        shown = progress()
        say(str(experiment.run(bench, shown)))
        _report(folder, shown)


@app.command("single-task")
def single_task(
    folder: RunFolderArgument,
    seed: Annotated[int, typer.Option(min=0, help="of the bootstrap")] = 0,
) -> None:
    """Compare the multi-task model with one model a flux (E2).

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import single_task as experiment

    with resumable():
        opened = experiment.prepare(folder)
        say(experiment.plan(opened).words())
        shown = progress()
        for line in experiment.summary(experiment.run(opened, shown, seed=seed)):
            say(line)
        _report(folder, shown)


@app.command()
def transfer(folder: RunFolderArgument) -> None:
    """Leave each tower out, within its PFT and across all, and give it parameters (E4).

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import transfer as experiment

    with resumable():
        opened = experiment.prepare(folder)
        say(experiment.plan(opened).words())
        for line in experiment.warnings(experiment.foresee(opened)):
            say(line)
        shown = progress()
        for line in experiment.summary(experiment.run(opened, shown)):
            say(line)
        for line in experiment.shares(opened):
            say(line)
        _report(folder, shown)


@app.command()
def untargeted(
    folder: RunFolderArgument,
    weight: Annotated[
        list[float] | None,
        typer.Option(min=0, help="of GPP as a further task; repeatable; default 0 0.1 0.3 1 3"),
    ] = None,
    prior: Annotated[
        list[float] | None,
        typer.Option(min=0, help="weight of the prior, without GPP; repeatable; default 0.1 0.5"),
    ] = None,
) -> None:
    """Score GPP and NEE nobody learnt from, and learn GPP as a further task (E5).

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import untargeted as experiment

    usual = experiment.Options()
    options = experiment.Options(tuple(weight or usual.weights), tuple(prior or usual.priors))
    with resumable():
        opened = experiment.prepare(folder, options)
        say(experiment.plan(opened, options).words())
        shown = progress()
        for line in experiment.summary(experiment.run(opened, options, shown)):
            say(line)
        _report(folder, shown)


@app.command("flux-choice")
def flux_choice(
    folder: RunFolderArgument,
    relearn: Annotated[
        bool, typer.Option("--relearn", help="train a generator against each choice too")
    ] = False,
) -> None:
    """Judge a run by raw, corrected and closed heat fluxes, and learn from each.

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import flux_choice as experiment

    with resumable():
        opened = experiment.prepare(folder, relearn)
        say(experiment.plan(opened).words())
        shown = progress()
        for line in experiment.summary(opened, experiment.run(opened, shown)):
            say(line)
        _report(folder, shown)


def _report(folder: Path, shown: Progress) -> None:
    from mdpl import pipeline

    pipeline.run_stage("report", folder, shown)
    say(str(folder / "report.html"))


@app.command()
def identifiability(
    folder: RunFolderArgument,
    samples: Annotated[int, typer.Option(min=4, help="base samples of the Sobol design")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="of the design")] = 0,
) -> None:
    """Say which parameters the data of each tower constrain, and which trade off."""
    from mdpl.experiments import identifiability as experiment

    say("will train no models and make no land-model runs: the surrogate is asked")
    with resumable():
        shown = progress()
        table = experiment.run(folder, shown, samples, seed)
        for name, count in table["verdict"].str.split(" with ").str[0].value_counts().items():
            say(f"{name}: {count} of {len(table)} parameters of towers")
        _report(folder, shown)
