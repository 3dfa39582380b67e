"""Residuals against sunlight, dryness of the air and soil moisture."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdpl.evaluation.residuals import DAYLIGHT, EDGES, LEAST_STEPS
from mdpl.report.cells import Row, Table, csv_uri, num, text, whole
from mdpl.report.contents import Contents
from mdpl.report.gathered import Gathered
from mdpl.report.style import (
    DEFAULT,
    INK,
    LEARNT,
    WIDTH,
    Plot,
    count,
    long_name,
    sentence,
    units,
)

AXES = {
    "SWdown": "SWdown (W m⁻²)",
    "VPD": "VPD (hPa)",
    "SoilMoist": "Soil moisture (percentile of the tower)",
}
COLOURS = {"default": DEFAULT, "learnt": LEARNT}
LEAST_TOWERS = 3
"""Bins with fewer towers are left out where the run has as many."""


def residuals(contents: Contents, gathered: Gathered, flux: str) -> Plot | None:
    """Median residual by bin, default and learnt; a panel a driver."""
    table = _over_towers(gathered, flux)
    drivers = [d for d in EDGES if d in set(table["driver"])] if len(table) else []
    if not drivers:
        return None
    figure = Figure(figsize=(WIDTH, 0.6 + 1.75 * len(drivers)), layout="constrained")
    grid = figure.subplots(len(drivers), 1, squeeze=False)[:, 0]
    for axes, driver in zip(grid, drivers, strict=True):
        _panel(axes, table[table["driver"] == driver])
        axes.set_xlabel(AXES[driver])
    figure.supylabel(f"{flux}, model − observation ({units(flux)})", fontsize=9)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    figure.suptitle(sentence(long_name(flux)), fontsize=9.5, fontweight="bold", ha="left", x=0.02)
    return Plot(
        f"residuals_{flux}",
        figure,
        f"Residuals of {long_name(flux)}: median within bins of a driver at each tower, then over "
        "towers (line), and the middle half of the towers (band). SWdown: all steps; the others: "
        f"steps with SWdown above {DAYLIGHT:g} W m⁻². Soil moisture: uppermost metre, default "
        "run, as the tower's own percentile, for towers rarely measure it. Half-hourly or "
        f"hourly, validation period, {contents.basis}; bins of at least {LEAST_STEPS} steps a "
        f"tower, {count(table['towers'], 'towers a bin')}.",
        f"Residuals of {flux} against drivers",
    )


def table(contents: Contents, gathered: Gathered) -> Table | None:
    """The bins over towers; each tower's own in the CSV."""
    every = [_over_towers(gathered, flux).assign(flux=flux) for flux in contents.fluxes]
    every = [t for t in every if len(t)]
    if not every:
        return None
    wide = pd.concat(every).pivot_table(
        index=["flux", "driver", "low", "high", "towers", "steps"],
        columns="model",
        values=["middle", "q25", "q75"],
        sort=False,
    )
    rows = []
    for key, r in wide.iterrows():
        flux, driver, low, high, towers, steps = np.asarray(key, dtype=object)
        cells = [text(str(flux), "key"), text(str(driver)), num(low), num(high), whole(towers)]
        cells.append(whole(steps))
        for model in COLOURS:
            cells += [num(r[part, model], 2) for part in ("middle", "q25", "q75")]
        rows.append(Row(tuple(cells)))
    heads = ("Flux", "Driver", "From", "to", "Towers", "Steps", "Default", "q25", "q75")
    caption = "Median residual by bin over towers, and the quartiles of towers; validation period"
    return Table(
        "residuals",
        caption,
        (*heads, "Learnt", "q25", "q75"),
        tuple(rows),
        csv_uri(gathered.residuals),
    )


def _panel(axes: Axes, table: pd.DataFrame) -> None:
    axes.axhline(0, color=INK, lw=0.8)
    for model, colour in COLOURS.items():
        own = table[table["model"] == model].sort_values("centre")
        axes.fill_between(own["centre"], own["q25"], own["q75"], color=colour, alpha=0.18, lw=0)
        axes.plot(own["centre"], own["middle"], color=colour, marker="o", ms=3.2, label=model)


def _over_towers(gathered: Gathered, flux: str) -> pd.DataFrame:
    """driver, low, high, model, centre, middle, q25, q75, towers, steps."""
    own = gathered.residuals[gathered.residuals["flux"] == flux]
    if own.empty:
        return pd.DataFrame()
    by = own.groupby(["driver", "low", "high", "model"], sort=False)
    found = pd.DataFrame(
        {
            "centre": by["centre"].median(),
            "middle": by["median"].median(),
            "q25": by["median"].quantile(0.25),
            "q75": by["median"].quantile(0.75),
            "towers": by["site"].nunique(),
            "steps": by["n"].sum(),
        }
    ).reset_index()
    least = min(LEAST_TOWERS, own["site"].nunique())
    order = {driver: i for i, driver in enumerate(EDGES)}
    found = found.sort_values(
        ["driver", "low"], key=lambda c: c.map(order) if c.name == "driver" else c, kind="stable"
    )
    return found[found["towers"] >= least]
