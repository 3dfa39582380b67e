"""Figures and tables of a run beside other models (``experiments/benchmark`` of a run folder)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdpl.evaluation.metrics import MEANINGS
from mdpl.evaluation.ranks import complete
from mdpl.report.contents import REFERENCE, Contents, experiment_tables
from mdpl.report.style import (
    DEFAULT,
    FAINT,
    INK,
    LEARNT,
    WIDTH,
    WORSE,
    Plot,
    count,
    handle,
    long_name,
    number,
    sentence,
    units,
)
from mdpl.report.tables import Cell, Row, Table, csv_uri

NAME = "benchmark"
FILES = ("scores", "mean_ranks", "paired")

NAMES = {"lstm": "LSTM", "lstm_in_site": "LSTM in site"}
EMPIRICAL, NETWORK, OTHER = "#b9892f", "#5b6fb5", "#882255"
SET_MARKERS = {"standard": "s", "extremes": "^", "distribution": "D"}
SHOWN = ("rmse", "nme", "bias", "r", "sd_ratio")

FARTHEST = 2.5
"""Medians: towers farther than this many times the worst median are drawn at the edge."""


@dataclass(frozen=True)
class Beside:
    """Tables of the experiment, as it wrote them."""

    scores: pd.DataFrame
    mean_ranks: pd.DataFrame
    paired: pd.DataFrame


def read(folder: Path) -> Beside | None:
    """The experiment of a run folder; None if it was not made.

    Raises:
        RunError: a table is absent or unreadable.
    """
    found = experiment_tables(folder, NAME, FILES)
    return None if found is None else Beside(**found)


def medians(contents: Contents, beside: Beside, flux: str) -> Plot | None:
    """NME of every model: its median over towers as a bar, each tower as a point."""
    scores = complete(beside.scores[beside.scores["resolution"] == "native"])
    wide = _native(scores, "validation", flux, "nme").dropna()
    if wide.empty:
        return None
    wide = wide[wide.median().sort_values(ascending=False).index]
    middle = wide.median()
    figure, axes = _rows_figure(contents, list(wide.columns))
    rows = np.arange(len(middle))
    colours = [_colour(contents, str(model)) for model in wide.columns]
    axes.barh(rows, middle, height=0.62, color=colours, alpha=0.85)
    edge = float(min(wide.to_numpy().max() * 1.04, middle.max() * FARTHEST))
    for row, model in enumerate(wide.columns):
        values = wide[model].to_numpy()
        inside = values <= edge
        axes.plot(values[inside], np.full(inside.sum(), row), "o", ms=3.6, mfc="white", mec=INK)
        axes.plot(np.full((~inside).sum(), edge), np.full((~inside).sum(), row), ">", ms=4, c=INK)
        _beside(axes, edge * 1.03, row, number(float(middle[model])))
    axes.axvline(1.0, color=FAINT, lw=1, ls=(0, (4, 3)))
    axes.set_xlim(0, edge * 1.12)
    axes.set(xlabel="NME (smaller is better)", title=sentence(long_name(flux)))
    beyond = int((wide > edge).to_numpy().sum())
    return Plot(
        f"beside_median_{flux}",
        figure,
        f"Normalised mean error of {long_name(flux)}: bars and numbers are medians over towers, "
        f"points are towers{_edge_words(beyond)}. Beyond the dashed line the mean of the "
        f"observations would do better. Half-hourly or hourly, validation period, "
        f"{contents.basis}; {count(len(wide), 'towers')}.",
        f"Median NME of {flux} by model",
    )


def ranks(contents: Contents, beside: Beside, flux: str) -> Plot | None:
    """Average ranks over towers, by PLUMBER's sets of metrics."""
    table = beside.mean_ranks.query(
        "comparison == 'validation' and resolution == 'native' and flux == @flux"
    )
    if table.empty or table["model"].nunique() < 2:
        return None
    wide = table.pivot(index="model", columns="set", values="rank").sort_values(
        "all", ascending=False
    )
    figure, axes = _rows_figure(contents, list(wide.index), extra=0.3)
    rows = np.arange(len(wide))
    colours = [_colour(contents, str(model)) for model in wide.index]
    axes.barh(rows, wide["all"] - 1, left=1, height=0.62, color=colours, alpha=0.85)
    for name, marker in SET_MARKERS.items():
        axes.plot(wide[name], rows, marker, ms=4.6, mfc="white", mec=INK)
    most = int(table["models"].max())
    for row, value in enumerate(wide["all"]):
        _beside(axes, most * 1.01 + 0.1, row, f"{value:.1f}")
    axes.set_xlim(1, most + 0.7)
    axes.set(xlabel="Average rank (1 = best)", title=sentence(long_name(flux)))
    handles = [handle(m, INK, name, hollow=True) for name, m in SET_MARKERS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return Plot(
        f"beside_rank_{flux}",
        figure,
        f"Average rank of {most} models for {long_name(flux)} by PLUMBER's metrics: standard "
        "(bias, NME, SD ratio, R), extremes (5th and 95th percentile) and distribution (skewness, "
        "kurtosis, overlap of histograms); bars and numbers: all nine. Averaged over metrics, then "
        f"over towers. Half-hourly or hourly, validation period, {contents.basis}; "
        f"{count(table['towers'], 'towers')}.",
        f"Average ranks for {flux}",
    )


def paired(contents: Contents, beside: Beside, flux: str) -> Plot | None:
    """Difference of RMSE, learnt minus each other model, with its interval."""
    table = beside.paired.query("site == 'all' and statistic == 'rmse' and flux == @flux")
    if table.empty:
        return None
    table = table.sort_values("difference", ascending=False)
    figure, axes = _rows_figure(contents, list(table["reference"]))
    rows = np.arange(len(table))
    colours = np.where(table["high"] < 0, LEARNT, np.where(table["low"] > 0, WORSE, FAINT))
    axes.hlines(rows, table["low"], table["high"], color=colours, lw=2.4)
    axes.scatter(table["difference"], rows, s=34, c=colours, edgecolors="white", zorder=3)
    axes.axvline(0, color=INK, lw=0.9)
    axes.margins(x=0.06)
    axes.set(
        xlabel=f"RMSE of {contents.learnt} minus RMSE of the other ({units(flux)})",
        title=sentence(long_name(flux)),
    )
    first = table.iloc[0]
    return Plot(
        f"beside_paired_{flux}",
        figure,
        f"Difference of RMSE of {long_name(flux)}, the run's learnt parameters minus each other "
        "model, mean over towers, with the 95 % interval of a paired bootstrap over towers and "
        f"blocks of {int(first['block_days'])} measured days; left of zero the learnt run is "
        f"better, grey where the interval holds zero. Validation period, {contents.basis}; "
        f"{count(table['towers'], 'towers')}.",
        f"Paired differences of RMSE for {flux}",
    )


def median_table(contents: Contents, beside: Beside) -> Table:
    """Medians over towers of all models, by flux."""
    rows, records = [], []
    for flux in dict.fromkeys(beside.scores["flux"]):
        wide = {m: _native(beside.scores, "validation", flux, m) for m in SHOWN}
        for model in _ordered(contents, list(wide["nme"].columns)):
            values = {m: float(t[model].median()) for m, t in wide.items()}
            n = int(wide["nme"][model].count())
            cells = [Cell(flux, flux, "key"), Cell(_name(contents, model), model)]
            cells += [Cell(str(n), n, "num"), *(_num(v) for v in values.values())]
            rows.append(Row(tuple(cells)))
            records.append({"flux": flux, "model": model, "towers": n, **values})
    heads = ("Flux", "Model", "Towers", *(MEANINGS[m].label for m in SHOWN))
    caption = "Medians over the towers a model has, native resolution, validation period"
    return Table("beside", caption, heads, tuple(rows), csv_uri(pd.DataFrame(records)))


def record_table(contents: Contents, beside: Beside) -> Table | None:
    """Published scores beside ours at each tower, and whether the record is the same."""
    theirs = beside.scores[beside.scores["record"] != "ours"]
    if theirs.empty:
        return None
    native = beside.scores.query("resolution == 'native' and period == 'all'")
    rows = []
    for (site, flux), group in theirs.groupby(["site", "flux"], sort=False):
        here = native[(native["site"] == site) & (native["flux"] == flux)]
        words = dict(zip(group["model"], group["record"], strict=True))
        for model in (REFERENCE, contents.learnt, *words):
            own = here[here["model"] == model].set_index("metric")
            if own.empty:
                continue
            cells = [Cell(str(site), str(site), "key"), Cell(str(flux), str(flux))]
            cells += [Cell(_name(contents, model), model)]
            cells += [Cell(f"{own['n'].iloc[0]:,}", float(own["n"].iloc[0]), "num")]
            cells += [_num(float(own["value"].get(m, np.nan))) for m in SHOWN]
            cells.append(Cell(words.get(model, ""), words.get(model, ""), "prose"))
            rows.append(Row(tuple(cells)))
    heads = ("Tower", "Flux", "Model", "n", *(MEANINGS[m].label for m in SHOWN), "Record")
    caption = "Published scores beside this run's, whole record, native resolution"
    return Table("published", caption, heads, tuple(rows), csv_uri(native))


def daily_table(contents: Contents, beside: Beside) -> Table | None:
    """Models that give daily means, beside ours judged the same way."""
    days = beside.scores.query("resolution == 'full_day' and period == 'all' and n > 0")
    if days.empty:
        return None
    rows = []
    for (site, flux, model), group in days.groupby(["site", "flux", "model"], sort=False):
        own = group.set_index("metric")
        cells = [Cell(str(site), str(site), "key"), Cell(str(flux), str(flux))]
        cells += [Cell(_name(contents, str(model)), str(model))]
        cells += [Cell(f"{own['n'].iloc[0]:,}", float(own["n"].iloc[0]), "num")]
        rows.append(Row((*cells, *(_num(float(own["value"][m])) for m in SHOWN))))
    heads = ("Tower", "Flux", "Model", "Days", *(MEANINGS[m].label for m in SHOWN))
    caption = "Daily means, whole record, days of which three quarters were measured"
    return Table("daily_models", caption, heads, tuple(rows), csv_uri(days))


def _native(scores: pd.DataFrame, period: str, flux: str, metric: str) -> pd.DataFrame:
    """Values by tower (rows) and model (columns), of models with series of their own."""
    chosen = scores[
        (scores["resolution"] == "native")
        & (scores["period"] == period)
        & (scores["flux"] == flux)
        & (scores["metric"] == metric)
        & (scores["record"] == "ours")
        & (scores["n"] > 0)
    ]
    return chosen.pivot(index="site", columns="model", values="value")


def _rows_figure(contents: Contents, models: list[str], extra: float = 0.0) -> tuple[Figure, Axes]:
    """A row a model, named."""
    figure = Figure(figsize=(WIDTH, 1.0 + extra + 0.29 * len(models)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_yticks(range(len(models)), [_name(contents, model) for model in models])
    for label, model in zip(axes.get_yticklabels(), models, strict=True):
        label.set_fontweight("bold" if model == contents.learnt else "normal")
    axes.set_ylim(-0.6, len(models) - 0.4)
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _beside(axes: Axes, x: float, row: int, text: str) -> None:
    axes.text(x, row, text, fontsize=8, va="center", ha="left")


def _name(contents: Contents, model: str) -> str:
    return f"learnt ({model})" if model == contents.learnt else NAMES.get(model, model)


def _colour(contents: Contents, model: str) -> str:
    if model in (REFERENCE, contents.learnt):
        return DEFAULT if model == REFERENCE else LEARNT
    if model in NAMES:
        return NETWORK
    return EMPIRICAL if model[0].isdigit() else OTHER


def _ordered(contents: Contents, models: list[str]) -> list[str]:
    first = [REFERENCE, contents.learnt]
    return [*first, *sorted(m for m in models if m not in first)]


def _edge_words(beyond: int) -> str:
    return f" ({beyond} beyond the edge, drawn as arrowheads)" if beyond else ""


def _num(value: float) -> Cell:
    return Cell(number(value), value if np.isfinite(value) else "", "num")
