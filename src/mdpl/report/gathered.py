"""What the figures ask of all towers' series, gathered in one reading of the folder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mdpl.evaluation import gain_intervals, partition, residuals
from mdpl.evaluation.gain_intervals import DaySums, day_sums, intervals
from mdpl.evaluation.partition import partition as shares
from mdpl.evaluation.residuals import DAYLIGHT, EDGES, binned, percentile_rank
from mdpl.report.contents import REFERENCE, Contents, Series, each_series

LEAST_DAYS = 10


@dataclass(frozen=True)
class Gathered:
    """Of the validation period, the towers' own step, measured steps.

    Attributes:
        gains: columns of `mdpl.evaluation.gain_intervals.COLUMNS`, and flux.
        partition: columns of `mdpl.evaluation.partition.COLUMNS`, site and pft; the series are
            ``observed``, ``default`` and ``learnt``.
        residuals: columns of `mdpl.evaluation.residuals.COLUMNS`, site, pft, flux and model
            (``default``, ``learnt``).
    """

    gains: pd.DataFrame
    partition: pd.DataFrame
    residuals: pd.DataFrame


def gather(contents: Contents) -> Gathered:
    """Read every tower's series once."""
    sums: dict[str, dict[str, DaySums]] = {flux: {} for flux in contents.fluxes}
    shared, wrong = [], []
    for series in each_series(contents):
        about = {"site": series.code, "pft": _pft(contents, series.code)}
        for flux in contents.fluxes:
            found = _day_sums(contents, series, flux)
            if found is not None:
                sums[flux][series.code] = found
        shared.append(_partition(contents, series).assign(**about))
        wrong += [table.assign(**about) for table in _residuals(contents, series)]
    gains = [intervals(towers).assign(flux=flux) for flux, towers in sums.items() if towers]
    return Gathered(
        _joined(gains, (*gain_intervals.COLUMNS, "flux")),
        _joined(shared, (*partition.COLUMNS, "site", "pft")),
        _joined(wrong, (*residuals.COLUMNS, "flux", "model", "site", "pft")),
    )


def _pft(contents: Contents, code: str) -> str:
    return contents.towers[code].pft if code in contents.towers else ""


def _joined(tables: list[pd.DataFrame], columns: tuple[str, ...]) -> pd.DataFrame:
    kept = [table for table in tables if len(table)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=list(columns))


def _both(contents: Contents, series: Series, flux: str) -> dict[str, np.ndarray] | None:
    """Default and learnt series of a flux; None where one is lacking."""
    runs = {"default": series.modelled[REFERENCE], "learnt": series.modelled[contents.learnt]}
    if flux not in series.observed or any(flux not in run for run in runs.values()):
        return None
    return {name: run[flux] for name, run in runs.items()}


def _day_sums(contents: Contents, series: Series, flux: str) -> DaySums | None:
    runs = _both(contents, series, flux)
    counts = series.measured.get(flux)
    if runs is None or counts is None:
        return None
    counts = counts & series.masks["validation"]
    if np.unique(series.time[counts].astype("datetime64[D]")).size < LEAST_DAYS:
        return None
    return day_sums(series.time, series.observed[flux], runs["default"], runs["learnt"], counts)


def _partition(contents: Contents, series: Series) -> pd.DataFrame:
    latent, sensible = (_both(contents, series, flux) for flux in ("Qle", "Qh"))
    if latent is None or sensible is None:
        return pd.DataFrame(columns=list(partition.COLUMNS))
    counts = series.measured["Qle"] & series.measured["Qh"] & series.masks["validation"]
    values = {name: (latent[name], sensible[name]) for name in latent}
    values = {"observed": (series.observed["Qle"], series.observed["Qh"]), **values}
    return shares(series.time, values, counts)


def _residuals(contents: Contents, series: Series) -> list[pd.DataFrame]:
    tables = []
    sun = series.drivers.get("SWdown")
    for flux in contents.fluxes:
        runs = _both(contents, series, flux)
        if runs is None or sun is None:
            continue
        counts = series.measured[flux] & series.masks["validation"]
        for driver in EDGES:
            values = series.drivers.get(driver)
            if values is None:
                continue
            chosen = counts if driver == "SWdown" else counts & (sun > DAYLIGHT)
            if driver == "SoilMoist":
                values = percentile_rank(values, chosen)
            for model, run in runs.items():
                wrong = (run - series.observed[flux])[chosen]
                tables.append(binned(driver, values[chosen], wrong).assign(flux=flux, model=model))
    return tables
