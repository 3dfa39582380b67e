"""``mdpl sites``: getting tower records, and knowing whether to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mdpl.cli_tools import out as _out
from mdpl.cli_tools import progress, resumable
from mdpl.cli_tools import say as _say

if TYPE_CHECKING:
    from mdpl.sites.checks.examine import Examination

app = typer.Typer(help="Get tower records, and check them.", no_args_is_help=True)

NUMBERS = ("Qle_measured", "Qh_measured", "closure_slope")
COLOURS = {"good": "green", "usable": "green", "doubtful": "yellow", "unusable": "red"}


@app.command()
def check(
    out: Annotated[Path, typer.Option("--out", help="folder for tables and figure pages")],
    sites: Annotated[
        Path | None,
        typer.Option("--sites", help="folder of tower records; without it, the towers that ship"),
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option("--site", help="tower code, may be repeated; default all")
    ] = None,
    figures: Annotated[bool, typer.Option(help="draw a page a tower")] = True,
    remarks: Annotated[bool, typer.Option(help="print remarks too, not only in the files")] = False,
) -> None:
    """Look for flaws in tower records: a verdict a tower, with reasons."""
    from mdpl.files import ready
    from mdpl.report.site_pages import examine_towers
    from mdpl.report.site_tables import write_tables
    from mdpl.sites.catalogue import find_towers

    towers = find_towers(sites, site)
    ready(out)
    examinations = []
    left = "pages drawn so far are kept, tables are only written at the end"
    with resumable(left), progress().task("examining towers", len(towers)) as task:
        for found in examine_towers(towers, out if figures else None):
            task.note(found.code)
            examinations.append(found)
            task.advance(1)
    written = write_tables(examinations, out)
    _out.print(_table(examinations))
    for found in examinations:
        for finding in found.findings:
            if remarks or finding.severity != "remark":
                _say(f"{found.code}: {finding.severity}: {finding.text}")
    _say(", ".join(map(str, written)) + (f"; pages: {out}/<site>.png, .svg" if figures else ""))


@app.command()
def fetch(
    codes: Annotated[list[str] | None, typer.Argument(metavar="[CODE]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="all towers")] = False,
    pft: Annotated[
        list[str] | None, typer.Option("--pft", help="IGBP class, may be repeated")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="folder for the records, also the cache")
    ] = Path("plumber2"),
    server: Annotated[str, typer.Option(help="THREDDS server")] = "https://thredds.nci.org.au",
) -> None:
    """Get PLUMBER2 towers; given again, it goes on, and checks what is there."""
    from mdpl.sites import fetching

    with _out.status("reading the catalogue"):
        catalogue = fetching.read_catalogue(server)
        classes = fetching.read_classes(catalogue, out, server) if pft else None
    files = fetching.select(
        catalogue, codes or [], everything=everything, pfts=pft or [], classes=classes
    )
    with resumable(), progress().task("fetching", len(files)) as task:
        fetching.fetch(files, out, done=lambda file: task.advance(1))
    _say(f"{out}: {len(files) // 2} towers; please cite {fetching.CITATION}")
    _say(f"next: mdpl sites check --sites {out} --out {out}-checked")


def _table(examinations: Sequence[Examination]) -> Table:
    table = Table(title=f"{len(examinations)} towers")
    for heading in ("site", "years", "verdict", "Qle", "Qh", "closure", "ET/P"):
        table.add_column(heading, no_wrap=True)
    table.add_column("reasons", min_width=22)
    for found in examinations:
        about = found.summary
        years = sorted({str(about[key])[:4] for key in ("from", "to") if key in about})
        cells = [found.code, "-".join(years)]
        cells += [f"[{COLOURS[found.verdict]}]{found.verdict}[/]"]
        cells += [f"{about[key]:.2f}" if key in about else "" for key in NUMBERS]
        cells += [f"{about['ET_mm']}/{about['P_mm']}" if "ET_mm" in about else ""]
        table.add_row(*map(str, cells), escape("; ".join(found.grounds)))
    return table
