"""The figures of a report, drawn and saved, section by section and tower by tower."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib

from mdpl.report import benchmark_figures as beside
from mdpl.report import experiment_figures as experiments
from mdpl.report import (
    figures,
    parameter_figures,
    parameter_study_figures,
    partition_figures,
    residual_figures,
    rivals_figures,
    series,
    skill_figures,
    taylor,
)
from mdpl.report import repeat_figures as repeats
from mdpl.report import surrogate_figures as about_surrogate
from mdpl.report.contents import Contents, read_series
from mdpl.report.gathered import Gathered
from mdpl.report.parameter_study import Study
from mdpl.report.processes import in_order
from mdpl.report.style import STYLE, Plot

RASTER_DPI = 150

MANY = 8
"""Towers from which drawing in several processes is worth their start."""


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: everything inside ``source``."""

    name: str
    source: str
    caption: str
    alt: str
    wide: bool


@dataclass(frozen=True)
class _Shown:
    contents: Contents
    gathered: Gathered
    study: Study


Plots = Sequence[Plot | None]

SECTIONS: Mapping[str, Callable[[_Shown], Plots]] = {
    "towers": lambda s: [figures.tower_map(s.contents), figures.climate_space(s.contents)],
    "gains": lambda s: [
        figures.gain_bars(s.contents, s.gathered, flux, gain)
        for flux in s.contents.fluxes
        for gain in ("dRMSE", "dR")
    ],
    "skill": lambda s: [skill_figures.heat_map(s.contents, flux) for flux in s.contents.fluxes],
    "taylor": lambda s: [taylor.diagram(s.contents, flux) for flux in s.contents.fluxes],
    "taylor_pft": lambda s: [taylor.by_pft(s.contents, flux) for flux in s.contents.fluxes],
    "target": lambda s: [skill_figures.target(s.contents, flux) for flux in s.contents.fluxes],
    "partition": lambda s: [
        partition_figures.seasons(s.contents, s.gathered, partition_figures.FRACTION),
        partition_figures.seasons(s.contents, s.gathered, partition_figures.BOWEN),
        partition_figures.hours(s.contents, s.gathered),
    ],
    "residuals": lambda s: [
        residual_figures.residuals(s.contents, s.gathered, flux) for flux in s.contents.fluxes
    ],
    "parameters": lambda s: [
        parameter_figures.parameters(s.contents),
        parameter_study_figures.by_pft(s.study),
    ],
    "parameter_study": lambda s: [
        parameter_study_figures.agreement(s.study),
        parameter_study_figures.attributes(s.study),
    ],
    "identifiability": lambda s: [parameter_figures.identifiability(s.contents)],
    "promised": lambda s: [figures.promised(s.contents), about_surrogate.rounds(s.contents)],
    "audit": lambda s: [about_surrogate.slopes(s.contents), about_surrogate.wrong(s.contents)],
    "recovery": lambda s: [parameter_figures.recovery(s.contents)],
    "beside": lambda s: _beside(s.contents),
    "rivals": lambda s: rivals_figures.plots(s.contents),
}
"""Section of the page -> its figures over all towers."""


def draw(
    contents: Contents, gathered: Gathered, study: Study
) -> tuple[dict[str, list[Picture]], list[tuple[str, str, list[Picture]]]]:
    """Draw and save every figure into ``figures/``.

    Returns:
        section -> figures over all towers; and code, PFT and figures of each tower whose series
        the folder holds.
    """
    sections = [*SECTIONS, *experiments.read(contents.folder), *repeats.read(contents.folder)]
    codes = list(dict.fromkeys(contents.scores["site"]))
    work = [("section", name) for name in sections] + [("tower", code) for code in codes]
    fewest = len(sections) + MANY
    drawn = in_order(_drawn, _Shown(contents, gathered, study), work, fewest)
    pictures = dict(zip(work, drawn, strict=True))
    pfts = {code: tower.pft for code, tower in contents.towers.items()}
    return (
        {name.replace("-", "_"): pictures["section", name] for name in sections},
        [(c, pfts.get(c, ""), pictures["tower", c]) for c in codes if pictures["tower", c]],
    )


def _drawn(shown: _Shown, what: tuple[str, str]) -> list[Picture]:
    kind, name = what
    with matplotlib.rc_context(STYLE):
        overall = kind == "section"
        plots = _section(shown, name) if overall else _tower(shown.contents, name)
        return [_picture(shown.contents, plot, pdf=overall) for plot in plots if plot]


def _section(shown: _Shown, name: str) -> Plots:
    if name in SECTIONS:
        return SECTIONS[name](shown)
    made = experiments.read(shown.contents.folder)
    if name in made:
        return experiments.plots(shown.contents, name, made[name])
    return repeats.plots(shown.contents, name, repeats.read(shown.contents.folder)[name])


def _beside(contents: Contents) -> Plots:
    """The run beside other models, the fluxes learnt from."""
    others = beside.read(contents.folder)
    if others is None:
        return []
    makers = (beside.medians, beside.ranks, beside.paired)
    return [make(contents, others, flux) for make in makers for flux in contents.targeted]


def _tower(contents: Contents, code: str) -> Plots:
    ours = read_series(contents, code)
    if ours is None:
        return []
    return [make(contents, ours) for make in (series.monthly, series.diurnal, series.density)]


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
