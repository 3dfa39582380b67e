"""``mdpl ensemble RUN`` runs it, ``mdpl ensemble rerun RUN`` repeats one of its members."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdpl.cli_tools import first_unless_told, keep_compiled, progress, resumable, say

app = typer.Typer(
    cls=first_unless_told("run"),
    help="Run the ensemble (mdpl ensemble RUN), or repeat a member (mdpl ensemble rerun RUN).",
    no_args_is_help=True,
)

RunFolderArgument = Annotated[Path, typer.Argument(metavar="RUN", help="run folder")]


@app.command()
def run(folder: RunFolderArgument) -> None:
    """Run the land model with default and perturbed parameters."""
    from mdpl import pipeline

    with resumable():
        pipeline.run_stage("ensemble", folder, progress())


@app.command()
def rerun(
    folder: RunFolderArgument,
    member: Annotated[int, typer.Option(min=0, help="number of the member")],
    site: Annotated[str | None, typer.Option(help="tower; default the first learnt from")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="keep the folder it ran in")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="show its parameters")] = False,
) -> None:
    """Run one member of an ensemble again, and say what became of it."""
    from mdpl.ensemble.rerun import rerun as again
    from mdpl.job import open_job
    from mdpl.runs import open_run

    opened = open_run(folder)
    job = open_job(opened.config)
    keep_compiled()
    place = folder / "rerun" if keep else None
    found = again(
        job.model, job.training, job.plan(), opened / "ensemble.zarr", site, member, place
    )
    if verbose:
        for name, value in found.values.items():
            say(f"{name} = {value:.9g}")
    say(f"then: {found.before}; now: {found.now}")
    for name, mean in found.means.items():
        say(f"mean {name}: {mean:.6g}")
    if place is not None:
        say(f"its folder: {place}" if place.exists() else "it runs in no folder of its own")
