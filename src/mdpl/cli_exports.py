"""``mdpl export ...``: a finished run in the forms of the community's exams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdpl.cli_tools import progress, resumable, say

app = typer.Typer(help="Hand the output of a finished run on.", no_args_is_help=True)

RunFolderArgument = Annotated[Path, typer.Argument(metavar="RUN", help="folder of a finished run")]
OutFolder = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="folder to write into")]


@app.command()
def callmip(
    folder: RunFolderArgument,
    out: OutFolder,
    observations: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="CalLMIP's daily observations; default the run's sites.daily"
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME.VERSION", help="the model's name in the files")
    ] = None,
) -> None:
    """Write CalLMIP phase 1 files: prior (default) and posterior (learnt) of every tower."""
    from mdpl.exports.callmip import export

    with resumable():
        made = export(folder, out, progress(), observations=observations, model=model)
    for path in made.files:
        say(str(path))
    for note in made.notes:
        say(f"note: {note}")


@app.command()
def alma(
    folder: RunFolderArgument,
    out: OutFolder,
    model: Annotated[
        str, typer.Option(help="parameters: default, or mdpl for the learnt ones")
    ] = "mdpl",
) -> None:
    """Write model output in PLUMBER2 form, for modelevaluation.org."""
    from mdpl.errors import ConfigError
    from mdpl.exports.alma import export

    if model not in ("default", "mdpl"):
        raise ConfigError(f"--model: expected default or mdpl, found {model!r}")
    with resumable():
        for path in export(folder, out, progress(), model=model):  # type: ignore[arg-type]
            say(str(path))
