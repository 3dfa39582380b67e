"""From the units of the networks (degree C, kPa, hPa, mm a step) to those of ALMA."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdpl.sites.attributes import saturation_vapour_pressure, specific_humidity
from mdpl.sites.record import Record, on_axis, regular_axis

ZERO_CELSIUS = 273.15
_STANDARD_PRESSURE = 101325.0


@dataclass(frozen=True)
class Column:
    """Values and flags of a variable, shape (row,); no flags: measured where there is a value."""

    values: np.ndarray
    flag: np.ndarray | None = None


def record_of(
    code: str,
    stamps: np.ndarray,
    columns: Mapping[str, Column],
    paths: Sequence[Path],
    place: Mapping[str, float | str] | None = None,
    notes: tuple[str, ...] = (),
) -> Record:
    """A record from columns in network units.

    Args:
        columns: by our names; Tair in degree C, Psurf in kPa, VPD in hPa, RH in %, Precip in mm a
            time step, all else as in `mdpl.sites.record.RECORD_UNITS`. Qair may be missing: it is
            computed from RH or else VPD, with the saturation over water.

    Raises:
        SiteError: no usable time axis.
    """
    where = paths[0].name
    time, step = regular_axis(stamps, where)
    series = {n: on_axis(stamps, c.values, time) for n, c in columns.items()}
    flags = {
        n: on_axis(stamps, c.flag, time) if c.flag is not None else _as_there(series[n])
        for n, c in columns.items()
    }
    if "Tair" in series:
        series["Tair"] = series["Tair"] + ZERO_CELSIUS
    if "Psurf" in series:
        series["Psurf"] = series["Psurf"] * 1000.0
    if "Precip" in series:
        series["Precip"] = series["Precip"] / step
    if "SWdown" in series:
        # Radiometers show small negative values at night.
        series["SWdown"] = np.where(
            (series["SWdown"] < 0) & (series["SWdown"] > -15), 0.0, series["SWdown"]
        )
    if "Qair" not in series and "Tair" in series and {"RH", "VPD"} & set(series):
        series["Qair"], flags["Qair"] = _specific_humidity(series, flags)
    return Record(
        code=code,
        stamps=stamps,
        time=time,
        step_seconds=step,
        series={n: v for n, v in series.items() if np.isfinite(v).any()},
        flags={n: f for n, f in flags.items() if np.isfinite(series[n]).any() and "_uc" not in n},
        place=dict(place or {}),
        sources={p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in paths},
        notes=notes,
    )


def _as_there(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), 0.0, np.nan)


def _specific_humidity(
    series: Mapping[str, np.ndarray], flags: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Qair and its flag, the worse of those of temperature and humidity.

    Humidity hardly feels the pressure, so gaps of the pressure are bridged by its mean.
    """
    air = series["Tair"]
    saturated = saturation_vapour_pressure(air)
    there = {n: np.isfinite(series[n]).mean() for n in ("RH", "VPD") if n in series}
    source = max(there, key=lambda n: there[n])
    if source == "VPD":
        vapour = saturated - series["VPD"]
    else:
        vapour = np.clip(series["RH"], 1.0, 100.0) / 100.0 * saturated
    vapour = np.where(np.isfinite(vapour), np.maximum(vapour, 0.01 * saturated), np.nan)
    pressure = series.get("Psurf", np.full_like(air, np.nan))
    mean = np.nanmean(pressure) if np.isfinite(pressure).any() else _STANDARD_PRESSURE
    humidity = specific_humidity(vapour, np.where(np.isfinite(pressure), pressure, mean))
    return humidity, np.maximum(flags["Tair"], flags[source])
