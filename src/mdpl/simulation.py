"""One run of the land model at one tower, written as a file in ALMA form."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from mdpl.lsm.matsiro.model import Matsiro
from mdpl.runs import writing
from mdpl.sites.catalogue import open_sites


def simulate_to_file(
    code: str, folder: Path | None, values: Mapping[str, float], out: Path
) -> xr.Dataset:
    """Run the built-in land model and store everything it computes.

    Args:
        folder: of PLUMBER2 pairs; None = the towers that come with MdPL.
        values: parameters that differ from the tower's defaults, physical units.

    Raises:
        SiteError, ModelError, RunError: unknown tower or parameter, a value out of bounds, a
            file that cannot be written.
    """
    site = open_sites(folder, [code])[0]
    model = Matsiro()
    full = model.parameters.complete(
        tuple(values), np.array(list(values.values()), dtype=float), site.land_cover
    )
    model.parameters.check(full)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    dataset = model.simulate(site, full).isel(member=0)
    dataset.attrs["site"] = code
    for name, value in zip(model.parameters.names, full, strict=True):
        dataset.attrs[f"parameter_{name}"] = float(value)
    with writing(out):
        dataset.to_netcdf(out)
    return dataset
