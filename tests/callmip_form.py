"""Daily observations in CalLMIP's form, as its own files are laid out."""

from pathlib import Path

import netCDF4
import numpy as np

BEFORE = 10
"""Days that observation files of the tests of exports begin before the records."""

GRAMS = 12.0e-6 * 86400.0
"""g of carbon a day in one umol m-2 s-1, as CalLMIP's files have it."""


def write_daily(
    folder: Path, code: str, first: str, **fluxes: tuple[np.ndarray, np.ndarray]
) -> Path:
    """Daily means and standard deviations, (day,), in the units of the towers; NaN is missing."""
    size = len(next(iter(fluxes.values()))[0])
    year = first[:4]
    path = folder / f"{code}_daily_aggregated_{year}-{year}_FLUXNET2015_Flux.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_64BIT_OFFSET") as file:
        file.createDimension("time", size)
        file.site_code = code
        for name, pair in fluxes.items():
            factor = GRAMS if name == "NEE" else 1.0
            for part, values in zip(("", "_uc"), pair, strict=True):
                variable = file.createVariable(
                    f"{name}{part}_daily", "f4", ("time",), fill_value=np.float32(1e20)
                )
                variable.units = "gC/m2/d" if name == "NEE" else "W/m2"
                variable[:] = np.where(np.isfinite(values), factor * values, 1e20)
        time = file.createVariable("time", "f8", ("time",))
        time.units = f"seconds since {first} 00:00:00"
        time.calendar = "standard"
        time[:] = np.arange(size) * 86400.0
    return path
