"""Humidity against itself: specific humidity, vapour pressure deficit and saturation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.checks.finding import Finding
from mdpl.sites.record import Record

_ENOUGH = 200


def humidity(record: Record) -> Iterator[Finding]:
    """VPD of the file against that of Tair, Qair and Psurf; air that is never dry."""
    if not record.has("Tair", "Qair", "Psurf"):
        return
    t, q, p = (record.series[n] for n in ("Tair", "Qair", "Psurf"))
    plausible = (t > 190) & (t < 335) & (q > 0) & (q < 0.06) & (p > 45000) & (p < 110000)
    if plausible.sum() < _ENOUGH:
        return
    saturated = saturation_vapour_pressure(np.where(plausible, t, 280.0))
    actual = vapour_pressure(np.where(plausible, q, 0.005), np.where(plausible, p, 1e5))
    relative = np.where(plausible, actual / saturated, np.nan)
    above = float(np.nanmean(relative > 1.1))
    if above > 0.02:
        yield Finding(
            "humidity",
            "serious",
            "Qair",
            f"the air is supersaturated by more than 10 % at {above:.1%} of the steps; check the "
            "units of Qair, Tair and Psurf and the formula Qair was computed by",
            value=above,
        )
    day = _daytime(record, plausible)
    if day.sum() > _ENOUGH and (dry := float(np.quantile(relative[day], 0.02))) > 0.85:
        yield Finding(
            "humidity",
            "serious",
            "Qair",
            f"in 98 % of the bright hours relative humidity is above {dry:.0%}: Qair was probably "
            "computed from a VPD in kPa taken for hPa",
            value=dry,
        )
    if record.has("VPD"):
        yield from _against_vpd(record, saturated - actual, plausible)


def _against_vpd(record: Record, deficit: np.ndarray, plausible: np.ndarray) -> Iterator[Finding]:
    stated = record.series["VPD"]
    both = plausible & np.isfinite(stated) & (deficit > 3.0)
    if both.sum() < _ENOUGH:
        return
    ratio = float(np.median(stated[both] / deficit[both]))
    meant = {"kPa": (0.05, 0.2), "Pa": (50.0, 200.0)}
    unit = next((u for u, (low, high) in meant.items() if low < ratio < high), None)
    if unit or not 0.7 < ratio < 1.4:
        advice = f"these look like {unit}" if unit else "one of Qair, Tair, Psurf and VPD is wrong"
        yield Finding(
            "humidity",
            "serious",
            "VPD",
            f"VPD is {ratio:.3g} times that of Tair, Qair and Psurf in hPa; {advice}",
            value=ratio,
        )


def _daytime(record: Record, plausible: np.ndarray) -> np.ndarray:
    if not record.has("SWdown"):
        return np.zeros_like(plausible)
    return plausible & (record.series["SWdown"] > 300.0)
