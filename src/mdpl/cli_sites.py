"""``mdpl sites``: getting tower records, and knowing whether to trust them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table


app = typer.Typer(help="Get tower records, and check them.", no_args_is_help=True)
_out = Console(soft_wrap=True)
_err = Console(stderr=True, soft_wrap=True)

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
    from mdpl.progress import RichProgress
    from mdpl.sites.catalogue import find_towers
    from mdpl.sites.checks.examine import examine_tower
    from mdpl.report.site_tables import write_tables

    towers = find_towers(sites, site)
    examinations = []
    with RichProgress(_err).task("examining towers", len(towers)) as task:
        for tower in towers:
            task.note(tower.code)
            found = examine_tower(tower)
            if figures:
                from mdpl.report.site_figures import draw_page

                draw_page(found, out)
            examinations.append(found.without_record())
            task.advance(1)
    written = write_tables(examinations, out)
    table = Table(title=f"{len(examinations)} towers")
    for heading in ("site", "class", "period", "verdict", "Qle", "Qh", "closure", "ET/P", "reasons"):
        table.add_column(heading)
    for found in examinations:
        about = found.summary
        period = f"{about['from']} {about['to']}" if about else ""
        water = f"{about['ET_mm']}/{about['P_mm']}" if "ET_mm" in about else ""
        cells = [found.code, about.get("igbp", ""), period]
        cells += [f"[{COLOURS[found.verdict]}]{found.verdict}[/]"]
        cells += [about.get("Qle_measured", ""), about.get("Qh_measured", "")]
        cells += [about.get("closure_slope", ""), water, escape(found.reasons)]
        table.add_row(*map(str, cells))
    _out.print(table)
    for found in examinations:
        for finding in found.findings:
            if remarks or finding.severity != "remark":
                _say(f"{found.code}: {finding.severity}: {finding.text}")
    _say(", ".join(map(str, written)) + (f"; pages: {out}/<site>.png, .svg" if figures else ""))


def _say(text: str) -> None:
    _out.print(text, markup=False, highlight=False)


