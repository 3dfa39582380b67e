"""Learnt parameters inside their bounds, and hidden ones come back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from mdpl.report.contents import Contents
from mdpl.report.style import (
    DEFAULT,
    FAINT,
    INK,
    LEARNT,
    NAMED_TOWERS,
    WIDTH,
    Plot,
    count,
    handle,
    number,
    pft_colours,
    pft_handles,
    pretty,
)

LOG_SPAN = 50.0
"""Without a ``scale`` in the table, bounds this far apart are drawn on a log scale."""


def parameters(contents: Contents) -> Plot | None:
    """Learnt parameters inside their bounds: a row a parameter, a line a tower."""
    table = contents.parameters.query("model == @contents.learnt")
    if table.empty:
        return None
    names, sites = list(dict.fromkeys(table["parameter"])), list(dict.fromkeys(table["site"]))
    height = float(np.clip(0.055 * len(sites) + 0.18, 0.32, 0.80))
    figure = Figure(figsize=(7.0, 1.3 + height * len(names)), layout="constrained")
    axes = figure.add_subplot()
    colours = pft_colours(contents.pfts)
    offsets = np.linspace(-0.34, 0.34, len(sites)) if len(sites) > 1 else np.zeros(1)
    size = 4.6 if len(sites) <= NAMED_TOWERS else 3.0
    for row, name in enumerate(names):
        if row % 2 == 0:
            axes.axhspan(row - 0.5, row + 0.5, color="#f4f6f8", lw=0, zorder=0)
        these = table[table["parameter"] == name]
        for _, p in these.iterrows():
            y = row + offsets[sites.index(p["site"])]
            start, end = _unit(p, p["default"]), _unit(p, p["value"])
            colour = (
                colours[contents.towers[p["site"]].pft] if p["site"] in contents.towers else INK
            )
            axes.plot([start, end], [y, y], color=colour, lw=1.0, alpha=0.55)
            axes.plot(start, y, "o", ms=size - 0.6, mfc="white", mec=DEFAULT, mew=1.1)
            axes.plot(end, y, "o", ms=size, color=colour, mec="white", mew=0.5)
        _bounds_text(axes, row, these.iloc[0])
    axes.set(xlim=(-0.012, 1.012), ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.set_xlabel("Position between the bounds (0 = lower, 1 = upper)")
    default = handle("o", DEFAULT, "default", hollow=True)
    figure.legend(
        handles=[default, *pft_handles(contents.pfts, "learnt, ")],
        loc="outside upper left",
        ncols=4,
    )
    return Plot(
        "parameters",
        figure,
        "Learnt parameters (filled, by IGBP class) beside their defaults (hollow), a line a tower "
        "in the order of the table of towers, placed between the bounds written at the right. "
        f"{_scale_note(table)} {count(len(sites), 'towers')}, {len(names)} parameters.",
        "Learnt and default parameters within their bounds",
        wide=True,
    )


def recovery(contents: Contents) -> Plot | None:
    """Learnt against true parameters of virtual towers, a panel a parameter."""
    table = contents.recovery
    if table.empty:
        return None
    names = list(dict.fromkeys(table["parameter"]))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    units = contents.parameters.drop_duplicates("parameter").set_index("parameter")["unit"]
    figure = Figure(figsize=(1.75 * columns + 0.4, 1.85 * rows + 0.6), layout="constrained")
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, columns, i + 1)
        _recovery_panel(axes, table[table["parameter"] == name], name)
        axes.text(
            0.97, 0.04, _unit_words(units.get(name)), transform=axes.transAxes, ha="right",
            fontsize=7.5, color=FAINT,
        )  # fmt: skip
    figure.supxlabel("Hidden truth", fontsize=9)
    figure.supylabel("Learnt", fontsize=9)
    held = held_out(table)
    handles = [handle("o", LEARNT, "never trained on" if held.any() else "virtual tower")]
    if held.any() and not held.all():
        handles.append(handle("o", DEFAULT, "trained on", hollow=True))
    figure.legend(handles=handles, loc="outside upper left", ncols=2)
    judged = table[held] if held.any() else table
    return Plot(
        "recovery",
        figure,
        "Parameters of virtual towers, learnt against the hidden truth, in physical units; dashed: "
        f"equal. ρ is Spearman's rank correlation over {judged['site'].nunique()} towers "
        f"{'never used in training' if held.any() else ''}.",
        "Learnt against true parameters of virtual towers",
        wide=True,
    )


def rank_correlation(table: pd.DataFrame) -> float:
    """Spearman's rho of truth and learnt; NaN below three towers or for a constant."""
    clean = table[["truth", "learnt"]].dropna()
    if len(clean) < 3 or clean["truth"].nunique() < 2 or clean["learnt"].nunique() < 2:
        return np.nan
    return float(stats.spearmanr(clean["truth"], clean["learnt"]).statistic)


