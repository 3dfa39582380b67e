"""PLUMBER2 pairs as they are, for checking: flaws a run would be refused for are kept."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.plumber2 import place_of, series_of, sha256, time_numbers, time_origin, unreadable
from mdpl.sites.record import COMPANIONS, FLUXES, Record, on_axis, regular_axis
from mdpl.sites.site import FORCING

_MET = (*FORCING, "Rainf", "Snowf", "VPD", "RH")
_CORRECTED = ("Qle_cor", "Qh_cor")
_UNCERTAINTIES = ("Qle_uc", "Qh_uc", "NEE_uc", "Qle_cor_uc", "Qh_cor_uc")
_FLUX = (*FLUXES, *_CORRECTED, *_UNCERTAINTIES, "Ustar")


def read_record(met: Path, flux: Path) -> Record:
    """Read a pair leniently: units are not converted, ranges not judged, gaps not refused.

    Raises:
        SiteError: a file that cannot be read, no usable time axis, or no place.
    """
    met, flux = Path(met), Path(flux)
    parts = [_read(met, _MET), _read(flux, _FLUX)]
    stamps = parts[0][0]
    time, step = regular_axis(stamps, met.name)
    series: dict[str, np.ndarray] = {}
    flags: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}
    for own, values, stated, _ in parts:
        regular_axis(own, met.name)
        placed = {name: on_axis(own, v, time) for name, v in values.items()}
        flags |= {n.removesuffix("_qc"): v for n, v in placed.items() if n.endswith("_qc")}
        series |= {n: v for n, v in placed.items() if not n.endswith("_qc")}
        units |= stated
    if "Precip" not in series and "Rainf" in series:
        series["Precip"] = series["Rainf"] + series.get("Snowf", 0.0)
    for name in ("Rainf", "Snowf"):
        series.pop(name, None)
    return Record(
        code=met.name.split("_")[0],
        stamps=stamps,
        time=time,
        step_seconds=step,
        series=series,
        flags={n: v for n, v in flags.items() if n in series},
        stated_units=units,
        place=parts[0][3],
        sources={path.name: sha256(path) for path in (met, flux)},
    )


def _read(
    path: Path, names: tuple[str, ...]
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, str], dict[str, float | str]]:
    """Stamps, series, stated units and place of one file."""
    with unreadable(path), netCDF4.Dataset(path) as nc:
        if "time" not in nc.variables:
            raise SiteError(f"{path.name}: expected a variable time; found none")
        variable = nc.variables["time"]
        origin, seconds = time_origin(variable, path)
        raw = time_numbers(variable, seconds, path)
        whole = np.rint(raw * seconds / 60.0).astype("timedelta64[m]")
        present = [n for name in names for n in (name, f"{name}_qc") if n in nc.variables]
        values = {n: series_of(nc.variables[n], raw, path) for n in present}
        units = {
            n: str(nc.variables[n].units)
            for n in present
            if hasattr(nc.variables[n], "units") and not n.endswith("_qc") and n not in COMPANIONS
        }
        return origin + whole, values, units, place_of(nc)
