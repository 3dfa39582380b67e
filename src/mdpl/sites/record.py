"""A tower record as its files have it: nothing refused, nothing filled, gaps and flaws kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.qc import stamp
from mdpl.sites.site import UNITS, Site

STEPS = (1800, 3600)
"""Lengths of an interval towers report in, s."""

FLUXES = ("Qle", "Qh", "Rnet", "Qg", "NEE", "GPP")
COMPANIONS = {"VPD": "hPa", "RH": "%", "Ustar": "m s-1"}
"""Variables no land model needs but a check does, and their units."""

RECORD_UNITS = {**UNITS, **COMPANIONS}

_LONGEST_YEARS = 100


@dataclass(frozen=True)
class Record:
    """What a tower's files say.

    Attributes:
        code: tower code.
        stamps: start of each interval as the files have them, datetime64[ns], shape (row,): they
            may repeat, run backward or leave steps out.
        time: the regular axis from the first stamp to the last, shape (time,).
        step_seconds: length of an interval.
        series: name -> float64 (time,), NaN where missing; ALMA names and, for what no land model
            needs, those of `COMPANIONS`; ``<flux>_cor`` and ``<flux>_uc`` where the files have
            them.
        flags: name -> float64 (time,), 0 = measured, > 0 filled, NaN where not said.
        stated_units: name -> the unit the file claims, where it is not the one of `RECORD_UNITS`
            by construction.
        place: what the files say of the place.
        sources: file name -> sha256.
        notes: what the reader did, for the report.
    """

    code: str
    stamps: np.ndarray
    time: np.ndarray
    step_seconds: int
    series: Mapping[str, np.ndarray]
    flags: Mapping[str, np.ndarray] = field(default_factory=dict)
    stated_units: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, float | str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def steps_per_day(self) -> int:
        return 86400 // self.step_seconds

    @property
    def years(self) -> float:
        return self.time.size * self.step_seconds / (365.2425 * 86400.0)

    def has(self, *names: str) -> bool:
        """Whether all these variables have a value somewhere."""
        return all(n in self.series and np.isfinite(self.series[n]).any() for n in names)

    def measured(self, name: str) -> np.ndarray:
        """Finite and, where the variable has flags, flagged 0; bool (time,)."""
        good = np.isfinite(self.series[name])
        return good & (self.flags[name] == 0) if name in self.flags else good

    def by_day(self, values: np.ndarray) -> np.ndarray:
        """Shape (day, step of the day), NaN beyond the record; `days` is the first axis."""
        lead = int((self.time[0] - self.days[0]) / (self.time[1] - self.time[0]))
        table = np.full(self.days.size * self.steps_per_day, np.nan)
        table[lead : lead + values.size] = values
        return table.reshape(self.days.size, self.steps_per_day)

    @property
    def days(self) -> np.ndarray:
        """Calendar days touched, datetime64[D], shape (day,)."""
        first, last = self.time[[0, -1]].astype("datetime64[D]")
        return np.arange(first, last + 1)

    def where_measured(self, name: str) -> np.ndarray:
        """The series, NaN where not measured."""
        return np.where(self.measured(name), self.series[name], np.nan)


def from_site(site: Site) -> Record:
    """The record of a tower that was read already."""
    data = {str(n): v.values for n, v in chain(site.forcing.items(), site.fluxes.items())}
    series = {n: v for n, v in data.items() if not n.endswith("_qc")}
    flags = {n.removesuffix("_qc"): v for n, v in data.items() if n.endswith("_qc")}
    return Record(
        code=site.code,
        stamps=site.time,
        time=site.time,
        step_seconds=site.step_seconds,
        series=series,
        flags=flags | dict(site.forcing_qc),
        place=dict(site.attributes),
        sources=site.sources,
    )


def regular_axis(stamps: np.ndarray, where: str) -> tuple[np.ndarray, int]:
    """The regular axis that holds all stamps, and its step in s.

    Args:
        stamps: datetime64, shape (row,), in any order, with gaps and repetitions.

    Raises:
        SiteError: fewer than two different stamps, steps other than half-hours and hours, a stamp
            off the axis, or more than a hundred years.
    """
    unique = np.unique(stamps[~np.isnat(stamps)])
    if unique.size < 2:
        raise SiteError(f"{where}: expected at least two time stamps, found {unique.size}")
    typical = float(np.median(np.diff(unique) / np.timedelta64(1, "s")))
    step = min(STEPS, key=lambda s: abs(s - typical))
    if abs(step - typical) > 1:
        raise SiteError(
            f"{where}: expected steps of 1800 or 3600 s, found {typical:g} s; average the record "
            "to half-hours or hours"
        )
    ticks = (unique - unique[0]) / np.timedelta64(step, "s")
    off = np.abs(ticks - np.rint(ticks)) > 0.01
    if off.any():
        raise SiteError(
            f"{where}: expected steps of {step} s throughout, found {stamp(unique[off][0])} off "
            f"the axis that begins at {stamp(unique[0])}; mend the time stamps"
        )
    n = int(np.rint(ticks[-1])) + 1
    if n * step > _LONGEST_YEARS * 366 * 86400:
        raise SiteError(
            f"{where}: expected at most {_LONGEST_YEARS} years, found {stamp(unique[0])} to "
            f"{stamp(unique[-1])}; mend the time stamps"
        )
    return unique[0].astype("M8[ns]") + np.arange(n) * np.timedelta64(step, "s"), step


def on_axis(stamps: np.ndarray, values: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Values (row,) on a regular axis (time,): NaN at missing stamps, the first of several."""
    step = time[1] - time[0]
    index = np.rint((stamps - time[0]) / step).astype(np.int64)
    inside = (index >= 0) & (index < time.size)
    result = np.full(time.size, np.nan)
    result[index[inside][::-1]] = values[inside][::-1]
    return result
