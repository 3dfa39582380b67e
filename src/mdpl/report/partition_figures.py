"""Evaporative fraction and Bowen ratio: observed, default and learnt."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter

from mdpl.evaluation.partition import LEAST_FLUX, MIDDAY, SEASONS
from mdpl.report.cells import Row, Table, csv_uri, num, text, whole
from mdpl.report.contents import Contents
from mdpl.report.gathered import Gathered
from mdpl.report.style import (
    DEFAULT,
    FAINT,
    LEARNT,
    OBSERVED,
    WIDTH,
    Plot,
    count,
    handle,
    number,
    pft_colours,
    pft_handles,
)

FRACTION, BOWEN = "evaporative_fraction", "bowen_ratio"
LABELS = {FRACTION: "evaporative fraction", BOWEN: "Bowen ratio"}
BOWEN_LIMITS = (0.03, 30.0)
LINES = {"observed": OBSERVED, "default": DEFAULT, "learnt": LEARNT}


def seasons(contents: Contents, gathered: Gathered, quantity: str) -> Plot | None:
    """Modelled against observed, a panel a season, a pair of marks a tower."""
    wide = _seasonal(gathered, quantity)
    if wide.empty:
        return None
    shown = [s for s in SEASONS if s in set(wide["part"])]
    rows = -(-len(shown) // 2)
    figure = Figure(figsize=(WIDTH, 0.9 + 2.1 * rows), layout="constrained")
    colours, beyond = pft_colours(contents.pfts), 0
    limits = (-0.05, 1.05) if quantity == FRACTION else BOWEN_LIMITS
    for i, season in enumerate(shown):
        axes = figure.add_subplot(rows, 2, i + 1)
        here = wide[wide["part"] == season]
        values = here[list(LINES)]
        inside = ((values >= limits[0]) & (values <= limits[1])).all(axis=1)
        beyond += int((~inside).sum())
        _season_panel(axes, here[inside], colours, limits, quantity)
        axes.set_title(f"{season}  n = {int(inside.sum())}", fontsize=8.5)
    figure.supxlabel(f"Observed {LABELS[quantity]}", fontsize=9)
    figure.supylabel(f"Modelled {LABELS[quantity]}", fontsize=9)
    states = [handle("o", FAINT, "default", hollow=True), handle("o", FAINT, "learnt")]
    figure.legend(
        handles=[*states, *pft_handles(contents.pfts)],
        loc="outside upper left",
        ncols=5,
        columnspacing=1.0,
    )
    left = f" {beyond} (tower, season) pairs lie beyond the axes." if beyond else ""
    what = "Σ Qle / Σ (Qle + Qh)" if quantity == FRACTION else "Σ Qh / Σ Qle, logarithmic axes"
    return Plot(
        f"{quantity}_season",
        figure,
        f"{LABELS[quantity].capitalize()}, {what}, by season: default (hollow) and learnt "
        "(filled) against observed; dashed: equal. Hours "
        f"{MIDDAY[0]} to {MIDDAY[1]} local standard time, steps at which both fluxes were measured "
        f"and at least {LEAST_FLUX:g} W m⁻² to share in the mean; validation period, "
        f"{contents.basis}; n = {len(wide)} pairs of tower and season. Calendar months: at "
        f"southern towers DJF is summer.{left}",
        f"{LABELS[quantity].capitalize()} by season",
    )


def hours(contents: Contents, gathered: Gathered) -> Plot | None:
    """Evaporative fraction through the day, a panel a PFT."""
    table = gathered.partition.query("by == 'hour'").dropna(subset=FRACTION)
    whole_pairs = table.groupby(["site", "part"])["series"].transform("nunique") == len(LINES)
    table = table[whole_pairs].assign(hour=lambda t: t["part"].astype(int) + 0.5)
    if table.empty:
        return None
    pfts = sorted(set(table["pft"]))
    rows = -(-len(pfts) // 2)
    figure = Figure(figsize=(WIDTH, 0.7 + 1.6 * rows), layout="constrained")
    first: Axes | None = None
    for i, pft in enumerate(pfts):
        axes = figure.add_subplot(rows, 2, i + 1, sharex=first, sharey=first)
        first = first or axes
        here = table[table["pft"] == pft]
        for name, colour in LINES.items():
            middle = here[here["series"] == name].groupby("hour")[FRACTION].median()
            axes.plot(middle.index, middle, color=colour, label=name)
        axes.set_title(f"{pft}  n = {here['site'].nunique()}", fontsize=8.5)
        axes.set(xlim=(5, 20), ylim=(0, 1.05))
        axes.xaxis.set_major_locator(MultipleLocator(4))
    assert first is not None
    figure.supxlabel("Hour, local standard time", fontsize=9)
    figure.supylabel("Evaporative fraction", fontsize=9)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return Plot(
        "evaporative_fraction_hour",
        figure,
        "Evaporative fraction through the day, Σ Qle / Σ (Qle + Qh) of each hour, median over the "
        f"towers of a PFT, {count(table['site'].nunique(), 'towers')} in all; hours with less than "
        f"{LEAST_FLUX:g} W m⁻² to share in the mean are left out at a tower. Validation period, "
        f"{contents.basis}, steps at which both fluxes were measured.",
        "Evaporative fraction by hour and PFT",
    )


def table(contents: Contents, gathered: Gathered) -> Table | None:
    """Both ratios by tower and season."""
    parts = [_seasonal(gathered, quantity) for quantity in (FRACTION, BOWEN)]
    if parts[0].empty:
        return None
    keys = ["site", "pft", "part", "n"]
    both = parts[0].merge(parts[1], on=keys, how="left", suffixes=("", "_bowen"))
    rows = [
        Row(
            (
                text(r["site"], "key"),
                text(r["pft"]),
                text(r["part"]),
                whole(r["n"]),
                *(num(r[name], 2) for name in LINES),
                *(num(r[f"{name}_bowen"], 2) for name in LINES),
            )
        )
        for r in both.to_dict("records")
    ]
    heads = ("Tower", "PFT", "Months", "n", "EF observed", "default", "learnt")
    caption = "Evaporative fraction and Bowen ratio by tower and season, midday, validation period"
    more = ("Bowen observed", "default", "learnt")
    return Table("partition", caption, heads + more, tuple(rows), csv_uri(gathered.partition))


def words(gathered: Gathered) -> str:
    """How far the evaporative fraction is off, before and after; empty without one."""
    wide = _seasonal(gathered, FRACTION)
    if wide.empty:
        return ""
    errors = {m: float((wide[m] - wide["observed"]).abs().median()) for m in ("default", "learnt")}
    closer = (wide["learnt"] - wide["observed"]).abs() < (wide["default"] - wide["observed"]).abs()
    return (
        "The midday evaporative fraction is off by "
        f"{number(errors['default'], 2)} with default and {number(errors['learnt'], 2)} with "
        f"learnt parameters (median over {len(wide)} pairs of tower and season); it came closer to "
        f"the observed one in {int(closer.sum())} of them."
    )


def _season_panel(
    axes: Axes,
    here: pd.DataFrame,
    colours: dict[str, str],
    limits: tuple[float, float],
    quantity: str,
) -> None:
    if quantity == BOWEN:
        axes.set(xscale="log", yscale="log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(base=10))
            axis.set_major_formatter(lambda v, _: f"{v:g}")
            axis.set_minor_formatter(NullFormatter())
    axes.plot(limits, limits, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    for r in here.to_dict("records"):
        colour = colours[r["pft"]]
        axes.plot([r["observed"]] * 2, [r["default"], r["learnt"]], color=colour, lw=0.9, alpha=0.6)
        axes.plot(r["observed"], r["default"], "o", ms=4, mfc="white", mec=colour, mew=1.0)
        axes.plot(r["observed"], r["learnt"], "o", ms=4.6, color=colour, mec="white", mew=0.5)
    axes.set(xlim=limits, ylim=limits, aspect="equal")


def _seasonal(gathered: Gathered, quantity: str) -> pd.DataFrame:
    """site, pft, part, n and the three series, where all three are known."""
    rows = gathered.partition.query("by == 'season'")
    if rows.empty:
        return pd.DataFrame()
    wide = rows.pivot(index=["site", "pft", "part", "n"], columns="series", values=quantity)
    wide = wide.replace([np.inf, -np.inf], np.nan).dropna().reset_index()
    order = {season: i for i, season in enumerate(SEASONS)}
    return wide.sort_values(
        ["site", "part"], key=lambda c: c.map(order) if c.name == "part" else c, kind="stable"
    ).reset_index(drop=True)
