"""Scores of daily means, for models that give nothing shorter.

Elsewhere a model is sampled at the measured steps; a daily mean cannot be. So a day counts here
if three quarters of it were measured, as in CalLMIP (protocol of phase 1), and its observed mean
is over all its steps, the filled ones too: a mean over the measured ones would be of the day's
sunny hours. Every model beside a daily one is judged the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import ModelError
from mdpl.evaluation.metrics import METRICS
from mdpl.evaluation.resolution import steps_per_day
from mdpl.evaluation.scores import COLUMNS, Variant, masks, observations
from mdpl.sites.site import Site

FULL_DAY = "full_day"
"""The resolution in the table of scores."""

MEASURED_SHARE = 0.75


def daily_means(simulation: xr.Dataset, fluxes: Sequence[str]) -> xr.Dataset:
    """Means over calendar days with all their steps, dims ``(time,)``, stamped at midnight.

    Args:
        simulation: dims ``(time,)``, evenly spaced; fluxes it lacks are left out.
    """
    time = simulation["time"].values
    days, index, count = np.unique(
        time.astype("datetime64[D]"), return_inverse=True, return_counts=True
    )
    whole = count == steps_per_day(time)
    data = {
        flux: ("time", (np.bincount(index, simulation[flux].values) / count)[whole])
        for flux in fluxes
        if flux in simulation
    }
    return xr.Dataset(data, {"time": days[whole].astype("datetime64[ns]")})


def score_full_days(
    site: Site,
    model_name: str,
    daily: xr.Dataset,
    fluxes: Sequence[str] = ("Qle", "Qh"),
    variant: Variant = "raw",
) -> pd.DataFrame:
    """Score daily means at one tower.

    Args:
        daily: dims ``(time,)``, one value a day stamped at midnight; it may reach beyond the
            tower's record, and must cover all of its days that count.

    Returns:
        Columns `mdpl.evaluation.scores.COLUMNS`, resolution `FULL_DAY`; rows with n = 0 for
        fluxes the tower does not observe.

    Raises:
        ModelError: the model lacks a flux or a day.
    """
    observed = observations(site, fluxes, variant)
    rows = []
    for flux in fluxes:
        if flux not in daily:
            raise ModelError(f"model {model_name!r} at {site.code}: no daily {flux}")
        days, values, counts = _observed_days(observed, flux)
        _check_days(site, model_name, daily, days[counts])
        modelled = daily[flux].reindex(time=days.astype("datetime64[ns]")).values
        for period, inside in masks(observed).items():
            keep = counts & _by_day(observed["time"].values, inside)
            for name, metric in METRICS.items():
                value = metric(modelled[keep], values[keep])
                place = (site.code, site.pft, model_name, flux, FULL_DAY, period)
                rows.append((*place, name, value, int(keep.sum())))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _observed_days(observed: xr.Dataset, flux: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, their observed means, and which of them count, shape (day,) each."""
    time = observed["time"].values
    days, index = np.unique(time.astype("datetime64[D]"), return_inverse=True)
    if flux not in observed:
        return days, np.full(days.size, np.nan), np.zeros(days.size, dtype=bool)
    full = steps_per_day(time)
    values = observed[flux].values
    known = np.bincount(index, np.isfinite(values)) == full
    measured = np.bincount(index, observed[f"{flux}_measured"].values) / full
    mean = np.bincount(index, np.nan_to_num(values)) / full
    return days, mean, known & (measured >= MEASURED_SHARE)


def _by_day(time: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Days all of whose steps are inside."""
    _, index = np.unique(time.astype("datetime64[D]"), return_inverse=True)
    return np.asarray(np.bincount(index, ~inside) == 0)


def _check_days(site: Site, model_name: str, daily: xr.Dataset, wanted: np.ndarray) -> None:
    missing = np.setdiff1d(wanted, daily["time"].values.astype("datetime64[D]"))
    if missing.size:
        raise ModelError(
            f"model {model_name!r} at {site.code}: expected a value on each of the {wanted.size} "
            f"days that count, found none on {missing.size}, the first {missing[0]}; give output "
            "for the whole record, leap days included"
        )
