"""Writes tower records in PLUMBER2 form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np

from mdpl.sites.plumber2 import MISSING
from mdpl.sites.qc import stamp
from mdpl.sites.site import Site, unit_of


def write_pair(
    site: Site,
    folder: Path,
    network: str = "MdPL",
    *,
    forcing_qc: Mapping[str, np.ndarray] | None = None,
    notes: Mapping[str, str] | None = None,
    dtype: str = "f8",
) -> tuple[Path, Path]:
    """Write a tower in PLUMBER2 form; `mdpl.sites.plumber2.read_pair` gives it back.

    Args:
        folder: existing folder; files are named ``<CODE>_<first year>-<last year>_<network>``.
        forcing_qc: name -> flags, shape (time,), 0 = measured.
        notes: global attributes, such as a licence or a reference.
        dtype: ``f8`` loses nothing; ``f4`` is what PLUMBER2 itself has.

    Returns:
        paths of the met and the flux file.
    """
    years = site.time[[0, -1]].astype("datetime64[Y]").astype(str)
    stem = f"{site.code}_{years[0]}-{years[1]}_{network}"
    met, flux = Path(folder) / f"{stem}_Met.nc", Path(folder) / f"{stem}_Flux.nc"
    forcing = {str(n): v.values for n, v in site.forcing.data_vars.items()}
    flags = {f"{name}_qc": values for name, values in (forcing_qc or {}).items()}
    observed = {str(n): v.values for n, v in site.fluxes.data_vars.items()}
    _write(met, site, {**forcing, **flags}, notes or {}, dtype)
    _write(flux, site, observed, notes or {}, dtype)
    return met, flux


def _write(
    path: Path, site: Site, series: Mapping[str, np.ndarray], notes: Mapping[str, str], dtype: str
) -> None:
    with netCDF4.Dataset(path, "w", format="NETCDF4") as nc:
        for name, length in (("time", site.time.size), ("y", 1), ("x", 1)):
            nc.createDimension(name, length)
        time = nc.createVariable("time", "f8", ("time",), zlib=True)
        time.units = f"seconds since {stamp(site.time[0])}"
        time.calendar = "standard"
        time.long_name = "start of the interval, local standard time"
        time[:] = np.arange(site.time.size) * float(site.step_seconds)
        for name, values in series.items():
            variable = nc.createVariable(
                name,
                "i2" if name.endswith("_qc") else dtype,
                ("time", "y", "x"),
                zlib=True,
                complevel=9,
                fill_value=-9999,
            )
            variable.units = unit_of(name)
            variable[:] = np.where(np.isfinite(values), values, MISSING).reshape(-1, 1, 1)
        for name in ("latitude", "longitude", "elevation", "reference_height", "canopy_height"):
            nc.createVariable(name, "f8", ("y", "x"))[:] = float(site.attributes[name])
        nc.createVariable("IGBP_veg_short", str, ())[...] = site.pft
        nc.site_code = site.code
        nc.utc_offset = float(site.attributes["utc_offset"])
        nc.Conventions = "CF-1.6"
        for key, text in notes.items():
            nc.setncattr(key, text)
