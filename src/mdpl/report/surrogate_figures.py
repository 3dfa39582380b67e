"""Figures about the surrogate: rounds of refinement, slopes, and where it is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mdpl.report.contents import Contents
from mdpl.report.style import FAINT, INK, WIDTH, Plot, count, flux_colour

MONTHS = ("J", "F", "M", "A", "M", "J", "J", "A", "S", "O", "N", "D")
FEWEST = 0.05
"""Slopes below this share of a point's steepest are drawn faint: they hardly matter."""


def rounds(contents: Contents) -> Plot | None:
    """By how much promise and delivery differ, round by round."""
    table = contents.extra["rounds"]
    table = table[table["period"] == "calibration"] if len(table) else table
    if table.empty:
        return None
    fluxes = list(dict.fromkeys(table["flux"]))
    figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
    several = np.atleast_1d(figure.subplots(1, len(fluxes), sharey=True))
    for axes, flux in zip(several, fluxes, strict=True):
        wide = 100 * table[table["flux"] == flux].pivot(index="round", columns="site", values="gap")
        axes.plot(wide.index, wide, "-", color=flux_colour(flux), lw=0.7, alpha=0.45)
        axes.plot(wide.index, wide.median(axis=1), "o-", color=INK, lw=1.8, ms=5, label="median")
        axes.axhline(5, color=FAINT, lw=0.9, ls=(0, (4, 3)))
        axes.set(title=flux, xlabel="round", xticks=list(wide.index), ylim=(0, None))
    several[0].set_ylabel("|promised − delivered| RMSE (%)")
    several[0].legend()
    return Plot(
        "rounds",
        figure,
        "Difference between the RMSE the surrogate promised and the RMSE the land model delivered "
        "with the same parameters, relative to the delivered one, after the first learning (round "
        "0) and after each round of running the land model there and learning again. Thin lines "
        "are towers, the dashed line is 5 %. Calibration period, half-hourly or hourly, "
        f"{contents.basis}; {count(table['site'].nunique(), 'towers')}.",
        "Gap between promised and delivered error by round",
    )


def slopes(contents: Contents) -> Plot | None:
    """Gradient of the misfit by every parameter: land model against surrogate."""
    table = contents.extra["slopes"]
    if table.empty:
        return None
    steepest = table.groupby(["site", "point"])["lsm"].transform(lambda s: s.abs().max())
    x, y = table["lsm"] / steepest, table["surrogate"] / steepest
    matters = (x.abs() >= FEWEST).to_numpy()
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axline((0, 0), slope=1, color=FAINT, lw=1, ls=(0, (4, 3)))
    axes.plot(x[~matters], y[~matters], ".", color=FAINT, ms=3, alpha=0.5)
    axes.plot(x[matters], y[matters], "o", color="#00857c", ms=4, mec="white", mew=0.4)
    cosines = contents.extra["cosines"]["cosine"]
    axes.set(
        xlim=(-1.15, 1.15),
        ylim=(-1.6, 1.6),
        xlabel="slope of the land model's misfit (1 = steepest of its point)",
        ylabel="slope of the surrogate's misfit",
        title=f"median cosine {cosines.median():.2f}",
    )
    same = float((np.sign(x[matters]) == np.sign(y[matters])).mean())
    return Plot(
        "slopes",
        figure,
        "Slope of the misfit to the calibration data (squared error over observed variance, mean "
        "of the fluxes) by every parameter in the unit cube, from the land model and from the "
        "surrogate by the same central differences, at the defaults and at ensemble members never "
        f"trained on. Of the slopes that matter (at least {FEWEST:.0%} of the steepest) "
        f"{same:.0%} have the right sign. n = {len(cosines)} points at "
        f"{table['site'].nunique()} towers, {int(matters.sum())} slopes that matter.",
        "Slopes of the surrogate against those of the land model",
    )


def wrong(contents: Contents) -> Plot | None:
    """Error of the surrogate by month, by hour and by third of each parameter."""
    table = contents.extra["where"]
    if table.empty:
        return None
    median = table.groupby(["task", "by", "part"])["rmse_over_sd"].median()
    tasks = list(dict.fromkeys(table["task"]))
    names = [n for n in dict.fromkeys(table["by"]) if n not in ("month", "hour")]
    figure = Figure(figsize=(WIDTH, 4.6 + 0.12 * len(names)), layout="constrained")
    top, middle, low = figure.subplots(3, 1, height_ratios=(1, 1, 0.3 + 0.14 * len(names)))
    for task in tasks:
        months = _part(median, task, "month", range(1, 13))
        hours = _part(median, task, "hour", range(24))
        top.plot(range(1, 13), months, "o-", color=flux_colour(task), ms=3, label=task)
        middle.plot(range(24), hours, "o-", color=flux_colour(task), ms=3)
    top.set(xticks=range(1, 13), xticklabels=MONTHS, ylim=(0, None), ylabel="RMSE / SD")
    middle.set(xticks=range(0, 24, 3), xlabel="hour", ylim=(0, None), ylabel="RMSE / SD")
    top.legend(ncols=len(tasks))
    grid = np.array(
        [
            [median.get((task, name, part), np.nan) for task in tasks for part in _thirds()]
            for name in names
        ]
    )
    image = low.imshow(grid, aspect="auto", cmap="YlOrBr", vmin=0)
    low.grid(False)
    low.set(yticks=range(len(names)), yticklabels=names, xticks=range(grid.shape[1]))
    low.set_xticklabels([f"{task}\n{part}" for task in tasks for part in _thirds()], fontsize=7)
    low.tick_params(axis="y", labelsize=7)
    figure.colorbar(image, ax=low, label="RMSE / SD", shrink=0.8)
    return Plot(
        "wrong",
        figure,
        "Where the surrogate differs from the land model: RMSE over the standard deviation of the "
        "tower's whole ensemble, by month, by local hour, and by third of the range of each "
        "parameter. Parameter sets never trained on, whole record; medians over "
        f"{table['site'].nunique()} towers.",
        "Error of the surrogate by month, hour and parameter",
    )


def _part(median: pd.Series, task: str, by: str, parts: range) -> list[float]:
    return [float(median.get((task, by, str(p)), np.nan)) for p in parts]


def _thirds() -> tuple[str, ...]:
    return "low", "middle", "high"
