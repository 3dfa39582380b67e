"""Fluxes of one run of the land model beside the tower's: months, and the mean day by season."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, MultipleLocator

from mdpl.evaluation.resolution import Pairs, sample
from mdpl.report.style import FAINT, LEARNT, OBSERVED, WIDTH, Plot, count, flux_label, pretty
from mdpl.sites.qc import measured
from mdpl.sites.site import UNITS, Site

WIDE = 1.5 * WIDTH
"""Inches; these figures stand alone, not on a page a phone shows."""

SEASONS = ("DJF", "MAM", "JJA", "SON")
MODELLED: dict = {"color": LEARNT, "lw": 1.6}
EVERY_STEP: dict = {"color": LEARNT, "lw": 1.0, "ls": (0, (1, 1.5))}
MEASURED: dict = {"color": OBSERVED, "lw": 1.3}


@dataclass(frozen=True)
class Flux:
    """One flux of a run, and what the tower measured of it.

    Attributes:
        modelled: in `units`, shape (time,).
        observed: the same, NaN where missing; None if the tower has nothing of it.
        counts: steps that were measured (qc = 0), shape (time,).
    """

    name: str
    units: str
    time: np.ndarray
    modelled: np.ndarray
    observed: np.ndarray | None
    counts: np.ndarray

    @property
    def label(self) -> str:
        return flux_label(self.name) if self.name in UNITS else f"{self.name} ({self.units})"


def read_fluxes(run: xr.Dataset, site: Site | None, names: Sequence[str]) -> list[Flux]:
    """The named fluxes, as far as the run has them."""
    return [_flux(run, site, name) for name in names if name in run]


def _flux(run: xr.Dataset, site: Site | None, name: str) -> Flux:
    time, values = run["time"].values, run[name].values
    units = pretty(str(run[name].attrs.get("units", UNITS.get(name, ""))))
    if site is not None and name in site.fluxes and (mask := measured(site, name)).any():
        return Flux(name, units, time, values, site.fluxes[name].values, mask)
    return Flux(name, units, time, values, None, np.zeros(time.size, dtype=bool))


def months(name: str, heading: str, fluxes: Sequence[Flux]) -> Plot | None:
    """Monthly means; a panel a flux."""
    if not fluxes:
        return None
    columns = 1 if len(fluxes) % 2 else 2
    rows = len(fluxes) // columns
    figure = Figure(figsize=(WIDE, 1.3 + 2.0 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
    compared = [_draw_months(axes, flux) for axes, flux in zip(grid, fluxes, strict=True)]
    numbers = [n for n in compared if n]
    legend(figure, heading, _seen(fluxes), dotted=True)
    caption = "Monthly means of the model at all steps; the tower has none of these fluxes."
    if _seen(fluxes):
        caption = (
            f"Monthly means. Observed: {_basis(fluxes)}; the solid line is the model at those "
            "steps only, the dotted one at all steps. A month needs seven days half measured; "
            f"{count(numbers or [0], 'months compared')}."
        )
    write_caption(figure, caption)
    return Plot(name, figure, caption, f"{heading}: monthly means")


def _draw_months(axes: Axes, flux: Flux) -> int:
    """Draw a panel; returns the number of months compared."""
    every = np.ones(flux.time.size, dtype=bool)
    whole = sample(flux.time, {"model": flux.modelled}, every, "monthly")
    _line(axes, whole, "model", {**EVERY_STEP, "ms": 2.0})
    compared = 0
    if flux.observed is not None:
        both = {"model": flux.modelled, "observed": flux.observed}
        pairs = sample(flux.time, both, flux.counts, "monthly")
        _line(axes, pairs, "model", {**MODELLED, "ms": 3.2})
        _line(axes, pairs, "observed", {**MEASURED, "ms": 3.2})
        compared = len(pairs)
    lacking = "   not measured" if flux.observed is None else "   too little measured"
    axes.set_title(flux.name if compared else flux.name + lacking)
    axes.set_ylabel(flux.label)
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    date_axis(axes)
    return compared


def _line(axes: Axes, pairs: Pairs, name: str, style: Mapping) -> None:
    """Monthly values, the line broken where a month is absent."""
    if not len(pairs):
        return
    at = pairs.time.astype("datetime64[M]")
    axis = np.arange(at[0], at[-1] + 1)
    values = np.full(axis.size, np.nan)
    values[(at - at[0]).astype(int)] = pairs[name]
    axes.plot(axis.astype("datetime64[D]") + 14, values, marker="o", **style)


def days(name: str, heading: str, fluxes: Sequence[Flux]) -> Plot | None:
    """Mean day by season: a row a flux, a column a season."""
    if not fluxes:
        return None
    figure = Figure(figsize=(WIDE, 1.3 + 1.55 * len(fluxes)), layout="constrained")
    grid = figure.subplots(len(fluxes), 4, sharex=True, sharey="row", squeeze=False)
    for row, flux in zip(grid, fluxes, strict=True):
        for axes, season in zip(row, SEASONS, strict=True):
            _draw_day(axes, flux, season)
        headroom(row[0], 0.1)
        row[0].set_ylabel(flux.label)
        row[0].yaxis.set_major_locator(MaxNLocator(5))
    for axes, season in zip(grid[0], SEASONS, strict=True):
        axes.set_title(season)
    for axes in grid[-1]:
        axes.set_xlabel("Hour (local std. time)")
    legend(figure, heading, _seen(fluxes))
    caption = "Mean day of the model by season (calendar months), all steps; the tower has none of "
    caption += "these fluxes."
    if _seen(fluxes):
        caption = (
            f"Mean day by season (calendar months). Observed: {_basis(fluxes)}; the model at the "
            "same steps; where a panel has no n, nothing was measured and the model is at all "
            "steps. n: steps."
        )
    write_caption(figure, caption)
    return Plot(name, figure, caption, f"{heading}: mean day by season")


def _draw_day(axes: Axes, flux: Flux, season: str) -> None:
    inside = in_season(flux.time, season)
    compared = flux.counts & inside
    chosen = compared if compared.any() else inside
    data = {"model": flux.modelled[chosen]}
    if compared.any() and flux.observed is not None:
        data["observed"] = flux.observed[chosen]
        axes.text(
            0.98,
            0.97,
            f"n = {compared.sum():,}",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=6.5,
            color=FAINT,
        )
    mean = pd.DataFrame(data).groupby(mid_hour(flux.time)[chosen]).mean()
    for column, style in (("model", MODELLED), ("observed", MEASURED)):
        if column in mean:
            axes.plot(mean.index, mean[column], **style)
    if not inside.any():
        say(axes, "not in the record")
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)
    axes.set_xlim(0, 24)
    axes.xaxis.set_major_locator(MultipleLocator(6))


def in_season(time: np.ndarray, season: str) -> np.ndarray:
    """Steps within three calendar months, such as ``DJF``."""
    month = pd.DatetimeIndex(time).month.to_numpy()
    return (month % 12) // 3 == SEASONS.index(season)


def mid_hour(time: np.ndarray) -> np.ndarray:
    """Middle of each step, hours since midnight."""
    step = (time[1] - time[0]) / np.timedelta64(1, "h")
    return (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h") + step / 2


def _seen(fluxes: Sequence[Flux]) -> list[str]:
    return [f.name for f in fluxes if f.observed is not None]


def _basis(fluxes: Sequence[Flux]) -> str:
    return f"{', '.join(_seen(fluxes))}, raw, measured steps only (qc = 0)"


def legend(figure: Figure, heading: str, seen: Sequence[str], dotted: bool = False) -> None:
    """The figure's heading, and below it what its lines are."""
    lines = []
    if seen:
        lines.append(Line2D([], [], label="observed", **MEASURED))
    if seen or not dotted:
        lines.append(Line2D([], [], label="model", **MODELLED))
    if dotted:
        lines.append(Line2D([], [], label="model, all steps", **EVERY_STEP))
    figure.legend(
        handles=lines,
        loc="outside upper left",
        ncols=3,
        title=heading,
        alignment="left",
        title_fontproperties={"weight": "bold", "size": 10},
    )


def write_caption(figure: Figure, caption: str) -> None:
    """Put the caption under the panels: these files travel without a page."""
    figure.supxlabel(textwrap.fill(caption, 122), x=0.01, ha="left", fontsize=7.5, linespacing=1.35)


def headroom(axes: Axes, share: float) -> None:
    """Leave room for words above the lines, as a share of the axis."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + share * (high - low))


def say(axes: Axes, text: str) -> None:
    """Words in place of data."""
    place: dict = {"transform": axes.transAxes, "ha": "center", "va": "center"}
    axes.text(0.5, 0.5, text, **place, fontsize=9, color=FAINT)


def date_axis(axes: Axes) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
