"""How much of a record is there, and how much of it was measured; by season."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.checks.finding import Finding
from mdpl.sites.filling import LONGEST_GAP_DAYS, SYNTHESISABLE, runs
from mdpl.sites.record import FLUXES, Record
from mdpl.sites.site import FORCING

SEASONS = {"DJF": (12, 1, 2), "MAM": (3, 4, 5), "JJA": (6, 7, 8), "SON": (9, 10, 11)}


def season_masks(time: np.ndarray) -> dict[str, np.ndarray]:
    """Season -> bool (time,), those the record has."""
    month = time.astype("M8[M]").astype(int) % 12 + 1
    masks = {name: np.isin(month, months) for name, months in SEASONS.items()}
    return {name: mask for name, mask in masks.items() if mask.any()}


def shares(record: Record) -> list[dict[str, str | float]]:
    """Rows of variable, season (``all`` first), share present and share measured."""
    masks = {"all": np.ones(record.time.size, dtype=bool), **season_masks(record.time)}
    rows: list[dict[str, str | float]] = []
    for name in (*FORCING, *FLUXES):
        if name not in record.series:
            continue
        there, seen = np.isfinite(record.series[name]), record.measured(name)
        rows += [
            {
                "variable": name,
                "season": season,
                "present": round(float(there[mask].mean()), 4),
                "measured": round(float(seen[mask].mean()), 4),
            }
            for season, mask in masks.items()
        ]
    return rows


def place(record: Record) -> Iterator[Finding]:
    """Where a tower stands and on what, without which little else can be checked."""
    needed = ("latitude", "longitude", "elevation", "igbp")
    lacking = [key for key in needed if key not in record.place]
    if lacking:
        yield Finding(
            "place",
            "fatal",
            "",
            f"{', '.join(lacking)} of the tower is not known; add it to the files, or to sites.csv "
            "beside them",
        )
    at = [float(record.place.get(key, 0.0)) for key in ("latitude", "longitude")]
    if not (abs(at[0]) <= 90 and abs(at[1]) <= 180):
        yield Finding(
            "place", "fatal", "", f"there is no latitude {at[0]:g} and longitude {at[1]:g}"
        )


def forcing_gaps(record: Record) -> Iterator[Finding]:
    """Forcing that is missing, wholly or here and there."""
    for name in FORCING:
        if not record.has(name):
            fillable = name in SYNTHESISABLE
            todo = (
                "it can be synthesised when read from network files"
                if fillable
                else "no land model can run without it: add it or leave the tower out"
            )
            yield Finding(
                "forcing gaps",
                "warning" if fillable else "fatal",
                name,
                f"{name} is missing altogether; {todo}",
            )
            continue
        missing = ~np.isfinite(record.series[name])
        if missing.any():
            begin, length = longest_run(missing)
            days = length / record.steps_per_day
            heavy = days > LONGEST_GAP_DAYS and name not in SYNTHESISABLE
            light = days < 10 and missing.mean() < 0.05
            yield Finding(
                "forcing gaps",
                "fatal" if heavy else "remark" if light else "warning",
                name,
                f"{name} has no value at {missing.sum()} of {missing.size} steps "
                f"({missing.mean():.1%}), the longest gap {days:.1f} days; fill it or cut the "
                "record",
                record.time[begin],
                float(missing.mean()),
            )


def measured_shares(record: Record) -> Iterator[Finding]:
    """Little measured latent or sensible heat, over the record or in a season."""
    for name in ("Qle", "Qh"):
        if not record.has(name):
            yield Finding("measured share", "fatal", name, f"no {name}: nothing to be judged by")
            continue
        seen = record.measured(name)
        share = float(seen.mean())
        if share < 0.5:
            yield Finding(
                "measured share",
                "fatal" if share == 0 else "serious" if share < 0.15 else "warning",
                name,
                f"{share:.0%} of {name} was measured; scores rest on these steps only",
                value=share,
            )
        poor = [s for s, m in season_masks(record.time).items() if seen[m].mean() < 0.1]
        if poor and share >= 0.15:
            yield Finding(
                "measured share",
                "warning",
                name,
                f"less than 10 % of {name} was measured in {', '.join(poor)}; nothing can be "
                "learnt of these seasons",
            )


def longest_run(mask: np.ndarray) -> tuple[int, int]:
    """Where the longest run of True begins, and its length."""
    begin, length = runs(mask)
    if not begin.size:
        return 0, 0
    at = int(np.argmax(length))
    return int(begin[at]), int(length[at])
