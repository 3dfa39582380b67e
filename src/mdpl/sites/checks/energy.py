"""The energy balance: closure, signs, and heat fluxes that changed places or were corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mdpl.sites.checks.completeness import season_masks
from mdpl.sites.checks.finding import Finding
from mdpl.sites.record import Record

_ENOUGH = 200


@dataclass(frozen=True)
class Closure:
    """Turbulent against available energy, over steps at which all terms were measured.

    Attributes:
        n: number of steps.
        slope, intercept: of the least-squares line of Qle + Qh on Rnet - Qg (W m-2).
        ratio: sum of Qle + Qh over that of Rnet - Qg.
        r2: of the line.
        without_ground: soil heat flux was not available and left out.
    """

    n: int
    slope: float
    intercept: float
    ratio: float
    r2: float
    without_ground: bool


def closure(record: Record) -> Mapping[str, Closure]:
    """Energy-balance closure of the record (``all``) and of its seasons, where it can be told.

    Slope and ratio as of Wilson et al. (2002, doi:10.1016/S0168-1923(02)00109-0), who found
    slopes of 0.55 to 0.99 (mean 0.79) and ratios of 0.34 to 1.2 (mean 0.84) at 22 towers.
    """
    if not record.has("Qle", "Qh", "Rnet"):
        return {}
    terms = balance(record)
    if terms is None:
        return {}
    available, turbulent, without = terms
    both = np.isfinite(available) & np.isfinite(turbulent)
    masks = {"all": np.ones_like(both), **season_masks(record.time)}
    return {
        name: _fit(available[both & mask], turbulent[both & mask], without)
        for name, mask in masks.items()
        if (both & mask).sum() >= _ENOUGH
    }


def balance(record: Record) -> tuple[np.ndarray, np.ndarray, bool] | None:
    """Available and turbulent energy where measured, and whether Qg had to be left out."""
    net = record.where_measured("Rnet")
    turbulent = record.where_measured("Qle") + record.where_measured("Qh")
    ground = record.series["Qg"] if record.has("Qg") else np.full_like(net, np.nan)
    without = np.isfinite(ground).mean() < 0.3
    available = net if without else net - ground
    if (np.isfinite(available) & np.isfinite(turbulent)).sum() < _ENOUGH:
        return None
    return available, turbulent, bool(without)


def _fit(available: np.ndarray, turbulent: np.ndarray, without: bool) -> Closure:
    slope, intercept = np.polyfit(available, turbulent, 1)
    total = available.sum()
    r = np.corrcoef(available, turbulent)[0, 1]
    ratio = turbulent.sum() / total if abs(total) > 5.0 * available.size else np.nan
    return Closure(
        available.size, float(slope), float(intercept), float(ratio), float(r**2), without
    )


def energy_closure(record: Record) -> Iterator[Finding]:
    """A balance far from closed, or not there at all."""
    found = closure(record).get("all")
    if found is None:
        return
    ground = "Rnet (no Qg)" if found.without_ground else "Rnet - Qg"
    said = (
        f"Qle + Qh is {found.slope:.2f} ({ground}) {found.intercept:+.0f} W m-2, r2 "
        f"{found.r2:.2f}, ratio of the sums {found.ratio:.2f} (n = {found.n})"
    )
    if found.slope < 0.3 or found.slope > 1.4 or found.r2 < 0.3:
        yield Finding(
            "energy balance",
            "serious",
            "Qle, Qh, Rnet",
            f"{said}: the terms do not belong together; check signs and units",
            value=found.slope,
        )
    elif found.slope < 0.6 or found.slope > 1.15:
        yield Finding(
            "energy balance",
            "warning",
            "Qle, Qh, Rnet",
            f"{said}: far from closed; consider corrected fluxes, and say which were used",
            value=found.slope,
        )


def heat_flux_signs(record: Record) -> Iterator[Finding]:
    """Fluxes that point the wrong way: down by day, up by night."""
    if not record.has("SWdown"):
        return
    shortwave = record.series["SWdown"]
    for name in ("Rnet", "Qh", "Qle"):
        if not record.has(name):
            continue
        seen = record.where_measured(name)
        by_day = seen[np.isfinite(seen) & (shortwave > 300)]
        by_night = seen[np.isfinite(seen) & (shortwave < 5)]
        if by_day.size < _ENOUGH or by_night.size < _ENOUGH:
            continue
        day, night = float(by_day.mean()), float(by_night.mean())
        if day < night - 10 and day < 0:
            yield Finding(
                "sign",
                "fatal",
                name,
                f"{name} is {day:.0f} W m-2 in the mean by day and {night:.0f} by night: its sign "
                "is turned; expected upwards positive (Rnet: downwards)",
                value=day,
            )


def swapped(record: Record) -> Iterator[Finding]:
    """Latent heat that cools by night and sensible heat that does not: the names are exchanged.

    At night the ground is colder than the air and sensible heat flows down, while there is
    little evaporation. Latent heat that is clearly negative and follows the wind, beside a
    sensible heat near or above zero, is a sensible heat by another name.
    """
    if not record.has("Qle", "Qh", "SWdown"):
        return
    night = (record.series["SWdown"] < 5) & record.measured("Qle") & record.measured("Qh")
    if night.sum() < _ENOUGH:
        return
    latent, sensible = (float(record.series[n][night].mean()) for n in ("Qle", "Qh"))
    if latent < -5 and sensible > latent + 6:
        yield Finding(
            "swapped fluxes",
            "fatal",
            "Qle, Qh",
            f"at night Qle is {latent:.0f} and Qh {sensible:.0f} W m-2 in the mean; it should be "
            "the sensible heat that flows down: the two were exchanged",
            value=latent - sensible,
        )


def corrected_as_raw(record: Record) -> Iterator[Finding]:
    """Fluxes called raw that are the corrected ones, or close too well to be measured."""
    for name in ("Qle", "Qh"):
        if not record.has(name, f"{name}_cor"):
            continue
        raw, corrected = record.where_measured(name), record.series[f"{name}_cor"]
        both = np.isfinite(raw) & np.isfinite(corrected) & (np.abs(raw) > 5)
        if both.sum() < _ENOUGH:
            continue
        share = float(np.mean(np.abs(raw[both] - corrected[both]) <= 1e-3 * np.abs(raw[both])))
        if share > 0.9:
            yield Finding(
                "corrected as raw",
                "serious",
                name,
                f"{share:.0%} of {name} equals {name}_cor: either the corrected flux stands in the "
                "place of the raw one, or nothing was corrected; get the raw flux",
                value=share,
            )
    terms = balance(record) if record.has("Qle", "Qh", "Rnet") else None
    if terms is None:
        return
    available, turbulent, _ = terms
    both = np.isfinite(available) & np.isfinite(turbulent) & (np.abs(available) > 20)
    if both.sum() < _ENOUGH:
        return
    closed = float(np.mean(np.abs(turbulent[both] / available[both] - 1) < 0.01))
    if closed > 0.25:
        yield Finding(
            "corrected as raw",
            "serious",
            "Qle, Qh",
            f"the energy balance closes within 1 % at {closed:.0%} of the steps; measured fluxes "
            "never do: Qle and Qh were corrected for closure",
            value=closed,
        )
