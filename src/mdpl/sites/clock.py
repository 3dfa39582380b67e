"""How far a record's clock is from the sun's, and which clock the law of the place keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import tzfpy

from mdpl.sites.record import Record
from mdpl.sites.solar import cos_zenith

WINDOW_DAYS = 16
_GRID_MINUTES = 5
_GRID = 1440 // _GRID_MINUTES
_LOW_SUN = 0.15
"""Windows whose sun never gets this high (cosine of the zenith angle) say little about the time."""


@dataclass(frozen=True)
class ClockCourse:
    """A record's clock against the sun, by window of `WINDOW_DAYS` days.

    Attributes:
        day: middle of each window, datetime64[D], shape (window,).
        utc_offset: h, record's clock minus UTC, NaN where it cannot be told, shape (window,).
        fit: correlation of the brightest course of the day with that of the clear sky.
    """

    day: np.ndarray
    utc_offset: np.ndarray
    fit: np.ndarray

    @property
    def typical(self) -> float:
        """Median offset, h; NaN where no window tells."""
        good = np.isfinite(self.utc_offset)
        return float(np.median(self.utc_offset[good])) if good.any() else float("nan")


def clock_course(record: Record) -> ClockCourse:
    """Find the clock a record keeps from its shortwave radiation.

    Of each window the largest radiation at every time of day is taken, which is nearly that of a
    clear sky, as the networks do it (Pastorello et al. 2014, doi:10.1109/eScience.2014.46), and
    shifted against the cosine of the sun's zenith angle, 5 minutes at a time over the whole day;
    the shift that correlates best, by a parabola through it and its neighbours, is the clock's.
    """
    table = record.by_day(record.where_measured("SWdown"))
    count = max(table.shape[0] // WINDOW_DAYS, 1)
    windows = [slice(i * WINDOW_DAYS, (i + 1) * WINDOW_DAYS) for i in range(count)]
    middle = np.array([record.days[w][len(record.days[w]) // 2] for w in windows])
    latitude, longitude = float(record.place["latitude"]), float(record.place["longitude"])
    grid = np.arange(_GRID) * np.timedelta64(_GRID_MINUTES, "m")
    utc = middle.astype("M8[ns]")[:, None] + grid
    sun = cos_zenith(latitude, longitude, 0.0, utc.ravel(), record.step_seconds).reshape(utc.shape)
    offset, fit = np.full(count, np.nan), np.full(count, np.nan)
    for i, window in enumerate(windows):
        bright = _brightest(table[window])
        if np.isfinite(bright).all() and bright.max() > 20.0 and sun[i].max() > _LOW_SUN:
            minutes, fit[i] = _best_shift(bright, sun[i], record.step_seconds)
            offset[i] = _near_meridian(minutes / 60.0, longitude)
    return ClockCourse(middle, offset, fit)


def standard_offset(record: Record) -> float | None:
    """Local standard time minus UTC, h: as the record says, else by law; None if unknown."""
    if "utc_offset" in record.place:
        return float(record.place["utc_offset"])
    if not {"latitude", "longitude"} <= set(record.place):
        return None
    return legal_offset(float(record.place["latitude"]), float(record.place["longitude"]))


@cache
def legal_offset(latitude: float, longitude: float) -> float | None:
    """Standard time of a place minus UTC, h, as its law has it; None at sea.

    The zone is found by the borders of the time-zone database (tzfpy); without daylight saving is
    the smaller of its offsets in January and July.
    """
    zone = tzfpy.get_tz(longitude, latitude)
    if not zone:
        return None
    moments = (datetime(2015, month, 15, tzinfo=ZoneInfo(zone)) for month in (1, 7))
    offsets = (moment.utcoffset() or timedelta(0) for moment in moments)
    return min(offset.total_seconds() for offset in offsets) / 3600


def _brightest(table: np.ndarray) -> np.ndarray:
    """Largest value at each time of day, NaN where a time of day has none."""
    filled = np.where(np.isfinite(table), table, -np.inf).max(axis=0)
    return np.where(np.isfinite(filled), filled, np.nan)


def _best_shift(bright: np.ndarray, sun: np.ndarray, step_seconds: int) -> tuple[float, float]:
    """Minutes the record's clock is ahead of UTC, in [0, 1440), and the correlation there."""
    stride = step_seconds // 60 // _GRID_MINUTES
    at = np.arange(bright.size) * stride
    lagged = sun[(at[None, :] - np.arange(_GRID)[:, None]) % _GRID]
    a = bright - bright.mean()
    b = lagged - lagged.mean(axis=1, keepdims=True)
    skill = (b @ a) / np.sqrt((b**2).sum(axis=1) * (a @ a) + 1e-30)
    best = int(np.argmax(skill))
    before, here, after = skill[best - 1], skill[best], skill[(best + 1) % _GRID]
    bend = before - 2 * here + after
    vertex = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return float((best + vertex) * _GRID_MINUTES % 1440), float(here)


def _near_meridian(hours: float, longitude: float) -> float:
    """The same offset, within half a day of that of the meridian."""
    nominal = longitude / 15.0
    return (hours - nominal + 12.0) % 24.0 - 12.0 + nominal
