"""From a record to a tower a land model can be driven with: cut, filled, described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.attributes import describe
from mdpl.sites.filling import (
    LONGEST_GAP_DAYS,
    SYNTHESISABLE,
    SYNTHESISED,
    barometric_pressure,
    bridge,
    clear_sky_longwave,
    fill,
    global_co2,
    not_above_saturation,
    runs,
)
from mdpl.sites.leaf_area import class_climatology
from mdpl.sites.places import check_place
from mdpl.sites.qc import check_forcing, stamp, without_spikes
from mdpl.sites.record import FLUXES, Record
from mdpl.sites.site import FORCING, Site, dataset_of
from mdpl.sites.solar import detect_utc_offset

_ORDER = ("SWdown", "Tair", "Psurf", "Qair", "Wind", "Precip", "CO2air", "LWdown", "LAI")
_KINDS = {1: "interpolated", 5: "mean of the time of day", 101: "synthesised"}
_OBSERVED = (*FLUXES, "Qle_cor", "Qh_cor", "Qle_uc", "Qh_uc", "NEE_uc", "Qle_cor_uc", "Qh_cor_uc")


def complete(record: Record, leaf_area: np.ndarray | None = None, leaf_source: str = "") -> Site:
    """Fill what a land model cannot do without, flag it, count it, and describe the tower.

    Gaps up to `mdpl.sites.filling.SHORT_GAP_HOURS` are interpolated (not precipitation), those
    up to `LONGEST_GAP_DAYS` get the mean of the same time of day; longer ones are synthesised
    where there is a method (`SYNTHESISABLE`) and refused otherwise. Fluxes are never filled here.

    Args:
        leaf_area: shape (time,), where the record has none; None takes the class climatology.
        leaf_source: where it comes from, for the attributes.

    Returns:
        the tower; ``attributes["filling"]`` counts what was filled, ``attributes["LAI_source"]``
        says where leaf area comes from, ``forcing_qc`` has the flags.

    Raises:
        SiteError: the place is not known, a variable is missing, a gap is too long (with its
            dates), or a value cannot be.
    """
    record = cut(record)
    place = _place(record)
    series, flags = dict(record.series), dict(record.flags)
    for name in _ORDER:
        if name == "LAI":
            _leaf_area(record, series, flags, place, leaf_area, leaf_source)
        elif name == "LWdown":
            _longwave(record, series, flags, place)
        else:
            _fill_one(record, name, series, flags, place)
        # Before anything is made of it.
        check_forcing(name, series[name], record.time, record.code)
    forcing = dataset_of({n: series[n] for n in FORCING}, record.time)
    place["filling"] = _counted(record, flags)
    fluxes, spikes = without_spikes(_observed(record))
    return Site(
        code=record.code,
        forcing=forcing,
        fluxes=dataset_of(fluxes, record.time),
        attributes=describe(forcing, place | spikes),
        sources=record.sources,
        forcing_qc={n: flags[n] for n in FORCING if n in flags},
    )


def cut(record: Record) -> Record:
    """The record between the days ``first`` and ``last`` of its place, if it has them.

    Raises:
        SiteError: no dates, or nothing left.
    """
    if not {"first", "last"} & set(record.place):
        return record
    try:
        first, last = (
            np.datetime64(str(record.place[key]), "D") if key in record.place else default
            for key, default in zip(("first", "last"), record.days[[0, -1]], strict=True)
        )
    except ValueError as error:
        raise SiteError(f"{record.code}: first and last: expected days; {error}") from error
    kept = (record.time >= first) & (record.time < last + np.timedelta64(1, "D"))
    if kept.sum() < 2 * record.steps_per_day:
        raise SiteError(
            f"{record.code}: expected a record between {first} and {last}, found "
            f"{stamp(record.time[0])} to {stamp(record.time[-1])}"
        )
    inside = (record.stamps >= first) & (record.stamps < last + np.timedelta64(1, "D"))
    return replace(
        record,
        stamps=record.stamps[inside],
        time=record.time[kept],
        series={n: v[kept] for n, v in record.series.items()},
        flags={n: v[kept] for n, v in record.flags.items()},
    )


def _place(record: Record) -> dict[str, float | str]:
    place = {k: v for k, v in record.place.items() if k not in ("first", "last")}
    lacking = [k for k in ("latitude", "longitude", "elevation", "igbp") if k not in place]
    if lacking:
        raise SiteError(
            f"{record.code}: expected {', '.join(lacking)} of the tower; give a table sites.csv "
            "beside the records (columns site, latitude, longitude, elevation, igbp and, where "
            "known, canopy_height, reference_height, utc_offset), or the network's BIF as CSV"
        )
    check_place(place, record.code)
    if "utc_offset" not in place:
        if not record.has("SWdown"):
            raise SiteError(f"{record.code}: no SWdown: no land model can be driven")
        place["utc_offset"] = detect_utc_offset(
            float(place["latitude"]),
            float(place["longitude"]),
            record.time,
            record.step_seconds,
            np.nan_to_num(record.series["SWdown"]),
        )
    return place


def _fill_one(
    record: Record,
    name: str,
    series: dict[str, np.ndarray],
    flags: dict[str, np.ndarray],
    place: Mapping[str, float | str],
) -> None:
    values = series.get(name, np.full(record.time.size, np.nan))
    too_long = _too_long(record, values)
    if too_long.any() and name not in SYNTHESISABLE:
        raise SiteError(_refusal(record, name, too_long, values))
    if too_long.any():
        made = (
            barometric_pressure(float(place["elevation"]), series["Tair"])
            if name == "Psurf"
            else global_co2(record.time)
        )
        flags[name] = np.where(too_long, SYNTHESISED, flags.get(name, np.zeros(values.size)))
        values = np.where(too_long, made, values)
    series[name], flags[name] = fill(
        values, record.steps_per_day, name != "Precip", flags.get(name)
    )
    if name == "Qair":
        series[name] = not_above_saturation(
            series[name], flags[name], series["Tair"], series["Psurf"]
        )


def _longwave(
    record: Record,
    series: dict[str, np.ndarray],
    flags: dict[str, np.ndarray],
    place: dict[str, float | str],
) -> None:
    values = series.get("LWdown", np.full(record.time.size, np.nan))
    values, old = bridge(values, record.steps_per_day, flags.get("LWdown"))
    missing = np.isnan(values)
    if missing.any():
        made = clear_sky_longwave(series, record.time, record.step_seconds, place)
        values = np.where(missing, made, values)
    series["LWdown"] = values
    flags["LWdown"] = np.where(missing, SYNTHESISED, old)


def _leaf_area(
    record: Record,
    series: dict[str, np.ndarray],
    flags: dict[str, np.ndarray],
    place: dict[str, float | str],
    given: np.ndarray | None,
    source: str,
) -> None:
    if record.has("LAI") and given is None:
        at = np.arange(record.time.size)
        there = np.isfinite(series["LAI"])
        series["LAI"] = np.interp(at, at[there], series["LAI"][there])
        flags["LAI"] = np.where(there, flags.get("LAI", np.zeros(at.size)), 1.0)
        place["LAI_source"] = "the record"
        return
    if given is None:
        given = class_climatology(str(place["igbp"]), float(place["latitude"]), record.time)
        source = f"climatology of class {place['igbp']}, not observed"
    series["LAI"] = given
    flags["LAI"] = np.full(record.time.size, float(SYNTHESISED))
    place["LAI_source"] = source


def _too_long(record: Record, values: np.ndarray) -> np.ndarray:
    """Steps within gaps longer than `LONGEST_GAP_DAYS`; all of a variable that is not there."""
    missing = np.isnan(values)
    long = np.zeros_like(missing)
    for begin, length in zip(*runs(missing), strict=True):
        if length > LONGEST_GAP_DAYS * record.steps_per_day:
            long[begin : begin + length] = True
    return long


def _refusal(record: Record, name: str, too_long: np.ndarray, values: np.ndarray) -> str:
    if np.isnan(values).all():
        return (
            f"{record.code}: expected forcing variable {name}; the record has none; add it or "
            "leave the tower out"
        )
    days = record.time.astype("M8[D]")
    dates = ", ".join(
        f"{days[a]} to {days[a + n - 1]}" for a, n in zip(*runs(too_long), strict=True)
    )
    return (
        f"{record.code}: {name} is missing for more than {LONGEST_GAP_DAYS:g} days: {dates}; cut "
        "the record to what lies between (columns first and last of sites.csv)"
    )


def _observed(record: Record) -> dict[str, np.ndarray]:
    for name in ("Qle", "Qh"):
        if not record.has(name):
            raise SiteError(
                f"{record.code}: expected flux {name}; the record has none; add it or leave the "
                "tower out"
            )
    series = {}
    for name in _OBSERVED:
        if record.has(name):
            series[name] = record.series[name]
            if name in record.flags:
                series[f"{name}_qc"] = record.flags[name]
    return series


def _counted(record: Record, flags: Mapping[str, np.ndarray]) -> str:
    """What was filled, in words: ``Wind 3.4 % mean of the time of day; ...``."""
    said = []
    for name in FORCING:
        before = record.flags.get(name, np.full(record.time.size, np.nan))
        for flag, kind in _KINDS.items():
            ours = (flags[name] == flag) & (before != flag)
            if name != "LAI" and ours.any():
                said.append(f"{name} {100 * ours.mean():.2g} % {kind}")
    return "; ".join(said) or "nothing"
