"""Figures of scores and parameters over all towers."""

from __future__ import annotations

import matplotlib.dates  # noqa: F401  (registers datetime axes without pyplot)
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mdpl.evaluation.paired import ALL
from mdpl.report.contents import REFERENCE, Contents
from mdpl.report.gathered import LEAST_DAYS, Gathered
from mdpl.report.style import (
    FAINT,
    INK,
    LEARNT,
    NAMED_TOWERS,
    WIDTH,
    WORSE,
    Plot,
    count,
    flux_colour,
    long_name,
    percent,
    pft_colours,
    place_labels,
    sentence,
)


def tower_map(contents: Contents) -> Plot | None:
    """Towers by longitude and latitude; None without coordinates."""
    place = _attributes(contents, "longitude", "latitude")
    if place.empty:
        return None
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    axes = figure.add_subplot()
    for axis, name, least, limit in (("x", "longitude", 24.0, 180.0), ("y", "latitude", 16.0, 90)):
        low, high = _padded(place[name], least, limit)
        getattr(axes, f"set_{axis}lim")(low, high)
        getattr(axes, f"{axis}axis").set_major_locator(MaxNLocator(6, steps=[1, 2, 3, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: _degrees(v, "E", "W")))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: _degrees(v, "N", "S")))
    axes.set(xlabel="Longitude", ylabel="Latitude", title="Where the towers stand")
    _pft_points(axes, place, "longitude", "latitude")
    return Plot(
        "towers_map",
        figure,
        "Towers on a longitude–latitude graticule, coloured by IGBP class; "
        f"{count(len(place), 'towers')}. No coastline is drawn.",
        "Map of tower locations",
    )


