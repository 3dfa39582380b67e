"""Tables of the report, as cells a template can print and a script can sort."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mdpl.evaluation.given_days import GIVEN_DAY
from mdpl.evaluation.metrics import MEANINGS
from mdpl.evaluation.paired import ALL
from mdpl.evaluation.periods import PERIODS
from mdpl.evaluation.resolution import RESOLUTIONS
from mdpl.report.cells import Cell, Row, Table, csv_uri, num, percent, text, whole
from mdpl.report.contents import REFERENCE, Contents
from mdpl.report.figures import promised_table
from mdpl.report.gathered import Gathered
from mdpl.report.parameter_figures import held_out, rank_correlation
from mdpl.report.style import DASH, number, pretty

SHOWN = ("rmse", "r", "nse", "kge", "bias", "nme", "sd_ratio")
"""Metrics printed in the page; the CSV beside each table has all."""

GAINS = {"rmse": ("dRMSE",), "r": ("dR",)}
"""Relative gains printed after a metric."""


@dataclass(frozen=True)
class Comparison:
    """Scores of one tower, flux, resolution and period: metric -> (default, learnt)."""

    site: str
    pft: str
    flux: str
    resolution: str
    period: str
    n: int
    values: Mapping[str, tuple[float, float]]

    def verdict(self, metric: str) -> str:
        """``better``, ``worse``, ``same`` or ``unknown``: what learning did to a metric."""
        before, after = (MEANINGS[metric].distance(v) for v in self.values[metric])
        if not np.isfinite(after - before):
            return "unknown"
        return "better" if after < before else "worse" if after > before else "same"

    @property
    def gain(self) -> Mapping[str, float]:
        """dRMSE and dR, by the metric they belong to (`mdpl.evaluation.scores.gains`)."""
        (rmse, rmse_learnt), (r, r_learnt) = self.values["rmse"], self.values["r"]
        return {
            "rmse": (rmse - rmse_learnt) / rmse if rmse > 0 else np.nan,
            "r": (r_learnt - r) / abs(r) if abs(r) > 0 else np.nan,
        }


def towers(contents: Contents) -> Table:
    """The towers: where, what, how long, what for, and why each is in."""
    heads = ("Tower", "IGBP", "Role", "Why it is in", "Years", "Validation data", "Measured steps")
    more = ("Lat.", "Lon.", "Tair (°C)", "Precip. (mm a⁻¹)")
    rows, records = [], []
    for t in contents.towers.values():
        measured = ", ".join(f"{flux} {int(n):,}" for flux, n in t.measured.items())
        numbers = [
            (t.number("latitude"), 4),
            (t.number("longitude"), 4),
            (t.number("Tair_mean") - 273.15, 3),
            (t.number("Precip_annual"), 3),
        ]
        cells = [text(t.code, "key"), text(t.pft), text(t.role or DASH)]
        cells += [text(t.why or DASH, "prose"), num(t.years, 2), text(t.split or DASH)]
        cells += [text(measured or DASH), *(num(v, d) for v, d in numbers)]
        rows.append(Row(tuple(cells)))
        records.append(
            {"site": t.code, "role": t.role, "why": t.why, "years": t.years, **t.attributes}
        )
    return Table(
        "towers", "Towers of this run", heads + more, tuple(rows), csv_uri(pd.DataFrame(records))
    )


def selection(contents: Contents) -> Table:
    """What the selection rule of the configuration made of every tower."""
    table = contents.extra["selection"]
    rows = [
        Row(
            (
                text(row["site"], "key"),
                text("taken" if row["taken"] else "left out"),
                text(row["why"], "prose"),
            )
        )
        for _, row in table.sort_values("taken", kind="stable").iterrows()
    ]
    count = f"{int(table['taken'].sum())} of {len(table)} towers taken"
    heads = ("Tower", "Rule", "What was found (what was asked for)")
    return Table("selection", f"Selection rule: {count}", heads, tuple(rows), csv_uri(table))


def medians(contents: Contents) -> Table:
    """Every metric at every resolution: medians over towers on validation data, by model."""
    scores = contents.scores.query("period == 'validation' and n > 0").dropna(subset="value")
    models = _models(contents)
    table = scores.groupby(["flux", "resolution", "model", "metric"])["value"].median()
    counts = _better_counts(contents)
    heads = ("Flux", "Resolution", "Model", "Towers", *(MEANINGS[m].label for m in SHOWN))
    rows = []
    for flux in contents.fluxes:
        for resolution in _resolutions(contents):
            here = scores.query("flux == @flux and resolution == @resolution")
            for model in models:
                keys = [(flux, resolution, model, metric) for metric in SHOWN]
                cells = [num(table.get(key, np.nan)) for key in keys]
                towers = here[here["model"] == model]["site"].nunique()
                head = (text(flux, "key"), text(resolution), text(_shown(contents, model)))
                rows.append(Row((*head, whole(towers), *cells), {"model": model}))
            better = [counts.get((flux, resolution, metric), (0, 0)) for metric in SHOWN]
            cells = [text(f"{b} of {n}" if n else DASH, "num faint") for b, n in better]
            head = (text(flux, "key"), text(resolution), text("towers better", "faint"))
            rows.append(Row((*head, text(""), *cells), {"model": "better"}))
    caption = "Medians over towers, validation period; last row of each: towers where learnt is "
    return Table("medians", caption + "better", heads, tuple(rows), csv_uri(table.reset_index()))


def scores(contents: Contents) -> Table:
    """Default and learnt side by side: a row a tower, flux, resolution and period."""
    heads: list[str] = ["Tower", "IGBP", "Flux", "n"]
    for metric in SHOWN:
        heads += [MEANINGS[metric].label, "learnt", *GAINS.get(metric, ())]
    rows = []
    for c in _comparisons(contents):
        cells = [text(c.site, "key"), text(c.pft), text(c.flux), whole(c.n)]
        for metric in SHOWN:
            cells += _change(c, metric)
            if metric in GAINS:
                cells.append(percent(c.gain[metric]))
        data = {"flux": c.flux, "resolution": c.resolution, "period": c.period}
        rows.append(Row(tuple(cells), data))
    caption = "Scores by tower: default, then learnt"
    return Table("scores", caption, tuple(heads), tuple(rows), csv_uri(contents.scores))


def intervals(contents: Contents, gathered: Gathered) -> Table | None:
    """dRMSE and dR with their bootstrap intervals, the median over towers first."""
    table = gathered.gains
    if table.empty:
        return None
    rank = {flux: i for i, flux in enumerate(contents.fluxes)}
    order = table.assign(last=table["site"] != ALL, rank=table["flux"].map(rank)).sort_values(
        ["last", "rank", "gain"], ascending=[True, True, False], kind="stable"
    )
    rows = []
    for r in order.to_dict("records"):
        site = "median over towers" if r["site"] == ALL else r["site"]
        cells = [text(site, "key"), text(r["flux"]), text(r["gain"]), percent(r["value"])]
        cells += [percent(r["low"]), percent(r["high"]), whole(r["days"]), whole(r["towers"])]
        rows.append(Row(tuple(cells)))
    heads = ("Tower", "Flux", "Gain", "Value", "95 % from", "to", "Days", "Towers")
    caption = "Gains with 95 % intervals (bootstrap over days, and towers), validation, native"
    return Table("intervals", caption, heads, tuple(rows), csv_uri(table))


def worse(contents: Contents) -> Table:
    """Where RMSE, R or KGE fell on validation data, worst RMSE first; nothing is left out."""
    heads = ["Tower", "IGBP", "Flux", "Resolution", "n", "Worse in", "dRMSE"]
    for metric in ("rmse", "r", "kge", "bias"):
        heads += [MEANINGS[metric].label, "learnt"]
    rows: list[tuple[float, Row]] = []
    for c in _comparisons(contents):
        fallen = [m for m in ("rmse", "r", "kge") if c.verdict(m) == "worse"]
        if c.period != "validation" or not fallen:
            continue
        cells = [text(c.site, "key"), text(c.pft), text(c.flux), text(c.resolution)]
        cells += [whole(c.n), text(", ".join(MEANINGS[m].label for m in fallen))]
        cells.append(percent(c.gain["rmse"]))
        for metric in ("rmse", "r", "kge", "bias"):
            cells += _change(c, metric)
        rows.append((c.gain["rmse"], Row(tuple(cells))))
    rows.sort(key=lambda item: item[0])
    caption = "Every tower, flux and resolution where RMSE, R or KGE got worse, validation period"
    return Table("worse", caption, tuple(heads), tuple(row for _, row in rows))


def parameters(contents: Contents) -> Table:
    """Learnt values in physical units, a column a tower, the default below each."""
    table = contents.parameters[contents.parameters["model"] == contents.learnt]
    sites = list(dict.fromkeys(table["site"]))
    rows = []
    for name, group in table.groupby("parameter", sort=False):
        first, by_site = group.iloc[0], group.set_index("site")
        unit = DASH if pd.isna(first["unit"]) else pretty(str(first["unit"])) or DASH
        bounds = f"{number(first['lower'])} to {number(first['upper'])}"
        cells = [text(str(name), "key"), text(unit), text(bounds, "faint")]
        for site in sites:
            if site not in by_site.index:
                cells.append(text(DASH))
                continue
            value, default = by_site.loc[site, ["value", "default"]].astype(float)
            cells.append(Cell(f"{number(value)}\n{number(default)}", float(value), "num pair"))
        rows.append(Row(tuple(cells)))
    return Table(
        "parameters",
        "Learnt value, and the default below it",
        ("Parameter", "Unit", "Bounds", *sites),
        tuple(rows),
        csv_uri(contents.parameters),
    )


def promised(contents: Contents) -> Table:
    """RMSE of the default run, as the surrogate promised, and as the land model delivered."""
    table = promised_table(contents)
    heads = ("Tower", "Flux", "Period", "RMSE default", "promised", "delivered")
    more = ("dRMSE promised", "delivered", "Shortfall (points)")
    rows = []
    for _, p in table.iterrows():
        cells = [text(p["site"], "key"), text(p["flux"]), text(p["period"])]
        cells += [num(p[f"rmse_{name}"]) for name in ("default", "promised", "delivered")]
        cells += [percent(p["promised"]), percent(p["delivered"])]
        cells.append(num(100 * (p["promised"] - p["delivered"])))
        rows.append(Row(tuple(cells)))
    resolution = contents.target_resolution.replace("_", " ")
    caption = f"Promised by the surrogate, delivered by the land model ({resolution} resolution)"
    return Table("promised", caption, heads + more, tuple(rows), csv_uri(table))


FIDELITY = {
    "r2": "R²",
    "r2_response": "R² of the response",
    "rmse": "RMSE",
    "rmse_over_sd": "RMSE / SD",
    "kge": "KGE",
    "r2_worst_member": "R² of the worst set",
}
"""Measures of the surrogate against the land model, and their headings."""


def fidelity(contents: Contents) -> Table:
    """How well the surrogate follows the land model on members it never saw."""
    table = contents.fidelity
    metrics = list(dict.fromkeys(table["metric"]))
    wide = table.pivot_table(index=["site", "task"], columns="metric", values="value", sort=False)
    rows = [
        Row((text(p["site"], "key"), text(p["task"]), *(num(p[m]) for m in metrics)))
        for p in wide.reset_index().to_dict("records")
    ]
    heads = ("Tower", "Task", *(FIDELITY.get(str(m), str(m)) for m in metrics))
    caption = "Surrogate against the land model, parameter sets never trained on"
    return Table("fidelity", caption, heads, tuple(rows), csv_uri(table))


def recovery(contents: Contents) -> Table:
    """Rank correlation of learnt and true parameters of virtual towers."""
    rows = []
    known = "sensitivity" in contents.recovery
    for name, group in contents.recovery.groupby("parameter", sort=False):
        held = held_out(group)
        parts = (group[held], group[~held])
        cells = [text(str(name), "key")]
        cells += [num(group["sensitivity"].iloc[0])] if known else []
        for part in parts:
            cells += [num(rank_correlation(part)), whole(len(part))]
        rows.append(Row(tuple(cells)))
    first = ("Parameter", "Sensitivity") if known else ("Parameter",)
    heads = (*first, "ρ never trained on", "n", "ρ trained on", "n")
    caption = "Spearman's rank correlation of learnt and true parameters over virtual towers"
    return Table("recovery", caption, heads, tuple(rows), csv_uri(contents.recovery))


def excess(contents: Contents) -> Table:
    """RMSE of default, learnt and true runs at virtual towers, never trained on first."""
    rows = []
    for p in contents.excess.sort_values(["role", "site"], kind="stable").to_dict("records"):
        cells = [text(p["site"], "key"), text(str(p["role"]).replace("_", " "))]
        cells += [text(p["flux"]), *(num(p[name]) for name in ("default", "learnt", "floor"))]
        rows.append(Row((*cells, percent(p["removed"]))))
    heads = ("Tower", "Role", "Flux", "RMSE default", "learnt", "true parameters", "Excess removed")
    caption = "RMSE of the land model at virtual towers (native resolution, W m-2)"
    return Table("excess", caption, heads, tuple(rows), csv_uri(contents.excess))


def removed(contents: Contents) -> Iterable[tuple[str, str, int]]:
    """Flux, share of the excess RMSE removed over all towers never trained on, their number."""
    table = contents.excess
    judged = table[table["role"] == "held_out"]
    for flux, group in judged.groupby("flux", sort=True):
        left = (group["learnt"] - group["floor"]).sum() / (group["default"] - group["floor"]).sum()
        yield str(flux), f"{100 * (1 - left):.0f} %", len(group)


def stages(contents: Contents) -> Table:
    """Seconds, land-model simulations and trained models by stage, with their sums."""
    columns = ("seconds", "lsm_runs", "models_trained")
    listed = [
        (stage, [float(values.get(c, 0) or 0) for c in columns])
        for stage, values in contents.timings.items()
    ]
    rows = [Row((text(stage, "key"), *_cost(values))) for stage, values in listed]
    sums = np.sum([values for _, values in listed], axis=0) if listed else np.zeros(3)
    rows.append(Row((text("total", "key"), *_cost(sums, "strong"))))
    heads = ("Stage", "Seconds", "Land-model simulations", "Models trained")
    return Table("stages", "Cost by stage", heads, tuple(rows))


def definitions() -> Table:
    """What each metric is and which values are better."""
    words = {"high": "larger", "low": "smaller", "zero": "closer to 0", "one": "closer to 1"}
    rows = [
        Row((text(m.label, "key"), text(m.text, "prose"), text(words.get(m.best, DASH))))
        for m in MEANINGS.values()
    ]
    return Table("definitions", "Metrics", ("Metric", "Definition", "Better is"), tuple(rows))


def better_and_worse(contents: Contents, flux: str) -> tuple[float, int, int, int]:
    """Median dRMSE, towers better, towers worse, towers judged: native, validation."""
    gain = contents.gains.query(
        "flux == @flux and resolution == 'native' and period == 'validation' "
        "and model == @contents.learnt"
    )["dRMSE"].dropna()
    median = float(gain.median()) if len(gain) else np.nan
    return median, int((gain > 0).sum()), int((gain < 0).sum()), len(gain)


def _better_counts(contents: Contents) -> dict[tuple[str, str, str], tuple[int, int]]:
    """(flux, resolution, metric) -> towers better, towers judged, on validation data."""
    counts: dict[tuple[str, str, str], tuple[int, int]] = {}
    for c in _comparisons(contents):
        for metric in SHOWN if c.period == "validation" else ():
            key, verdict = (c.flux, c.resolution, metric), c.verdict(metric)
            better, judged = counts.get(key, (0, 0))
            counts[key] = (better + (verdict == "better"), judged + (verdict != "unknown"))
    return counts


def _comparisons(contents: Contents) -> list[Comparison]:
    """Default beside learnt, in the order flux, resolution, period, tower."""
    keys = ["site", "pft", "flux", "resolution", "period"]
    scores = contents.scores
    rows = scores[scores["model"].isin([REFERENCE, contents.learnt]) & (scores["n"] > 0)]
    wide = rows.pivot(index=[*keys, "n"], columns=["metric", "model"], values="value")
    order = {
        name: i for i, name in enumerate((*contents.fluxes, *RESOLUTIONS, GIVEN_DAY, *PERIODS))
    }
    found = []
    for record in wide.reset_index().to_dict("records"):
        place = [str(record[(key, "")]) for key in keys]
        pairs = {
            m: (
                float(record.get((m, REFERENCE), np.nan)),
                float(record.get((m, contents.learnt), np.nan)),
            )
            for m in SHOWN
        }
        site, pft, flux, resolution, period = place
        found.append(Comparison(site, pft, flux, resolution, period, int(record[("n", "")]), pairs))
    return sorted(
        found, key=lambda c: (order[c.flux], order[c.resolution], order[c.period], c.site)
    )


def _resolutions(contents: Contents) -> list[str]:
    found = set(contents.scores["resolution"])
    return [*RESOLUTIONS, *([GIVEN_DAY] if GIVEN_DAY in found else [])]


def _models(contents: Contents) -> list[str]:
    models: Sequence[str] = list(dict.fromkeys(contents.scores["model"]))
    first = [REFERENCE, contents.learnt]
    return first + [model for model in models if model not in first]


def _shown(contents: Contents, model: str) -> str:
    return f"learnt ({model})" if model == contents.learnt else model


def _change(comparison: Comparison, metric: str) -> list[Cell]:
    before, after = comparison.values[metric]
    return [num(before, css="was"), num(after, css=comparison.verdict(metric))]


def _cost(values: Sequence[float] | np.ndarray, css: str = "") -> list[Cell]:
    seconds = Cell(f"{values[0]:,.1f}", float(values[0]), f"num {css}".strip())
    return [seconds, *(whole(value, css) for value in values[1:])]


def flat(values: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested mappings and lists as (dotted key, text) pairs."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flat(value, f"{name}.")
        elif isinstance(value, list):
            yield name, ", ".join(map(str, value))
        else:
            yield name, str(value)
