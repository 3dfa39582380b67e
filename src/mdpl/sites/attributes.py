"""What is known of a tower's place: land cover, heights, and the climate of its forcing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from mdpl.errors import SiteError
from mdpl.sites.site import Site

LAND_COVER = {
    "EBF": 1,
    "DBF": 2,
    "MF": 3,
    "ENF": 4,
    "DNF": 5,
    "WSA": 6,
    "SAV": 6,
    "CSH": 7,
    "OSH": 7,
    "BSV": 7,
    "GRA": 9,
    "CRO": 9,
    "CVM": 9,
    "WET": 9,
}
"""IGBP short name -> SiB2/MATSIRO land-cover class.

Forests have classes of their own (1 broadleaf evergreen, 2 broadleaf deciduous, 3 mixed,
4 needleleaf evergreen, 5 needleleaf deciduous). Savannas, woody or not, are class 6 (short
vegetation with a C4 understorey: it covers most of the ground). Closed and open shrublands and
barren ground are class 7 (shrubs with bare soil between). Grasslands, croplands, mosaics of
crops and permanent wetlands are class 9 (C3 herbs): the grass towers of the mid-latitudes are
mostly cool-season C3. Class 8 (tundra) has no IGBP class of its own. A maize or a warm-season
grass tower is C4 and badly served by this table; calibration has to make up for it.
"""

CANOPY_HEIGHT = {
    "EBF": 25.0,
    "DBF": 21.0,
    "MF": 21.0,
    "ENF": 15.0,
    "DNF": 15.0,
    "WSA": 9.5,
    "SAV": 10.0,
    "CSH": 1.6,
    "OSH": 0.75,
    "BSV": 0.2,
    "GRA": 0.5,
    "CRO": 1.0,
    "CVM": 1.0,
    "WET": 1.0,
}
"""Fallback canopy height, m: about the median of the class over the 170 PLUMBER2 towers."""

GENERATOR_ATTRIBUTES = (
    "elevation",
    "canopy_height",
    "Tair_mean",
    "Tair_range",
    "Precip_annual",
    "SWdown_mean",
    "VPD_mean",
    "Wind_mean",
    "Qair_mean",
    "aridity",
    "snow_fraction",
    "LAI_mean",
    "LAI_max",
    "LAI_min",
)
"""The numbers a parameter generator sees, in this order.

