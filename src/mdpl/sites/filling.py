"""Forcing without gaps: by published methods, every filled value flagged."""

from __future__ import annotations

import numpy as np

from mdpl.sites.attributes import saturation_vapour_pressure, specific_humidity, vapour_pressure
from mdpl.sites.solar import cos_zenith

INTERPOLATED, STATISTICAL, SYNTHESISED = 1, 5, 101
SHORT_GAP_HOURS = 2.0
LONGEST_GAP_DAYS = 30.0
"""Longer gaps are refused, where a variable cannot be synthesised."""

SYNTHESISABLE = ("LWdown", "Psurf", "CO2air", "LAI")
"""Forcing there is a method for, whatever the length of a gap."""

CO2_BY_YEAR = {
    1990: 354.45, 1991: 355.70, 1992: 356.54, 1993: 357.21, 1994: 358.96, 1995: 360.97,
    1996: 362.74, 1997: 363.88, 1998: 366.84, 1999: 368.54, 2000: 369.71, 2001: 371.32,
    2002: 373.45, 2003: 375.98, 2004: 377.70, 2005: 379.98, 2006: 382.09, 2007: 384.02,
    2008: 385.83, 2009: 387.64, 2010: 390.10, 2011: 391.85, 2012: 394.06, 2013: 396.74,
    2014: 398.81, 2015: 401.01, 2016: 404.41, 2017: 406.76, 2018: 408.72, 2019: 411.65,
    2020: 414.21, 2021: 416.41, 2022: 418.53, 2023: 421.08, 2024: 424.61,
}  # fmt: skip
"""Annual mean CO2 at Mauna Loa, ppm (NOAA Global Monitoring Laboratory and Scripps)."""

_SIGMA = 5.670374e-8
_SOLAR_CONSTANT = 1361.0
_CLEAR = 0.75


