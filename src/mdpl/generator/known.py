"""What a generator is told of a tower: attributes, and the course of its weather."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mdpl.sites.attributes import numeric
from mdpl.sites.site import Site

PARTS_OF_YEAR = 36
"""Parts of about ten days."""

VARIABLES = ("SWdown", "LWdown", "Tair", "Qair", "Wind", "Precip", "LAI")
STATISTICS = (np.mean, np.std)


def _unknown() -> np.ndarray:
    return np.full((PARTS_OF_YEAR, len(VARIABLES) * len(STATISTICS)), np.nan)


@dataclass(frozen=True)
class Known:
    """A tower as the generator knows it.

    Attributes:
        attributes: numbers, and ``land_cover``; texts are not used.
        seasons: mean and standard deviation of the forcing in each part of the year, over all
            years of the record, shape (part, variable); NaN where the record has no such part.
    """

    attributes: Mapping[str, float | str]
    seasons: np.ndarray = field(default_factory=_unknown)


def describe(site: Site) -> Known:
    """What is known of a tower; its observed fluxes are not looked at."""
    attributes = {**numeric(site), "land_cover": float(site.land_cover)}
    return Known(attributes, seasons(site))


def seasons(site: Site) -> np.ndarray:
    """The forcing by part of the year, shape (part, variable); see `Known`."""
    days = site.time.astype("datetime64[D]")
    day_of_year = (days - days.astype("datetime64[Y]")).astype(int)
    part = np.minimum(day_of_year * PARTS_OF_YEAR // 365, PARTS_OF_YEAR - 1)
    found = _unknown()
    for p in np.unique(part):
        inside = part == p
        values = [np.asarray(site.forcing[name].values)[inside] for name in VARIABLES]
        found[p] = [float(how(v)) for how in STATISTICS for v in values]
    return found
