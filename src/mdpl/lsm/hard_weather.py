"""Weather at the limits of what a tower may meet, and whether a land model withstands it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mdpl.errors import MdplError
from mdpl.lsm.examine import Check
from mdpl.lsm.model import LandModel
from mdpl.lsm.offers import failures
from mdpl.sites.attributes import (
    describe,
    instrument_height,
    saturation_vapour_pressure,
    specific_humidity,
)
from mdpl.sites.site import Site, dataset_of

LIMITS = {"Qle": (-500.0, 1500.0), "Qh": (-1000.0, 1000.0)}
"""W m-2: what no half-hour of any surface passes; beyond, a model has run away."""


@dataclass(frozen=True)
class Weather:
    """One kind of weather, with the vegetation that meets it.

    Attributes:
        Tair: mean, K; ``swing`` K up at 15 h and down at 3 h.
        humidity: relative, of the air as it is.
        SWdown: of a clear noon, W m-2; clouds take up to 70 % of it, hour by hour.
        LWdown: W m-2.
        Wind: m s-1.
        rain: mm an hour, rain or snow, in ``wet`` of all hours.
        LAI: m2 m-2.
    """

    igbp: str
    Tair: float
    swing: float = 5.0
    humidity: float = 0.6
    SWdown: float = 900.0
    LWdown: float = 330.0
    Wind: float = 3.0
    rain: float = 0.0
    wet: float = 0.0
    LAI: float = 3.0
    canopy_height: float = 1.0


HARD = {
    "polar-night": Weather("OSH", 243.0, 8.0, 0.8, 0.0, 150.0, rain=0.5, wet=0.1, LAI=0.5),
    "snow-at-233-K": Weather("ENF", 233.0, 5.0, 0.7, 500.0, 160.0, rain=1.0, wet=0.2),
    "thaw-and-frost": Weather("GRA", 273.0, 9.0, 0.9, 600.0, 290.0, rain=4.0, wet=0.2, LAI=1.0),
    "desert": Weather("OSH", 308.0, 12.0, 0.1, 1100.0, 380.0, LAI=0.1, canopy_height=0.5),
    "dense-leaves-at-318-K": Weather("EBF", 318.0, 5.0, 0.15, 1000.0, 430.0, LAI=8.0),
    "monsoon": Weather("EBF", 301.0, 3.0, 0.95, 900.0, 430.0, rain=30.0, wet=0.4, LAI=8.0),
    "rain-of-200-mm-an-hour": Weather("CRO", 296.0, 3.0, 0.98, 300.0, 410.0, rain=200.0, wet=0.3),
    "no-wind": Weather("GRA", 288.0, 8.0, 0.7, Wind=0.0, rain=2.0, wet=0.05),
    "storm-on-wet-leaves": Weather("ENF", 283.0, 2.0, 0.9, Wind=20.0, rain=5.0, wet=0.5, LAI=6.0),
    "no-leaves": Weather("GRA", 293.0, rain=3.0, wet=0.1, LAI=0.0),
    "saturated-soil": Weather("GRA", 286.0, 2.0, 1.0, 150.0, 370.0, rain=2.0, wet=1.0),
    "bone-dry-soil": Weather("GRA", 303.0, 10.0, 0.2, 1000.0, 360.0, LAI=2.0),
}  # fmt: skip
"""Code of its record -> the weather."""


def record(name: str, days: int = 20, seed: int = 0) -> Site:
    """A tower's half-hourly record of one kind of `HARD`, its fluxes unknown.

    The sun of an equinox on the equator, but for SWdown 0; forcing is the same for the same seed.
    """
    weather = HARD[name]
    rng = np.random.default_rng(seed)
    hour = np.arange(48 * days) / 2.0
    time = np.datetime64("2001-03-21T00:00") + np.arange(hour.size) * np.timedelta64(30, "m")
    by_hour = np.repeat(rng.random((2, 24 * days)), 2, axis=1)
    sun = np.clip(np.sin(np.pi * (hour % 24 + 0.25 - 6.0) / 12.0), 0.0, None)
    tair = weather.Tair + weather.swing * np.cos(np.pi * (hour - 15.0) / 12.0)
    series = {
        "SWdown": weather.SWdown * sun * (0.3 + 0.7 * by_hour[0]),
        "LWdown": np.full(hour.size, weather.LWdown),
        "Tair": tair,
        "Qair": specific_humidity(
            weather.humidity * saturation_vapour_pressure(tair), np.full(hour.size, 1e5)
        ),
        "Wind": np.full(hour.size, weather.Wind),
        "Psurf": np.full(hour.size, 1e5),
        "Precip": weather.rain / 3600.0 * (by_hour[1] < weather.wet),
        "CO2air": np.full(hour.size, 400.0),
        "LAI": np.full(hour.size, weather.LAI),
    }
    forcing = dataset_of(series, time)
    place: dict[str, float | str] = {
        "latitude": 0.0, "longitude": 0.0, "elevation": 100.0, "utc_offset": 0.0,
        "igbp": weather.igbp, "canopy_height": weather.canopy_height,
        "reference_height": instrument_height(weather.canopy_height),
    }  # fmt: skip
    unknown = np.full(hour.size, np.nan)
    fluxes = dataset_of({"Qle": unknown, "Qh": unknown}, time)
    return Site(name, forcing, fluxes, describe(forcing, place), {})


def withstand(model: LandModel, sets: int = 4, days: int = 20) -> Iterator[Check]:
    """Run a model through each of `HARD`, with its defaults and some random parameter sets.

    Args:
        sets: random parameter sets, from all of their bounds, beside the defaults.
        days: length of each record.

    Yields:
        for each whether no member failed, Qle and Qh are finite and within `LIMITS`; of a model
        that is run by hand, one answer that says it was not asked.
    """
    if hasattr(model, "ask"):
        yield Check("hard weather", None, "not asked: the runs of this model are made by hand")
        return
    unit = np.random.default_rng(0).random((sets, len(model.parameters)))
    for name in HARD:
        site = record(name, days)
        values = np.vstack(
            [model.parameters.defaults(site.attributes), model.parameters.from_unit(unit)]
        )
        try:
            run = model.simulate(site, values)
        except MdplError as error:
            yield Check(name, False, str(error))
        else:
            yield _judged(name, run)


def _judged(name: str, run: xr.Dataset) -> Check:
    if failed := [f"member {i}: {told}" for i, told in enumerate(failures(run)) if told]:
        return Check(name, False, "; ".join(failed))
    if absent := [flux for flux in LIMITS if flux not in run]:
        return Check(name, False, f"no {' and no '.join(absent)}")
    spans = []
    for flux, (low, high) in LIMITS.items():
        least, most = float(run[flux].min()), float(run[flux].max())
        spans.append(f"{flux} {least:.0f} to {most:.0f}")
        if not (np.isfinite(run[flux].values).all() and low <= least and most <= high):
            said = f"{flux} from {least:.4g} to {most:.4g} W m-2, expected {low:g} to {high:g}"
            return Check(name, False, said)
    return Check(name, True, f"{', '.join(spans)} W m-2")