Properties of the vegetation and the climate only: longitude, latitude and instrument height name
a tower rather than describe it, and would be learnt by heart.
"""

SOIL_ATTRIBUTES = frozenset({"sand", "silt", "clay", "bulk_density", "soil_carbon", "soil_depth"})

SKEWED = frozenset({"canopy_height", "Precip_annual", "VPD_mean", "aridity", "LAI_mean", "LAI_max"})
"""Positive attributes whose differences count by ratio: a generator sees their logarithm."""

_SECONDS_A_YEAR = 365.2425 * 86400.0
_SIGMA = 5.670374e-8
_FREEZING = 273.15
_ALBEDO = 0.23
_LARGEST_ARIDITY = 10.0
_SNOW_BELOW = _FREEZING + 1.0


def land_cover(igbp: str) -> int:
    """Land-cover class, 1-9, of an IGBP short name.

    Raises:
        SiteError: a class without vegetation, or no IGBP class.
    """
    if igbp not in LAND_COVER:
        raise SiteError(
            f"IGBP class {igbp!r} has no land-cover class; expected one of "
            f"{', '.join(sorted(LAND_COVER))}; correct IGBP_veg_short or leave the tower out"
        )
    return LAND_COVER[igbp]


def instrument_height(canopy_height: float) -> float:
    """A plausible height of the instruments above a canopy, m: half as high again, at least 2 m."""
    return max(canopy_height + 2.0, 1.5 * canopy_height)


def saturation_vapour_pressure(temperature: np.ndarray) -> np.ndarray:
    """Over water, hPa, from K (Bolton 1980, his eq. 10)."""
    celsius = temperature - _FREEZING
    return 6.112 * np.exp(17.67 * celsius / (celsius + 243.5))


def vapour_pressure(specific_humidity: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """hPa, from kg kg-1 and Pa."""
    return 0.01 * pressure * specific_humidity / (0.622 + 0.378 * specific_humidity)


def specific_humidity(vapour_pressure_hpa: np.ndarray, pressure: np.ndarray) -> np.ndarray:
    """kg kg-1, from hPa and Pa."""
    vapour = 100.0 * vapour_pressure_hpa
    return 0.622 * vapour / (pressure - 0.378 * vapour)


def vapour_pressure_deficit(forcing: xr.Dataset) -> np.ndarray:
    """VPD, hPa, not below 0, shape (time,), from Tair, Qair and Psurf."""
    deficit = saturation_vapour_pressure(forcing["Tair"].values) - vapour_pressure(
        forcing["Qair"].values, forcing["Psurf"].values
    )
    return np.maximum(deficit, 0.0)


def describe(forcing: xr.Dataset, place: Mapping[str, float | str]) -> dict[str, float | str]:
    """All attributes of a tower.

    Args:
        forcing: as in `Site`.
        place: what the files say: latitude, longitude, elevation, igbp, utc_offset, and where
            known canopy_height and reference_height (m).

    Returns:
        ``place`` completed with ``land_cover``, heights (``canopy_height_source`` and
        ``reference_height_source`` say ``file`` or why not), and the statistics of `climate`.
    """
    return {
        **place,
        "land_cover": land_cover(str(place["igbp"])),
        **_heights(place),
        **climate(forcing),
    }


def climate(forcing: xr.Dataset) -> dict[str, float]:
    """Climate and leaf area of a record, from its forcing.

    Means are over the whole record, so of a part of a year they are that part's.

    - ``Tair_mean`` K; ``Tair_range`` K: warmest minus coldest calendar month;
    - ``Precip_annual`` mm a year: mean rate times the length of a year;
    - ``SWdown_mean`` W m-2, ``VPD_mean`` hPa, ``Wind_mean`` m s-1, ``Qair_mean`` kg kg-1;
    - ``aridity``: see `aridity`;
    - ``snow_fraction``: share of the precipitation that falls below 1 degree Celsius, the mean
      50 % rain-snow threshold of Jennings et al. (2018, doi:10.1038/s41467-018-03629-7);
    - ``LAI_mean``, ``LAI_max``, ``LAI_min``;
    - ``years``: length of the record.
    """
    time = forcing["time"].values
    temperature, rain, leaf = (forcing[name].values for name in ("Tair", "Precip", "LAI"))
    months = time.astype("datetime64[M]").astype(int) % 12
    by_month = [temperature[months == m].mean() for m in np.unique(months)]
    step = (time[1] - time[0]) / np.timedelta64(1, "s")
    fallen = rain.sum()
    return {
        "Tair_mean": float(temperature.mean()),
        "Tair_range": float(max(by_month) - min(by_month)),
        "Precip_annual": float(rain.mean() * _SECONDS_A_YEAR),
        "SWdown_mean": float(forcing["SWdown"].values.mean()),
        "VPD_mean": float(vapour_pressure_deficit(forcing).mean()),
        "Wind_mean": float(forcing["Wind"].values.mean()),
        "Qair_mean": float(forcing["Qair"].values.mean()),
        "aridity": aridity(forcing),
        "snow_fraction": float(rain[temperature < _SNOW_BELOW].sum() / fallen) if fallen else 0.0,
        "LAI_mean": float(leaf.mean()),
        "LAI_max": float(leaf.max()),
        "LAI_min": float(leaf.min()),
        "years": float(time.size * step / _SECONDS_A_YEAR),
    }


def aridity(forcing: xr.Dataset) -> float:
    """Demand over supply of water: equilibrium evaporation over precipitation, at most 10.

    Equilibrium evaporation (Slatyer & McIlroy 1961) is s / (s + gamma) Rn / lambda, with the net
    radiation of a wet surface of albedo 0.23 at air temperature, Rn = (1 - 0.23) SWdown + LWdown
    - sigma Tair^4, averaged over the day before negative days are set to 0; s is the slope of
    saturation vapour pressure, gamma the psychrometric constant, lambda = 2.45e6 J kg-1.
    """
    t, p = forcing["Tair"].values, forcing["Psurf"].values
    net = (1 - _ALBEDO) * forcing["SWdown"].values + forcing["LWdown"].values - _SIGMA * t**4
    celsius = t - _FREEZING
    slope = 17.67 * 243.5 / (celsius + 243.5) ** 2 * saturation_vapour_pressure(t)
    gamma = 0.01 * p * 1004.0 / (0.622 * 2.45e6)
    rate = slope / (slope + gamma) * net / 2.45e6
    day = forcing["time"].values.astype("datetime64[D]").astype(int)
    _, index = np.unique(day, return_inverse=True)
    daily = np.maximum(np.bincount(index, rate), 0.0)
    fallen = forcing["Precip"].values.sum()
    return float(min(daily.sum() / fallen, _LARGEST_ARIDITY)) if fallen else _LARGEST_ARIDITY


def numeric(site: Site) -> dict[str, float]:
    """The numbers of a tower a generator sees, in the order of `GENERATOR_ATTRIBUTES`.

    Soil and vegetation fractions of a user's tables follow (see
    `mdpl.sites.attribute_tables.with_attributes`, which gives all towers the same).
    """
    more = sorted(n for n in site.attributes if n in SOIL_ATTRIBUTES or n.startswith("pft_"))
    return {name: float(site.attributes[name]) for name in (*GENERATOR_ATTRIBUTES, *more)}


def _heights(place: Mapping[str, float | str]) -> dict[str, float | str]:
    canopy, canopy_source = float(place.get("canopy_height", np.nan)), "file"
    if not canopy > 0:
        canopy, canopy_source = CANOPY_HEIGHT[str(place["igbp"])], "typical of the IGBP class"
    reference, source = float(place.get("reference_height", np.nan)), "file"
    if not reference > canopy:
        said = "the file has none" if np.isnan(reference) else f"the file says {reference:g} m"
        reference, source = instrument_height(canopy), f"from the canopy height; {said}"
    return {
        "canopy_height": canopy,
        "canopy_height_source": canopy_source,
        "reference_height": reference,
        "reference_height_source": source,
    }
