"""One self-contained HTML page from a run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mdpl import __version__
from mdpl.errors import RunError
from mdpl.files import write_sealed
from mdpl.report import benchmark_figures as beside
from mdpl.report import experiment_figures as experiments
from mdpl.report import (
    flux_tables,
    interpretation,
    parameter_study,
    partition_figures,
    residual_figures,
    rivals_figures,
    surrogate_tables,
    tables,
    taylor,
)
from mdpl.report import repeat_figures as repeats
from mdpl.report.cells import Table
from mdpl.report.contents import Contents, read
from mdpl.report.drawing import draw
from mdpl.report.gathered import Gathered, gather
from mdpl.report.parameter_study import Study
from mdpl.report.style import long_name, percent


@dataclass(frozen=True)
class Headline:
    """What the run came to, for one flux.

    Attributes:
        lost_unasked: no target of the learning, and worse in the median.
    """

    flux: str
    name: str
    median: str
    better: int
    worse: int
    towers: int
    good: bool
    targeted: bool
    lost_unasked: bool


def build(folder: Path) -> Path:
    """Write ``report.html`` and ``figures/`` from what a run folder holds.

    Reads the run folder only; a section whose optional file is absent is left out. The page
    needs no network and no other file. ``figures/`` has each figure as SVG (PNG if it has many
    marks), and those over all towers as PDF too.

    Returns:
        Path of the page.

    Raises:
        RunError: a needed file is absent or unreadable, or the folder cannot be written.
    """
    contents = read(folder)
    target = folder / "report.html"
    try:
        (folder / "figures").mkdir(exist_ok=True)
        page = _template().render(**_page(contents))
        write_sealed(target, page)
    except OSError as error:
        raise RunError(
            f"cannot write the report into {folder}: {error}; free some space or make the folder "
            "writable, then run mdpl report again"
        ) from error
    return target


def _page(contents: Contents) -> dict[str, Any]:
    """Everything the template prints."""
    gathered, study = gather(contents), parameter_study.Study(contents)
    pictures, towers = draw(contents, gathered, study)
    return {
        "title": str(contents.manifest.get("title") or contents.folder.resolve().name),
        "version": __version__,
        "contents": contents,
        "headlines": [_headline(contents, flux) for flux in contents.fluxes],
        "fluxes": list(contents.fluxes),
        "targets": [long_name(flux) for flux in contents.targeted],
        "totals": _totals(contents),
        "provenance": list(tables.flat(contents.manifest)),
        "tables": _tables(contents, gathered, study),
        "pictures": pictures,
        "meaning": interpretation.interpretation(study),
        "shared": partition_figures.words(gathered),
        "towers": towers,
        "removed": list(tables.removed(contents)),
        "virtual": (contents.folder / "virtual" / "report.html").is_file(),
    }


def _tables(contents: Contents, gathered: Gathered, study: Study) -> dict[str, Table]:
    makers = (
        tables.towers,
        tables.medians,
        tables.scores,
        taylor.table,
        tables.worse,
        tables.parameters,
        tables.stages,
    )
    made = [make(contents) for make in makers]
    whole = (tables.intervals, partition_figures.table, residual_figures.table)
    made += parameter_study.tables(study)
    made += [table for make_one in whole if (table := make_one(contents, gathered))]
    for make, source in (
        (tables.promised, contents.promised),
        (tables.selection, contents.extra["selection"]),
        (flux_tables.flux_choice, contents.extra["flux_choice"]),
        (tables.fidelity, contents.fidelity),
        (tables.recovery, contents.recovery),
        (tables.excess, contents.excess),
        (surrogate_tables.rounds, contents.extra["rounds"]),
        (surrogate_tables.audit, contents.extra["audit"]),
        (surrogate_tables.cloud, contents.extra["cloud"]),
        (surrogate_tables.identifiability, contents.extra["identifiability"]),
    ):
        if len(source):
            made.append(make(contents))
    others = beside.read(contents.folder)
    if others:
        made.append(beside.median_table(contents, others))
        more = beside.record_table(contents, others), beside.daily_table(contents, others)
        made += [table for table in more if table]
    made += rivals_figures.tables(contents)
    for name, found in experiments.read(contents.folder).items():
        made += experiments.tables(name, found)
    for name, found in repeats.read(contents.folder).items():
        made += repeats.tables(name, found)
    return {table.name: table for table in (*made, tables.definitions())}


def _headline(contents: Contents, flux: str) -> Headline:
    median, better, worse, towers = tables.better_and_worse(contents, flux)
    targeted = flux in contents.targeted
    name, gain, lost = long_name(flux), percent(median), not targeted and median < 0
    return Headline(flux, name, gain, better, worse, towers, median > 0, targeted, lost)


def _totals(contents: Contents) -> dict[str, str]:
    """Sums over stages, and sizes, as text for the summary."""

    def total(key: str) -> float:
        return sum(float(stage.get(key) or 0) for stage in contents.timings.values())

    seconds = total("seconds")
    return {
        "towers": f"{contents.scores['site'].nunique():,}",
        "runs": f"{total('lsm_runs'):,.0f}",
        "models": f"{total('models_trained'):,.0f}",
        "time": f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.1f} min",
    }


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
