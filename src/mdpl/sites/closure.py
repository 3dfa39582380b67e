"""Which flux a model is judged by: as measured, or with the energy balance closed."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.qc import measured
from mdpl.sites.site import Site

FluxChoice = Literal["raw", "corrected", "bowen_ratio", "residual"]
"""``raw`` as measured; ``corrected`` by the network (``<flux>_cor``); closed here: ``bowen_ratio``
(see `bowen_ratio_factor`), or ``residual``, Qle = Rnet - Qg - Qh (Twine et al. 2000, section 4.2).
Fluxes that are no heat are the same in all."""

HEAT = ("Qle", "Qh")
WINDOW_DAYS = 15
_FEWEST_STEPS = 96
_LEAST, _MOST = 0.5, 2.5


def choose(site: Site, flux: str, choice: FluxChoice) -> np.ndarray:
    """Values of an observed flux, float64 (time,), NaN where the choice cannot tell it.

    The flags of the raw flux hold for every choice (`mdpl.sites.qc.measured`).

    Raises:
        SiteError: an unknown choice, or a tower without what it takes.
    """
    if choice not in get_args(FluxChoice):
        raise SiteError(f"expected a flux choice out of {get_args(FluxChoice)}, found {choice!r}")
    raw = np.asarray(site.fluxes[flux].values, dtype=float)
    if choice == "raw" or flux not in HEAT:
        return raw
    if choice == "corrected":
        return _values(site, f"{flux}_cor", choice)
    if choice == "bowen_ratio":
        return raw * bowen_ratio_factor(site)
    if flux == "Qh":
        return raw
    available = _values(site, "Rnet", choice) - _values(site, "Qg", choice)
    both = measured(site, "Rnet") & measured(site, "Qg") & measured(site, "Qh")
    return np.where(both, available - site.fluxes["Qh"].values, np.nan)


def bowen_ratio_factor(site: Site) -> np.ndarray:
    """What both heat fluxes are multiplied by to close the balance at their measured ratio.

    Twine et al. (2000, doi:10.1016/S0168-1923(00)00123-4); here the sum of Rnet - Qg over that of
    Qle + Qh, in a window of `WINDOW_DAYS` days to either side of each day as FLUXNET2015 has it
    (Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3), over steps at which all terms were
    measured; half-hours alone would mostly correct storage and noise. Without Qg its sum over a
    month is taken as 0. NaN with fewer than two days of steps in the window or a factor outside
    0.5 to 2.5.

    Returns:
        shape (time,).

    Raises:
        SiteError: no Rnet.
    """
    net = np.where(measured(site, "Rnet"), _values(site, "Rnet", "bowen_ratio"), np.nan)
    turbulent = site.fluxes["Qle"].values + site.fluxes["Qh"].values
    seen = measured(site, "Qle") & measured(site, "Qh") & np.isfinite(net)
    available = net
    if "Qg" in site.fluxes and measured(site, "Qg").mean() > 0.3:
        seen &= measured(site, "Qg")
        available = net - site.fluxes["Qg"].values
    day = (site.time.astype("M8[D]") - site.time[0].astype("M8[D]")).astype(int)
    sums = [
        _windowed(np.bincount(day[seen], weights, day[-1] + 1))
        for weights in (available[seen], turbulent[seen], None)
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = sums[0] / sums[1]
    good = (sums[2] >= _FEWEST_STEPS) & (factor > _LEAST) & (factor < _MOST)
    return np.where(good, factor, np.nan)[day]


def _windowed(daily: np.ndarray) -> np.ndarray:
    """Sums over the window around each day."""
    total = np.concatenate(([0.0], np.cumsum(daily)))
    at = np.arange(daily.size)
    first = np.maximum(at - WINDOW_DAYS, 0)
    last = np.minimum(at + WINDOW_DAYS + 1, daily.size)
    return total[last] - total[first]


def _values(site: Site, name: str, choice: str) -> np.ndarray:
    if name not in site.fluxes:
        known = ", ".join(map(str, site.fluxes.data_vars))
        raise SiteError(
            f"site {site.code}: expected {name} for the {choice} fluxes, found only {known}; use "
            "the raw variant"
        )
    return np.asarray(site.fluxes[name].values, dtype=float)
