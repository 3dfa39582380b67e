"""The tidy table of scores: every metric, resolution and period of a model at a tower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import ModelError
from mdpl.evaluation.metrics import METRICS
from mdpl.evaluation.periods import Periods, split
from mdpl.evaluation.resolution import RESOLUTIONS, Coverage, sample
from mdpl.sites.closure import FluxChoice, choose
from mdpl.sites.qc import measured
from mdpl.sites.site import Site

COLUMNS = ("site", "pft", "model", "flux", "resolution", "period", "metric", "value", "n")
GAIN_COLUMNS = ("site", "pft", "model", "flux", "resolution", "period", "dRMSE", "dR")

Variant = FluxChoice
"""Fluxes as measured, or with the energy balance closed in one of several ways."""

CALIBRATION, VALIDATION = 1, 2
"""Codes of ``period`` in an observation dataset."""


def score(
    site: Site,
    model_name: str,
    simulation: xr.Dataset,
    fluxes: Sequence[str] = ("Qle", "Qh"),
    variant: Variant = "raw",
    periods: Periods | None = None,
    coverage: Coverage | None = None,
) -> pd.DataFrame:
    """Score one simulation at one tower.

    Args:
        model_name: as it shall stand in the table, such as ``default`` or ``mdpl``.
        simulation: the model's fluxes, dims ``(time,)``, on the site's time axis.
        fluxes: which to score. One the tower does not observe gives rows with n = 0 and NaN,
            so that the gap can be seen.
        variant: which observations to score against.
        periods: default `mdpl.evaluation.periods.split` of the site's time.
        coverage: default `mdpl.evaluation.resolution.Coverage()`.

    Returns:
        Columns `COLUMNS`; n is the number of steps, days or months compared.

    Raises:
        ModelError: the simulation lacks a flux, or has another time axis.
        SiteError: the tower lacks what the variant is made of.
    """
    _check_simulation(site, model_name, simulation, fluxes)
    observed = observations(site, fluxes, variant, periods)
    rows = []
    for flux in fluxes:
        modelled = simulation[flux].values
        for period, inside in masks(observed).items():
            for name, value, n, resolution in _score_flux(
                observed, flux, modelled, inside, coverage
            ):
                rows.append(
                    (site.code, site.pft, model_name, flux, resolution, period, name, value, n)
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def gains(scores: pd.DataFrame, reference: str = "default") -> pd.DataFrame:
    """Relative gains of every other model over the reference; positive is better in both.

    ``dRMSE = (RMSE_ref - RMSE) / RMSE_ref`` and ``dR = (R - R_ref) / |R_ref|``; NaN where the
    reference's RMSE or R is 0 or a score is missing.

    Args:
        scores: as `score` returns, with the reference model and at least one other.

    Returns:
        Columns `GAIN_COLUMNS`, one row per site, model, flux, resolution and period.

    Raises:
        ModelError: the table has no rows of the reference.
    """
    models = list(dict.fromkeys(scores["model"]))
    if reference not in models:
        raise ModelError(
            f"gains: expected scores of the reference model {reference!r}, found only "
            f"{', '.join(models) or 'none'}; score the reference too"
        )
    keys = ["site", "pft", "flux", "resolution", "period"]
    wanted = scores[scores["metric"].isin(["rmse", "r"])]
    wide = wanted.pivot(index=["model", *keys], columns="metric", values="value").reset_index()
    base = wide[wide["model"] == reference].drop(columns="model")
    others = wide[wide["model"] != reference]
    both = others.merge(base, on=keys, suffixes=("", "_ref"))
    reference_r = both["r_ref"].abs()
    both["dRMSE"] = ((both["rmse_ref"] - both["rmse"]) / both["rmse_ref"]).where(
        both["rmse_ref"] > 0
    )
    both["dR"] = ((both["r"] - both["r_ref"]) / reference_r).where(reference_r > 0)
    return both[list(GAIN_COLUMNS)].reset_index(drop=True)


def observations(
    site: Site,
    fluxes: Sequence[str],
    variant: Variant = "raw",
    periods: Periods | None = None,
) -> xr.Dataset:
    """What a tower is judged by, in one dataset that stands alone (a run folder keeps it).

    Returns:
        dims ``(time,)``: each observed flux (float64, NaN where missing), ``<flux>_measured``
        (int8, 1 where the step counts) and ``period`` (int8, 1 calibration, 2 validation);
        attributes ``site pft variant split``. Fluxes the tower lacks are left out.

    Raises:
        SiteError: the tower lacks what the variant is made of.
    """
    periods = periods or split(site.time)
    data: dict[str, tuple[str, np.ndarray, dict[str, str]]] = {}
    for flux in fluxes:
        if flux not in site.fluxes:
            continue
        values = choose(site, flux, variant)
        counts = measured(site, flux) & np.isfinite(values)
        units = str(site.fluxes[flux].attrs.get("units", ""))
        data[flux] = ("time", values, {"units": units})
        data[f"{flux}_measured"] = ("time", counts.astype(np.int8), {"meaning": "1 = counts"})
    period = np.where(periods.validation, VALIDATION, CALIBRATION).astype(np.int8)
    data["period"] = ("time", period, {"meaning": "1 = calibration, 2 = validation"})
    about = {"site": site.code, "pft": site.pft, "variant": variant, "split": periods.rule}
    return xr.Dataset(data, coords={"time": site.time}, attrs=about)


def masks(observed: xr.Dataset) -> dict[str, np.ndarray]:
    """Period name -> bool mask of an observation dataset."""
    period = observed["period"].values
    return {
        "calibration": period == CALIBRATION,
        "validation": period == VALIDATION,
        "all": np.ones(period.shape, dtype=bool),
    }


def counting(observed: xr.Dataset, fluxes: Sequence[str], inside: np.ndarray) -> np.ndarray:
    """What counts of some fluxes, NaN elsewhere and throughout where the tower lacks a flux.

    Args:
        observed: from `observations`.
        inside: steps asked for, (time,).

    Returns:
        shape (time, flux).
    """
    found = np.full((len(inside), len(fluxes)), np.nan)
    for k, flux in enumerate(fluxes):
        if flux in observed:
            counts = inside & (observed[f"{flux}_measured"].values > 0)
            found[counts, k] = observed[flux].values[counts]
    return found


def _score_flux(
    observed: xr.Dataset,
    flux: str,
    modelled: np.ndarray,
    inside: np.ndarray,
    coverage: Coverage | None,
) -> list[tuple[str, float, int, str]]:
    """(metric, value, n, resolution) of one flux in one period."""
    time = observed["time"].values
    if flux in observed:
        values = observed[flux].values
        counts = inside & (observed[f"{flux}_measured"].values == 1)
    else:
        values, counts = np.full(time.size, np.nan), np.zeros(time.size, dtype=bool)
    rows: list[tuple[str, float, int, str]] = []
    for resolution in RESOLUTIONS:
        pairs = sample(time, {"m": modelled, "o": values}, counts, resolution, coverage)
        for name, metric in METRICS.items():
            rows.append((name, metric(pairs["m"], pairs["o"]), len(pairs), resolution))
    return rows


def _check_simulation(
    site: Site, model_name: str, simulation: xr.Dataset, fluxes: Sequence[str]
) -> None:
    where = f"model {model_name!r} at site {site.code}"
    for flux in fluxes:
        if flux not in simulation:
            raise ModelError(
                f"{where}: expected output {flux}, found "
                f"{', '.join(map(str, simulation.data_vars))}; ask the model for it"
            )
        if simulation[flux].dims != ("time",):
            raise ModelError(
                f"{where}: expected {flux} with dims ('time',), found "
                f"{simulation[flux].dims}; pick one member first"
            )
    if not np.array_equal(simulation["time"].values, site.time):
        raise ModelError(
            f"{where}: expected the site's {site.time.size} time steps from {site.time[0]} to "
            f"{site.time[-1]}, found {simulation.sizes['time']} other ones; run the model on "
            "the site's own time axis"
        )
