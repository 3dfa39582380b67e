"""How strongly each parameter moves the fluxes of an ensemble."""

from __future__ import annotations

import numpy as np


def strength(unit: np.ndarray, series: np.ndarray) -> np.ndarray:
    """First-order sensitivity of a flux to each parameter, by regression over the members.

    At every step the flux is regressed on the unit-cube parameters; a parameter's strength is the
    root mean square over time of its slope, divided by the standard deviation of the whole
    ensemble, so that strengths of different fluxes and towers compare.

    Args:
        unit: shape (member, parameter).
        series: shape (member, time); steps with a value that is not finite are left out.

    Returns:
        shape (parameter,): change of the flux, in standard deviations, for a parameter taken from
        its lower to its upper bound. NaN with fewer members than unknowns or no complete step.
    """
    members, parameters = unit.shape
    whole = series[:, np.isfinite(series).all(axis=0)].astype(float)
    if members < parameters + 2 or not whole.size:
        return np.full(parameters, np.nan)
    design = np.column_stack([unit, np.ones(members)])
    slopes = np.linalg.lstsq(design, whole, rcond=None)[0][:-1]
    spread = whole.std()
    return np.asarray(np.sqrt((slopes**2).mean(axis=1)) / (spread if spread > 0 else np.nan))
