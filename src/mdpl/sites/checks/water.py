"""Evaporation against precipitation: water that came some other way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mdpl.sites.checks.finding import Finding
from mdpl.sites.record import Record

_LATENT_HEAT = 2.45e6


@dataclass(frozen=True)
class WaterYear:
    """Evapotranspiration and precipitation, mm a year, over months with both.

    Attributes:
        evaporation, precipitation: mm a year.
        months: how many calendar months of the record went in.
    """

    evaporation: float
    precipitation: float
    months: int

    @property
    def ratio(self) -> float:
        return self.evaporation / self.precipitation if self.precipitation > 0 else np.inf


def water_year(record: Record) -> WaterYear | None:
    """Annual sums; None with less than nine months or without Qle or precipitation.

    Gaps of Qle are bridged by the mean of the same time of day in the same month (Falge et al.
    2001, doi:10.1016/S0168-1923(00)00225-2), measured or filled by the network; months with less
    than three quarters of the times of day are left out. Calendar months weigh alike, so that
    records which end within a year do not favour a season.
    """
    if not record.has("Qle", "Precip"):
        return None
    months = record.time.astype("M8[M]")
    step = ((record.time - record.time.astype("M8[D]")) / (record.time[1] - record.time[0])).astype(
        int
    )
    by_calendar: dict[int, list[tuple[float, float]]] = {}
    used = 0
    for month in np.unique(months):
        here = months == month
        latent, rain = record.series["Qle"][here], record.series["Precip"][here]
        course = _course(latent, step[here], record.steps_per_day)
        if np.isfinite(course).mean() < 0.75 or not np.isfinite(rain).any() or here.sum() < 300:
            continue
        used += 1
        by_calendar.setdefault(int(month.astype(int)) % 12, []).append(
            (float(np.nanmean(course)) / _LATENT_HEAT, float(np.nanmean(rain)))
        )
    if len(by_calendar) < 9:
        return None
    mean = np.mean([np.mean(rates, axis=0) for rates in by_calendar.values()], axis=0)
    evaporation, precipitation = (mean * 365.2425 * 86400.0).tolist()
    return WaterYear(evaporation, precipitation, used)


def _course(values: np.ndarray, step: np.ndarray, steps_per_day: int) -> np.ndarray:
    good = np.isfinite(values)
    total = np.bincount(step[good], values[good], steps_per_day)
    count = np.bincount(step[good], minlength=steps_per_day)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def other_water(record: Record) -> Iterator[Finding]:
    """More water evaporates than falls."""
    year = water_year(record)
    if year is None or year.precipitation <= 0:
        return
    excess = year.evaporation - year.precipitation
    said = (
        f"{year.evaporation:.0f} mm a year evaporate and {year.precipitation:.0f} mm fall "
        f"({year.ratio:.1f} times, {year.months} months)"
    )
    if year.ratio > 1.8 and excess > 200:
        yield Finding(
            "other water",
            "warning",
            "Qle, Precip",
            f"{said}: irrigation or groundwater suspected; a land model needs it prescribed "
            "(model.supply)",
            value=year.ratio,
        )
    elif year.ratio > 1.15 and excess > 50:
        yield Finding(
            "other water",
            "remark",
            "Qle, Precip",
            f"{said}: water stored before, deep roots, snow the gauge missed or groundwater",
            value=year.ratio,
        )
