"""How sure is a gain? Bootstrap intervals of dRMSE and dR, by tower and of their median.

Default and learnt run are judged at the same steps, so both errors are resampled together: days in
blocks, for errors of neighbouring days are alike, and for the median over towers the towers too
(see `mdpl.evaluation.paired`, whose blocks these are).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mdpl.errors import ModelError
from mdpl.evaluation.paired import ALL, BLOCK_DAYS, block_weights

GAINS = ("dRMSE", "dR")
COLUMNS = ("site", "gain", "value", "low", "high", "days", "towers")


@dataclass(frozen=True)
class DaySums:
    """What RMSE and R of two runs add up from, on each measured day of a tower.

    Attributes:
        shared: steps, observed sum and sum of squares, shape (day, 3).
        own: of the default and the learnt run, shape (day, 4, 2): sum, sum of squares, sum of
            products with the observation, sum of squared errors.
    """

    shared: np.ndarray
    own: np.ndarray

    @property
    def days(self) -> int:
        return len(self.shared)

    def gains(self, weight: np.ndarray) -> np.ndarray:
        """dRMSE and dR, each day counted ``weight`` times; NaN where R is not defined.

        Args:
            weight: shape (replicate, day).

        Returns:
            shape (replicate, 2).
        """
        n, o, oo = (weight @ self.shared).T[..., None]
        m, mm, om, square = np.moveaxis(np.tensordot(weight, self.own, axes=1), 1, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            r = (n * om - o * m) / np.sqrt((n * oo - o**2) * (n * mm - m**2))
            error = np.sqrt(square / n)
            return np.stack(
                [1 - error[:, 1] / error[:, 0], (r[:, 1] - r[:, 0]) / np.abs(r[:, 0])], axis=-1
            )


def day_sums(
    time: np.ndarray,
    observed: np.ndarray,
    default: np.ndarray,
    learnt: np.ndarray,
    counts: np.ndarray,
) -> DaySums:
    """Sum up a tower's steps by day.

    Args:
        time: start of each step, shape (time,), datetime64.
        observed, default, learnt: shape (time,).
        counts: steps that count (measured, inside the period), shape (time,).

    Raises:
        ModelError: nothing counts, or a series is not finite where it does.
    """
    keep = np.asarray(counts, dtype=bool)
    o, *runs = (np.asarray(x, dtype=float)[keep] for x in (observed, default, learnt))
    if not o.size or not all(np.isfinite(x).all() for x in (o, *runs)):
        raise ModelError(f"gains: expected finite values at the steps that count, {o.size} steps")
    _, day, n = np.unique(
        time[keep].astype("datetime64[D]"), return_inverse=True, return_counts=True
    )

    def by_day(values: np.ndarray) -> np.ndarray:
        return np.bincount(day, values, minlength=n.size)

    about = o - o.mean()
    own = []
    for run in runs:
        m = run - run.mean()
        own.append([by_day(x) for x in (m, m**2, m * about, (run - o) ** 2)])
    shared = np.column_stack([n, by_day(about), by_day(about**2)])
    return DaySums(shared, np.moveaxis(np.asarray(own), (0, 1, 2), (2, 1, 0)))


def intervals(
    towers: Mapping[str, DaySums],
    *,
    block_days: int = BLOCK_DAYS,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Gains with percentile intervals: at each tower over its days, and of the median over towers.

    Returns:
        columns `COLUMNS`; the median's site is `mdpl.evaluation.paired.ALL`.
    """
    rng = np.random.default_rng(seed)
    ends = (50 * (1 - level), 50 * (1 + level))
    values, drawn, rows = [], [], []
    for code, sums in towers.items():
        own = sums.gains(block_weights(sums.days, block_days, replicates, rng))
        value = sums.gains(np.ones((1, sums.days)))[0]
        rows += _rows(code, value, np.nanpercentile(own, ends, axis=0), sums.days, 1)
        values.append(value)
        drawn.append(own)
    if len(towers) > 1:
        every = np.stack(drawn, axis=1)  # (replicate, tower, gain)
        chosen = rng.integers(len(towers), size=every.shape[:2])
        medians = np.nanmedian(every[rng.integers(replicates, size=chosen.shape), chosen], axis=1)
        days = sum(sums.days for sums in towers.values())
        ends_all = np.nanpercentile(medians, ends, axis=0)
        rows += _rows(ALL, np.nanmedian(values, axis=0), ends_all, days, len(towers))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(code: str, value: np.ndarray, ends: np.ndarray, days: int, towers: int) -> list[tuple]:
    return [
        (code, gain, float(value[i]), float(ends[0, i]), float(ends[1, i]), days, towers)
        for i, gain in enumerate(GAINS)
    ]
