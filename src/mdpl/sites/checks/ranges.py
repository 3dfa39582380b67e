"""Values no place on Earth has, and units that were not converted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.checks.finding import Finding
from mdpl.sites.qc import FLUX_RANGES, PHYSICAL_RANGES, advice, check_unit, stamp
from mdpl.sites.record import Record
from mdpl.sites.site import FORCING, UNITS

_STANDARD_PRESSURE = 101325.0
_WETTEST = 13000.0
"""Annual precipitation of the wettest places on Earth, mm."""


def stated_units(record: Record) -> Iterator[Finding]:
    """The ``units`` the files claim."""
    for name, unit in record.stated_units.items():
        base = name.removesuffix("_uc").removesuffix("_cor")
        if base not in UNITS:
            continue
        try:
            check_unit(base, unit, record.code)
        except SiteError as error:
            yield Finding("units", "fatal", name, str(error))


def left_in(record: Record) -> Iterator[Finding]:
    """Missing-value marks, such as -9999, that were taken for values or even converted."""
    for name in (*FORCING, *FLUX_RANGES):
        if name not in record.series:
            continue
        values = record.series[name]
        lower = PHYSICAL_RANGES[name].lower if name in FORCING else FLUX_RANGES[name][0]
        low = values[values < min(lower, 0.0) * 1.01 - 1e-9]
        if low.size < 3:
            continue
        mark, count = np.unique(np.round(low, 6), return_counts=True)
        if count.max() >= 0.5 * low.size and count.max() >= 3:
            found = float(mark[np.argmax(count)])
            at = int(np.argmax(np.isclose(values, found, atol=1e-5)))
            yield Finding(
                "missing value left in",
                "fatal",
                name,
                f"{name} is {found:g} {UNITS[name]} at {count.max()} steps, the first "
                f"{stamp(record.time[at])}: a mark of missing values (-9999) was taken for a "
                "value; set it to missing",
                record.time[at],
                found,
            )


def ranges(record: Record) -> Iterator[Finding]:
    """Physical ranges, and what unit the values betray."""
    for name in FORCING:
        if not record.has(name):
            continue
        limits = PHYSICAL_RANGES[name]
        values = record.series[name]
        good = values[np.isfinite(values)]
        outside = (values < limits.lower) | (values > limits.upper)
        if outside.any():
            first = int(np.argmax(outside))
            yield Finding(
                "range",
                "fatal",
                name,
                f"{name}: expected {limits.lower:g} to {limits.upper:g} {UNITS[name]}, found "
                f"{outside.sum()} values outside, the first {values[first]:g} at "
                f"{stamp(record.time[first])}; {advice(limits, good)}",
                record.time[first],
                float(values[first]),
            )
    for name, (lower, upper) in FLUX_RANGES.items():
        if not record.has(name):
            continue
        values = record.series[name]
        outside = (values < lower) | (values > upper)
        if outside.any():
            first = int(np.argmax(outside))
            yield Finding(
                "range",
                "serious",
                name,
                f"{name}: expected {lower:g} to {upper:g} {UNITS[name]}, found {outside.sum()} "
                f"values outside, the first {values[first]:g} at {stamp(record.time[first])}; "
                "set spikes to missing, or convert the unit",
                record.time[first],
                float(values[first]),
            )


def carbon_units(record: Record) -> Iterator[Finding]:
    """Carbon fluxes far too small or too large to be umol m-2 s-1."""
    for name in ("NEE", "GPP"):
        if not record.has(name):
            continue
        seen = record.where_measured(name)
        seen = np.abs(seen[np.isfinite(seen)])
        if seen.size < 100:
            continue
        high = float(np.quantile(seen, 0.99))
        if high < 0.2:
            yield Finding(
                "units",
                "serious",
                name,
                f"99 % of {name} is below {high:.2g}: too small for umol m-2 s-1; g C m-2 s-1 "
                "would have to be divided by 12.01e-6, mg CO2 m-2 s-1 by 0.04401",
                value=high,
            )


def pressure_and_elevation(record: Record) -> Iterator[Finding]:
    """Mean pressure against that of the standard atmosphere at the tower's elevation."""
    if not record.has("Psurf") or "elevation" not in record.place:
        return
    elevation = float(record.place["elevation"])
    expected = _STANDARD_PRESSURE * (1 - 2.25577e-5 * elevation) ** 5.25588
    found = float(np.nanmean(record.series["Psurf"]))
    if abs(found / expected - 1) > 0.04 and 45000 < found < 110000:
        yield Finding(
            "pressure",
            "serious",
            "Psurf",
            f"mean Psurf is {found:.0f} Pa, the standard atmosphere has {expected:.0f} Pa at "
            f"{elevation:g} m; correct the pressure or the elevation",
            value=found,
        )


def precipitation_amount(record: Record) -> Iterator[Finding]:
    """Annual sums no gauge reports, and gauges that report nothing."""
    if not record.has("Precip"):
        return
    rate = record.series["Precip"]
    annual = float(np.nanmean(rate) * 365.2425 * 86400.0)
    if annual > _WETTEST:
        yield Finding(
            "precipitation",
            "fatal",
            "Precip",
            f"Precip adds up to {annual:,.0f} mm a year; expected kg m-2 s-1, these look like mm "
            f"a time step: divide by {record.step_seconds}",
            value=annual,
        )
    elif annual == 0 and record.years > 0.2:
        yield Finding(
            "precipitation",
            "serious",
            "Precip",
            "Precip is 0 throughout: the gauge did not work, or was not there",
            value=0.0,
        )
