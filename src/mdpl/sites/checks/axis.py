"""The time axis: repeated, missing and disordered stamps, and calendars without leap days."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.checks.finding import Finding
from mdpl.sites.qc import stamp
from mdpl.sites.record import Record

_DAY = np.timedelta64(1, "D")


def time_axis(record: Record) -> Iterator[Finding]:
    """Stamps as the files have them against the regular axis."""
    unique, count = np.unique(record.stamps, return_counts=True)
    twice = unique[count > 1]
    if twice.size:
        yield Finding(
            "time axis",
            "fatal",
            "",
            f"{twice.size} time stamps are there more than once, from {stamp(twice[0])} to "
            f"{stamp(twice[-1])} ({twice.size / record.steps_per_day:.1f} days); remove the copies",
            twice[0],
            float(twice.size),
        )
    elif (np.diff(record.stamps) < np.timedelta64(0)).any():
        at = int(np.argmax(np.diff(record.stamps) < np.timedelta64(0))) + 1
        yield Finding(
            "time axis",
            "fatal",
            "",
            f"time runs backward at {stamp(record.stamps[at])}; sort the record",
            record.stamps[at],
        )
    missing = np.setdiff1d(record.time, unique)
    if missing.size:
        leap = _is_leap_day(missing)
        what = "the leap day among them; " if leap.any() else ""
        yield Finding(
            "time axis",
            "fatal",
            "",
            f"{missing.size} time steps are left out, the first {stamp(missing[0])}; {what}"
            "insert them, as missing where nothing is known",
            missing[0],
            float(missing.size),
        )


def calendar(record: Record) -> Iterator[Finding]:
    """A record of whole years that ends early by as many days as it has leap days."""
    first, last = record.time[0], record.time[-1] + (record.time[1] - record.time[0])
    begins = first == first.astype("M8[Y]")
    short = (last.astype("M8[D]") + _DAY * 31).astype("M8[Y]") - last.astype("M8[D]")
    days_short = int(short / _DAY)
    leap_days = int(_is_leap_day(record.days).sum())
    if begins and 0 < days_short <= 30 and days_short == leap_days and not (last - first) % _DAY:
        yield Finding(
            "calendar",
            "serious",
            "",
            f"the record begins with a year and ends {days_short} days before one does, and it "
            f"spans {leap_days} leap days: they were probably dropped without leaving a gap; "
            "everything after 28 February is a day early: read it with a 365-day calendar",
            last,
            float(days_short),
        )


def _is_leap_day(stamps: np.ndarray) -> np.ndarray:
    day = stamps.astype("M8[D]")
    month = day.astype("M8[M]")
    return (month.astype(int) % 12 == 1) & ((day - month.astype("M8[D]")).astype(int) == 28)
