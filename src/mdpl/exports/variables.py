"""What a CalLMIP file holds, and how it is made of a land model's output in ALMA form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr

KG_CARBON = 12.011e-9
"""kg of carbon in a umol of CO2."""

TOP = 0.10
"""m of soil that ``mrsos`` is of."""


@dataclass(frozen=True)
class Variable:
    """One variable of a CalLMIP file.

    Attributes:
        name: CMIP short name.
        units, long_name: of the file.
        source: ALMA output it is made of.
        make: from that output's series, dims ``(time,)`` or ``(layer, time)`` with the coordinate
            ``layer_thickness``, to values of shape (time,).
    """

    name: str
    units: str
    long_name: str
    source: str
    make: Callable[[xr.DataArray], np.ndarray]


def _same(series: xr.DataArray) -> np.ndarray:
    return np.asarray(series.values, dtype=float)


def _carbon(sign: float = 1.0) -> Callable[[xr.DataArray], np.ndarray]:
    return lambda series: sign * KG_CARBON * _same(series)


def _column(series: xr.DataArray) -> np.ndarray:
    return np.asarray(series.sum("layer").values, dtype=float)


def _top(series: xr.DataArray) -> np.ndarray:
    """Water of the uppermost `TOP` metres; a layer that reaches deeper counts by its share."""
    thickness = np.asarray(series["layer_thickness"].values, dtype=float)
    above = np.concatenate([[0.0], np.cumsum(thickness)[:-1]])
    share = np.clip((TOP - above) / thickness, 0.0, 1.0)
    return np.asarray((series * xr.DataArray(share, dims="layer")).sum("layer").values, dtype=float)


CARBON, VAPOUR = "kgC m-2 s-1", "kg m-2 s-1"

VARIABLES = (
    Variable("nep", CARBON, "Net ecosystem production, positive into the land", "NEE", _carbon(-1)),
    Variable("hfls", "W m-2", "Surface upward latent heat flux", "Qle", _same),
    Variable("hfss", "W m-2", "Surface upward sensible heat flux", "Qh", _same),
    Variable("gpp", CARBON, "Gross primary production", "GPP", _carbon()),
    Variable("reco", CARBON, "Ecosystem respiration", "Reco", _carbon()),
    Variable("tran", VAPOUR, "Transpiration", "TVeg", _same),
    Variable("evspsblsoi", VAPOUR, "Evaporation from soil, sublimation included", "ESoil", _same),
    Variable("hfg", "W m-2", "Ground heat flux, positive downward", "Qg", _same),
    Variable("ts", "K", "Surface temperature, radiative", "AvgSurfT", _same),
    Variable("mrso", "kg m-2", "Water in all soil layers, all phases", "SoilMoist", _column),
    Variable("mrsos", "kg m-2", "Water in the top 10 cm of soil, all phases", "SoilMoist", _top),
    Variable("lai", "m2 m-2", "Leaf area index", "LAI", _same),
)

TARGETS = {"NEE": "nep", "Qle": "hfls", "Qh": "hfss"}
"""Tower flux -> variable that is calibrated against it."""

SCENARIOS = {
    frozenset({"NEE", "Qle", "Qh"}): 1,
    frozenset({"NEE"}): 2,
    frozenset({"Qle"}): 3,
    frozenset({"Qh"}): 4,
    frozenset({"NEE", "Qle"}): 5,
    frozenset({"Qle", "Qh"}): 6,
}
"""Fluxes calibrated against -> CalLMIP's scenario (protocol of phase 1)."""


def daily(run: xr.Dataset, days: np.ndarray) -> dict[str, np.ndarray]:
    """Daily means of all variables a run can give, on the days asked for.

    Args:
        run: outputs in ALMA form, dims ``(time,)``, evenly spaced.
        days: shape (day,), datetime64[D].

    Returns:
        name -> shape (day,), NaN on days the run does not cover whole.
    """
    own, index, count = np.unique(
        run["time"].values.astype("datetime64[D]"), return_inverse=True, return_counts=True
    )
    whole = count == count.max()
    place = np.clip(np.searchsorted(own, days), 0, own.size - 1)
    there = (own[place] == days) & whole[place]
    found = {}
    for variable in VARIABLES:
        if variable.source in run:
            means = np.bincount(index, variable.make(run[variable.source])) / count
            found[variable.name] = np.where(there, means[place], np.nan)
    return found
