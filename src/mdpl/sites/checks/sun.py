"""Shortwave radiation against the sun: clock, hemisphere, night, top of the atmosphere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.checks.finding import Finding
from mdpl.sites.clock import ClockCourse, clock_course, standard_offset
from mdpl.sites.record import Record
from mdpl.sites.solar import cos_zenith

_SOLAR_CONSTANT = 1361.0
_SHIFTED, _SLIGHT = 0.4, 0.2
"""Departure of the clock that is serious (half an hour, as found) and worth a remark, h."""


def clock(record: Record) -> Iterator[Finding]:
    """Shifts by half-hours and hours, UTC, daylight saving and other jumps of the clock."""
    if not _located(record):
        return
    course = clock_course(record)
    if not np.isfinite(course.typical):
        return
    yield from _jumps(course)
    expected = standard_offset(record)
    if expected is None:
        return
    off = course.typical - expected
    if abs(off) > _SLIGHT:
        utc = abs(course.typical) < _SHIFTED and abs(expected) > 2 * _SHIFTED
        meaning = "the record is in UTC" if utc else f"the stamps are {60 * off:+.0f} minutes off"
        yield Finding(
            "clock",
            "serious" if abs(off) > _SHIFTED else "remark",
            "SWdown",
            f"by the sun the clock is {course.typical:+.2f} h from UTC; local standard time is "
            f"{expected:+g} h: {meaning}; expected stamps at the start of the interval",
            value=60.0 * off,
        )


def _jumps(course: ClockCourse) -> Iterator[Finding]:
    good = np.isfinite(course.utc_offset)
    day, offset = course.day[good], course.utc_offset[good]
    if offset.size < 6:
        return
    month = day.astype("M8[M]").astype(int) % 12 + 1
    summer, winter = offset[(month > 4) & (month < 10)], offset[(month > 11) | (month < 3)]
    if summer.size > 2 and winter.size > 2:
        gain = float(np.median(summer) - np.median(winter))
        if 0.7 < abs(gain) < 1.3:
            yield Finding(
                "clock jump",
                "serious",
                "SWdown",
                f"the clock is {60 * gain:+.0f} minutes ahead from May to September compared with "
                "winter: daylight saving time; expected standard time all year",
                value=60.0 * gain,
            )
            return
    cuts = range(3, offset.size - 2)
    change = {k: float(np.median(offset[k:]) - np.median(offset[:k])) for k in cuts}
    spread = {k: _spread(offset[k:]) + _spread(offset[:k]) for k in cuts}
    k = min(cuts, key=lambda k: spread[k])
    if abs(change[k]) > _SHIFTED:
        yield Finding(
            "clock jump",
            "serious",
            "SWdown",
            f"the clock jumps by {60 * change[k]:+.0f} minutes about {day[k]}; bring both parts "
            "to local standard time",
            day[k],
            60.0 * change[k],
        )


def _spread(values: np.ndarray) -> float:
    return float(np.abs(values - np.median(values)).sum())


def hemisphere(record: Record) -> Iterator[Finding]:
    """Seasons of the radiation that belong to the other side of the equator."""
    if not _located(record) or record.years < 0.75 or abs(float(record.place["latitude"])) < 15:
        return
    daily = record.by_day(record.where_measured("SWdown")).mean(axis=1)
    good = np.isfinite(daily)
    if good.sum() < 180:
        return
    here, there = (
        np.corrcoef(daily[good], _daily_sun(record, sign)[good])[0, 1] for sign in (1, -1)
    )
    if there > here and here < 0:
        yield Finding(
            "place",
            "fatal",
            "SWdown",
            f"the seasons of SWdown are those of latitude {-float(record.place['latitude']):g}, "
            "not of that given; correct its sign",
            value=float(here),
        )


def radiation_amount(record: Record) -> Iterator[Finding]:
    """Radiation at night, above that outside the atmosphere, or always too dim."""
    if not _located(record):
        return
    sun = _sun(record)
    shortwave = record.where_measured("SWdown")
    night = _deep_night(sun, record) & np.isfinite(shortwave)
    if night.sum() > 200:
        level = float(np.mean(shortwave[night]))
        lit = float(np.mean(shortwave[night] > 20.0))
        if abs(level) > 4.0 or lit > 0.02:
            yield Finding(
                "night radiation",
                "serious" if level > 10 or lit > 0.05 else "warning",
                "SWdown",
                f"SWdown is {level:.1f} W m-2 in the mean while the sun is down ({lit:.1%} of the "
                "night above 20 W m-2); subtract the offset or correct the clock",
                value=level,
            )
    high = (sun > 0.3) & np.isfinite(shortwave)
    if high.sum() < 200:
        return
    ratio = shortwave[high] / (_SOLAR_CONSTANT * sun[high])
    bright = float(np.quantile(ratio, 0.99))
    if bright > 1.08 or bright < 0.5:
        yield Finding(
            "radiation amount",
            "serious",
            "SWdown",
            f"on clear days SWdown reaches {bright:.2f} of the radiation outside the atmosphere; "
            "expected 0.6 to 1; check calibration, unit (W m-2, not umol m-2 s-1) and clock",
            value=bright,
        )


def flux_clock(record: Record) -> Iterator[Finding]:
    """Net radiation or sensible heat whose day is shifted against that of the radiation."""
    if not record.has("SWdown"):
        return
    shortwave = record.series["SWdown"]
    for name, least in (("Rnet", 0.8), ("Qh", 0.5)):
        if not record.has(name):
            continue
        skill = {s: _lagged(shortwave, record.where_measured(name), s) for s in range(-4, 5)}
        best = max(skill, key=lambda s: skill[s])
        # Sensible heat may lag by its nature where soil and canopy store heat; Rnet does not.
        natural = (0,) if name == "Rnet" else (-1, 0, 1)
        if skill[best] > least and best not in natural and skill[best] - skill[0] > 0.002:
            minutes = best * record.step_seconds / 60.0
            yield Finding(
                "flux clock",
                "serious",
                name,
                f"{name} follows SWdown best {minutes:+.0f} minutes apart: the stamps of fluxes "
                "and forcing are not the same kind (start and end of the interval?)",
                value=minutes,
            )


def _lagged(a: np.ndarray, b: np.ndarray, steps: int) -> float:
    """Correlation of a(t) with b(t + steps)."""
    n = a.size - abs(steps)
    x = a[max(-steps, 0) :][:n]
    y = b[max(steps, 0) :][:n]
    good = np.isfinite(x) & np.isfinite(y)
    if good.sum() < 500 or x[good].std() == 0 or y[good].std() == 0:
        return 0.0
    return float(np.corrcoef(x[good], y[good])[0, 1])


def _located(record: Record) -> bool:
    return record.has("SWdown") and "latitude" in record.place and "longitude" in record.place


def _sun(record: Record) -> np.ndarray:
    expected = standard_offset(record) or 0.0
    latitude, longitude = float(record.place["latitude"]), float(record.place["longitude"])
    return cos_zenith(latitude, longitude, expected, record.time, record.step_seconds)


def _deep_night(sun: np.ndarray, record: Record) -> np.ndarray:
    """Where the sun is down for an hour more on both sides."""
    margin = 3600 // record.step_seconds
    lit = sun > 0
    near = lit.copy()
    for shift in range(1, margin + 1):
        near[shift:] |= lit[:-shift]
        near[:-shift] |= lit[shift:]
    return ~near


def _daily_sun(record: Record, sign: int) -> np.ndarray:
    noon = record.days.astype("M8[ns]")
    latitude = sign * float(record.place["latitude"])
    return cos_zenith(latitude, 0.0, 0.0, noon, 86400)
