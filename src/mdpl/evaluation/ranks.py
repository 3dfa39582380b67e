"""Ranks of models, as PLUMBER compares them.

At each tower and for each flux the models are ranked by every metric, 1 the best, by their
distance from perfect (so that a bias of -5 is as good as one of 5); ranks are then averaged.
A rank says who is better, not by how much. Best et al. (2015), doi:10.1175/JHM-D-14-0158.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mdpl.errors import ModelError
from mdpl.evaluation.metrics import MEANINGS

SETS: dict[str, tuple[str, ...]] = {
    "standard": ("bias", "nme", "sd_ratio", "r"),
    "extremes": ("p05_bias", "p95_bias"),
    "distribution": ("skewness_ratio", "kurtosis_ratio", "pdf_overlap"),
}
"""PLUMBER's metrics by what they look at."""

PLUMBER = tuple(metric for names in SETS.values() for metric in names)

KEYS = ["site", "pft", "flux", "resolution", "period", "metric"]
RANK_COLUMNS = (*KEYS, "model", "value", "rank", "models")


def ranks(scores: pd.DataFrame, metrics: Sequence[str] = PLUMBER) -> pd.DataFrame:
    """Rank every model at every tower, flux, resolution, period and metric.

    Models are ranked among those with scores there; a model whose metric is not defined, though
    that of another is, comes last. Equal ones share the mean of their ranks.

    Args:
        scores: as `mdpl.evaluation.scores.score` returns, of several models.

    Returns:
        Columns `RANK_COLUMNS`; ``models`` is how many were ranked.

    Raises:
        ModelError: a metric that is not known or is no score.
    """
    wrong = [name for name in metrics if name not in MEANINGS or MEANINGS[name].best == "none"]
    if wrong:
        raise ModelError(f"ranks: no score {', '.join(wrong)}; there are {', '.join(PLUMBER)}")
    table = scores[scores["metric"].isin(metrics) & (scores["n"] > 0)].copy()
    table["distance"] = [
        MEANINGS[m].distance(v) for m, v in zip(table["metric"], table["value"], strict=True)
    ]
    groups = table.groupby(KEYS, sort=False)["distance"]
    table["rank"] = groups.rank(na_option="bottom")
    table["models"] = groups.transform("size")
    return table[groups.transform("count") > 0][list(RANK_COLUMNS)].reset_index(drop=True)


def mean_ranks(ranked: pd.DataFrame) -> pd.DataFrame:
    """Average over metrics within a set, then over towers.

    Only towers at which the most models were ranked enter, so that no model gains by being
    absent where others do well.

    Returns:
        flux, resolution, period, set (of `SETS`, and ``all`` if there are several), model, rank,
        models, towers.
    """
    where = ["flux", "resolution", "period"]
    full = ranked["models"] == ranked.groupby(where)["models"].transform("max")
    kept = ranked[full]
    sets = {name: m for name, m in SETS.items() if kept["metric"].isin(m).any()}
    if len(sets) > 1:
        sets["all"] = PLUMBER
    parts = []
    for name, metrics in sets.items():
        chosen = kept[kept["metric"].isin(metrics)]
        by_tower = chosen.groupby([*where, "model", "models", "site"])["rank"].mean()
        mean = by_tower.groupby([*where, "model", "models"]).agg(rank="mean", towers="size")
        parts.append(mean.reset_index().assign(set=name))
    columns = [*where, "set", "model", "rank", "models", "towers"]
    table = pd.concat(parts, ignore_index=True)[columns]
    return table.sort_values([*where, "set", "rank"], kind="stable").reset_index(drop=True)


def complete(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows of models that have a flux at every tower any model has it at.

    A model of few towers would otherwise leave only those to compare all models at.
    """
    towers = scores[scores["n"] > 0].groupby(["flux", "model"])["site"].nunique()
    full = towers[towers == towers.groupby("flux").transform("max")].index
    return scores[pd.MultiIndex.from_frame(scores[["flux", "model"]]).isin(full)]
