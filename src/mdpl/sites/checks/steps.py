"""Sudden lasting changes of level: a sensor that was changed, moved or recalibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mdpl.sites.attributes import saturation_vapour_pressure
from mdpl.sites.checks.finding import Finding
from mdpl.sites.record import Record
from mdpl.sites.solar import cos_zenith

_SIDE = 60
"""Least days on either side of a step."""
_NEAR = 15
"""Days next to it that must show it too."""
_SIGMA = 5.670374e-8


@dataclass(frozen=True)
class Level:
    """A daily number that should not jump.

    Attributes:
        variable: what it tells about.
        daily: from a record, shape (day,), NaN where unknown.
        least: jump that matters, in ``unit``.
        strength: jump over its standard error that is beyond chance.
    """

    variable: str
    daily: Callable[[Record], np.ndarray]
    least: float
    unit: str
    strength: float = 5.0

    def said(self, size: float) -> str:
        """A jump in words."""
        if self.unit.startswith("log"):
            return f"to {np.exp(size):.2f} times ({self.unit.removeprefix('log of the ')})"
        return f"by {size:+.3g} ({self.unit})"


def _mean(name: str) -> Callable[[Record], np.ndarray]:
    return lambda record: _day_mean(record, record.where_measured(name))


def _day_mean(record: Record, values: np.ndarray) -> np.ndarray:
    table = record.by_day(values)
    enough = np.isfinite(table).mean(axis=1) > 0.8
    total = np.nansum(table, axis=1) / np.maximum(np.isfinite(table).sum(axis=1), 1)
    return np.where(enough, total, np.nan)


def _log_wind(record: Record) -> np.ndarray:
    mean = _day_mean(record, record.where_measured("Wind"))
    return np.log(np.maximum(mean, 0.05))


def _emissivity(record: Record) -> np.ndarray:
    t = record.series["Tair"]
    return _day_mean(record, record.where_measured("LWdown") / (_SIGMA * t**4))


def _clearness(record: Record) -> np.ndarray:
    """Logarithm of the brightest tenth of 15 days of daily SWdown over that outside."""
    daily = _day_mean(record, record.where_measured("SWdown"))
    latitude = float(record.place["latitude"])
    outside = cos_zenith(latitude, 0.0, 0.0, record.days.astype("M8[ns]"), 86400)
    ratio = np.where(outside > 0.1, daily / (1361.0 * np.maximum(outside, 0.1)), np.nan)
    padded = np.pad(ratio, 7, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 15)
    enough = np.isfinite(windows).sum(axis=1) > 7
    brightest = np.where(np.isfinite(windows), windows, -np.inf)
    brightest = np.sort(brightest, axis=1)[:, -2]
    return np.where(enough & (brightest > 0.02), np.log(np.maximum(brightest, 0.02)), np.nan)


def _relative_humidity(record: Record) -> np.ndarray:
    q, p, t = (record.series[n] for n in ("Qair", "Psurf", "Tair"))
    ratio = 0.01 * p * q / (0.622 + 0.378 * q) / saturation_vapour_pressure(t)
    return _day_mean(record, np.where(record.measured("Qair"), 100 * ratio, np.nan))


LEVELS = (
    Level("Tair", _mean("Tair"), 4.0, "K"),
    Level("Psurf", _mean("Psurf"), 1200.0, "Pa"),
    Level("Wind", _log_wind, np.log(1.8), "log of the speed"),
    Level("LWdown", _emissivity, 0.09, "emissivity of the sky"),
    Level("SWdown", _clearness, 0.25, "log of the clear-sky transmissivity"),
    Level("Qair", _relative_humidity, 22.0, "% relative humidity"),
    Level("CO2air", _mean("CO2air"), 20.0, "ppm"),
)


def steps(record: Record) -> Iterator[Finding]:
    """Fit a season and one step to each level, and tell of a step that is large and abrupt.

    For each possible day the daily values are regressed on a constant, two annual harmonics and
    the step (Reeves et al. 2007, doi:10.1175/JAM2493.1, review such tests); its error is that of
    the residuals widened for their lag-one correlation. The step must also show in the two weeks
    next to it, so that a season that fits badly does not pass for one.
    """
    for level in LEVELS:
        if not record.has(*({level.variable, "Tair", "Psurf"})) or "latitude" not in record.place:
            continue
        found = _largest_step(level.daily(record))
        if found is None:
            continue
        day, size, strength = found
        if abs(size) >= level.least and strength >= level.strength:
            yield Finding(
                "step change",
                "serious" if strength > 2 * level.strength else "warning",
                level.variable,
                f"{level.variable} jumps {level.said(size)} about {record.days[day]} "
                "and stays there: a sensor changed, moved or recalibrated; correct one part or "
                "cut the record there",
                record.days[day],
                size,
            )


def _largest_step(values: np.ndarray) -> tuple[int, float, float] | None:
    """Day, size and size over error of the step that explains most; None in short series."""
    good = np.flatnonzero(np.isfinite(values))
    if good.size < 3 * _SIDE:
        return None
    y = values[good]
    angle = 2 * np.pi * good / 365.25
    terms = [np.ones(good.size)]
    if good.size > 300:
        terms += [f(k * angle) for k in (1, 2) for f in (np.sin, np.cos)]
    base, _ = np.linalg.qr(np.stack(terms, axis=1))
    rest = y - base @ (base.T @ y)
    best: tuple[int, float, float] | None = None
    for at in range(_SIDE, good.size - _SIDE, 3):
        step = (np.arange(good.size) >= at).astype(float)
        free = step - base @ (base.T @ step)
        norm = float(free @ free)
        size = float(free @ rest) / norm
        left = rest - size * free
        rho = np.clip(float(left[1:] @ left[:-1] / (left @ left + 1e-30)), 0.0, 0.95)
        error = np.sqrt((left @ left) / good.size * (1 + rho) / (1 - rho) / norm) + 1e-12
        near = np.median(y[at : at + _NEAR]) - np.median(y[at - _NEAR : at])
        abrupt = near / size > 0.5 if size else False
        if abrupt and (best is None or abs(size) / error > best[2]):
            best = (int(good[at]), size, float(abs(size) / error))
    return best
