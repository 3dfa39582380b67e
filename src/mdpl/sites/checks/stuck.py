"""Sensors that stand still, straight lines, and days that were copied."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.checks.completeness import longest_run
from mdpl.sites.checks.finding import Finding
from mdpl.sites.filling import runs
from mdpl.sites.qc import stamp
from mdpl.sites.record import Record

LONGEST_STANDSTILL = {
    "Tair": 12.0,
    "Qair": 24.0,
    "Psurf": 30.0,
    "Wind": 12.0,
    "SWdown": 3.0,
    "LWdown": 12.0,
    "Rnet": 12.0,
}
"""Hours a measured value may repeat itself to the last digit; zeros of wind and of the night's
radiation not counted."""

_CALM_HOURS = 72.0
_LINE_HOURS = 10.0


def standstill(record: Record) -> Iterator[Finding]:
    """The same value for hours."""
    for name, hours in LONGEST_STANDSTILL.items():
        if not record.has(name):
            continue
        values = record.where_measured(name)
        same = np.abs(np.diff(values)) <= 1e-9 * np.maximum(np.abs(values[1:]), 1e-9)
        begin, length = longest_run(same & (values[1:] != 0))
        found = (length + 1) * record.step_seconds / 3600.0
        if length and found > hours:
            total = int(sum(n for _, n in zip(*runs(same & (values[1:] != 0)), strict=True)))
            yield Finding(
                "stuck sensor",
                "serious" if found > 72 else "warning" if found > 24 else "remark",
                name,
                f"{name} stays at {values[begin]:.4g} for {found:.0f} hours from "
                f"{stamp(record.time[begin])} ({total} steps in all repeat the one before); set "
                "them to missing",
                record.time[begin],
                found,
            )
    if record.has("Wind"):
        begin, length = longest_run(record.where_measured("Wind") == 0)
        found = length * record.step_seconds / 3600.0
        if found > _CALM_HOURS:
            yield Finding(
                "stuck sensor",
                "warning",
                "Wind",
                f"Wind is exactly 0 for {found:.0f} hours from {stamp(record.time[begin])}: an "
                "iced or broken anemometer",
                record.time[begin],
                found,
            )


def straight_lines(record: Record) -> Iterator[Finding]:
    """Long gaps that were bridged by a line and called measured."""
    for name in ("Tair", "Qair", "Wind", "Qle", "Qh"):
        if not record.has(name):
            continue
        values = record.where_measured(name)
        slope = np.diff(values)
        scale = np.nanstd(slope)
        even = (np.abs(np.diff(slope)) <= 1e-5 * scale) & (np.abs(slope[1:]) > 1e-4 * scale)
        begin, length = longest_run(even)
        found = (length + 2) * record.step_seconds / 3600.0
        if length and found > _LINE_HOURS:
            yield Finding(
                "straight line",
                "warning",
                name,
                f"{name} follows a straight line for {found:.0f} hours from "
                f"{stamp(record.time[begin])}: interpolated, not measured",
                record.time[begin],
                found,
            )


def copied_days(record: Record) -> Iterator[Finding]:
    """Days that repeat another one, of the same variables, to the last digit."""
    tables = {
        name: record.by_day(record.where_measured(name))
        for name in ("Tair", "SWdown", "Wind", "Qle", "Qh")
        if record.has(name)
    }
    pairs: dict[tuple[int, int], list[str]] = {}
    for name, table in tables.items():
        seen: dict[bytes, int] = {}
        for day in np.flatnonzero(np.isfinite(table).all(axis=1)).tolist():
            row = table[day]
            if np.unique(row).size < row.size // 3:
                continue
            first = seen.setdefault(row.tobytes(), day)
            if first != day:
                pairs.setdefault((first, day), []).append(name)
    copies = sorted((b, a, names) for (a, b), names in pairs.items() if len(names) > 1)
    if copies:
        day, of, names = copies[0]
        yield Finding(
            "copied day",
            "serious" if len(copies) > 3 else "warning",
            ", ".join(names),
            f"{len(copies)} days repeat another one; {record.days[day]} is {record.days[of]} again "
            f"in {', '.join(names)}; remove the copies",
            record.days[day],
            float(len(copies)),
        )
