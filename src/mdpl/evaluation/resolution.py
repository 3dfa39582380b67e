"""Native, daily and monthly pairs of model and observation.

A model is sampled at the measured steps only: a day of a tower that was measured at noon and
not at night is compared with the model's noon, not with its full day. A daily mean exists
where enough of the day was measured, a monthly mean is the mean of its daily means and exists
where enough days do (`Coverage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mdpl.errors import ConfigError, ModelError

Resolution = Literal["native", "daily", "monthly"]
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)


@dataclass(frozen=True)
class Coverage:
    """How much must be measured for a mean to count.

    Attributes:
        day_share: least share of a full day's steps (48 at half-hourly towers).
        month_days: least number of valid days in a month. Ten-day blocks leave a period nine
            to twenty days of a month before any gap, hence a week and not a fortnight.
    """

    day_share: float = 0.5
    month_days: int = 7

    def __post_init__(self) -> None:
        if not 0.0 < self.day_share <= 1.0:
            raise ConfigError(
                f"coverage: expected day_share in (0, 1], found {self.day_share:g}; "
                "0.5 asks for half of a day's steps"
            )
        if not 1 <= self.month_days <= 28:
            raise ConfigError(
                f"coverage: expected month_days in 1 to 28, found {self.month_days}; "
                "7 asks for a week of valid days"
            )


@dataclass(frozen=True)
class Pairs:
    """Values of several series at common times.

    Attributes:
        time: start of each step, day or month, shape (n,), datetime64[ns].
        values: series name -> shape (n,).
    """

    time: np.ndarray
    values: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def __len__(self) -> int:
        return self.time.size


def sample(
    time: np.ndarray,
    series: Mapping[str, np.ndarray],
    measured: np.ndarray,
    resolution: Resolution,
    coverage: Coverage | None = None,
) -> Pairs:
    """Bring series to a resolution, each from the same measured steps.

    Args:
        time: start of each step, shape (time,), evenly spaced.
        series: name -> values, shape (time,); such as model and observation.
        measured: which steps count (measured, and inside the period asked for), shape (time,).
        resolution: ``native`` keeps the steps, ``daily`` and ``monthly`` average them by
            calendar day and month.
        coverage: what makes a day and a month valid; default `Coverage()`.

    Raises:
        ModelError: shapes differ, or the resolution is unknown.
    """
    if resolution not in RESOLUTIONS:
        raise ModelError(f"unknown resolution {resolution!r}; there are {', '.join(RESOLUTIONS)}")
    _check_shapes(time, series, measured)
    keep = np.asarray(measured, dtype=bool)
    steps = Pairs(time[keep], {k: np.asarray(v, dtype=float)[keep] for k, v in series.items()})
    if resolution == "native" or len(steps) == 0:
        return steps
    coverage = coverage or Coverage()
    days = _average(steps, "D", coverage.day_share * steps_per_day(time))
    return days if resolution == "daily" else _average(days, "M", coverage.month_days)


def steps_per_day(time: np.ndarray) -> int:
    """Number of steps in a full day of an evenly spaced time axis."""
    if time.size < 2:
        raise ModelError(f"a time axis needs at least two steps, found {time.size}")
    return int(np.timedelta64(1, "D") / (time[1] - time[0]))


def _average(pairs: Pairs, unit: Literal["D", "M"], least: float) -> Pairs:
    """Means over calendar days or months that hold at least `least` values."""
    start = pairs.time.astype(f"datetime64[{unit}]")
    groups, index, count = np.unique(start, return_inverse=True, return_counts=True)
    valid = count >= least
    means = {
        name: np.bincount(index, weights=values, minlength=groups.size)[valid] / count[valid]
        for name, values in pairs.values.items()
    }
    return Pairs(groups[valid].astype("datetime64[ns]"), means)


def _check_shapes(time: np.ndarray, series: Mapping[str, np.ndarray], measured: np.ndarray) -> None:
    shapes = {"measured": np.shape(measured)} | {k: np.shape(v) for k, v in series.items()}
    wrong = {name: shape for name, shape in shapes.items() if shape != time.shape}
    if wrong:
        raise ModelError(f"expected series of shape {time.shape}, as the time axis; found {wrong}")