def climate_space(contents: Contents) -> Plot | None:
    """Towers by mean temperature and annual precipitation; None without them."""
    place = _attributes(contents, "Tair_mean", "Precip_annual")
    if place.empty:
        return None
    place["Tair_mean"] -= 273.15
    figure = Figure(figsize=(WIDTH, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.margins(0.18)
    _pft_points(axes, place, "Tair_mean", "Precip_annual")
    axes.set(
        xlabel="Mean air temperature (°C)",
        ylabel="Precipitation (mm a⁻¹)",
        title="Their climates",
    )
    axes.set_ylim(bottom=0)
    return Plot(
        "towers_climate",
        figure,
        f"Mean air temperature and annual precipitation of each tower's forcing, whole record; "
        f"{count(len(place), 'towers')}.",
        "Towers in climate space",
    )


def gain_bars(contents: Contents, gathered: Gathered, flux: str, gain: str) -> Plot | None:
    """dRMSE or dR of one flux by tower: bars for validation, marks for calibration.

    Args:
        gain: ``dRMSE`` or ``dR``.
    """
    native = contents.gains.query(
        "flux == @flux and resolution == 'native' and model == @contents.learnt"
    )
    wide = native.pivot(index="site", columns="period", values=gain) * 100
    if "validation" not in wide or wide["validation"].isna().all():
        return None
    wide = wide.dropna(subset="validation").sort_values("validation")
    rows = np.arange(len(wide))
    values = wide["validation"].to_numpy()
    sure = _intervals(gathered, flux, gain)
    figure = Figure(figsize=(WIDTH, 1.35 + 0.27 * len(wide)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(rows, values, height=0.66, color=np.where(values >= 0, LEARNT, WORSE), alpha=0.85)
    ends = sure.reindex(wide.index).to_numpy()
    axes.hlines(rows, *ends.T, color=INK, lw=1.1)
    if "calibration" in wide:
        axes.plot(wide["calibration"], rows, "D", ms=4.5, mfc="white", mec=INK, mew=1.0)
    axes.axvline(0, color=INK, lw=0.9)
    axes.axvline(np.median(values), color=LEARNT, lw=1.0, ls=(0, (4, 3)))
    reach = np.column_stack([wide.to_numpy(), ends])
    _bar_limits(axes, reach.ravel())
    for row, value in enumerate(values):
        _bar_text(axes, row, value, reach[row])
    axes.set_yticks(rows, [_named(contents, code) for code in wide.index])
    axes.set_ylim(-0.6, len(wide) - 0.4)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    better = "error reduced" if gain == "dRMSE" else "correlation increased"
    axes.set(xlabel=f"{gain} (%), positive = {better}", title=sentence(long_name(flux)))
    n = _n(contents, flux)
    what = "RMSE" if gain == "dRMSE" else "the correlation R"
    return Plot(
        f"gain_{flux}" if gain == "dRMSE" else f"gain_r_{flux}",
        figure,
        f"Relative change of {what} of {long_name(flux)}, learnt against default parameters, both "
        "run in the land model. Bars: validation period, with the 95 % interval of a bootstrap "
        "over blocks of measured days, ten at most; diamonds: calibration period; dashed: median "
        f"over towers ({percent(np.median(values) / 100)}{_ends(sure, len(wide))}). Half-hourly or "
        f"hourly, {contents.basis}; {count(len(wide), 'towers')}, {count(n, 'steps a tower')[4:]}.",
        f"{gain} of {flux} by tower",
    )


def _intervals(gathered: Gathered, flux: str, gain: str) -> pd.DataFrame:
    """Ends of the interval in percent, by tower and for all."""
    own = gathered.gains[(gathered.gains["flux"] == flux) & (gathered.gains["gain"] == gain)]
    return own.set_index("site")[["low", "high"]].astype(float) * 100


def _ends(sure: pd.DataFrame, towers: int) -> str:
    """The interval over all towers in words, and over how many if some have too few days."""
    if ALL not in sure.index:
        return ""
    low, high = sure.loc[ALL].to_numpy(dtype=float) / 100
    known = len(sure) - 1
    these = "towers" if known == towers else f"the {known} towers with {LEAST_DAYS} days or more"
    return f", 95 % interval over {these} and days {percent(low)} to {percent(high)}"


def promised(contents: Contents) -> Plot | None:
    """RMSE gain the surrogate promised against the gain the land model delivered."""
    table = promised_table(contents)
    table = table[table["period"] == "validation"].dropna()
    if table.empty:
        return None
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.add_subplot()
    both = 100 * table[["promised", "delivered"]].to_numpy()
    low, high = min(both.min(), 0.0), max(both.max(), 0.0)
    pad = 0.12 * (high - low) + 1.0
    axes.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad))
    axes.axline((0, 0), slope=1, color=FAINT, lw=1, ls=(0, (4, 3)))
    for flux in dict.fromkeys(table["flux"]):
        rows = (table["flux"] == flux).to_numpy()
        axes.plot(*both[rows].T, "o", color=flux_colour(flux), ms=6, mec="white", label=flux)
    if table["site"].nunique() <= NAMED_TOWERS:
        place_labels(axes, both[:, 0], both[:, 1], list(table["site"]))
    axes.axhline(0, color="#aab3be", lw=0.8)
    axes.axvline(0, color="#aab3be", lw=0.8)
    axes.set(
        xlabel="dRMSE promised by the surrogate (%)",
        ylabel="dRMSE delivered by the land model (%)",
    )
    axes.legend(loc="upper left")
    return Plot(
        "promised",
        figure,
        "What the surrogate promised beside what the land model delivered with the same learnt "
        "parameters; on the dashed line both agree, below it the surrogate was too hopeful. Both "
        f"against the default run's RMSE, {_steps(contents)}, validation period, "
        f"{contents.basis}; n = {len(table)} (tower, flux) pairs.",
        "Promised against delivered gains",
    )


def _steps(contents: Contents) -> str:
    native = contents.target_resolution == "native"
    return "half-hourly or hourly" if native else "at the daily observations given"


def promised_table(contents: Contents) -> pd.DataFrame:
    """RMSE: site, flux, period, default, surrogate, land model; and both gains as fractions."""
    at_target = contents.scores["resolution"] == contents.target_resolution
    target = contents.scores[at_target & (contents.scores["metric"] == "rmse")]
    wide = target.pivot(index=["site", "flux", "period"], columns="model", values="value")
    wide = wide.rename(columns={REFERENCE: "rmse_default", contents.learnt: "rmse_delivered"})
    ours = contents.promised
    if "model" in ours:
        ours = ours[ours["model"] == contents.learnt]
    ours = ours[["site", "flux", "period", "rmse"]].rename(columns={"rmse": "rmse_promised"})
    keep = wide[["rmse_default", "rmse_delivered"]].reset_index()
    table = ours.merge(keep, on=["site", "flux", "period"])
    for name in ("promised", "delivered"):
        table[name] = 1.0 - table[f"rmse_{name}"] / table["rmse_default"]
    return table


def _n(contents: Contents, flux: str) -> np.ndarray:
    rows = contents.scores.query(
        "flux == @flux and resolution == 'native' and period == 'validation' and n > 0"
    )
    return rows["n"].to_numpy()


def _attributes(contents: Contents, *names: str) -> pd.DataFrame:
    rows = [
        {"site": t.code, "pft": t.pft, **{n: t.number(n) for n in names}}
        for t in contents.towers.values()
    ]
    return pd.DataFrame(rows, columns=["site", "pft", *names]).dropna().reset_index(drop=True)


def _pft_points(axes: Axes, table: pd.DataFrame, x: str, y: str) -> None:
    colours = pft_colours(table["pft"])
    for pft, rows in table.groupby("pft"):
        axes.plot(
            rows[x], rows[y], "o", ms=7, color=colours[str(pft)], mec="white", mew=0.8, label=pft
        )
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.legend(loc="outside lower center", ncols=6, handletextpad=0.1, columnspacing=1.0)
    if len(table) <= 3 * NAMED_TOWERS:
        place_labels(axes, list(table[x]), list(table[y]), list(table["site"]))


def _padded(values: pd.Series, least: float, limit: float) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    pad = max(0.15 * (high - low), (least - (high - low)) / 2)
    return max(low - pad, -limit), min(high + pad, limit)


def _degrees(value: float, positive: str, negative: str) -> str:
    letter = positive if value > 0 else negative if value < 0 else ""
    return f"{abs(value):g}°{letter}"


def _bar_limits(axes: Axes, values: np.ndarray) -> None:
    low, high = min(np.nanmin(values), 0.0), max(np.nanmax(values), 0.0)
    low, high = max(low, -100.0), min(high, 100.0)
    span = max(high - low, 5.0)
    axes.set_xlim(low - (0.20 if low < 0 else 0.02) * span, high + 0.20 * span)


def _bar_text(axes: Axes, row: int, value: float, marks: np.ndarray) -> None:
    """Write a bar's value beyond the bar and its calibration mark."""
    low, high = axes.get_xlim()
    beyond = np.nanmax([*marks, 0.0]) if value >= 0 else np.nanmin([*marks, 0.0])
    place = float(np.clip(beyond, low, high))
    axes.annotate(
        f"{value:+.1f}".replace("-", "−"),
        (place, row),
        (6 if value >= 0 else -6, 0),
        textcoords="offset points",
        ha="left" if value >= 0 else "right",
        va="center",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
    )


def _named(contents: Contents, code: str) -> str:
    pft = contents.towers[code].pft if code in contents.towers else ""
    return f"{code}  {pft}"
