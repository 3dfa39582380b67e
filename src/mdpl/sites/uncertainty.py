"""Random uncertainty of half-hourly fluxes: from the file, or from pairs of similar days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.qc import measured
from mdpl.sites.site import Site

_SIMILAR = {"SWdown": 35.0, "Tair": 3.0, "Wind": 1.0}
"""How alike the weather of a pair must be (75 umol m-2 s-1 of PPFD are about 35 W m-2)."""
_CLASSES = 10
_FEWEST_PAIRS = 200


@dataclass(frozen=True)
class RandomError:
    """sd = a + b |flux|, in the unit of the flux, from ``pairs`` pairs."""

    a: float
    b: float
    pairs: int

    def sd(self, flux: np.ndarray) -> np.ndarray:
        """Standard deviation of each value."""
        return self.a + self.b * np.abs(flux)


def random_uncertainty(site: Site, flux: str) -> tuple[np.ndarray, str]:
    """Standard deviation of the random error of each value, and where it comes from.

    Returns:
        shape (time,), in the unit of the flux: ``<flux>_uc`` where the file has it, elsewhere the
        relation of `estimate`; NaN where neither can tell.
    """
    values = np.asarray(site.fluxes[flux].values, dtype=float)
    stated = site.fluxes[f"{flux}_uc"].values if f"{flux}_uc" in site.fluxes else None
    there = np.zeros(values.size, dtype=bool) if stated is None else stated > 0
    if stated is not None and there[measured(site, flux)].all():
        return np.where(there, stated, np.nan), "file"
    try:
        error = estimate(site, flux)
    except SiteError:
        if stated is None:
            raise
        return np.where(there, stated, np.nan), "file"
    estimated = error.sd(values)
    if stated is None:
        return estimated, "differences between similar days"
    return np.where(there, stated, estimated), "file, else differences between similar days"


def estimate(site: Site, flux: str) -> RandomError:
    """Random error by daily differencing.

    Two measurements 24 h apart in nearly the same weather differ by their random errors: each has
    the standard deviation of the difference over the root of 2 (Hollinger & Richardson 2005,
    doi:10.1093/treephys/25.7.873). As errors are double-exponential, the deviation is the root of
    2 times the mean absolute one; it grows linearly with the flux (Richardson et al. 2006,
    doi:10.1016/j.agrformet.2006.01.007), fitted over ten classes of |flux| of equal counts.

    Raises:
        SiteError: fewer than 200 such pairs.
    """
    n = site.steps_per_day
    seen = measured(site, flux)
    alike = seen[:-n] & seen[n:]
    for name, most in _SIMILAR.items():
        weather = site.forcing[name].values
        alike &= np.abs(weather[n:] - weather[:-n]) <= most
    if alike.sum() < _FEWEST_PAIRS:
        raise SiteError(
            f"{site.code}: expected at least {_FEWEST_PAIRS} pairs of similar days to estimate the "
            f"uncertainty of {flux}, found {int(alike.sum())}"
        )
    values = site.fluxes[flux].values
    first, second = values[:-n][alike], values[n:][alike]
    size = np.abs(first + second) / 2.0
    difference = (first - second) / np.sqrt(2.0)
    classes = np.array_split(np.argsort(size), _CLASSES)
    deviation = [
        np.sqrt(2.0) * np.abs(difference[c] - np.mean(difference[c])).mean() for c in classes
    ]
    b, a = np.polyfit([size[c].mean() for c in classes], deviation, 1)
    b = max(float(b), 0.0)
    a = float(a) if a > 0 else float(min(deviation))
    return RandomError(a, b, int(alike.sum()))
