"""Figures of one tower's series: months, mean day, and model against observation."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from mdpl.evaluation.partition import SEASONS
from mdpl.evaluation.resolution import Pairs, sample
from mdpl.report.contents import MASK, REFERENCE, Contents, Series
from mdpl.report.style import DEFAULT, FAINT, LEARNT, OBSERVED, WIDTH, Plot, count, flux_label

LEAST_STEPS = 96
"""A season with fewer measured steps has no mean day."""


def monthly(contents: Contents, series: Series) -> Plot | None:
    """Monthly means of observation, default and learnt; a panel a flux."""
    panels = _sampled(contents, series, "monthly", "all")
    if not panels:
        return None
    figure = Figure(figsize=(WIDTH, 0.75 + 1.75 * len(panels)), layout="constrained")
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
    for axes, (flux, pairs) in zip(grid[:, 0], panels.items(), strict=True):
        _shade_validation(axes, series)
        for name, style in _lines(contents, pairs).items():
            time, values = _with_gaps(pairs.time, pairs[name])
            axes.plot(time, values, **style)
        kges = _scores_text(contents, series, flux, "kge", "monthly", "all")
        axes.set_title(f"{flux}   monthly KGE {kges}", fontsize=8.5, fontweight="normal")
        axes.set_ylabel(flux_label(flux))
        axes.yaxis.set_major_locator(MaxNLocator(5))
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    grid[-1, 0].xaxis.set_major_locator(locator)
    grid[-1, 0].xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    _legend(figure, grid[0, 0])
    shaded = " Shaded: validation." if _one_stretch(series) else ""
    n = count([len(pairs) for pairs in panels.values()], "months")
    return Plot(
        f"monthly_{series.code}",
        figure,
        f"{series.code}: monthly means, whole record ({series.split}), {MASK}, "
        f"{series.variant} fluxes; {n}. KGE: default → learnt.{shaded}",
        f"Monthly fluxes at {series.code}",
    )


def diurnal(contents: Contents, series: Series) -> Plot | None:
    """Mean day of each season of the validation period; a row a flux."""
    panels = _sampled(contents, series, "native", "validation")
    if not panels:
        return None
    season = {flux: _season(pairs.time) for flux, pairs in panels.items()}
    shown = [i for i in range(4) if any((s == i).sum() >= LEAST_STEPS for s in season.values())]
    if not shown:
        return None
    size = (0.6 + 1.15 * len(shown), 0.75 + 1.25 * len(panels))
    figure = Figure(figsize=(max(size[0], WIDTH), size[1]), layout="constrained")
    grid = figure.subplots(len(panels), len(shown), squeeze=False, sharex=True, sharey="row")
    for row, (flux, pairs) in zip(grid, panels.items(), strict=True):
        for axes, i in zip(row, shown, strict=True):
            _mean_day(contents, axes, pairs, season[flux] == i)
            axes.xaxis.set_major_locator(MultipleLocator(6))
            axes.yaxis.set_major_locator(MaxNLocator(5))
        row[0].set(xlim=(0, 24), ylabel=flux_label(flux))
    for axes, i in zip(grid[0], shown, strict=True):
        axes.set_title(SEASONS[i])
    figure.supxlabel("Hour, local standard time", fontsize="medium")
    _legend(figure, grid[0, 0])
    n = count([int((s == i).sum()) for s in season.values() for i in shown], "steps a panel")
    return Plot(
        f"diurnal_{series.code}",
        figure,
        f"{series.code}: mean day by season (calendar months), validation period "
        f"({series.split}), {MASK}, {series.variant} fluxes; band: middle half of the "
        f"observations; {n}.",
        f"Mean diurnal cycle by season at {series.code}",
    )


def _season(time: np.ndarray) -> np.ndarray:
    """Place in `SEASONS` of each step."""
    return np.asarray(((time.astype("datetime64[M]").astype(int) % 12 + 1) % 12) // 3)


def _mean_day(contents: Contents, axes: Axes, pairs: Pairs, inside: np.ndarray) -> None:
    if inside.sum() < LEAST_STEPS:
        return
    values = {name: own[inside] for name, own in pairs.values.items()}
    day = pd.DataFrame(values).groupby(_hour(pairs.time)[inside])
    low, high = day["observed"].quantile(0.25), day["observed"].quantile(0.75)
    axes.fill_between(low.index, low, high, color=OBSERVED, alpha=0.09, lw=0)
    mean = day.mean()
    for name, style in _lines(contents, pairs).items():
        axes.plot(mean.index, mean[name], **(style | {"marker": None, "lw": 1.3}))


def density(contents: Contents, series: Series) -> Plot | None:
    """Model against observation, default and learnt side by side; a row a flux."""
    panels = _sampled(contents, series, "native", "validation")
    models = [model for model in (REFERENCE, contents.learnt) if model in series.modelled]
    if not panels or not models:
        return None
    width = WIDTH if len(models) == 2 else 0.6 * WIDTH
    figure = Figure(figsize=(width, 2.25 * len(panels) + 0.2), layout="compressed")
    grid = figure.subplots(len(panels), len(models), squeeze=False, sharex="row", sharey="row")
    for row, (flux, pairs) in zip(grid, panels.items(), strict=True):
        limits = _limits(pairs)
        for axes, model in zip(row, models, strict=True):
            _density_panel(axes, pairs["observed"], pairs[model], limits)
            text = _agreement(contents, series, flux, model)
            axes.text(0.04, 0.96, text, transform=axes.transAxes, va="top", fontsize=8)
            axes.set_title(f"{flux}, {'learnt' if model != REFERENCE else 'default'}")
            axes.set_xlabel(f"Observed\n{flux_label(flux)}")
        row[0].set_ylabel(f"Modelled {flux_label(flux)}")
    n = count([len(pairs) for pairs in panels.values()], "steps")
    return Plot(
        f"scatter_{series.code}",
        figure,
        f"{series.code}: model against observation, validation period ({series.split}), {MASK}, "
        f"{series.variant} fluxes; darker: more steps (logarithmic); dashed: equal. Axes span "
        f"the 0.1 to 99.9 percentile; {n}.",
        f"Model against observation at {series.code}",
        raster=True,
    )


def _density_panel(
    axes: Axes, observed: np.ndarray, modelled: np.ndarray, limits: tuple[float, float]
) -> None:
    axes.hexbin(
        observed,
        modelled,
        gridsize=42,
        bins="log",
        mincnt=1,
        extent=(*limits, *limits),
        cmap="viridis_r",
        linewidths=0.1,
    )
    axes.plot(limits, limits, color=FAINT, lw=1, ls=(0, (4, 3)))
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _sampled(contents: Contents, series: Series, resolution: str, period: str) -> dict[str, Pairs]:
    """Flux -> series sampled alike, with ``observed`` and each model; empty ones left out."""
    panels = {}
    for flux, observed in series.observed.items():
        modelled = {m: values[flux] for m, values in series.modelled.items() if flux in values}
        pairs = sample(
            series.time,
            {"observed": observed, **modelled},
            series.measured[flux] & series.masks[period],
            resolution,  # type: ignore[arg-type]
            contents.coverage,
        )
        if len(pairs) > 1 and modelled:
            panels[flux] = pairs
    return panels


def _lines(contents: Contents, pairs: Pairs) -> dict[str, dict]:
    """Series name -> how its line looks, observation last so that it lies on top."""
    marks = {"marker": "o", "ms": 3.2} if len(pairs) <= 48 else {}
    styles = {
        REFERENCE: {"color": DEFAULT, "label": "default", **marks},
        contents.learnt: {"color": LEARNT, "label": "learnt", **marks},
        "observed": {"color": OBSERVED, "label": "observed", "lw": 1.3, **marks},
    }
    return {name: style for name, style in styles.items() if name in pairs.values}


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    order = [labels.index(name) for name in ("observed", "default", "learnt") if name in labels]
    figure.legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="outside upper left", ncols=3
    )


def _with_gaps(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Monthly values on an unbroken axis, NaN where a month is absent, so that lines break."""
    months = time.astype("datetime64[M]")
    axis = np.arange(months[0], months[-1] + 1)
    full = np.full(axis.size, np.nan)
    full[(months - months[0]).astype(int)] = values
    return axis.astype("datetime64[D]") + 14, full


