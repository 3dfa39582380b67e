"""One self-contained HTML page from a run folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mdpl import __version__
from mdpl.errors import RunError
from mdpl.files import write_sealed
from mdpl.report import benchmark_figures as beside
from mdpl.report import experiment_figures as experiments
from mdpl.report import (
    figures,
    flux_tables,
    interpretation,
    parameter_figures,
    parameter_study,
    parameter_study_figures,
    partition_figures,
    residual_figures,
    series,
    skill_figures,
    surrogate_tables,
    tables,
    taylor,
)
from mdpl.report import repeat_figures as repeats
from mdpl.report import surrogate_figures as about_surrogate
from mdpl.report.cells import Table
from mdpl.report.contents import Contents, read, read_series
from mdpl.report.gathered import Gathered, gather
from mdpl.report.parameter_study import Study
from mdpl.report.style import STYLE, Plot, long_name, percent

RASTER_DPI = 150


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: everything inside ``source``."""

    name: str
    source: str
    caption: str
    alt: str
    wide: bool


@dataclass(frozen=True)
class Headline:
    """What the run came to, for one flux."""

    flux: str
    name: str
    median: str
    better: int
    worse: int
    towers: int
    good: bool
    targeted: bool


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
        with matplotlib.rc_context(STYLE):
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
        "pictures": _pictures(contents, gathered, study),
        "meaning": interpretation.interpretation(study),
        "shared": partition_figures.words(gathered),
        "towers": list(_tower_pictures(contents)),
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
    for name, found in experiments.read(contents.folder).items():
        made += experiments.tables(name, found)
    for name, found in repeats.read(contents.folder).items():
        made += repeats.tables(name, found)
    return {table.name: table for table in (*made, tables.definitions())}


def _pictures(contents: Contents, gathered: Gathered, study: Study) -> dict[str, list[Picture]]:
    """Figures over all towers, by section."""
    fluxes = contents.fluxes
    drawn = {
        "towers": [figures.tower_map(contents), figures.climate_space(contents)],
        "gains": [
            figures.gain_bars(contents, gathered, flux, gain)
            for flux in fluxes
            for gain in ("dRMSE", "dR")
        ],
        "skill": [skill_figures.heat_map(contents, flux) for flux in fluxes],
        "taylor": [taylor.diagram(contents, flux) for flux in fluxes],
        "taylor_pft": [taylor.by_pft(contents, flux) for flux in fluxes],
        "target": [skill_figures.target(contents, flux) for flux in fluxes],
        "partition": [
            partition_figures.seasons(contents, gathered, partition_figures.FRACTION),
            partition_figures.seasons(contents, gathered, partition_figures.BOWEN),
            partition_figures.hours(contents, gathered),
        ],
        "residuals": [residual_figures.residuals(contents, gathered, flux) for flux in fluxes],
        "parameters": [
            parameter_figures.parameters(contents),
            parameter_study_figures.by_pft(study),
        ],
        "parameter_study": [
            parameter_study_figures.agreement(study),
            parameter_study_figures.attributes(study),
        ],
        "identifiability": [parameter_figures.identifiability(contents)],
        "promised": [figures.promised(contents), about_surrogate.rounds(contents)],
        "audit": [about_surrogate.slopes(contents), about_surrogate.wrong(contents)],
        "recovery": [parameter_figures.recovery(contents)],
        "beside": _beside(contents),
    }
    for name, found in experiments.read(contents.folder).items():
        drawn[name.replace("-", "_")] = experiments.plots(contents, name, found)
    for name, found in repeats.read(contents.folder).items():
        drawn[name] = repeats.plots(contents, name, found)
    return {
        section: [_picture(contents, plot, pdf=True) for plot in plots if plot]
        for section, plots in drawn.items()
    }


def _beside(contents: Contents) -> list[Plot | None]:
    """The run beside other models, the fluxes learnt from."""
    others = beside.read(contents.folder)
    if others is None:
        return []
    makers = (beside.medians, beside.ranks, beside.paired)
    return [make(contents, others, flux) for make in makers for flux in contents.targeted]


def _tower_pictures(contents: Contents) -> Iterator[tuple[str, str, list[Picture]]]:
    """Code, PFT and figures of each tower whose series the folder holds."""
    for code in dict.fromkeys(contents.scores["site"]):
        ours = read_series(contents, code)
        if ours is None:
            continue
        plots = [make(contents, ours) for make in (series.monthly, series.diurnal, series.density)]
        pictures = [_picture(contents, plot) for plot in plots if plot]
        pft = contents.towers[code].pft if code in contents.towers else ""
        if pictures:
            yield code, pft, pictures


def _picture(contents: Contents, plot: Plot, pdf: bool = False) -> Picture:
    """Save a figure as the page shows it, and as PDF if asked; hold it as a data URI."""
    stem = contents.folder / "figures" / plot.name
    if pdf:
        plot.figure.savefig(stem.with_suffix(".pdf"), metadata={"CreationDate": None})
        plot.figure.set_layout_engine(None)  # keeps the layout just found
    buffer = io.BytesIO()
    if plot.raster:
        kind, suffix = "image/png", ".png"
        plot.figure.savefig(buffer, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    else:
        kind, suffix = "image/svg+xml", ".svg"
        plot.figure.savefig(buffer, format="svg", metadata={"Date": None})
    stem.with_suffix(suffix).write_bytes(buffer.getvalue())
    code = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(plot.name, f"data:{kind};base64,{code}", plot.caption, plot.alt, plot.wide)


def _headline(contents: Contents, flux: str) -> Headline:
    median, better, worse, towers = tables.better_and_worse(contents, flux)
    targeted = flux in contents.targeted
    return Headline(
        flux, long_name(flux), percent(median), better, worse, towers, median > 0, targeted
    )


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
