"""One run of the land model at one tower, written as a file in ALMA form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import ModelError
from mdpl.files import writing
from mdpl.lsm.matsiro import restart
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.model import LandModel
from mdpl.lsm.offers import name_of, outputs_of, simulate_each
from mdpl.sites.catalogue import open_sites


def simulate_to_file(
    code: str,
    folder: Path | None,
    values: Mapping[str, float],
    out: Path,
    *,
    model: LandModel | None = None,
    start: Path | None = None,
    end: Path | None = None,
) -> xr.Dataset:
    """Run a land model and store everything it computes.

    Args:
        folder: of PLUMBER2 pairs; None = the towers that come with MdPL.
        values: parameters that differ from the tower's defaults, physical units.
        model: None = the built-in one.
        start: state of the built-in one to start from (see `mdpl.lsm.matsiro.restart`);
            None = spin-up.
        end: where to save the state at the end.

    Raises:
        SiteError, ModelError, RunError: unknown tower or parameter, a value out of bounds, a
            run that failed, states of another model, a file that cannot be written.
    """
    site = open_sites(folder, [code])[0]
    model = model or Matsiro()
    full = model.parameters.complete(
        tuple(values), np.array(list(values.values()), dtype=float), site.attributes
    )
    model.parameters.check(full)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    if start is None and end is None:
        dataset = next(iter(simulate_each(model, [site], [full], tuple(outputs_of(model)))))
    elif not isinstance(model, Matsiro):
        raise ModelError(f"states are saved and read for matsiro only, not for {name_of(model)}")
    else:
        state = model.spun_up(site, full) if start is None else restart.load(start, code)
        dataset, last = model.carry_on(site, full, state)
        if end is not None:
            with writing(end):
                restart.save(last, end, code)
    dataset.attrs |= {"site": code, "model": name_of(model)}
    for name, value in zip(model.parameters.names, full, strict=True):
        dataset.attrs[f"parameter_{name}"] = float(value)
    with writing(out):
        dataset.to_netcdf(out)
    return dataset


def assignments(texts: Sequence[str]) -> dict[str, float]:
    """Read ``NAME=VALUE`` texts.

    Raises:
        ModelError: a text of another form.
    """
    values = {}
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise ModelError(f"--set {text}: expected NAME=VALUE with a number, such as vmax=60")
    return values


def from_table(path: Path, code: str) -> dict[str, float]:
    """Parameters of one tower from a CSV table.

    Args:
        path: columns ``parameter`` and ``value``, and ``site`` if it is of several towers.

    Raises:
        ModelError: the file is missing, has other columns, or nothing for this tower.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a table of parameters (CSV); {error}") from error
    if not {"parameter", "value"} <= set(table.columns):
        raise ModelError(
            f"{path}: expected columns parameter and value, found {', '.join(table.columns)}"
        )
    if "site" in table:
        known = sorted(set(table["site"].astype(str)))
        table = table[table["site"] == code]
        if table.empty:
            raise ModelError(f"{path}: no parameters of tower {code}; there are {', '.join(known)}")
    values = pd.to_numeric(table["value"], errors="coerce")
    names = table["parameter"].astype(str)
    if values.isna().any() or names.duplicated().any():
        bad = names[values.isna() | names.duplicated()].iloc[0]
        raise ModelError(f"{path}: parameter {bad}: expected one number, in one row")
    return dict(zip(names, values.astype(float), strict=True))
