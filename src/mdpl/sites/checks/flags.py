"""Quality flags: what was synthesised, and flags that cannot be true."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdpl.sites.attributes import vapour_pressure
from mdpl.sites.checks.finding import Finding
from mdpl.sites.record import Record
from mdpl.sites.site import FORCING

MEANINGS = {4: "from reanalysis", 5: "filled statistically", 101: "synthesised"}

_MOST_MEASURED = 0.985
"""Half-hourly eddy fluxes that cover more of a record than this were filled: of a year 65 % remain
on average (Falge et al. 2001, doi:10.1016/S0168-1923(00)00225-2), at the best towers 90 %."""

_MOST_REPEATED = 0.01
"""Measured fluxes do not repeat themselves to the last digit from one step to the next."""

_SIGMA = 5.670374e-8
_ENOUGH = 300


def synthesised(record: Record) -> Iterator[Finding]:
    """Forcing that comes from elsewhere than the tower, as its flags say."""
    for name in FORCING:
        flags = record.flags.get(name)
        if flags is None:
            continue
        for flag, meaning in MEANINGS.items():
            share = float(np.mean(flags == flag))
            if share > 0.05:
                yield Finding(
                    "synthesised",
                    "remark",
                    name,
                    f"{share:.0%} of {name} is {meaning} (qc {flag})",
                    value=share,
                )


def constants(record: Record) -> Iterator[Finding]:
    """LAI or CO2 that never changes, whatever its flags say."""
    for name in ("LAI", "CO2air"):
        if record.has(name) and record.years > 0.5 and np.nanstd(record.series[name]) < 1e-6:
            value = float(np.nanmean(record.series[name]))
            yield Finding(
                "constant",
                "remark",
                name,
                f"{name} is {value:.4g} throughout: assumed, not observed",
                value=value,
            )


def unflagged_filling(record: Record) -> Iterator[Finding]:
    """Fluxes without a single gap, or that repeat themselves: filled, and called measured."""
    if record.years < 0.2:
        return
    gapless, repeating = [], []
    for name in ("Qle", "Qh", "NEE"):
        if not record.has(name):
            continue
        values = record.where_measured(name)
        repeats = float(np.mean((np.diff(values) == 0) & (values[1:] != 0)))
        if record.measured(name).mean() > _MOST_MEASURED:
            gapless.append(name)
        elif repeats > _MOST_REPEATED and np.unique(values).size > 2000:
            repeating.append(name)
    for names, text in (
        (gapless, "is called measured throughout; eddy covariance never has so few gaps"),
        (
            repeating,
            "called measured repeats the value before exactly at more than 1 % of the steps",
        ),
    ):
        if names:
            yield Finding(
                "unflagged gap-filling",
                "warning",
                ", ".join(names),
                f"{', '.join(names)} {text}: filled values carry the flag of measured ones (qc 0), "
                "and scores count them",
            )


def missing_called_measured(record: Record) -> Iterator[Finding]:
    """Flags of 0 where there is no value."""
    for name in ("Qle", "Qh", "NEE"):
        if name not in record.flags or name not in record.series:
            continue
        share = float(np.mean((record.flags[name] == 0) & ~np.isfinite(record.series[name])))
        if share > 0.01:
            yield Finding(
                "flags",
                "warning",
                name,
                f"{share:.0%} of {name} is missing but flagged 0 (measured)",
                value=share,
            )


def inverted(record: Record) -> Iterator[Finding]:
    """Flags that call filled values measured, and measured values filled.

    Filled fluxes are averages of similar conditions and lack the random error of measured ones
    (Moffat et al. 2007, doi:10.1016/j.agrformet.2007.08.011), so that the highest and lowest
    values of a record were nearly all measured. Where less of them is flagged measured than of
    all values, the flags are turned.
    """
    for name in ("Qle", "Qh", "NEE"):
        if name not in record.flags or not record.has(name):
            continue
        values, seen = record.series[name], record.measured(name)
        there = np.isfinite(values)
        filled = there & (record.flags[name] > 0)
        if filled.sum() < _ENOUGH:
            continue
        if not seen.any():
            yield Finding(
                "flags",
                "fatal",
                name,
                f"no {name} is flagged measured (0); if the flags mean the opposite, turn them",
            )
            continue
        low, high = np.quantile(values[there], (0.003, 0.997))
        extreme = there & ((values < low) | (values > high))
        share, usual = float(seen[extreme].mean()), float(seen[there].mean())
        if extreme.sum() >= 30 and share < 0.5 * usual:
            yield Finding(
                "flags",
                "serious",
                name,
                f"of the highest and lowest {name} {share:.0%} are flagged measured, of all "
                f"{usual:.0%}; extremes are nearly always measured: the flags are probably turned "
                "(0 must mean measured)",
                value=share / usual,
            )


def synthetic_longwave(record: Record) -> Iterator[Finding]:
    """Longwave radiation that is a formula of temperature and humidity, called measured.

    Measured radiation follows the clouds: the apparent emissivity LWdown / (sigma Tair^4) changes
    from one step to the next whatever temperature and humidity do. Found is the share of its
    changes at night that those of (e / T)^(1/7) explain.
    """
    if not record.has("LWdown", "Tair", "Qair", "Psurf", "SWdown"):
        return
    if record.measured("LWdown").mean() < 0.5:
        return
    t, q, p = (record.series[n] for n in ("Tair", "Qair", "Psurf"))
    emissivity = record.where_measured("LWdown") / (_SIGMA * t**4)
    clear = (np.maximum(vapour_pressure(q, p), 1e-3) / t) ** (1 / 7)
    a, b = np.diff(emissivity), np.diff(clear)
    night = (record.series["SWdown"][1:] < 5) & np.isfinite(a) & np.isfinite(b)
    if night.sum() < _ENOUGH or np.std(b[night]) == 0 or np.std(a[night]) == 0:
        return
    # Ranks, since some formulae are no power of e / T but all are monotonic.
    r = _rank_correlation(a[night], b[night])
    if r > 0.8:
        yield Finding(
            "synthesised",
            "warning",
            "LWdown",
            f"LWdown is called measured, but follows temperature and humidity step by step (rank "
            f"correlation {r:.2f}): computed by a formula",
            value=r,
        )


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    first, second = (np.argsort(np.argsort(x)).astype(float) for x in (a, b))
    return float(np.corrcoef(first, second)[0, 1])
