"""Model output in PLUMBER2's form, one file a tower, for modelevaluation.org.

ALMA names and units at the steps of the tower's record, local standard time, stamped at the start
of the interval, dims (time, y, x).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr

from mdpl import __version__
from mdpl.errors import RunError
from mdpl.exports.opened import Opened, open_finished
from mdpl.files import writing
from mdpl.learnt import exactly
from mdpl.lsm.offers import name_of
from mdpl.progress import Progress
from mdpl.sites.plumber2 import MISSING
from mdpl.sites.qc import stamp
from mdpl.sites.site import Site

OUTPUTS = (
    "Qle", "Qh", "NEE", "GPP", "Reco", "Rnet", "Qg", "SWup", "LWup", "TVeg", "ESoil", "ECanop",
    "SubSnow", "Qs", "Qsb", "AvgSurfT", "SWE", "SoilMoist", "SoilTemp",
)  # fmt: skip
"""Those that the land model has are written."""

Model = Literal["default", "mdpl"]


def export(path: Path, out: Path, progress: Progress, *, model: Model = "mdpl") -> list[Path]:
    """Write the output of one model at every tower of a finished run that has it.

    Args:
        model: ``default`` or learnt (``mdpl``) parameters.

    Raises:
        RunError: the run is not finished, or the folder cannot be written.
    """
    run = open_finished(path)
    chosen = [s for s in run.job.sites if model == "default" or s.code in run.learnt]
    files = []
    with progress.task("ALMA files", len(chosen)) as task:
        for site in chosen:
            files.append(_write(run, site, model, out))
            task.advance(1)
    return files


def _write(run: Opened, site: Site, model: Model, out: Path) -> Path:
    simulated = run.simulation(site, model, OUTPUTS)
    if not np.array_equal(simulated["time"].values, site.time):
        raise RunError(
            f"{run.folder.path}: the {model} run of {site.code} is not on the tower's time axis; "
            "give 'mdpl evaluate' again"
        )
    first, last = site.time[[0, -1]].astype("datetime64[Y]").astype(str)
    name = f"{name_of(run.job.model)}-{model}_{site.code}_{first}-{last}.nc"
    temporary = out / f".{name}.part"
    with writing(out / name):
        out.mkdir(parents=True, exist_ok=True)
        with netCDF4.Dataset(temporary, "w", format="NETCDF4") as file:
            _axes(file, site, simulated)
            for output in (o for o in OUTPUTS if o in simulated):
                _series(file, output, simulated[output])
            values = pd.Series(run.values(site, model), index=run.job.model.parameters.names)
            file.setncatts(
                {
                    "title": f"{name_of(run.job.model)} at {site.code}, {model} parameters",
                    "Conventions": "CF-1.6, ALMA",
                    "source": f"MdPL {__version__}",
                    "site_code": site.code,
                    "model": name_of(run.job.model),
                    "parameters": exactly(values),
                    "parameters_learnt_from": f"{', '.join(run.job.config.tasks)}, "
                    f"{run.job.config.sites.flux} fluxes"
                    if model == "mdpl"
                    else "nothing: defaults",
                }
            )
        temporary.replace(out / name)
    return out / name


def _axes(file: netCDF4.Dataset, site: Site, simulated: xr.Dataset) -> None:
    for name, size in (("time", site.time.size), ("y", 1), ("x", 1)):
        file.createDimension(name, size)
    axis = file.createVariable("time", "f8", ("time",), zlib=True)
    axis.units = f"seconds since {stamp(site.time[0])}"
    axis.calendar = "standard"
    axis.long_name = "start of the interval, local standard time"
    axis[:] = np.arange(site.time.size) * float(site.step_seconds)
    for name, units in (("latitude", "degrees_north"), ("longitude", "degrees_east")):
        place = file.createVariable(name, "f8", ("y", "x"), fill_value=MISSING)
        place.units = units
        place.standard_name = name
        place[:] = float(site.attributes[name])
    if "layer" in simulated.dims:
        file.createDimension("layer", simulated.sizes["layer"])
        thickness = file.createVariable("layer_thickness", "f8", ("layer",))
        thickness.units = "m"
        thickness[:] = simulated["layer_thickness"].values


def _series(file: netCDF4.Dataset, name: str, series: xr.DataArray) -> None:
    """One output, (time, y, x) or (time, layer, y, x)."""
    dims = ("time", "layer") if "layer" in series.dims else ("time",)
    values = np.asarray(series.transpose(*dims).values, dtype=float)
    variable = file.createVariable(
        name, "f4", (*dims, "y", "x"), zlib=True, complevel=4, fill_value=np.float32(MISSING)
    )
    variable.units = str(series.attrs["units"])
    variable.long_name = str(series.attrs.get("long_name", name))
    variable[:] = np.where(np.isfinite(values), values, MISSING)[..., None, None]
