"""What learning did to skill: the target diagram, and the heat map over resolutions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdpl.evaluation.resolution import RESOLUTIONS
from mdpl.report.contents import REFERENCE, Contents
from mdpl.report.style import (
    FAINT,
    GRID,
    INK,
    NAMED_TOWERS,
    WIDTH,
    Plot,
    count,
    handle,
    long_name,
    pft_colours,
    pft_handles,
    place_labels,
    sentence,
)

LIMIT = 2.0
"""Towers farther from the centre than this are counted in the caption, not drawn."""
GAIN_LIMIT = 0.5
"""Changes beyond this have the colour of this."""


def target(contents: Contents, flux: str) -> Plot | None:
    """Target diagram of one flux: an arrow from default to learnt for each tower.

    Up: bias over the observed SD. Across: RMSE without the bias over the observed SD, to the right
    where the model varies more than the observations and to the left where it varies less. The
    distance from the centre is RMSE over the observed SD. Jolliff et al. (2009),
    doi:10.1016/j.jmarsys.2008.05.014.
    """
    table = _target_points(contents, flux)
    if table.empty:
        return None
    reach = np.hypot(
        table[["x_default", "x_learnt"]].to_numpy(), table[["y_default", "y_learnt"]].to_numpy()
    )
    within = np.asarray((reach <= LIMIT).all(axis=1))
    outside, table = int((~within).sum()), table[within]
    if table.empty:
        return None
    limit = float(np.clip(1.12 * reach[within].max(), 0.5, LIMIT))
    figure = Figure(figsize=(WIDTH, 4.9), layout="constrained")
    axes = figure.add_subplot()
    _target_frame(axes, limit)
    colours = pft_colours(contents.pfts)
    for _, row in table.iterrows():
        colour = colours[row["pft"]]
        start, end = ((row[f"x_{m}"], row[f"y_{m}"]) for m in ("default", "learnt"))
        arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.0, "mutation_scale": 8}
        axes.annotate("", end, start, arrowprops=arrow | {"shrinkA": 3, "shrinkB": 4})
        axes.plot(*start, "o", ms=5, mfc="white", mec=colour, mew=1.1, zorder=3)
        axes.plot(*end, "o", ms=6, color=colour, mec="white", mew=0.7, zorder=4)
    states = [handle("o", FAINT, "default", hollow=True), handle("o", FAINT, "learnt")]
    figure.legend(
        handles=[*states, *pft_handles(contents.pfts)], loc="outside lower center", ncols=4
    )
    if len(table) <= NAMED_TOWERS:
        place_labels(axes, table["x_learnt"], table["y_learnt"], list(table["site"]))
    axes.set_title(sentence(long_name(flux)))
    beyond = f" {outside} tower(s) lie beyond {LIMIT:g}." if outside else ""
    return Plot(
        f"target_{flux}",
        figure,
        f"Target diagram of {long_name(flux)}. Up: bias; across: RMSE without the bias, to the "
        "left where the model varies less than the observations, to the right where it varies "
        "more; all over the observed SD, so the distance from the centre is RMSE / SD. Hollow: "
        "default; filled: learnt. Half-hourly or hourly, validation period, "
        f"{contents.basis}; {count(len(table), 'towers')}, "
        f"{count(table['n'], 'steps a tower')[4:]}.{beyond}",
        f"Target diagram of {flux}",
    )


def heat_map(contents: Contents, flux: str) -> Plot | None:
    """dRMSE and the change of KGE by tower and resolution."""
    gain = _changes(contents, flux)
    if gain.empty:
        return None
    towers = gain.drop_duplicates("site").sort_values(["pft", "site"])
    panels = {"dRMSE": "dRMSE (%)", "dKGE": "change of KGE"}
    figure = Figure(figsize=(WIDTH, 1.55 + 0.25 * len(towers)), layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True)
    for axes, (name, label) in zip(grid, panels.items(), strict=True):
        wide = gain.pivot(index="site", columns="resolution", values=name)
        wide = wide.reindex(index=towers["site"], columns=list(RESOLUTIONS))
        image = axes.imshow(
            wide, cmap="BrBG", vmin=-GAIN_LIMIT, vmax=GAIN_LIMIT, aspect="auto", origin="upper"
        )
        for (i, j), value in np.ndenumerate(wide.to_numpy(dtype=float)):
            ink = "white" if abs(value) > 0.6 * GAIN_LIMIT else INK
            axes.text(j, i, _cell(name, value), ha="center", va="center", fontsize=7, color=ink)
        axes.set_xticks(range(len(RESOLUTIONS)), RESOLUTIONS)
        axes.set_title(label, fontsize=8.5)
        axes.grid(False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    grid[0].set_yticks(
        range(len(towers)), [f"{s} {p}" for s, p in zip(towers["site"], towers["pft"], strict=True)]
    )
    bar = figure.colorbar(image, ax=list(grid), location="bottom", aspect=40, shrink=0.6)
    bar.set_ticks(
        [-GAIN_LIMIT, 0, GAIN_LIMIT], labels=["−50 %, −0.5\nworse", "0", "+50 %, +0.5\nbetter"]
    )
    figure.suptitle(sentence(long_name(flux)), x=0.02, ha="left", fontsize=9.5, fontweight="bold")
    said = ", ".join(
        count(own["n"], str(resolution))[4:]
        for resolution, own in gain.groupby("resolution", sort=False)
    )
    return Plot(
        f"skill_{flux}",
        figure,
        f"{sentence(long_name(flux))}: relative gain in RMSE and change of KGE, learnt against "
        "default parameters, by tower and resolution; green is better. Validation period, "
        f"{contents.basis}; {count(len(towers), 'towers')}; values compared at each: {said}.",
        f"Change of skill of {flux} by tower and resolution",
    )


def _target_frame(axes: Axes, limit: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 181)
    for radius in (0.25, 0.5, 1.0, 1.5, 2.0):
        if radius <= limit * 1.02:
            style = {"color": FAINT, "ls": (0, (5, 3))} if radius == 1.0 else {"color": GRID}
            axes.plot(radius * np.cos(angle), radius * np.sin(angle), lw=0.9, **style)
            at = radius * np.sqrt(0.5)
            axes.text(at, -at, f"{radius:g}", fontsize=7, color=FAINT, ha="left", va="top")
    axes.axhline(0, color="#aab3be", lw=0.8)
    axes.axvline(0, color="#aab3be", lw=0.8)
    axes.grid(False)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    axes.set_xlabel("← varies less     unbiased RMSE / SD     varies more →")
    axes.set_ylabel("bias / SD")


def _target_points(contents: Contents, flux: str) -> pd.DataFrame:
    """site, pft, n and both coordinates of default and learnt."""
    rows = contents.scores.query(
        "flux == @flux and resolution == 'native' and period == 'validation' "
        "and metric in ('rmse', 'bias', 'sd_ratio', 'std_obs') and n > 0"
    )
    wide = rows.pivot(index=["site", "pft", "n", "model"], columns="metric", values="value")
    if wide.empty:
        return pd.DataFrame()
    unbiased = np.sqrt(np.maximum(wide["rmse"] ** 2 - wide["bias"] ** 2, 0.0))
    sign = np.where(wide["sd_ratio"] >= 1.0, 1.0, -1.0)
    both = pd.DataFrame(
        {"x": sign * unbiased / wide["std_obs"], "y": wide["bias"] / wide["std_obs"]}
    )
    apart = both.unstack("model")
    names = {REFERENCE: "default", contents.learnt: "learnt"}
    found = {f"{c}_{names[m]}": apart[c][m] for c in ("x", "y") for m in names if m in apart[c]}
    return pd.DataFrame(found).dropna().reset_index()


def _changes(contents: Contents, flux: str) -> pd.DataFrame:
    """site, pft, resolution, n, dRMSE, dKGE on validation data."""
    rows = contents.scores.query(
        "flux == @flux and period == 'validation' and metric in ('rmse', 'kge') and n > 0"
    )
    rows = rows[rows["model"].isin([REFERENCE, contents.learnt])]
    wide = rows.pivot(
        index=["site", "pft", "resolution", "n"], columns=["metric", "model"], values="value"
    )
    if wide.empty:
        return pd.DataFrame()
    before, after = wide["rmse"][REFERENCE], wide["rmse"][contents.learnt]
    change = wide["kge"][contents.learnt] - wide["kge"][REFERENCE]
    return pd.DataFrame({"dRMSE": 1 - after / before, "dKGE": change}).reset_index()


def _cell(name: str, value: float) -> str:
    if not np.isfinite(value):
        return "–"
    text = f"{100 * value:+.0f}" if name == "dRMSE" else f"{value:+.2f}"
    return text.replace("-", "−")
