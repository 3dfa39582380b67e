"""``mdpl surrogate RUN`` trains it, ``mdpl surrogate audit RUN`` asks whether it can be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from mdpl.cli_tools import first_unless_told, out, progress, resumable, say

app = typer.Typer(
    cls=first_unless_told("train"),
    help="Train the surrogate (mdpl surrogate RUN), or audit it (mdpl surrogate audit RUN).",
    no_args_is_help=True,
)

RunFolderArgument = Annotated[Path, typer.Argument(metavar="RUN", help="run folder")]


@app.command()
def train(folder: RunFolderArgument) -> None:
    """Train the surrogate on the ensemble."""
    from mdpl import pipeline

    with resumable():
        pipeline.run_stage("surrogate", folder, progress())


@app.command()
def audit(
    folder: RunFolderArgument,
    points: Annotated[
        int, typer.Option(min=1, help="parameter sets a tower at which slopes are compared")
    ] = 3,
    folds: Annotated[
        int,
        typer.Option(min=0, help="parts of the towers left out in turn; 0 = no unseen towers"),
    ] = 4,
    period: Annotated[
        bool, typer.Option(help="train one without the validation period as well")
    ] = True,
) -> None:
    """Compare the surrogate with the land model where it was never trained, and in its slopes.

    Given again, it goes on where it stopped.
    """
    from mdpl import pipeline
    from mdpl.experiments import fidelity

    scope = fidelity.Scope(points, folds, period)
    for line in fidelity.words(folder, scope):
        say(line)
    with resumable():
        shown = progress()
        found = fidelity.run(folder, scope, shown)
        pipeline.run_stage("report", folder, shown)
    table = Table(title="medians over towers")
    for heading in ("never trained on", "task", "metric", "value"):
        table.add_column(heading)
    for row in found.itertuples(index=False):
        table.add_row(str(row.kind), str(row.task), str(row.metric), f"{row.value:.3f}")
    out.print(table)
    say(str(folder / "report.html"))
