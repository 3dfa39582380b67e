"""Is one model better than another, or was it luck? A paired bootstrap over towers and days.

Two models are judged at the same steps, so their errors share most of what makes them large;
what is resampled is the pair. Days are drawn in blocks, for errors of neighbouring days are
alike, and towers too, for they are a sample of what a model will meet. Percentile intervals
(Efron and Tibshirani 1993, ch. 13) with a moving block bootstrap (Kuensch 1989,
doi:10.1214/aos/1176347265), the blocks closed to a circle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mdpl.errors import ModelError

Statistic = Literal["rmse", "nme"]

Pairs = dict[tuple[str, str, str, str], "Days"]
"""(model, reference, flux, site) -> the errors of both."""

ALL = "all"
"""Stands for the site where all towers are taken together."""

BLOCK_DAYS = 10
"""As long as the blocks of `mdpl.evaluation.periods`, which are independent by design at best."""

FEWEST_BLOCKS = 10
"""Blocks that a record is cut into at least."""


@dataclass(frozen=True)
class Days:
    """What the errors of two models add up to on each measured day of a tower, in order of time.

    Attributes:
        n: measured steps, shape (day,).
        square, absolute: sums of squared and absolute errors, shape (day, 2): model, reference.
        spread: sum of ``|o - mean(o)|``, the mean over all days, shape (day,).
    """

    n: np.ndarray
    square: np.ndarray
    absolute: np.ndarray
    spread: np.ndarray

    def statistic(self, name: Statistic, weight: np.ndarray) -> np.ndarray:
        """RMSE or NME of both models, shape (..., 2), each day counted ``weight`` times.

        The NME's observed mean stays that of all days.

        Args:
            weight: shape (..., day).
        """
        if name == "rmse":
            return np.asarray(np.sqrt((weight @ self.square) / (weight @ self.n)[..., None]))
        return np.asarray((weight @ self.absolute) / (weight @ self.spread)[..., None])


@dataclass(frozen=True)
class Difference:
    """Model minus reference: below zero the model is better.

    Attributes:
        value, reference_value: the statistic of both, mean over towers.
        difference, low, high: and the ends of the interval.
        share: replicates in which the model is the better one, 0-1.
        towers, days: how many were resampled.
    """

    value: float
    reference_value: float
    difference: float
    low: float
    high: float
    share: float
    towers: int
    days: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def day_errors(
    time: np.ndarray,
    observed: np.ndarray,
    model: np.ndarray,
    reference: np.ndarray,
    counts: np.ndarray,
) -> Days:
    """Sum up the errors of two models by day.

    Args:
        time: start of each step, shape (time,), datetime64.
        observed, model, reference: shape (time,).
        counts: steps that count (measured, inside the period), shape (time,).

    Raises:
        ModelError: shapes differ, nothing counts, or a model is not finite where it does.
    """
    series = {"observed": observed, "model": model, "reference": reference, "counts": counts}
    wrong = {name: np.shape(s) for name, s in series.items() if np.shape(s) != time.shape}
    if wrong:
        raise ModelError(f"expected series of shape {time.shape}, as the time axis; found {wrong}")
    keep = np.asarray(counts, dtype=bool)
    o, m, r = (np.asarray(x, dtype=float)[keep] for x in (observed, model, reference))
    if not o.size or not (np.isfinite(o) & np.isfinite(m) & np.isfinite(r)).all():
        raise ModelError(
            f"paired errors: expected finite values at the steps that count, found {o.size} steps, "
            f"{int((~np.isfinite(m)).sum())} without a value of the model and "
            f"{int((~np.isfinite(r)).sum())} without one of the reference"
        )
    _, day, n = np.unique(
        time[keep].astype("datetime64[D]"), return_inverse=True, return_counts=True
    )

    def by_day(values: np.ndarray) -> np.ndarray:
        return np.bincount(day, values, minlength=n.size)

    errors = (m - o, r - o)
    square = np.column_stack([by_day(e**2) for e in errors])
    absolute = np.column_stack([by_day(np.abs(e)) for e in errors])
    return Days(n, square, absolute, by_day(np.abs(o - o.mean())))


def compare(
    towers: Mapping[str, Days],
    statistic: Statistic = "rmse",
    *,
    block_days: int = BLOCK_DAYS,
    replicates: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Difference:
    """Difference of the mean over towers of a statistic, with an interval.

    One tower: days alone are resampled, and the interval is about that tower. Several: towers
    are drawn with replacement, and for each draw its days anew.

    Args:
        towers: code -> errors of both models.
        block_days: measured days in a block at most (see `block_weights`).
        level: of the interval, 0-1.

    Raises:
        ModelError: no towers, or no such block.
    """
    if not towers or block_days < 1:
        raise ModelError(
            f"paired bootstrap: expected towers and blocks of a day or more, found {len(towers)} "
            f"towers and blocks of {block_days} days"
        )
    rng = np.random.default_rng(seed)
    every = list(towers.values())
    found = np.stack([t.statistic(statistic, np.ones(t.n.size)) for t in every])
    drawn = np.stack(
        [
            t.statistic(statistic, block_weights(t.n.size, block_days, replicates, rng))
            for t in every
        ],
        axis=1,
    )  # (replicate, tower, 2)
    if len(every) > 1:
        tower = rng.integers(len(every), size=(replicates, len(every)))
        drawn = drawn[rng.integers(replicates, size=tower.shape), tower]
    difference = (drawn[..., 0] - drawn[..., 1]).mean(axis=1)
    low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
    value, reference = found.mean(axis=0)
    return Difference(
        value=float(value),
        reference_value=float(reference),
        difference=float(value - reference),
        low=float(low),
        high=float(high),
        share=float((difference < 0).mean()),
        towers=len(every),
        days=int(sum(t.n.size for t in every)),
    )


def compare_all(
    pairs: Pairs, statistics: Sequence[Statistic], block_days: int = BLOCK_DAYS, seed: int = 0
) -> pd.DataFrame:
    """`compare` for every pair of models and flux: all towers together (site `ALL`), then each.

    Returns:
        model, reference, flux, site, statistic, block_days, and the fields of `Difference`.
    """
    rows = []
    for model, reference, flux in dict.fromkeys(key[:3] for key in pairs):
        towers = {k[3]: days for k, days in pairs.items() if k[:3] == (model, reference, flux)}
        for label, chosen in {ALL: towers, **{c: {c: d} for c, d in towers.items()}}.items():
            for statistic in statistics:
                found = compare(chosen, statistic, block_days=block_days, seed=seed)
                rows.append(
                    {
                        "model": model,
                        "reference": reference,
                        "flux": flux,
                        "site": label,
                        "statistic": statistic,
                        "block_days": block_days,
                        **asdict(found),
                        "clear": found.clear,
                    }
                )
    return pd.DataFrame(rows)


def block_weights(
    days: int, block_days: int, replicates: int, rng: np.random.Generator
) -> np.ndarray:
    """How often each day was drawn, shape (replicate, day); each row adds up to ``days``.

    Blocks begin anywhere and run on from the last day to the first; the last block is cut. They
    are `FEWEST_BLOCKS` at least, shorter where the record is short: of few blocks as long as the
    record all draws are alike, and the interval has no width.
    """
    length = min(block_days, max(1, days // FEWEST_BLOCKS))
    starts = rng.integers(days, size=(replicates, -(-days // length)))
    drawn = (starts[..., None] + np.arange(length)).reshape(replicates, -1)[:, :days] % days
    flat = drawn + days * np.arange(replicates)[:, None]
    return np.bincount(flat.ravel(), minlength=replicates * days).reshape(replicates, days)
