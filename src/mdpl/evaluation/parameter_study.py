"""Do learnt parameters make sense? Agreement within classes, relation to attributes, direction.

Towers are few, so nothing here leans on a distribution: p-values are shares of random
permutations that do as well, adjusted for the number of questions asked (Holm 1979). Values are
compared in the unit cube of their bounds, where log-scaled parameters are logarithms.

One thing no permutation removes: a generator *reads* the attributes and the land cover, so its
parameters follow them to some degree whether the data ask for it or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

REPLICATES = 9999
LEAST_TOWERS = 6
"""Fewer towers say nothing about a rank correlation."""
LEAST_RHO = 0.1
"""A rank correlation nearer to zero has no sign worth naming."""
LEAST_WITHIN = 3
"""Degrees of freedom within classes that a variance needs."""


@dataclass(frozen=True)
class Question:
    """An expected direction: the sign of a parameter's change with an attribute."""

    parameter: str
    attribute: str
    sign: int


def unit_positions(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of ``parameters.csv`` between its bounds, 0 to 1, (site, parameter).

    A parameter is taken as log-scaled if the table says so in ``scale``, else if its bounds lie
    a factor of 50 or more apart.
    """
    low, high, value = (table[c].to_numpy(dtype=float) for c in ("lower", "upper", column))
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(value / low) / np.log(high / low)
        apart = (low > 0) & (high / low >= 50)
    is_log = (table["scale"] == "log").to_numpy() if "scale" in table else apart
    position = np.where(is_log, logs, (value - low) / (high - low))
    filled = table.assign(position=position)
    names = list(dict.fromkeys(table["parameter"]))
    return filled.pivot(index="site", columns="parameter", values="position")[names]


def agreement(values: pd.DataFrame, classes: pd.Series, seed: int = 0) -> pd.DataFrame:
    """Variance between classes over variance within, with a permutation test.

    Args:
        values: shape (site, parameter).
        classes: site -> class; classes of one tower count between, not within.

    Returns:
        parameter, towers, classes, ratio (mean square between over within), share (of the total
        sum of squares that lies between), p, p_adjusted; NaN where towers are too few.
    """
    labels, index = np.unique(classes.reindex(values.index).astype(str), return_inverse=True)
    n, k = len(values), labels.size
    found = pd.DataFrame({"parameter": values.columns, "towers": n, "classes": k})
    if k < 2 or n - k < LEAST_WITHIN:
        return found.assign(ratio=np.nan, share=np.nan, p=np.nan, p_adjusted=np.nan)
    x = values.to_numpy(dtype=float)
    x = x - x.mean(axis=0)
    rng = np.random.default_rng(seed)
    orders = np.stack([index, *(rng.permutation(index) for _ in range(REPLICATES))])
    member = (orders[..., None] == np.arange(k)).astype(float)  # (replicate, tower, class)
    sums = np.einsum("rtk,tp->rkp", member, x)
    between = (sums**2 / member.sum(axis=1)[..., None]).sum(axis=1)
    total = (x**2).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = between / total
        ratio = (between[0] / (k - 1)) / ((total - between[0]) / (n - k))
    p = _share_of_at_least(share)
    p = np.where(total > 1e-12, p, np.nan)
    return found.assign(ratio=ratio, share=share[0], p=p, p_adjusted=holm(p))


def correlations(values: pd.DataFrame, attributes: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Spearman's rank correlation of every parameter with every attribute.

    Args:
        values: shape (site, parameter).
        attributes: shape (site, attribute), numbers, complete.

    Returns:
        parameter, attribute, n, rho, p (two-sided), p_adjusted over all pairs.
    """
    attributes = attributes.reindex(values.index)
    n = len(values)
    pairs = [(p, a) for p in values.columns for a in attributes.columns]
    found = pd.DataFrame(pairs, columns=["parameter", "attribute"]).assign(n=n)
    if n < LEAST_TOWERS or not pairs:
        return found.assign(rho=np.nan, p=np.nan, p_adjusted=np.nan)
    left, right = _standard_ranks(values), _standard_ranks(attributes)
    rng = np.random.default_rng(seed)
    rho = left.T @ right / n
    beaten = np.ones_like(rho)
    for _ in range(REPLICATES):
        beaten += np.abs(left.T @ right[rng.permutation(n)] / n) >= np.abs(rho) - 1e-12
    p = np.where(np.isfinite(rho), beaten / (REPLICATES + 1), np.nan).ravel()
    return found.assign(rho=rho.ravel(), p=p, p_adjusted=holm(p))


def directions(
    default: pd.DataFrame,
    learnt: pd.DataFrame,
    attributes: pd.DataFrame,
    questions: Sequence[Question],
    seed: int = 0,
) -> pd.DataFrame:
    """Whether parameters follow an attribute, and moved by learning, as expected.

    Args:
        default, learnt: shape (site, parameter), in the unit cube.

    Returns:
        parameter, attribute, sign, n, rho_default, rho_learnt, rho_moved (of learnt minus
        default), p (one-sided, of the move in the expected direction), p_adjusted, verdict.
        Questions about a parameter or attribute that is not there are left out.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for question in questions:
        if question.parameter not in learnt or question.attribute not in attributes:
            continue
        known = attributes[question.attribute].reindex(learnt.index).astype(float)
        keep = known.notna().to_numpy()
        n = int(keep.sum())
        right = _standard_ranks(known[keep].to_frame())[:, 0]
        before, after = (t[question.parameter][keep] for t in (default, learnt))
        found = [
            float(np.round(_standard_ranks(series.to_frame())[:, 0] @ right / n, 9))
            if n
            else np.nan
            for series in (before, after, after - before)
        ]
        p = np.nan
        if n >= LEAST_TOWERS and np.isfinite(found[2]):
            moved = _standard_ranks((after - before).to_frame())[:, 0] * question.sign
            drawn = np.array([moved @ right[rng.permutation(n)] / n for _ in range(REPLICATES)])
            p = (1 + (drawn >= moved @ right / n - 1e-12).sum()) / (REPLICATES + 1)
        rows.append((question.parameter, question.attribute, question.sign, n, *found, p))
    columns = ["parameter", "attribute", "sign", "n", "rho_default", "rho_learnt", "rho_moved", "p"]
    table = pd.DataFrame(rows, columns=columns)
    table["p_adjusted"] = holm(table["p"].to_numpy(dtype=float))
    table["verdict"] = [_verdict(r) for r in table.to_dict("records")]
    return table


def holm(p: np.ndarray) -> np.ndarray:
    """p-values adjusted for the number of tests by Holm's step-down rule; NaN stays."""
    adjusted = np.full(p.shape, np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _verdict(row: dict) -> str:
    if not np.isfinite(row["p"]):
        return f"too few towers to say ({row['n']})"
    if abs(row["rho_moved"]) < LEAST_RHO:
        return "hardly moved with it"
    if row["rho_moved"] * row["sign"] < 0:
        return "moved against expectation"
    return "moved as expected" if row["p_adjusted"] < 0.05 else "sign as expected, may be chance"


def _standard_ranks(table: pd.DataFrame) -> np.ndarray:
    """Ranks with mean 0 and variance 1 by column; NaN for a constant."""
    ranks = rankdata(table.to_numpy(dtype=float), axis=0)
    ranks = ranks - ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return np.asarray(ranks / np.where(spread > 0, spread, np.nan))


def _share_of_at_least(statistic: np.ndarray) -> np.ndarray:
    """p of the first row among all rows, itself counted."""
    return np.asarray((statistic >= statistic[0] - 1e-12).mean(axis=0))