def _recovery_panel(axes: Axes, table: pd.DataFrame, name: str) -> None:
    held = held_out(table)
    judged = table[held] if held.any() else table
    numbers = table[["truth", "learnt"]].to_numpy()
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    if low > 0 and high / low >= LOG_SPAN:
        axes.set(xscale="log", yscale="log")
        limits = (low / 1.3, high * 1.3)
    else:
        pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
        limits = (low - pad, high + pad)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.plot(limits, limits, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    if held.any():
        rest = table[~held]
        axes.plot(rest["truth"], rest["learnt"], "o", ms=3.2, mfc="white", mec=DEFAULT, mew=0.9)
    axes.plot(judged["truth"], judged["learnt"], "o", ms=4.2, color=LEARNT, mec="white", mew=0.4)
    axes.set(xlim=limits, ylim=limits)
    axes.set_title(name, fontsize=8.5)
    axes.tick_params(labelsize=7.5)
    rho = rank_correlation(judged)
    text = f"ρ = {rho:.2f}" if np.isfinite(rho) else "ρ undefined"
    axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize=8)


def held_out(table: pd.DataFrame) -> pd.Series:
    if "role" not in table:
        return pd.Series(False, index=table.index)
    return table["role"].astype(str).str.replace("_", " ") == "held out"


def _unit(row: pd.Series, value: float) -> float:
    low, high = row["lower"], row["upper"]
    if _is_log(row):
        return float(np.log(value / low) / np.log(high / low))
    return float((value - low) / (high - low))


def _is_log(row: pd.Series) -> bool:
    if "scale" in row:
        return bool(row["scale"] == "log")
    return bool(row["lower"] > 0 and row["upper"] / row["lower"] >= LOG_SPAN)


def _scale_note(table: pd.DataFrame) -> str:
    if "scale" in table:
        return "Parameters sampled in the logarithm are placed by their logarithm."
    return f"Bounds that span a factor of {LOG_SPAN:g} or more are placed by the logarithm."


def _short(value: float) -> str:
    """As few digits as a bound needs."""
    return f"{value:g}" if 1e-3 <= abs(value) < 1e5 or value == 0 else number(value, 2)


def _unit_words(unit: Any) -> str:
    """A parameter's unit as printed; empty for a pure number."""
    return "" if unit is None or pd.isna(unit) else pretty(str(unit))


def _bounds_text(axes: Axes, row: int, parameter: pd.Series) -> None:
    unit = f" {_unit_words(parameter['unit'])}".rstrip()
    trans = axes.get_yaxis_transform()
    style: dict[str, Any] = {"fontsize": 7, "color": FAINT, "va": "center", "transform": trans}
    axes.text(
        1.01, row, f"{_short(parameter['lower'])} to {_short(parameter['upper'])}{unit}", **style
    )


def identifiability(contents: Contents) -> Plot | None:
    """Contraction of every parameter at every tower, with marks for ties and bounds."""
    table = contents.extra["identifiability"]
    if table.empty:
        return None
    wide = table.pivot(index="parameter", columns="site", values="contraction")
    said = table.pivot(index="parameter", columns="site", values="verdict").loc[wide.index]
    order = wide.mean(axis=1).sort_values(ascending=False).index
    wide, said = wide.loc[order], said.loc[order]
    size = (max(WIDTH, 1.8 + 0.42 * wide.shape[1]), 1.3 + 0.24 * len(wide))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(wide, cmap="Greens", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(said.to_numpy()):
        for j, words in enumerate(row):
            mark = "|" if words == "at a bound" else "×" if "trades" in str(words) else ""
            axes.text(j, i, mark, ha="center", va="center", fontsize=8, color=INK)
    axes.grid(False)
    axes.set(yticks=range(len(wide)), yticklabels=wide.index)
    axes.set_xticks(range(wide.shape[1]), wide.columns, rotation=60, ha="right")
    figure.colorbar(image, ax=axes, label="contraction (1 = fully constrained)")
    return Plot(
        "identifiability",
        figure,
        "Share by which the calibration data narrow each parameter about its learnt value, against "
        "the prior: 0 untouched, 1 fully constrained; × trades off with another parameter, | sits "
        "at a bound. From the surrogate's response of daily means and the variance the learnt "
        f"parameters leave; calibration period, {contents.basis}; "
        f"{count(wide.shape[1], 'towers')}.",
        "Contraction of parameters by tower",
        wide=True,
    )
