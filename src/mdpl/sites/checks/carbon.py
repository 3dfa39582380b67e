"""The sign of carbon fluxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.checks.finding import Finding
from mdpl.sites.record import Record

_ENOUGH = 100


def carbon_signs(record: Record) -> Iterator[Finding]:
    """NEE is downward (negative) by day in the growing season, GPP positive."""
    for name, daylight in (("NEE", -1.0), ("GPP", 1.0)):
        if not record.has(name, "SWdown"):
            continue
        gain = _day_minus_night(record, name)
        if gain is not None and gain * daylight < -1.0:
            yield Finding(
                "sign",
                "serious",
                name,
                f"in the month with most exchange {name} is {gain:+.1f} umol m-2 s-1 by day "
                f"compared with the night; expected {'less' if daylight < 0 else 'more'}: its "
                "sign is turned (NEE: uptake negative)",
                value=gain,
            )


def _day_minus_night(record: Record, name: str) -> float | None:
    """Of the calendar month in which it is largest; None where no month has enough."""
    values, sun = record.where_measured(name), record.series["SWdown"]
    month = record.time.astype("M8[M]").astype(int) % 12
    found = []
    for m in range(12):
        here = np.isfinite(values) & (month == m)
        day, night = values[here & (sun > 300)], values[here & (sun < 5)]
        if day.size >= _ENOUGH and night.size >= _ENOUGH // 4:
            found.append(float(day.mean() - night.mean()))
    return max(found, key=abs) if found else None