def _hour(time: np.ndarray) -> np.ndarray:
    """Middle of each step, hours since midnight."""
    since = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    unique = np.unique(since)
    return since + (unique[1] - unique[0]) / 2 if unique.size > 1 else since


def _one_stretch(series: Series) -> bool:
    return int(np.abs(np.diff(series.masks["validation"].astype(int))).sum()) == 1


def _shade_validation(axes: Axes, series: Series) -> None:
    if _one_stretch(series):
        inside = series.time[series.masks["validation"]]
        axes.axvspan(inside[0], inside[-1], color="#00857c", alpha=0.07, lw=0)


def _limits(pairs: Pairs) -> tuple[float, float]:
    values = np.concatenate(list(pairs.values.values()))
    low, high = np.nanpercentile(values, [0.1, 99.9])
    pad = 0.05 * (high - low) or 1.0
    return float(low - pad), float(high + pad)


def _value(
    contents: Contents, series: Series, flux: str, model: str, metric: str, where: tuple[str, str]
) -> float:
    s = contents.scores
    rows = s[
        (s["site"] == series.code)
        & (s["flux"] == flux)
        & (s["model"] == model)
        & (s["metric"] == metric)
        & (s["resolution"] == where[0])
        & (s["period"] == where[1])
    ]
    return float(rows["value"].iloc[0]) if len(rows) else np.nan


def _scores_text(
    contents: Contents, series: Series, flux: str, metric: str, resolution: str, period: str
) -> str:
    values = [
        _value(contents, series, flux, model, metric, (resolution, period))
        for model in (REFERENCE, contents.learnt)
    ]
    return " → ".join("–" if np.isnan(v) else f"{v:.2f}".replace("-", "−") for v in values)


def _agreement(contents: Contents, series: Series, flux: str, model: str) -> str:
    where = ("native", "validation")
    r = _value(contents, series, flux, model, "r", where)
    error = _value(contents, series, flux, model, "rmse", where)
    return f"R {r:.3f}\nRMSE {error:.1f}" if abs(error) >= 10 else f"R {r:.3f}\nRMSE {error:.2f}"
