"""What may be believed: units, physical ranges, gaps, and which flux values were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.site import UNITS, Site, unit_of


@dataclass(frozen=True)
class Guise:
    """Values that betray another unit: they lie in [low, high] and ``advice`` says what to do."""

    low: float
    high: float
    advice: str


@dataclass(frozen=True)
class PhysicalRange:
    """What a forcing variable can be on Earth, in the unit of `UNITS`."""

    lower: float
    upper: float
    guises: tuple[Guise, ...] = ()


PHYSICAL_RANGES = {
    "SWdown": PhysicalRange(-10.0, 1500.0),
    "LWdown": PhysicalRange(50.0, 700.0),
    "Tair": PhysicalRange(
        190.0, 335.0, (Guise(-90.0, 62.0, "these look like degrees Celsius: add 273.15"),)
    ),
    "Qair": PhysicalRange(0.0, 0.06, (Guise(0.0, 60.0, "these look like g kg-1: divide by 1000"),)),
    "Wind": PhysicalRange(0.0, 80.0),
    "Psurf": PhysicalRange(
        45000.0,
        110000.0,
        (
            Guise(450.0, 1100.0, "these look like hPa: multiply by 100"),
            Guise(45.0, 110.0, "these look like kPa: multiply by 1000"),
        ),
    ),
    "Precip": PhysicalRange(
        0.0, 0.15, (Guise(0.0, 200.0, "these look like mm a time step: divide by its seconds"),)
    ),
    "CO2air": PhysicalRange(
        150.0, 2500.0, (Guise(1e-4, 3e-3, "these look like mol mol-1: multiply by 1e6"),)
    ),
    "LAI": PhysicalRange(0.0, 15.0),
}
"""Accepted forcing. Small negative night values of SWdown (offsets of the radiometer) pass."""

_SYNONYMS = {
    "Qair": ("kg kg-1", "g g-1", "1", "-"),
    "Precip": ("kg m-2 s-1", "mm s-1"),
    "CO2air": ("ppm", "ppmv", "umol mol-1", "1e-6"),
    "LAI": ("m2 m-2", "1", "-", ""),
    "GPP": ("umol m-2 s-1", "umolC m-2 s-1", "umolCO2 m-2 s-1"),
    "NEE": ("umol m-2 s-1", "umolC m-2 s-1", "umolCO2 m-2 s-1"),
}
_UNIT_ADVICE = {
    ("Tair", "degC"): "add 273.15",
    ("Tair", "C"): "add 273.15",
    ("Psurf", "hPa"): "multiply by 100",
    ("Psurf", "kPa"): "multiply by 1000",
    ("Qair", "g kg-1"): "divide by 1000",
    ("Precip", "mm"): "divide by the seconds of a time step",
}


def measured(site: Site, flux: str) -> np.ndarray:
    """Where a flux was measured: finite and ``qc == 0``.

    A flux without any ``<flux>_qc`` counts as measured wherever it is finite; some networks
    mark gap-filled values with qc 0 too, which no reader can tell.

    Returns:
        bool, shape (time,).

    Raises:
        SiteError: the tower has no such flux.
    """
    if flux not in site.fluxes:
        known = ", ".join(str(n) for n in site.fluxes if not str(n).endswith(("_qc", "_uc")))
        raise SiteError(f"{site.code}: no observed {flux}; this tower has: {known}")
    good = np.isfinite(site.fluxes[flux].values)
    if f"{flux}_qc" in site.fluxes:
        good &= site.fluxes[f"{flux}_qc"].values == 0
    return good


def measured_share(site: Site, flux: str) -> float:
    """Share of all steps at which a flux was measured, 0-1."""
    return float(measured(site, flux).mean())


def check_unit(name: str, found: str | None, where: str) -> None:
    """Refuse a ``units`` attribute that does not mean the unit of `UNITS`.

    Spellings are read alike (``W/m2``, ``W m-2``, ``W m^-2``). A variable without the attribute
    passes: its range is checked anyway.

    Raises:
        SiteError: naming the file, the variable, both units and what to do.
    """
    base = name.removesuffix("_uc").removesuffix("_cor")
    expected = UNITS[base]
    if found is None:
        return
    accepted = {_tokens(text) for text in (*_SYNONYMS.get(base, ()), expected)}
    if _tokens(found) in accepted:
        return
    advice = next(
        (
            text
            for (variable, unit), text in _UNIT_ADVICE.items()
            if variable == base and _tokens(unit) == _tokens(found)
        ),
        f"convert the values to {expected}",
    )
    raise SiteError(
        f"{where}: variable {name}: expected unit {expected!r}, found {found!r}; "
        f"{advice} and correct the units attribute"
    )


FLUX_RANGES = {
    "Qle": (-500.0, 1500.0),
    "Qh": (-700.0, 1500.0),
    "Rnet": (-400.0, 1400.0),
    "Qg": (-600.0, 800.0),
    "NEE": (-150.0, 150.0),
    "GPP": (-100.0, 200.0),
}
"""Half-hourly eddy fluxes may spike, but not beyond these (units of `UNITS`)."""


def without_spikes(
    series: Mapping[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, float | str]]:
    """Fluxes with values beyond `FLUX_RANGES` taken for missing, their flags too.

    Args:
        series: fluxes, their ``_cor`` and ``_qc``, (time,).

    Returns:
        the series, and what was left out as an attribute ``spikes``, if anything.
    """
    found, told = dict(series), []
    for name in series:
        limits = FLUX_RANGES.get(name.removesuffix("_cor"))
        if limits is None:
            continue
        beyond = (series[name] < limits[0]) | (series[name] > limits[1])
        if beyond.any():
            told.append(
                f"{name} {beyond.sum()} beyond {limits[0]:g} to {limits[1]:g} {unit_of(name)}"
            )
            for own in (name, f"{name}_qc"):
                if own in found:
                    found[own] = np.where(beyond, np.nan, found[own])
    return found, {"spikes": "; ".join(told)} if told else {}


def check_forcing(name: str, values: np.ndarray, time: np.ndarray, where: str) -> None:
    """Refuse gaps and values no place on Earth has.

    Args:
        values: shape (time,), in the unit of `UNITS`.
        time: shape (time,), datetime64.
        where: file name for the message.

    Raises:
        SiteError: naming the file, the variable, the count and the first bad time.
    """
    missing = ~np.isfinite(values)
    if missing.any():
        raise SiteError(
            f"{where}: variable {name}: expected a value at every step, found {missing.sum()} "
            f"missing of {values.size}, the first at {stamp(time[missing][0])}; "
            "fill the gap or shorten the record"
        )
    limits = PHYSICAL_RANGES[name]
    outside = (values < limits.lower) | (values > limits.upper)
    if outside.any():
        raise SiteError(
            f"{where}: variable {name}: expected {limits.lower:g} to {limits.upper:g} "
            f"{UNITS[name]}, found {outside.sum()} of {values.size} values outside, the first at "
            f"{stamp(time[outside][0])} ({values[outside][0]:g}); {advice(limits, values)}"
        )


def advice(limits: PhysicalRange, values: np.ndarray) -> str:
    """What to do about values outside, by the unit they betray."""
    low, high = values.min(), values.max()
    for guise in limits.guises:
        if guise.low <= low and high <= guise.high:
            return guise.advice
    return "mend or remove these values"


def stamp(moment: np.datetime64) -> str:
    """A time for a message, to the second: ``2005-01-01 00:30:00``."""
    return str(np.datetime_as_string(moment, unit="s")).replace("T", " ")


def same_unit(one: str, other: str) -> bool:
    """Whether two spellings mean one unit, such as ``W/m2`` and ``W m-2``."""
    return _tokens(one) == _tokens(other)


def _tokens(unit: str) -> tuple[str, ...]:
    """A unit as a sorted tuple of factors, so that ``W/m2`` and ``W m-2`` are one."""
    text = unit.strip().replace("µ", "u").replace("μ", "u").replace("**", "").replace("^", "")
    numerator, *denominators = text.split("/")
    factors = numerator.replace(".", " ").replace("*", " ").split()
    for part in denominators:
        first, *rest = part.replace(".", " ").replace("*", " ").split() or [""]
        factors += [_inverse(first), *rest]
    return tuple(sorted(factors))


def _inverse(factor: str) -> str:
    base = factor.rstrip("0123456789")
    return f"{base}-{factor[len(base) :] or '1'}"
