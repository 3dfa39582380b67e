"""Virtual towers: a real record's weather under another climate and vegetation.

A virtual tower's fluxes come from a land model with parameters we choose, plus the noise a real
tower has, so that what calibration should find is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.stats import qmc

from mdpl.errors import SiteError
from mdpl.sites.attributes import (
    describe,
    instrument_height,
    saturation_vapour_pressure,
    specific_humidity,
    vapour_pressure,
)
from mdpl.sites.qc import measured
from mdpl.sites.site import UNITS, Site


@dataclass(frozen=True)
class VirtualClimate:
    """How a virtual tower differs from the record it is made of.

    Attributes:
        igbp: IGBP short name of its vegetation.
        canopy_height: m.
        LAI_min, LAI_max: m2 m-2; the course in between is the record's own.
        delta_Tair: K, added throughout at constant relative humidity.
        SWdown_factor, Precip_factor, Wind_factor: multiply the record.
        CO2air: mean, ppm; the course around it is the record's own.
    """

    igbp: str
    canopy_height: float
    LAI_min: float
    LAI_max: float
    delta_Tair: float = 0.0
    SWdown_factor: float = 1.0
    Precip_factor: float = 1.0
    Wind_factor: float = 1.0
    CO2air: float = 400.0

    def __post_init__(self) -> None:
        if not 0 <= self.LAI_min <= self.LAI_max:
            raise SiteError(
                f"virtual climate: expected 0 <= LAI_min <= LAI_max, found {self.LAI_min:g} and "
                f"{self.LAI_max:g}; correct them"
            )


@dataclass(frozen=True)
class Vegetation:
    """Ranges a virtual tower's canopy is drawn from: lower and upper bound."""

    canopy_height: tuple[float, float]
    LAI_max: tuple[float, float]
    winter_share: tuple[float, float]


VEGETATION = {
    "ENF": Vegetation((8.0, 30.0), (2.5, 6.5), (0.8, 1.0)),
    "EBF": Vegetation((8.0, 30.0), (2.5, 6.5), (0.8, 1.0)),
    "DBF": Vegetation((10.0, 30.0), (3.0, 6.5), (0.08, 0.2)),
    "MF": Vegetation((10.0, 30.0), (3.0, 6.5), (0.4, 0.6)),
    "WSA": Vegetation((2.0, 8.0), (0.7, 2.5), (0.3, 0.7)),
    "OSH": Vegetation((0.4, 2.0), (0.4, 2.0), (0.3, 0.7)),
    "GRA": Vegetation((0.1, 0.8), (1.0, 4.0), (0.1, 0.4)),
    "CRO": Vegetation((0.3, 1.5), (2.0, 6.0), (0.05, 0.25)),
}
"""Canopies a virtual tower may have: rough spans of the PLUMBER2 towers of each class."""

CLIMATE_RANGES = {
    "delta_Tair": (-6.0, 6.0),
    "SWdown_factor": (0.85, 1.15),
    "Precip_factor": (0.5, 2.0),
    "Wind_factor": (0.7, 1.5),
    "CO2air": (370.0, 430.0),
}
"""Shifts a virtual tower is drawn from, uniformly; ``Precip_factor`` uniformly in its logarithm."""


@dataclass(frozen=True)
class FluxNoise:
    """Random error of an eddy-covariance flux F: double-exponential with sd = a + b |F|."""

    a: float
    b: float

    def sd(self, flux: np.ndarray) -> np.ndarray:
        """Standard deviation, W m-2, of each value of ``flux``."""
        return self.a + self.b * np.abs(flux)


TOWER_NOISE = {"Qle": FluxNoise(10.0, 0.18), "Qh": FluxNoise(12.0, 0.12)}
"""Form of Richardson et al. (2006, doi:10.1016/j.agrformet.2006.01.007): the error is
double-exponential and its sd grows linearly with the flux's magnitude. Our coefficients are
round numbers of the size they report, between forest and grassland, not a fit of theirs."""


def draw_climates(
    n: int, seed: int, classes: Sequence[str] = tuple(VEGETATION)
) -> tuple[VirtualClimate, ...]:
    """Draw virtual climates: a Latin hypercube over shifts and canopies, classes in turn.

    Args:
        n: how many.
        seed: the same seed gives the same climates.
        classes: IGBP short names out of `VEGETATION`; each comes up equally often, give or take
            one, in random order.

    Raises:
        SiteError: a class that `VEGETATION` does not know.
    """
    unknown = sorted(set(classes) - set(VEGETATION))
    if unknown or not classes:
        raise SiteError(
            f"virtual towers: expected classes out of {', '.join(VEGETATION)}, found "
            f"{', '.join(unknown) or 'none'}"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.resize(np.arange(len(classes)), n))
    unit = qmc.LatinHypercube(d=len(CLIMATE_RANGES) + 3, seed=rng).random(n)
    return tuple(_climate(classes[k], row) for k, row in zip(order, unit, strict=True))


