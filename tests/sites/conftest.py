"""A small valid tower record to break in one place at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from mdpl.sites.attributes import describe
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.site import UNITS, Site
from mdpl.sites.solar import cos_zenith

PLACE = {
    "latitude": 50.0,
    "longitude": 12.0,
    "elevation": 300.0,
    "utc_offset": 1.0,
    "igbp": "GRA",
    "canopy_height": 0.4,
    "reference_height": 3.0,
}


def made_up_site(
    code: str = "XX-Tst", days: int = 12, step: int = 1800, start: str = "2020-02-25", seed: int = 0
) -> Site:
    """A made-up tower over a leap day, with weather that has a diurnal cycle."""
    steps = days * 86400 // step
    time = np.datetime64(start, "ns") + np.arange(steps) * np.timedelta64(step, "s")
    rng = np.random.default_rng(seed)
    sun = cos_zenith(PLACE["latitude"], PLACE["longitude"], PLACE["utc_offset"], time, step)
    series = {
        "SWdown": 800.0 * sun,
        "LWdown": 300.0 + 20 * rng.random(steps),
        "Tair": 280.0 + 15 * sun + rng.random(steps),
        "Qair": 0.005 + 0.001 * rng.random(steps),
        "Wind": 1.0 + 3 * rng.random(steps),
        "Psurf": 97000.0 + 100 * rng.random(steps),
        "Precip": np.where(rng.random(steps) < 0.1, 3e-4, 0.0),
        "CO2air": np.full(steps, 410.0),
        "LAI": np.linspace(1.0, 2.0, steps),
    }
    fluxes = {"Qle": 200 * sun, "Qh": 150 * sun, "Rnet": 500 * sun - 50}
    flags = {"Qle_qc": (rng.random(steps) < 0.3) * 1.0, "Qh_qc": np.zeros(steps)}
    forcing, observed = (
        xr.Dataset(
            {n: ("time", v, {"units": UNITS.get(n, "1")}) for n, v in data.items()},
            coords={"time": ("time", time)},
        )
        for data in (series, {**fluxes, **flags})
    )
    return Site(code, forcing, observed, describe(forcing, PLACE), {})


@pytest.fixture
def make_site() -> Callable[..., Site]:
    return made_up_site


@pytest.fixture
def site() -> Site:
    return made_up_site()


@pytest.fixture
def pair(tmp_path: Path, site: Site) -> tuple[Path, Path]:
    return write_pair(site, tmp_path)


@pytest.fixture
def broken(pair: tuple[Path, Path]) -> Callable[..., tuple[Path, Path]]:
    """Apply a change to the open met (or flux) file of a valid pair."""

    def change(edit: Callable[[netCDF4.Dataset], object], which: str = "met") -> tuple[Path, Path]:
        with netCDF4.Dataset(pair[0] if which == "met" else pair[1], "a") as nc:
            edit(nc)
        return pair

    return change
