"""Where the sun stands: interval means of the cosine of the zenith angle, and the time zone."""

from __future__ import annotations

import numpy as np

_J2000 = np.datetime64("2000-01-01T12:00:00", "ns")
_CLEARLY_BETTER = 0.005
"""Gain in correlation that makes another time zone believable (see `detect_utc_offset`)."""


def declination_and_equation_of_time(utc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solar declination and equation of time.

    Low-precision formulae of the Astronomical Almanac as given by Michalsky (1988,
    doi:10.1016/0038-092X(88)90045-X), good to about 0.01 degree between 1950 and 2050.

    Args:
        utc: instants in UTC, datetime64, any shape.

    Returns:
        declination and equation of time (apparent minus mean solar time), both rad.
    """
    days = (np.asarray(utc).astype("datetime64[ns]") - _J2000) / np.timedelta64(1, "D")
    mean_longitude = np.deg2rad(280.460 + 0.9856474 * days)
    anomaly = np.deg2rad(357.528 + 0.9856003 * days)
    ecliptic = mean_longitude + np.deg2rad(1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.deg2rad(23.439 - 4e-7 * days)
    declination = np.arcsin(np.sin(obliquity) * np.sin(ecliptic))
    right_ascension = np.arctan2(np.cos(obliquity) * np.sin(ecliptic), np.cos(ecliptic))
    return declination, _wrapped(mean_longitude - right_ascension)


def cos_zenith(
    latitude: float,
    longitude: float,
    utc_offset_hours: float,
    time: np.ndarray,
    step_seconds: int,
) -> np.ndarray:
    """Mean over each interval of max(cos z, 0), integrated analytically.

    With a = sin(lat) sin(dec) and b = cos(lat) cos(dec) the sun is above the horizon while the
    hour angle h is within the half day length H, cos H = -a/b; over the sunlit part [h1, h2] of
    an interval the integral of cos z is a (h2 - h1) + b (sin h2 - sin h1). The declination is
    that of the middle of the interval.

    Args:
        latitude, longitude: degrees north and east.
        utc_offset_hours: local standard time minus UTC.
        time: start of each interval in local standard time, datetime64, shape (time,).
        step_seconds: length of an interval, s.

    Returns:
        shape (time,), between 0 and 1.
    """
    offset = np.timedelta64(round(utc_offset_hours * 3600), "s")
    middle = (
        np.asarray(time).astype("datetime64[ns]") - offset + np.timedelta64(step_seconds, "s") / 2
    )
    declination, equation = declination_and_equation_of_time(middle)
    day_angle = (middle - middle.astype("datetime64[D]")) / np.timedelta64(1, "D") * 2 * np.pi
    noon_angle = _wrapped(day_angle - np.pi + np.deg2rad(longitude) + equation)
    half_width = np.pi * step_seconds / 86400.0
    start, end = noon_angle - half_width, noon_angle + half_width

    phi = np.deg2rad(latitude)
    a = np.sin(phi) * np.sin(declination)
    b = np.cos(phi) * np.cos(declination)
    half_day = np.arccos(np.clip(-a / np.maximum(b, 1e-12), -1.0, 1.0))
    total = np.zeros_like(noon_angle)
    for turn in (-2 * np.pi, 0.0, 2 * np.pi):
        low = np.clip(start, turn - half_day, turn + half_day)
        high = np.clip(end, turn - half_day, turn + half_day)
        total += a * (high - low) + b * (np.sin(high) - np.sin(low))
    return np.clip(total / (2 * half_width), 0.0, 1.0)


def detect_utc_offset(
    latitude: float,
    longitude: float,
    time: np.ndarray,
    step_seconds: int,
    shortwave: np.ndarray,
) -> float:
    """Time zone of a record that does not say it, from the course of its shortwave radiation.

    Candidates are the zone of the meridian, round(longitude / 15), and zones half an hour and
    one hour to either side; each is judged by the correlation of the radiation with the mean
    cosine of the zenith angle. The zone of the meridian wins unless another one correlates
    better by more than 0.005 (on real towers an error of half an hour costs about 0.01, of an
    hour 0.03). Two years of the record are enough and keep long records quick.

    Args:
        shortwave: SWdown, W m-2, shape (time,).

    Returns:
        local standard time minus UTC, h.
    """
    nominal = float(round(longitude / 15.0))
    candidates = [nominal + shift for shift in (0.0, -0.5, 0.5, -1.0, 1.0)]
    enough = slice(0, 2 * 366 * 86400 // step_seconds)
    time, shortwave = time[enough], shortwave[enough]
    skill = [
        _correlation(shortwave, cos_zenith(latitude, longitude, zone, time, step_seconds))
        for zone in candidates
    ]
    best = int(np.argmax(skill))
    return candidates[best] if skill[best] > skill[0] + _CLEARLY_BETTER else nominal


def _wrapped(angle: np.ndarray) -> np.ndarray:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation; 0 where one of the series is constant (polar night)."""
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0