def virtual_forcing(
    base: Site,
    code: str,
    climate: VirtualClimate,
    first_day: int = 0,
    days: int | None = None,
) -> Site:
    """The record of a tower under another climate and vegetation, its fluxes unknown (NaN).

    Humidity keeps its relative value; longwave radiation follows the temperature T and the
    vapour pressure e as clear-sky emission does, (e/T)^(1/7) T^4 (Brutsaert 1975,
    doi:10.1029/WR011i005p00742), cloudiness unchanged. Instruments stand at
    `mdpl.sites.attributes.instrument_height`. Attributes are those of the new forcing, over the
    part of the record that is kept.

    Args:
        base: tower whose weather is taken.
        code: of the new tower; no underscore, for it becomes part of file names.
        first_day, days: keep ``days`` days from this one on; None keeps all that follow.

    Raises:
        SiteError: the record does not have these days, or the code has an underscore.
    """
    if not code or "_" in code:
        raise SiteError(f"virtual tower: expected a code without underscore, found {code!r}")
    forcing = _days(base, first_day, days)
    changed = {
        **_warmed(forcing, climate.delta_Tair),
        "SWdown": forcing["SWdown"].values * climate.SWdown_factor,
        "Precip": forcing["Precip"].values * climate.Precip_factor,
        "Wind": forcing["Wind"].values * climate.Wind_factor,
        "CO2air": forcing["CO2air"].values + climate.CO2air - forcing["CO2air"].values.mean(),
        "LAI": _leaf_area(base, forcing, climate),
    }
    forcing = forcing.assign(
        {name: ("time", values, {"units": UNITS[name]}) for name, values in changed.items()}
    )
    unknown = np.full(forcing.sizes["time"], np.nan)
    place = {key: base.attributes[key] for key in ("latitude", "longitude", "elevation")}
    place |= {
        "utc_offset": base.attributes["utc_offset"],
        "igbp": climate.igbp,
        "canopy_height": climate.canopy_height,
        "reference_height": instrument_height(climate.canopy_height),
        "virtual_of": base.code,
    }
    return Site(
        code=code,
        forcing=forcing,
        fluxes=_fluxes(forcing["time"].values, {"Qle": unknown, "Qh": unknown}),
        attributes=describe(forcing, place),
        sources=base.sources,
    )


def observe(
    site: Site,
    simulation: xr.Dataset,
    *,
    noise_seed: int,
    missing_share: float = 0.2,
    noise: Mapping[str, FluxNoise] = TOWER_NOISE,
    mean_gap_hours: float = 12.0,
) -> Site:
    """Observe a simulation as a tower would: with random error and gaps.

    Args:
        site: the virtual tower that was simulated.
        simulation: dims ``(time,)`` on the site's axis, with the variables of ``noise``.
        noise_seed: the same seed gives the same observations.
        missing_share: share of the steps without any flux, exact to one step.
        noise: flux -> its random error.
        mean_gap_hours: gaps have exponentially distributed lengths with this mean.

    Returns:
        the site with these fluxes: qc 0 where observed, NaN (and qc NaN) in gaps.

    Raises:
        SiteError: a flux missing from the simulation or not finite, or another time axis.
    """
    if not 0 <= missing_share < 1:
        raise SiteError(
            f"{site.code}: expected missing_share from 0 to below 1, found {missing_share:g}"
        )
    rng = np.random.default_rng(noise_seed)
    gap = _gaps(site, missing_share, mean_gap_hours, rng)
    series = {}
    for name in noise:
        truth = _truth(site, simulation, name)
        error = rng.laplace(scale=noise[name].sd(truth) / np.sqrt(2.0))
        series[name] = np.where(gap, np.nan, truth + error)
        series[f"{name}_qc"] = np.where(gap, np.nan, 0.0)
    return replace(site, fluxes=_fluxes(site.time, series))


def noise_floor(site: Site, simulation: xr.Dataset) -> dict[str, float]:
    """RMSE, W m-2, of the observations against the truth they were made of, by flux.

    No model can be expected to score better at the native step. The floor at another resolution
    or in a period is the score of the true simulation there.
    """
    floor = {}
    for name in (str(n) for n in site.fluxes if not str(n).endswith(("_qc", "_uc"))):
        good = measured(site, name)
        if not good.any():
            raise SiteError(f"{site.code}: no observed {name}; call observe first")
        error = site.fluxes[name].values[good] - _truth(site, simulation, name)[good]
        floor[name] = float(np.sqrt(np.mean(error**2)))
    return floor


