"""Daily observations given beside a tower's record: which of them count, and scores at them.

A day counts where the file gives it a value and an uncertainty and the record covers all its
steps; the model's daily mean is over all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import SiteError
from mdpl.evaluation.full_day import daily_means
from mdpl.evaluation.metrics import METRICS
from mdpl.evaluation.periods import BLOCK_DAYS, split
from mdpl.evaluation.scores import CALIBRATION, COLUMNS, VALIDATION, masks
from mdpl.sites.daily import Daily
from mdpl.sites.site import UNITS, Site

GIVEN_DAY = "given_day"
"""The resolution in the table of scores."""


def given_days(site: Site, daily: Daily, tasks: Sequence[str]) -> xr.Dataset:
    """Daily observations on the whole days of a tower's record.

    They are split as the record is (`mdpl.evaluation.periods.split`). Where that leaves one
    period without a day of some task, because the file covers part of the record only, alternate
    blocks of ten days of what it covers are held out instead.

    Args:
        tasks: fluxes that are learnt from.

    Returns:
        dims ``(time,)``, days stamped at midnight: each flux and its ``<flux>_sd`` (NaN where
        missing), ``<flux>_measured`` and ``period`` as in `mdpl.evaluation.scores.observations`;
        attributes ``site pft source split``.

    Raises:
        SiteError: the file and the record have no day in common.
    """
    days = _whole_days(site)
    own = daily.on(days)
    counted = {flux: np.isfinite(values) for flux, values in own.values.items()}
    covered = days[np.any(list(counted.values()), axis=0)]
    if covered.size == 0:
        raise SiteError(
            f"{site.code}: {daily.source} has no value on the {days.size} whole days of the "
            f"record ({days[0]} to {days[-1]}); leave the tower out, or give sites.daily "
            "observations of its years"
        )
    validation, rule = _split(site, days, covered, [counted[t] for t in tasks if t in counted])
    data: dict[str, tuple[str, np.ndarray, dict[str, str]]] = {}
    for flux, values in own.values.items():
        data[flux] = ("time", values, {"units": UNITS[flux]})
        data[f"{flux}_sd"] = ("time", own.sd[flux], {"units": UNITS[flux]})
        data[f"{flux}_measured"] = (
            "time",
            counted[flux].astype(np.int8),
            {"meaning": "1 = counts"},
        )
    period = np.where(validation, VALIDATION, CALIBRATION).astype(np.int8)
    data["period"] = ("time", period, {"meaning": "1 = calibration, 2 = validation"})
    about = {"site": site.code, "pft": site.pft, "source": daily.source, "split": rule}
    return xr.Dataset(data, coords={"time": days.astype("datetime64[ns]")}, attrs=about)


def score_given_days(
    observed: xr.Dataset, model_name: str, simulation: xr.Dataset, fluxes: Sequence[str]
) -> pd.DataFrame:
    """Scores of a simulation at daily observations.

    Args:
        observed: as `given_days` returns it.
        simulation: the model's fluxes at the tower's steps, dims ``(time,)``.
        fluxes: those that either has not are left out.

    Returns:
        Columns `mdpl.evaluation.scores.COLUMNS`, resolution `GIVEN_DAY`.
    """
    means = daily_means(simulation, fluxes).reindex(time=observed["time"])
    rows = []
    for flux in (f for f in fluxes if f in observed and f in means):
        modelled, values = means[flux].values, observed[flux].values
        counts = observed[f"{flux}_measured"].values == 1
        for period, inside in masks(observed).items():
            keep = counts & inside
            place = (observed.attrs["site"], observed.attrs["pft"], model_name, flux)
            for name, metric in METRICS.items():
                value = metric(modelled[keep], values[keep])
                rows.append((*place, GIVEN_DAY, period, name, value, int(keep.sum())))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _whole_days(site: Site) -> np.ndarray:
    days, count = np.unique(site.time.astype("datetime64[D]"), return_counts=True)
    return days[count == site.steps_per_day]


def _split(
    site: Site, days: np.ndarray, covered: np.ndarray, counted: Sequence[np.ndarray]
) -> tuple[np.ndarray, str]:
    """Which days are held out, (day,), and the rule in words."""
    record = split(site.time)
    held_out = np.unique(site.time[record.validation].astype("datetime64[D]"))
    validation = np.isin(days, held_out)
    if all((own & validation).any() and (own & ~validation).any() for own in counted if own.any()):
        return validation, record.rule
    block = (days - covered[0]).astype(int) // BLOCK_DAYS
    rule = f"alternate blocks of {BLOCK_DAYS} days from {covered[0]}, the first day observed"
    return block % 2 == 1, rule
