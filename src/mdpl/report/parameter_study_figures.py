"""Figures of learnt parameters by class and attribute."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from mdpl.report.parameter_study import Study
from mdpl.report.style import (
    DEFAULT,
    FAINT,
    INK,
    LEARNT,
    WIDTH,
    Plot,
    count,
    handle,
    pft_colours,
    pretty,
)

COLUMNS = 3
SURE = 0.05


def by_pft(s: Study) -> Plot | None:
    """Learnt and default values by PFT, a panel a parameter, with published ranges."""
    if s.table.empty:
        return None
    names, pfts = list(s.learnt.columns), sorted(set(s.table["pft"]))
    rows = -(-len(names) // COLUMNS)
    figure = Figure(figsize=(7.2, 1.55 * rows + 0.5), layout="constrained")
    colours = pft_colours(s.contents.pfts)
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, COLUMNS, i + 1)
        _pft_panel(axes, s, name, pfts, colours)
    default, learnt = handle("o", DEFAULT, "default", hollow=True), handle("o", FAINT, "learnt")
    ranges = handle("s", "#cfe8cf", "published range")
    figure.legend(handles=[default, learnt, ranges], loc="outside upper left", ncols=3)
    return Plot(
        "parameters_pft",
        figure,
        "Learnt values (filled) and defaults (hollow) by PFT, a pair of marks a tower, in physical "
        "units between the bounds; green: published ranges where known (table below). "
        f"{count(len(s.learnt), 'towers')}.",
        "Learnt and default parameters by plant functional type",
        wide=True,
    )


def agreement(s: Study) -> Plot | None:
    """Share of variance between PFTs, of learnt values and of what learning changed."""
    table = s.agreement.dropna(subset="share").sort_values("share")
    if table.empty:
        return None
    rows = np.arange(len(table))
    figure = Figure(figsize=(WIDTH, 1.2 + 0.24 * len(table)), layout="constrained")
    axes = figure.add_subplot()
    chance = (table["classes"].iloc[0] - 1) / (table["towers"].iloc[0] - 1)
    axes.axvline(chance, color=FAINT, lw=1, ls=(0, (4, 3)))
    for end, colour, size in (("_moved", DEFAULT, 5), ("", LEARNT, 7)):
        sure = (table[f"p_adjusted{end}"] < SURE).to_numpy()
        x = table[f"share{end}"].to_numpy()
        axes.plot(x[sure], rows[sure], "o", ms=size, color=colour)
        axes.plot(x[~sure], rows[~sure], "o", ms=size, mfc="white", mec=colour, mew=1.2)
    axes.set_yticks(rows, table["parameter"])
    axes.set(xlim=(0, 1.02), xlabel="share of variance between PFTs")
    axes.grid(False, axis="y")
    handles = [handle("o", LEARNT, "learnt values"), handle("o", DEFAULT, "learnt − default")]
    handles.append(handle("o", FAINT, "may be chance", hollow=True))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, columnspacing=0.9)
    return Plot(
        "agreement",
        figure,
        "Share of the variance over towers that lies between PFTs, in the unit cube of the bounds; "
        "dashed: expected of labels drawn by lot. Filled: larger than chance by a permutation test "
        f"(adjusted p < {SURE:g}). {count(table['towers'].iloc[0], 'towers')}, "
        f"{table['classes'].iloc[0]} PFTs.",
        "Agreement of parameters within PFTs",
    )


def attributes(s: Study) -> Plot | None:
    """Rank correlations of parameters with attributes."""
    table = s.correlations.dropna(subset="rho")
    if table.empty:
        return None
    rho = table.pivot(index="parameter", columns="attribute", values="rho")
    sure = table.pivot(index="parameter", columns="attribute", values="p_adjusted") < SURE
    rows = [name for name in s.learnt.columns if name in rho.index]
    rho, sure = (t.loc[rows, list(s.attributes.columns)] for t in (rho, sure))
    size = (max(WIDTH, 1.9 + 0.3 * rho.shape[1]), 1.6 + 0.24 * len(rho))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(rho, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    for i, j in np.argwhere(sure.to_numpy()):
        axes.plot(j, i, "o", ms=4, color=INK)
    axes.set_yticks(range(len(rho)), rho.index)
    axes.set_xticks(range(rho.shape[1]), rho.columns, rotation=60, ha="right")
    axes.grid(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="Spearman's ρ", shrink=0.8)
    return Plot(
        "parameter_attributes",
        figure,
        "Rank correlation of learnt parameters with the attributes the generator is told, over "
        f"{count(len(s.learnt), 'towers')}; dots: beyond chance by a permutation test adjusted for "
        f"{len(table)} pairs (p < {SURE:g}). Attributes are of the whole forcing record.",
        "Rank correlations of parameters and attributes",
        wide=True,
    )


def _pft_panel(axes: Axes, s: Study, name: str, pfts: list[str], colours: dict[str, str]) -> None:
    own = s.table[s.table["parameter"] == name]
    low, high = float(own["lower"].min()), float(own["upper"].max())
    is_log = low > 0 and high / low >= 8
    known = s.plausibility[s.plausibility["parameter"] == name]
    for x, pft in enumerate(pfts):
        here = own[own["pft"] == pft]
        for span in known[known["pft"] == pft].drop_duplicates("pft").to_dict("records"):
            ends = np.clip([span["lower"], span["upper"]], low, high)
            axes.fill_between([x - 0.42, x + 0.42], *ends, color="#cfe8cf", lw=0)
        aside = np.linspace(-0.22, 0.22, len(here)) if len(here) > 1 else np.zeros(len(here))
        for dx, r in zip(aside, here.to_dict("records"), strict=True):
            axes.plot([x + dx] * 2, [r["default"], r["value"]], color=colours[pft], lw=0.8)
            axes.plot(x + dx, r["default"], "o", ms=3.4, mfc="white", mec=DEFAULT, mew=0.9)
            axes.plot(x + dx, r["value"], "o", ms=4, color=colours[pft], mec="white", mew=0.4)
    if is_log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=6))
        axes.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
    pad = (high / low) ** 0.04 if is_log else 0.04 * (high - low)
    axes.set_ylim(*((low / pad, high * pad) if is_log else (low - pad, high + pad)))
    axes.set_xticks(range(len(pfts)), pfts, fontsize=6.5)
    axes.set_xlim(-0.6, len(pfts) - 0.4)
    axes.tick_params(axis="y", labelsize=7)
    unit = "" if own["unit"].isna().all() else pretty(str(own["unit"].iloc[0]))
    axes.set_title(f"{name} ({unit})" if unit else name, fontsize=8)
    axes.grid(False, axis="x")
