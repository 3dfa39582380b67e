"""From a tower record to what the column is driven by (MATSIRO.md 2.2)."""

from __future__ import annotations

import numpy as np

from mdpl.lsm.matsiro.atmosphere import air_density
from mdpl.lsm.matsiro.constants import CP_AIR, GRAVITY, LAI_FLOOR, R_AIR, T_MELT, WIND_FLOOR
from mdpl.lsm.matsiro.state import Forcing
from mdpl.sites.site import Site
from mdpl.sites.solar import cos_zenith

SOLAR_CONSTANT = 1361.0  # W m-2
VISIBLE_DIRECT, VISIBLE_DIFFUSE = 0.46, 0.54
LOWEST_COS_ZENITH = 0.05


def diffuse_fraction(clearness: np.ndarray) -> np.ndarray:
    """Diffuse share of global radiation from the clearness index (Erbs et al. 1982)."""
    k = np.clip(clearness, 0.0, 1.0)
    middle = 0.9511 - 0.1604 * k + 4.388 * k**2 - 16.638 * k**3 + 12.336 * k**4
    return np.where(k <= 0.22, 1.0 - 0.09 * k, np.where(k <= 0.80, middle, 0.165))


def snow_share(temperature: np.ndarray) -> np.ndarray:
    """Share of precipitation that falls as snow: all below 0 C, none above 2 C."""
    return np.clip((T_MELT + 2.0 - temperature) / 2.0, 0.0, 1.0)


def prepare(site: Site, reference_height: float) -> Forcing:
    """Prepared forcing of a tower, NumPy arrays of shape (time, 1)."""
    f = {name: site.forcing[name].values.astype(float) for name in site.forcing.data_vars}
    sun = cos_zenith(
        float(site.attributes["latitude"]),
        float(site.attributes["longitude"]),
        float(site.attributes["utc_offset"]),
        site.time,
        site.step_seconds,
    )
    day = (site.time - site.time.astype("datetime64[Y]")) / np.timedelta64(1, "D")
    eccentricity = 1.0 + 0.033 * np.cos(2.0 * np.pi * day / 365.25)
    shortwave = np.maximum(f["SWdown"], 0.0)
    top = SOLAR_CONSTANT * eccentricity * np.maximum(sun, LOWEST_COS_ZENITH)
    share = np.where(sun < 0.02, 1.0, diffuse_fraction(shortwave / top))
    direct, diffuse = shortwave * (1.0 - share), shortwave * share
    precipitation = np.maximum(f["Precip"], 0.0)
    frozen = snow_share(f["Tair"])
    lift = GRAVITY * reference_height / (R_AIR * f["Tair"])
    columns = {
        "direct_visible": VISIBLE_DIRECT * direct,
        "direct_infrared": (1.0 - VISIBLE_DIRECT) * direct,
        "diffuse_visible": VISIBLE_DIFFUSE * diffuse,
        "diffuse_infrared": (1.0 - VISIBLE_DIFFUSE) * diffuse,
        "sec_zenith": 1.0 / np.maximum(sun, LOWEST_COS_ZENITH),
        "LWdown": f["LWdown"],
        "Tair": f["Tair"],
        "theta": f["Tair"] * np.exp(lift * R_AIR / CP_AIR),
        "Qair": f["Qair"],
        "density": air_density(f["Tair"], f["Qair"], f["Psurf"]),
        "Wind": np.maximum(f["Wind"], WIND_FLOOR),
        "Psurf": f["Psurf"],
        "rain": precipitation * (1.0 - frozen),
        "snowfall": precipitation * frozen,
        "co2": f["CO2air"] * 1e-6,
        "LAI": np.maximum(f["LAI"], LAI_FLOOR),
        "valid": np.ones(len(sun)),
    }
    return Forcing(**{name: np.asarray(x)[:, None] for name, x in columns.items()})