def _climate(igbp: str, unit: np.ndarray) -> VirtualClimate:
    shifts = {}
    for (name, (low, high)), u in zip(CLIMATE_RANGES.items(), unit, strict=False):
        in_log = name == "Precip_factor"
        shifts[name] = float(low * (high / low) ** u if in_log else low + u * (high - low))
    canopy = VEGETATION[igbp]
    height, leaf, share = (
        low + u * (high - low)
        for (low, high), u in zip(
            (canopy.canopy_height, canopy.LAI_max, canopy.winter_share), unit[-3:], strict=True
        )
    )
    return VirtualClimate(
        igbp=igbp,
        canopy_height=float(height),
        LAI_min=float(share * leaf),
        LAI_max=float(leaf),
        **shifts,
    )


def _days(base: Site, first_day: int, days: int | None) -> xr.Dataset:
    start = first_day * base.steps_per_day
    total = base.time.size
    stop = total if days is None else start + days * base.steps_per_day
    if first_day < 0 or stop > total or stop - start < base.steps_per_day:
        raise SiteError(
            f"{base.code}: expected at least one day within the record of "
            f"{total // base.steps_per_day} days, found first_day {first_day} and days {days}"
        )
    return base.forcing.isel(time=slice(start, stop))


def _warmed(forcing: xr.Dataset, delta: float) -> dict[str, np.ndarray]:
    """Tair, Qair and LWdown after warming by ``delta`` K at constant relative humidity."""
    cold, pressure = forcing["Tair"].values, forcing["Psurf"].values
    if delta == 0:
        return {name: forcing[name].values for name in ("Tair", "Qair", "LWdown")}
    warm = cold + delta
    growth = saturation_vapour_pressure(warm) / saturation_vapour_pressure(cold)
    vapour = vapour_pressure(forcing["Qair"].values, pressure)
    emission = (growth * cold / warm) ** (1 / 7) * (warm / cold) ** 4
    return {
        "Tair": warm,
        "Qair": specific_humidity(growth * vapour, pressure),
        "LWdown": forcing["LWdown"].values * emission,
    }


def _leaf_area(base: Site, forcing: xr.Dataset, climate: VirtualClimate) -> np.ndarray:
    """The record's seasonal course between the climate's bounds; its maximum if it has none."""
    low, high = float(base.forcing["LAI"].min()), float(base.forcing["LAI"].max())
    leaf = forcing["LAI"].values
    course = (leaf - low) / (high - low) if high > low else np.ones_like(leaf)
    return climate.LAI_min + course * (climate.LAI_max - climate.LAI_min)


def _gaps(site: Site, share: float, mean_gap_hours: float, rng: np.random.Generator) -> np.ndarray:
    """Blocks of missing steps, bool (time,), ``share`` of all to the step."""
    gap = np.zeros(site.time.size, dtype=bool)
    mean_steps = max(mean_gap_hours * 3600 / site.step_seconds, 1.0)
    wanted = round(share * gap.size)
    while (lacking := wanted - int(gap.sum())) > 0:
        start = int(rng.integers(gap.size))
        length = max(round(rng.exponential(mean_steps)), 1)
        gap[start : start + min(length, lacking)] = True
    return gap


def _truth(site: Site, simulation: xr.Dataset, name: str) -> np.ndarray:
    if name not in simulation:
        raise SiteError(
            f"{site.code}: expected {name} in the simulation; it has {list(simulation)}"
        )
    values = np.asarray(simulation[name].values, dtype=float)
    if values.shape != site.time.shape or not (simulation["time"].values == site.time).all():
        raise SiteError(
            f"{site.code}: expected a simulation on the site's {site.time.size} time steps, found "
            f"shape {values.shape}; select one member of the same record"
        )
    if not np.isfinite(values).all():
        raise SiteError(
            f"{site.code}: expected a simulation without gaps, found "
            f"{int((~np.isfinite(values)).sum())} values of {name} that are not finite"
        )
    return values


def _fluxes(time: np.ndarray, series: Mapping[str, np.ndarray]) -> xr.Dataset:
    return xr.Dataset(
        {name: ("time", v, {"units": UNITS.get(name, "1")}) for name, v in series.items()},
        coords={"time": ("time", time)},
    )
