"""What the surrogate sees of a tower: blocks of forcing and of the reference simulation.

A block is what the surrogate's recurrence takes one step for: a whole local day, a few hours or
a single step of the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mdpl.errors import ModelError, SiteError
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.site import FORCING, Site

RAIN_MEMORY_HOURS = 6.0
"""Decay time of the recent-rain feature: about how long a canopy stays wet."""


@dataclass(frozen=True)
class SiteTensors:
    """One tower as arrays of the blocks of whole local days; float32, in physical units.

    Attributes:
        code: tower code.
        n_time: length of the tower's own time axis.
        first: index on that axis of the first step of the first whole day.
        per_day: blocks in a day.
        dynamic: inputs of every step, shape (block, slot, dynamic); a slot is a step of the block.
        summary: summary of every block, shape (block, summary).
        day_of_year: shape (block,), 1-366.
        reference: default-parameter simulation, shape (block, slot, task).
        default_unit: default parameters in the unit cube, shape (parameter,).
        tasks: the variables predicted, such as ``("Qle", "Qh")``.
        dynamic_names, summary_names: what the inputs are.
    """

    code: str
    n_time: int
    first: int
    per_day: int
    dynamic: np.ndarray
    summary: np.ndarray
    day_of_year: np.ndarray
    reference: np.ndarray
    default_unit: np.ndarray
    tasks: tuple[str, ...]
    dynamic_names: tuple[str, ...]
    summary_names: tuple[str, ...]

    @property
    def blocks(self) -> int:
        return int(self.dynamic.shape[0])

    @property
    def slots(self) -> int:
        """Steps in a block: 48 or 24 where it is a day."""
        return int(self.dynamic.shape[1])

    def fold(self, series: np.ndarray) -> np.ndarray:
        """Cut a series, shape (..., time), into blocks, shape (..., block, slot).

        Raises:
            SiteError: the series is not on the tower's time axis.
        """
        if series.shape[-1] != self.n_time:
            raise SiteError(
                f"site {self.code}: expected a series of {self.n_time} steps, found "
                f"{series.shape[-1]}; give it on the tower's own time axis"
            )
        whole = series[..., self.first : self.first + self.blocks * self.slots]
        return whole.reshape(*series.shape[:-1], self.blocks, self.slots)

    def unfold(self, folded: np.ndarray) -> np.ndarray:
        """Undo `fold`; steps outside whole days become NaN (False for a mask)."""
        lead = folded.shape[:-2]
        empty = False if folded.dtype == bool else np.nan
        series = np.full((*lead, self.n_time), empty, dtype=folded.dtype)
        end = self.first + self.blocks * self.slots
        series[..., self.first : end] = folded.reshape(*lead, self.blocks * self.slots)
        return series


def build(
    site: Site,
    reference: xr.Dataset,
    default_unit: np.ndarray,
    tasks: Sequence[str],
    block_hours: float = 24.0,
) -> SiteTensors:
    """Prepare a tower for the surrogate.

    Args:
        reference: the land model's run with default parameters, dims ``(time,)`` (a ``member``
            axis of length one and a ``layer`` axis are accepted). It holds every task; all its
            variables become inputs, so pass what tells the state: soil wetness, soil temperature.
        default_unit: the tower's default parameters in the unit cube, shape (parameter,).
        tasks: names of the variables to predict.
        block_hours: length of a block; a day is a whole number of them. A block shorter than
            the tower's step is one step.

    Raises:
        SiteError: fewer than two whole days, missing values in the forcing, or a step that
            does not fit into the block.
        ModelError: the reference lacks a task, has missing values or another time axis.
    """
    first, days = _whole_days(site)
    slots = _steps_per_block(site, block_hours)
    per_day = site.steps_per_day // slots
    blocks = days * per_day
    forcing = _forcing_features(site)
    state = _reference_features(site, reference, tasks)
    features = {**forcing, **state, **_clock(site)}
    span = slice(first, first + blocks * slots)
    stacked = np.stack([v[span] for v in features.values()], axis=-1)
    dynamic = stacked.reshape(blocks, slots, -1).astype(np.float32)
    rain = np.asarray(site.forcing["Precip"].values)[span].reshape(blocks, slots)
    amount = rain.sum(axis=1) * site.step_seconds
    summary, summary_names = _summary(dynamic, tuple(features), amount, whole_day=per_day == 1)
    dates = site.time[span].reshape(blocks, slots)[:, 0]
    return SiteTensors(
        code=site.code,
        n_time=len(site.time),
        first=first,
        per_day=per_day,
        dynamic=dynamic,
        summary=summary,
        day_of_year=_day_of_year(dates),
        reference=np.stack([state[t][span].reshape(blocks, slots) for t in tasks], axis=-1).astype(
            np.float32
        ),
        default_unit=np.asarray(default_unit, dtype=np.float32),
        tasks=tuple(tasks),
        dynamic_names=tuple(features),
        summary_names=summary_names,
    )


def in_whole_days(site: Site) -> np.ndarray:
    """Steps the surrogate answers, bool, (time,): those of whole local days.

    Raises:
        SiteError: fewer than two whole days.
    """
    first, days = _whole_days(site)
    inside = np.zeros(len(site.time), dtype=bool)
    inside[first : first + days * site.steps_per_day] = True
    return inside


def _whole_days(site: Site) -> tuple[int, int]:
    """Index of the first step that opens a day, and the number of whole days from there."""
    time = site.time.astype("datetime64[s]")
    since_midnight = (time - time.astype("datetime64[D]")).astype(np.int64)
    opens = np.flatnonzero(since_midnight < site.step_seconds)
    first = int(opens[0]) if opens.size else len(time)
    days = (len(time) - first) // site.steps_per_day
    if days < 2:
        raise SiteError(
            f"site {site.code}: the surrogate needs at least two whole days, found {days} in "
            f"{len(time)} steps of {site.step_seconds} s; use a longer record"
        )
    return first, days


def _forcing_features(site: Site) -> dict[str, np.ndarray]:
    raw = {name: np.asarray(site.forcing[name].values, dtype=float) for name in FORCING}
    for name, values in raw.items():
        if not np.isfinite(values).all():
            when = site.time[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise SiteError(
                f"site {site.code}: forcing {name} is missing at {when}; fill or drop the gap"
            )
    rain = raw.pop("Precip") * 3600.0
    return {
        **raw,
        "VPD": _vapour_pressure_deficit(raw["Tair"], raw["Qair"], raw["Psurf"]),
        "rain": np.log1p(rain),
        "recent_rain": np.log1p(_decaying(rain, site.step_seconds / 3600.0)),
    }


def _vapour_pressure_deficit(tair: np.ndarray, qair: np.ndarray, psurf: np.ndarray) -> np.ndarray:
    """hPa, not below zero."""
    return np.maximum(saturation_vapour_pressure(tair) - vapour_pressure(qair, psurf), 0.0)


def _decaying(rain: np.ndarray, hours: float) -> np.ndarray:
    """Rain of the past hours, exponentially forgotten; causal."""
    keep = np.exp(-hours / RAIN_MEMORY_HOURS)
    out = np.empty_like(rain)
    total = 0.0
    for i, amount in enumerate(rain):
        total = total * keep + amount * hours
        out[i] = total
    return out


def _clock(site: Site) -> dict[str, np.ndarray]:
    time = site.time.astype("datetime64[s]")
    seconds = (time - time.astype("datetime64[D]")).astype(np.int64) + site.step_seconds / 2
    angle = 2 * np.pi * seconds / 86400.0
    return {"hour_cos": np.cos(angle), "hour_sin": np.sin(angle)}


def _reference_features(
    site: Site, reference: xr.Dataset, tasks: Sequence[str]
) -> dict[str, np.ndarray]:
    if "member" in reference.dims:
        reference = reference.isel(member=0)
    absent = [task for task in tasks if task not in reference]
    if absent:
        raise ModelError(
            f"site {site.code}: the reference simulation lacks {', '.join(absent)}; "
            f"it has {', '.join(str(v) for v in reference.data_vars)}"
        )
    if reference.sizes.get("time") != len(site.time):
        raise ModelError(
            f"site {site.code}: expected a reference simulation of {len(site.time)} steps, "
            f"found {reference.sizes.get('time')}; run the land model on the whole record"
        )
    features: dict[str, np.ndarray] = {}
    for name, variable in reference.data_vars.items():
        values = np.asarray(variable.transpose("time", ...).values, dtype=float)
        columns = values.reshape(len(values), -1)
        for i in range(columns.shape[1]):
            label = str(name) if values.ndim == 1 else f"{name}[{i}]"
            features[label] = columns[:, i]
    for label, column in features.items():
        if not np.isfinite(column).all():
            when = site.time[int(np.flatnonzero(~np.isfinite(column))[0])]
            raise ModelError(
                f"site {site.code}: the reference simulation has no finite {label} at {when}; "
                "the default run must succeed before a surrogate can be trained"
            )
    return features


def _steps_per_block(site: Site, block_hours: float) -> int:
    steps = max(1.0, block_hours * 3600.0 / site.step_seconds)
    if steps != round(steps) or site.steps_per_day % round(steps):
        raise SiteError(
            f"site {site.code}: blocks of {block_hours:g} h do not divide a day of "
            f"{site.steps_per_day} steps; use 0.5, 1, 3 or 24 h"
        )
    return round(steps)


def _summary(
    dynamic: np.ndarray, names: tuple[str, ...], rain: np.ndarray, whole_day: bool
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Mean of every input and the rain of the block (mm, log1p).

    Of a whole day also the highest and the lowest, while its mean clock tells nothing.
    """
    kept = [i for i, name in enumerate(names) if not (whole_day and name.startswith("hour_"))]
    values = dynamic[:, :, kept]
    parts = {"mean": values.mean(axis=1)}
    if whole_day:
        parts |= {"max": values.max(axis=1), "min": values.min(axis=1)}
    labels = [f"{names[i]}_{how}" for how in parts for i in kept] + ["rain_sum"]
    parts["rain"] = np.log1p(rain)[:, None]
    return np.concatenate(list(parts.values()), axis=1).astype(np.float32), tuple(labels)


def _day_of_year(dates: np.ndarray) -> np.ndarray:
    days = dates.astype("datetime64[D]")
    return ((days - days.astype("datetime64[Y]")).astype(np.int64) + 1).astype(np.float32)
