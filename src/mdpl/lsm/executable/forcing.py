"""Writes a tower's forcing, and the files made for it, in the form a program reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import netCDF4
import numpy as np

from mdpl.errors import ModelError
from mdpl.files import NETCDF
from mdpl.lsm.executable.adapter import Adapter, Driver, ForcingForm, MadeFile
from mdpl.lsm.executable.settings import Value, clock
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.site import Site

FREEZING = 273.15
_TYPES = {"float": "f4", "double": "f8", "int": "i4"}


def write_forcing(adapter: Adapter, site: Site, length: int, folder: Path) -> None:
    """Write the first ``length`` steps of a tower's forcing into a folder.

    Raises:
        ModelError: a file cannot be written.
    """
    form = adapter.forcing
    series = {name: _series(driver, site, length) for name, driver in form.variables.items()}
    time = clock(adapter, site)[:length]
    pad = (form.before, form.after)
    series = {name: np.pad(values, pad, mode="edge") for name, values in series.items()}
    steps = np.arange(-form.before, length + form.after) + (form.stamp == "end")
    time = time[0] + steps * np.timedelta64(site.step_seconds, "s")
    try:
        if form.form == "table":
            _table(form, series, time, _made(folder, form.file))
        elif form.form == "netcdf":
            _netcdf(form, series, time, _made(folder, form.file))
        else:
            for i, moment in enumerate(time):
                name = moment.astype(object).strftime(form.file)
                one = {key: values[i : i + 1] for key, values in series.items()}
                _netcdf(form, one, time[i : i + 1], _made(folder, name))
    except OSError as error:
        raise ModelError(f"{folder}: the forcing cannot be written ({error})") from error


def write_made(made: Mapping[str, MadeFile], values: Mapping[str, Value], folder: Path) -> None:
    """Write the NetCDF files that an adapter describes.

    Args:
        values: settings and what is known of the tower.
    """
    for name, plan in made.items():
        path = _made(folder, name)
        with NETCDF, netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
            for dim, size in plan.dims.items():
                file.createDimension(dim, None if dim in plan.unlimited else size)
            file.setncatts(plan.attributes)
            for label, entry in plan.variables.items():
                value = entry.constant if entry.value is None else values.get(entry.value)
                if value is None:
                    raise ModelError(
                        f"{name}: {label}: nothing called {entry.value!r}; known: "
                        f"{', '.join(sorted(values))}"
                    )
                variable = file.createVariable(label, _TYPES[entry.type], entry.dims)
                variable.setncatts(entry.attributes)
                shape = [plan.dims[dim] for dim in entry.dims]
                along = np.asarray(value)
                if along.ndim:  # a profile lies along the one dimension of its length
                    axis = shape.index(len(along))
                    along = along.reshape([-1 if i == axis else 1 for i in range(len(shape))])
                variable[...] = np.broadcast_to(along, shape)


def _series(driver: Driver, site: Site, length: int) -> np.ndarray:
    if driver.from_ is None:
        return np.full(length, float(driver.constant or 0.0))
    return driver.scale * _driver(driver.from_, site)[:length] + driver.offset


def _driver(name: str, site: Site) -> np.ndarray:
    forcing = site.forcing
    if name == "RH":
        pressure = vapour_pressure(forcing["Qair"].values, forcing["Psurf"].values)
        saturated = saturation_vapour_pressure(forcing["Tair"].values)
        return np.clip(100.0 * pressure / saturated, 0.0, 100.0)
    if name in {"Rainf", "Snowf"}:
        cold = forcing["Tair"].values < FREEZING
        return np.where(cold == (name == "Snowf"), forcing["Precip"].values, 0.0)
    return np.asarray(forcing[name].values, dtype=float)


def _netcdf(
    form: ForcingForm, series: Mapping[str, np.ndarray], time: np.ndarray, path: Path
) -> None:
    with NETCDF, netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for i, dim in enumerate(form.dims):
            file.createDimension(dim, None if i == 0 else 1)
        first = form.dims[0]
        if form.form == "netcdf":
            clock = file.createVariable(first, "f8", (first,))
            clock.units = f"seconds since {str(time[0]).replace('T', ' ')}"
            clock.calendar = "standard"
            clock[:] = (time - time[0]).astype(float)
        for name, values in series.items():
            variable = file.createVariable(name, "f4", form.dims)
            units = form.variables[name].units
            if units:
                variable.units = units
            variable[:] = values.reshape([-1] + [1] * (len(form.dims) - 1))


def _table(
    form: ForcingForm, series: Mapping[str, np.ndarray], time: np.ndarray, path: Path
) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if form.header:
            heads = [pattern.replace("%", "") for pattern in form.time]
            heads = [form.time_heading] if len(heads) == 1 else heads
            file.write(form.separator.join([*heads, *series]) + "\n")
        columns = list(series.values())
        for i, moment in enumerate(time):
            date = moment.astype(object)
            cells = [date.strftime(pattern) for pattern in form.time]
            cells += [f"{column[i]:.{form.decimals}g}" for column in columns]
            file.write(form.separator.join(cells) + "\n")


def _made(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
