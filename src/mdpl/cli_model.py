"""``mdpl model check``: whether a land model keeps to the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdpl.cli_tools import keep_compiled, say
from mdpl.errors import ModelError

app = typer.Typer(help="Land models.", no_args_is_help=True)

_MARKS = {True: "ok  ", False: "FAIL", None: "    "}


@app.command()
def check(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="matsiro, suews, an adapter (YAML), a Python file, or a folder of recorded runs",
        ),
    ],
    site: Annotated[str | None, typer.Option("--site", help="tower; default the first")] = None,
    sites: Annotated[
        Path | None, typer.Option("--sites", help="folder of records; default those that ship")
    ] = None,
    days: Annotated[int, typer.Option(min=2, help="first days of the record that are run")] = 365,
    hard_weather: Annotated[
        bool,
        typer.Option(
            "--hard-weather",
            help="also run it, with random parameters, from polar night to cloudburst",
        ),
    ] = False,
) -> None:
    """Run a land model a few times and say whether it keeps to the contract."""
    from itertools import chain

    from mdpl.lsm.examine import examine
    from mdpl.lsm.hard_weather import withstand
    from mdpl.lsm.offers import name_of
    from mdpl.lsm.opening import named
    from mdpl.sites.catalogue import open_sites

    found = named(model)
    keep_compiled()
    tower = open_sites(sites, [site] if site else None)[0].first_days(days)
    say(f"{name_of(found)} with {len(found.parameters)} parameters at {tower.code}, {days} days")
    failed = 0
    for answer in chain(examine(found, tower), withstand(found) if hard_weather else ()):
        say(f"{_MARKS[answer.passed]} {answer.name}: {answer.found}")
        failed += answer.passed is False
    if failed:
        raise ModelError(f"{name_of(found)}: {failed} checks failed; see docs/your_model.md")
