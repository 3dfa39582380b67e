"""Reads what a program wrote into the names and units of the contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd

from mdpl.files import NETCDF
from mdpl.lsm.executable.adapter import OutputForm, Variable

MISSING = 1e19
"""Magnitude from which a value stands for 'missing' in many a model's files."""


def read_outputs(
    form: OutputForm,
    folder: Path,
    time: np.ndarray,
    step_seconds: int,
    names: Sequence[str],
    beyond: int = 0,
) -> dict[str, np.ndarray] | str:
    """Series by name, (time,), or why they cannot be had.

    Args:
        time: start of each interval as the program counts, datetime64[s].
        names: which outputs of the contract.
        beyond: steps there may be after those of the record; more only where the file's own times
            say which is which.
    """
    paths = sorted(folder.glob(form.file))
    if not paths:
        return f"wrote no {form.file}"
    wanted = {name: form.variables[name] for name in names}
    read = _netcdf if form.form == "netcdf" else _table
    try:
        parts = [read(form, path, wanted) for path in paths]
    except (OSError, KeyError, IndexError, ValueError) as error:
        return f"{form.file} cannot be read: {error}"
    whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    stamps = whole.pop("", None)
    found = len(next(iter(whole.values()))) - form.skip
    if found < len(time) or (stamps is None and found > len(time) + beyond):
        advice = (
            "" if found < len(time) else "; set outputs.skip, or outputs.time to have it checked"
        )
        return (
            f"{form.file} holds {max(found, 0)} steps after the {form.skip} skipped, not "
            f"{len(time)}{advice}"
        )
    whole = {key: values[form.skip : form.skip + len(time)] for key, values in whole.items()}
    if stamps is not None:
        shift = np.timedelta64(step_seconds if form.stamp == "end" else 0, "s")
        off = stamps[form.skip : form.skip + len(time)] != time + shift
        if off.any():
            first = int(off.argmax())
            return (
                f"{form.file}: step {first} is of {stamps[form.skip + first]}, expected "
                f"{time[first] + shift}"
            )
    return whole


def _netcdf(form: OutputForm, path: Path, wanted: Mapping[str, Variable]) -> dict[str, np.ndarray]:
    with NETCDF, netCDF4.Dataset(path) as file:
        found = {
            name: _scaled(_one(file, str(entry.from_), entry.at), entry)
            for name, entry in wanted.items()
        }
        if form.time is not None:
            found[""] = _stamps(file.variables[form.time])
    return found


def _one(file: Any, name: str, at: Mapping[str, int]) -> np.ndarray:
    if name not in file.variables:
        raise KeyError(f"no variable {name}; there are {', '.join(file.variables)}")
    variable = file.variables[name]
    where = tuple(at.get(dim, slice(None)) for dim in variable.dimensions)
    values: np.ndarray = np.ma.filled(np.ma.asarray(variable[where], dtype=float), np.nan)
    flat = np.atleast_1d(values.squeeze())
    if flat.ndim != 1:
        raise ValueError(f"{name} has shape {values.shape}; choose with 'at' of its dimensions")
    return np.where(np.abs(flat) < MISSING, flat, np.nan)


def _scaled(values: np.ndarray, entry: Variable) -> np.ndarray:
    return entry.scale * values + entry.offset


def _stamps(variable: Any) -> np.ndarray:
    """Times of a file, numbers with units or texts such as 2001-01-31_12:00:00."""
    if variable.dtype.kind in "SU":
        rows = netCDF4.chartostring(variable[:]) if variable.ndim > 1 else variable[:]
        texts = [str(row).replace("_", "T") for row in np.atleast_1d(rows)]
        return np.array(texts, dtype="datetime64[s]")
    calendar = getattr(variable, "calendar", "standard")
    dates = netCDF4.num2date(variable[:], variable.units, calendar)
    seconds = [date.isoformat() for date in np.ravel(np.asarray(dates))]
    exact = np.array(seconds, dtype="datetime64[us]") + np.timedelta64(500, "ms")
    return exact.astype("datetime64[s]")


def _table(form: OutputForm, path: Path, wanted: Mapping[str, Variable]) -> dict[str, np.ndarray]:
    headed = any(isinstance(entry.from_, str) for entry in wanted.values())
    table = pd.read_csv(
        path,
        sep=form.separator or r"\s+",
        header=0 if headed else None,
        comment="#",
    )
    found = {}
    for name, entry in wanted.items():
        if entry.from_ not in table.columns:
            have = ", ".join(map(str, table.columns))
            raise KeyError(f"no column {entry.from_}; there are {have}")
        column = pd.to_numeric(table[entry.from_], errors="coerce").to_numpy(dtype=float)
        found[name] = _scaled(column, entry)
    if form.time is not None:
        texts = table[form.time].astype(str).str.replace("_", " ", regex=False)
        found[""] = pd.to_datetime(texts).to_numpy().astype("datetime64[s]")
    return found
