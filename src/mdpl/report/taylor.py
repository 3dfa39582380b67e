"""Taylor diagrams: correlation, SD ratio and centred RMSE in one picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from mdpl.report.cells import Row, Table, csv_uri, num, text, whole
from mdpl.report.contents import REFERENCE, Contents
from mdpl.report.style import (
    FAINT,
    GRID,
    MARKERS,
    NAMED_TOWERS,
    WIDTH,
    Plot,
    count,
    handle,
    long_name,
    pft_colours,
    pft_handles,
    sentence,
)

LEGEND_COLUMNS = 3
PFT_COLUMNS = 3
NAMED_IN_PANEL = 4

LIMIT = 3.0
"""Towers with a larger SD ratio are counted in the caption, not drawn."""


def diagram(contents: Contents, flux: str) -> Plot | None:
    """Taylor diagram of one flux: an arrow from default to learnt for each tower.

    The distance from the origin is the SD ratio, the angle the correlation, and the distance
    from the point OBS the centred RMSE over the observed SD. Taylor (2001),
    doi:10.1029/2000JD900719.
    """
    table, beyond = _within(contents, flux)
    if table.empty:
        return None
    most = table[["sd_ratio_default", "sd_ratio_learnt"]].to_numpy().max()
    limit = float(np.clip(1.08 * most, 1.3, LIMIT))
    half = bool((table[["r_default", "r_learnt"]] < 0).any(axis=None))
    handles = _legend(contents, table)
    legend = 0.2 + 0.19 * -(-len(handles) // LEGEND_COLUMNS)
    plot = 0.45 + WIDTH * (0.50 if half else 0.84)
    height = plot + legend + 0.1
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((0.11, (legend + 0.42) / height, 0.84, (plot - 0.45) / height))
    _taylor_frame(axes, limit, half)
    _taylor_arrows(axes, table, pft_colours(contents.pfts))
    figure.text(0.01, 0.985, sentence(long_name(flux)), va="top", fontsize=9.5, fontweight="bold")
    figure.legend(
        handles=handles,
        loc="lower center",
        ncols=LEGEND_COLUMNS,
        columnspacing=1.2,
        handletextpad=0.3,
    )
    return Plot(
        f"taylor_{flux}",
        figure,
        f"Taylor diagram of {long_name(flux)}: R, SD and centred RMSE, both over the observed SD. "
        f"Hollow: default; filled: learnt. Half-hourly or hourly, validation period, "
        f"{contents.basis}; {count(table['n'], 'steps a tower')}.{beyond}",
        f"Taylor diagram of {flux}",
    )


def by_pft(contents: Contents, flux: str) -> Plot | None:
    """Taylor diagrams of one flux, a panel a PFT."""
    table, beyond = _within(contents, flux)
    if table["pft"].nunique() < 2:
        return None
    half = bool((table[["r_default", "r_learnt"]] < 0).any(axis=None))
    pfts = sorted(table["pft"].unique())
    rows = -(-len(pfts) // PFT_COLUMNS)
    panel = 1.55 if half else 2.45
    figure = Figure(figsize=(7.2, panel * rows + 0.5), layout="constrained")
    colours = pft_colours(contents.pfts)
    for i, pft in enumerate(pfts):
        axes = figure.add_subplot(rows, PFT_COLUMNS, i + 1)
        here = table[table["pft"] == pft]
        most = here[["sd_ratio_default", "sd_ratio_learnt"]].to_numpy().max()
        _taylor_frame(axes, float(np.clip(1.08 * most, 1.3, LIMIT)), half, small=True)
        _taylor_arrows(axes, here, colours)
        axes.set_title(f"{pft}  n = {len(here)}", fontsize=9, pad=12)
        if len(here) <= NAMED_IN_PANEL:
            handles = [
                handle(MARKERS[k % len(MARKERS)], colours[pft], site)
                for k, site in enumerate(here["site"])
            ]
            axes.legend(
                handles=handles,
                loc="upper right",
                bbox_to_anchor=(1.14, 1.14),
                fontsize=7,
                handletextpad=0.1,
            )
    states = [handle("o", FAINT, "default", hollow=True), handle("o", FAINT, "learnt")]
    figure.legend(handles=states, loc="outside upper right", ncols=2)
    figure.suptitle(sentence(long_name(flux)), x=0.01, ha="left", fontsize=9.5, fontweight="bold")
    figure.supxlabel("SD / observed SD, on both axes; angle: correlation R", fontsize=9)
    return Plot(
        f"taylor_pft_{flux}",
        figure,
        f"Taylor diagrams of {long_name(flux)} by PFT: angle R, distance from the origin SD, "
        "distance from the dot centred RMSE (dotted, every 0.5), both over the observed SD. "
        f"Hollow: default; filled: learnt. Half-hourly or hourly, validation period, "
        f"{contents.basis}; towers above each panel, {count(table['n'], 'steps a tower')}."
        f"{beyond}",
        f"Taylor diagrams of {flux} by PFT",
        wide=True,
    )


def _within(contents: Contents, flux: str) -> tuple[pd.DataFrame, str]:
    """R and SD ratio of towers up to `LIMIT`, and a sentence on those beyond."""
    table = _before_after(contents, flux, ("r", "sd_ratio"))
    within = (table[["sd_ratio_default", "sd_ratio_learnt"]] <= LIMIT).all(axis=1)
    outside = int((~within).sum())
    told = f" {outside} tower(s) lie beyond SD ratio {LIMIT:g}." if outside else ""
    return table[within], told


def table(contents: Contents) -> Table:
    """SD, R and centred RMSE by tower, flux and resolution, in the units of the flux."""
    metrics = ("r", "sd_ratio", "std_obs")
    rows = contents.scores[
        contents.scores["metric"].isin(metrics)
        & contents.scores["model"].isin([REFERENCE, contents.learnt])
        & (contents.scores["n"] > 0)
        & (contents.scores["period"] == "validation")
    ]
    keys = ["flux", "resolution", "pft", "site", "n"]
    wide = rows.pivot(index=[*keys, "model"], columns="metric", values="value").reset_index()
    wide["sd"] = wide["sd_ratio"] * wide["std_obs"]
    inside = 1 + wide["sd_ratio"] ** 2 - 2 * wide["sd_ratio"] * wide["r"]
    wide["crmse"] = wide["std_obs"] * np.sqrt(np.maximum(inside, 0.0))
    wide["flux"] = pd.Categorical(wide["flux"], contents.fluxes, ordered=True)
    both = wide.pivot(index=[*keys, "std_obs"], columns="model", values=["sd", "r", "crmse"])
    shown = []
    for key, r in both.iterrows():
        flux, resolution, pft, site, n, observed = np.asarray(key, dtype=object)
        cells = [text(site, "key"), text(pft), text(str(flux)), whole(n), num(observed)]
        cells += [num(r[m, w]) for m in ("sd", "r", "crmse") for w in (REFERENCE, contents.learnt)]
        shown.append(Row(tuple(cells), {"flux": flux, "resolution": resolution}))
    heads = ("Tower", "IGBP", "Flux", "n", "SD observed", "SD default", "learnt")
    more = ("R default", "learnt", "Centred RMSE default", "learnt")
    caption = "SD, R and centred RMSE (W m⁻² or µmol m⁻² s⁻¹) by tower, validation period"
    return Table("taylor", caption, heads + more, tuple(shown), csv_uri(wide))


def _taylor_frame(axes: Axes, limit: float, half: bool, small: bool = False) -> None:
    left = -limit if half else 0.0
    sweep = np.linspace(0, np.pi if half else np.pi / 2, 181)
    axes.set(xlim=(left * 1.1, limit * 1.1), ylim=(-0.02 * limit, limit * 1.1), aspect="equal")
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    step = 0.25 if limit <= 1.6 else 0.5
    for radius in np.arange(step, limit + 1e-9, step):
        one = abs(radius - 1.0) < 1e-9
        style = {"color": FAINT, "ls": (0, (5, 3))} if one else {"color": GRID}
        axes.plot(radius * np.cos(sweep), radius * np.sin(sweep), lw=1.0 if one else 0.8, **style)
    axes.plot(limit * np.cos(sweep), limit * np.sin(sweep), color="#aab3be", lw=0.9)
    axes.plot([left, limit], [0, 0], color="#aab3be", lw=0.9)
    if not half:
        axes.plot([0, 0], [0, limit], color="#aab3be", lw=0.9)
    every: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
    rays = (0.0, 0.4, 0.7, 0.9, 0.99) if small else every
    for value in (*rays, *(-v for v in rays[1:] if half)):
        x, y = value, np.sqrt(1 - value**2)
        axes.plot([0, limit * x], [0, limit * y], color=GRID, lw=0.6)
        axes.text(
            1.03 * limit * x,
            1.03 * limit * y,
            f"{value:g}".replace("-", "−"),
            fontsize=7 if small else 8,
            **_anchor(x, y),
        )
    angle = np.linspace(0, 2 * np.pi, 361)
    apart = 0.5 if small else step
    for radius in np.arange(apart, 2 * limit, apart):
        across, up = 1 + radius * np.cos(angle), radius * np.sin(angle)
        inside = (np.hypot(across, up) <= limit) & (up >= 0) & (across >= left)
        axes.plot(np.where(inside, across, np.nan), up, color="#c9a227", lw=0.7, ls=":")
        top = (1 - 0.5 * radius, radius * np.sqrt(0.75))
        if not small and top[0] > left + 0.06 and np.hypot(*top) < 0.97 * limit:
            axes.text(*top, f"{radius:g}", fontsize=7, color="#8a6d0b", ha="center", va="bottom")
    axes.plot(1, 0, "o", color="#111417", ms=7, clip_on=False, zorder=5)
    ticks = np.arange(0, limit + 1e-9, 0.5)
    axes.set_xticks([*(-ticks[:0:-1] if half else []), *ticks])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{abs(v):g}"))
    axes.set_yticks([] if half else ticks[1:])
    axes.tick_params(length=0, labelsize=7 if small else 8.5)
    if small:
        return
    axes.annotate("OBS", (1, 0), (7, 5), textcoords="offset points", ha="left", fontsize=8)
    diagonal = 1.13 * limit / np.sqrt(2)
    if half:
        axes.text(0, 1.14 * limit, "Correlation R", ha="center", va="bottom")
    else:
        axes.text(diagonal, diagonal, "Correlation R", rotation=-45, ha="center", va="center")
    axes.set_xlabel("SD / observed SD   (dotted: centred RMSE / observed SD)")
    axes.set_ylabel("" if half else "SD / observed SD")


def _taylor_arrows(axes: Axes, table: pd.DataFrame, colours: dict[str, str]) -> None:
    named = len(table) <= NAMED_TOWERS
    for i, (_, row) in enumerate(table.iterrows()):
        colour, marker = colours[row["pft"]], MARKERS[i % len(MARKERS)] if named else "o"
        start, end = (_polar(row[f"r_{m}"], row[f"sd_ratio_{m}"]) for m in ("default", "learnt"))
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.0, "mutation_scale": 8}
        axes.annotate("", end, start, arrowprops=arrow | {"shrinkA": 3, "shrinkB": 4})
        axes.plot(*start, marker, ms=6, mfc="white", mec=colour, mew=1.2, zorder=3)
        axes.plot(*end, marker, ms=7, color=colour, mec="white", mew=0.7, zorder=4)


def _polar(r: float, radius: float) -> tuple[float, float]:
    return radius * r, radius * float(np.sqrt(1 - r**2))


def _anchor(x: float, y: float) -> dict[str, Any]:
    return {
        "ha": "center" if abs(x) < 0.15 else "left" if x > 0 else "right",
        "va": "center" if y < 0.5 else "bottom",
    }


def _before_after(contents: Contents, flux: str, metrics: tuple[str, ...]) -> pd.DataFrame:
    """Native validation scores by tower: site, pft, n, <metric>_default, <metric>_learnt."""
    rows = contents.scores.query(
        "flux == @flux and resolution == 'native' and period == 'validation' "
        "and metric in @metrics and n > 0"
    )
    rows = rows[rows["model"].isin([REFERENCE, contents.learnt])].copy()
    rows["key"] = rows["metric"] + np.where(rows["model"] == REFERENCE, "_default", "_learnt")
    wide = rows.pivot(index=["site", "pft", "n"], columns="key", values="value")
    wanted = [f"{metric}_{which}" for metric in metrics for which in ("default", "learnt")]
    return wide.reindex(columns=wanted).dropna().reset_index()


def _legend(contents: Contents, table: pd.DataFrame) -> list[Line2D]:
    named = len(table) <= NAMED_TOWERS
    colours = pft_colours(contents.pfts)
    places = _tower_handles(table, colours) if named else pft_handles(contents.pfts)
    return [handle("o", FAINT, "default", hollow=True), handle("o", FAINT, "learnt"), *places]


def _tower_handles(table: pd.DataFrame, colours: dict[str, str]) -> list[Line2D]:
    return [
        handle(MARKERS[i % len(MARKERS)], colours[pft], f"{site} {pft}")
        for i, (site, pft) in enumerate(zip(table["site"], table["pft"], strict=True))
    ]