def fill(
    values: np.ndarray, steps_per_day: int, interpolate: bool, flags: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Short gaps by straight lines, others by the mean of the same time of day nearby.

    Mean diurnal variation over seven days to either side, or as many more as it takes (Falge et
    al. 2001, doi:10.1016/S0168-1923(00)00225-2).

    Args:
        values: shape (time,), from midnight to midnight or not, NaN where missing.
        interpolate: lines in gaps of up to `SHORT_GAP_HOURS`.
        flags: of the values that are there; None means measured.

    Returns:
        values without NaN (unless all are) and their flags.
    """
    filled, flag = values.copy(), _known_flags(values, flags)
    if np.isnan(values).all():
        return filled, flag
    if interpolate:
        filled, flag = bridge(values, steps_per_day, flags)
    for step in np.flatnonzero(np.isnan(filled)):
        filled[step] = _same_time_nearby(values, int(step), steps_per_day)
        flag[step] = STATISTICAL
    return filled, flag


def bridge(
    values: np.ndarray, steps_per_day: int, flags: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gaps of up to `SHORT_GAP_HOURS` by straight lines, longer ones left; otherwise as `fill`."""
    missing = np.isnan(values)
    filled, flag = values.copy(), _known_flags(values, flags)
    short = _short_gaps(missing, round(SHORT_GAP_HOURS / 24 * steps_per_day))
    if short.any():
        at = np.arange(values.size)
        filled[short] = np.interp(at[short], at[~missing], values[~missing])
        flag[short] = INTERPOLATED
    return filled, flag


def _known_flags(values: np.ndarray, flags: np.ndarray | None) -> np.ndarray:
    return np.zeros(values.size) if flags is None else np.where(np.isfinite(flags), flags, 0.0)


def clear_sky_longwave(
    forcing: dict[str, np.ndarray], time: np.ndarray, step_seconds: int, place: dict
) -> np.ndarray:
    """LWdown, W m-2: Brutsaert's clear sky plus clouds from the day's shortwave radiation.

    Clear-sky emissivity 1.24 (e / T)^(1/7), e in hPa (Brutsaert 1975,
    doi:10.1029/WR011i005p00742); with the cloud fraction c of the day it becomes c + (1 - c) of
    that (Crawford & Duchon 1999, doi:10.1175/1520-0450(1999)038<0474:AIPFEF>2.0.CO;2), where c is
    one minus the day's shortwave radiation over a clear day's, 0.75 of that outside the
    atmosphere (Allen et al. 1998, FAO-56).

    Args:
        forcing: Tair, Qair, Psurf and SWdown without gaps, shape (time,).
        place: latitude, longitude, utc_offset.
    """
    t = forcing["Tair"]
    clear = 1.24 * (vapour_pressure(forcing["Qair"], forcing["Psurf"]) / t) ** (1 / 7)
    height = cos_zenith(
        float(place["latitude"]),
        float(place["longitude"]),
        float(place["utc_offset"]),
        time,
        step_seconds,
    )
    outside = _SOLAR_CONSTANT * sun_distance_factor(time) * height
    _, day = np.unique(time.astype("M8[D]"), return_inverse=True)
    possible = np.bincount(day, _CLEAR * outside)
    ratio = np.bincount(day, forcing["SWdown"]) / np.maximum(possible, 1e-9)
    cloud = np.where(possible > 1e-6, np.clip(1.0 - ratio, 0.0, 1.0), 0.5)[day]
    return (cloud + (1 - cloud) * clear) * _SIGMA * t**4


def sun_distance_factor(time: np.ndarray) -> np.ndarray:
    """Solar irradiance outside the atmosphere over its mean (FAO-56, eq. 23)."""
    day = (time.astype("M8[D]") - time.astype("M8[Y]").astype("M8[D]")).astype(int) + 1
    return 1.0 + 0.033 * np.cos(2 * np.pi * day / 365.0)


def barometric_pressure(elevation: float, temperature: np.ndarray) -> np.ndarray:
    """Psurf, Pa, of an isothermal column at air temperature (K) above sea level at 101325 Pa."""
    return 101325.0 * np.exp(-9.80665 * elevation / (287.05 * temperature))


def global_co2(time: np.ndarray) -> np.ndarray:
    """CO2, ppm: annual means of Mauna Loa, interpolated; 2.4 ppm a year beyond the table."""
    years = np.array(list(CO2_BY_YEAR))
    at = 1970 + (time - np.datetime64("1970-01-01")) / np.timedelta64(1, "D") / 365.2425
    found = np.interp(at, years + 0.5, list(CO2_BY_YEAR.values()))
    return found + 2.4 * np.maximum(at - years[-1] - 0.5, 0.0)


def not_above_saturation(
    humidity: np.ndarray, flag: np.ndarray, temperature: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Qair whose filled values are at most saturated."""
    saturated = specific_humidity(saturation_vapour_pressure(temperature), pressure)
    return np.where(flag == 0, humidity, np.minimum(humidity, saturated))


def runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Begin and length of every run of True."""
    edge = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    begin = np.flatnonzero(edge == 1)
    return begin, np.flatnonzero(edge == -1) - begin


def _short_gaps(missing: np.ndarray, longest: int) -> np.ndarray:
    """Gaps of at most so many steps that have values on both sides."""
    short = np.zeros_like(missing)
    for begin, length in zip(*runs(missing), strict=True):
        if length <= longest and begin > 0 and begin + length < missing.size:
            short[begin : begin + length] = True
    return short


def _same_time_nearby(values: np.ndarray, step: int, steps_per_day: int) -> float:
    width = 7
    while True:
        first = step - width * steps_per_day
        if first < 0:
            first = step % steps_per_day
        near = values[first : step + width * steps_per_day + 1 : steps_per_day]
        good = near[np.isfinite(near)]
        if good.size:
            return float(good.mean())
        if first < steps_per_day and step + width * steps_per_day >= values.size:
            return float(np.nanmean(values))
        width += 7
