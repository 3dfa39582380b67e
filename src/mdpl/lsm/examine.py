"""Tests a land model against the contract, before anything is calibrated with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import xarray as xr

from mdpl.errors import MdplError, SiteError
from mdpl.lsm.model import LandModel
from mdpl.lsm.offers import failures, outputs_of
from mdpl.sites.qc import check_unit
from mdpl.sites.site import Site, unit_of

YEAR = 365.2425 * 86400.0
MOVE = 0.25
"""Part of its range by which each parameter is moved."""

LEAST = 1e-3
"""W m-2 (or another unit) that an output must move, in the mean magnitude, to count as moved."""

CLOSED = 5.0
"""W m-2 of mean residual of the energy balance that pass as closed: storage, and rounding."""

LEAST_SHARE = 0.02
"""Of the sun in bright hours, that leaves as sensible and latent heat anywhere but on deep snow."""

PLAUSIBLE = {"Qle": (-50.0, 400.0), "Qh": (-150.0, 400.0), "GPP": (-1.0, 40.0)}
"""Range of a record's mean."""


@dataclass(frozen=True)
class Check:
    """One question to a model: whether it passed (None: could not be asked), and what was found."""

    name: str
    passed: bool | None
    found: str


def examine(model: LandModel, site: Site) -> Iterator[Check]:
    """Ask a land model everything, at one tower; each answer as soon as it is there.

    Runs the model about twice as often as it has parameters.
    """
    start = time.monotonic()
    try:
        first = model.simulate(site)
    except MdplError as error:
        yield Check("a run with the defaults", False, str(error))
        return
    seconds = time.monotonic() - start
    yield _sound(first, site)
    if failures(first)[0]:
        return
    years = len(site.time) * site.step_seconds / YEAR
    yield Check("run time", None, f"{seconds / years:.3g} s a year of this tower, start included")
    yield from (
        ask(model, site, first)
        for ask in (_same_again, _own_rows, _bounds, _every_parameter, _signs, _energy)
    )


def _sound(run: xr.Dataset, site: Site) -> Check:
    name = "a run with the defaults"
    reason = failures(run)[0]
    if reason:
        return Check(name, False, reason)
    for flux in ("Qle", "Qh"):
        if flux not in run:
            return Check(name, False, f"no {flux}; it gives {', '.join(map(str, run.data_vars))}")
        shape = (1, len(site.time))
        if run[flux].shape != shape:
            return Check(name, False, f"{flux}: expected shape {shape}, found {run[flux].shape}")
        if not np.isfinite(run[flux].values).all():
            return Check(name, False, f"{flux} is not finite at some steps")
    means = ", ".join(f"{f} {float(run[f].mean()):.4g} W m-2" for f in ("Qle", "Qh"))
    return Check(name, True, f"means {means}")


def _same_again(model: LandModel, site: Site, first: xr.Dataset) -> Check:
    again = model.simulate(site)
    off = max(_distance(again, first, i=0, j=0).values())
    return Check("same input, same output", off == 0.0, f"largest difference {off:.3g}")


def _own_rows(model: LandModel, site: Site, first: xr.Dataset) -> Check:
    """A member must not depend on its neighbours."""
    default, other = _moved(model, site, slice(None), MOVE / 2)
    both = model.simulate(site, np.stack([other, default]))
    off = max(_distance(both, first, i=1, j=0).values())
    scale = max(float(np.abs(first["Qle"]).mean()), 1.0)
    return Check(
        "a member is its own, whatever runs beside it",
        off < 1e-6 * scale,
        f"largest difference to the run alone {off:.3g}",
    )


def _bounds(model: LandModel, site: Site, first: xr.Dataset) -> Check:
    name, space = "values out of bounds are refused", model.parameters
    space.check(space.defaults(site.attributes))
    beyond = space.defaults(site.attributes)
    beyond[0] = space.upper[0] + (space.upper[0] - space.lower[0])
    try:
        run = model.simulate(site, beyond[None])
    except MdplError:
        return Check(name, True, "an error")
    except Exception as error:
        return Check(name, False, f"{type(error).__name__} instead of a ModelError")
    passed = bool(np.isnan(run["Qle"].values).all())
    return Check(name, passed, "a failed member" if passed else "it ran as if nothing were wrong")


def _every_parameter(model: LandModel, site: Site, first: xr.Dataset) -> Check:
    space = model.parameters
    rows = np.stack([_moved(model, site, i, MOVE)[1] for i in range(len(space))])
    run = model.simulate(site, rows)
    told = failures(run)
    failed = [f"{n} ({r})" for n, r in zip(space.names, told, strict=True) if r]
    moves = [_distance(run, first, i, 0, mean=True) for i in range(len(space))]
    still = [n for n, m in zip(space.names, moves, strict=True) if not max(m.values()) > LEAST]
    said = ", ".join(
        f"{n} {max(m['Qle'], m['Qh']):.3g}" for n, m in zip(space.names, moves, strict=True)
    )
    name = "every parameter moves an output"
    if failed:
        return Check(name, False, f"runs failed: {'; '.join(failed)}")
    if still:
        return Check(name, False, f"{', '.join(still)} moves nothing on these days; W m-2: {said}")
    return Check(name, True, f"mean change of the heat fluxes, W m-2: {said}")


def _signs(model: LandModel, site: Site, first: xr.Dataset) -> Check:
    name = "units and signs are plausible"
    for flux, (low, high) in PLAUSIBLE.items():
        if flux in first:
            unit = str(first[flux].attrs.get("units", unit_of(flux)))
            try:
                check_unit(flux, unit, "the model's output")
            except SiteError as error:
                return Check(name, False, str(error))
            mean = float(first[flux].mean())
            if not low <= mean <= high:
                return Check(name, False, f"mean {flux} is {mean:.4g}, expected {low} to {high}")
    bright = site.forcing["SWdown"].values > 300.0
    if not bright.any():
        return Check(name, None, "no bright hour to judge by")
    total = first["Qle"].values[0] + first["Qh"].values[0]
    day, sun = total[bright].mean(), float(site.forcing["SWdown"].values[bright].mean())
    if day <= 0:
        return Check(name, False, f"in bright hours Qle + Qh is {day:.4g} W m-2: upwards counts +")
    if day < LEAST_SHARE * sun:
        return Check(
            name, False, f"in bright hours Qle + Qh is {day:.4g} of {sun:.4g} W m-2 of sun: W m-2?"
        )
    if day > sun:
        return Check(name, False, f"in bright hours Qle + Qh is {day:.4g}, above SWdown {sun:.4g}")
    return Check(name, True, f"in bright hours Qle + Qh is {day:.4g} of {sun:.4g} W m-2 of sun")


def _energy(model: LandModel, site: Site, first: xr.Dataset) -> Check:
    name = "the energy balance closes"
    if not {"Rnet", "Qg"} <= set(outputs_of(model)):
        return Check(name, None, "it gives no Rnet or Qg")
    left = (first["Rnet"] - first["Qg"] - first["Qle"] - first["Qh"]).values
    mean, most = float(left.mean()), float(np.abs(left).max())
    found = f"Rnet - Qg - Qle - Qh: mean {mean:.3g}, largest {most:.3g} W m-2"
    return Check(name, abs(mean) <= CLOSED, found)


def _moved(
    model: LandModel, site: Site, which: int | slice, by: float
) -> tuple[np.ndarray, np.ndarray]:
    """The defaults, and the same with one parameter or all moved away from the nearer bound."""
    space = model.parameters
    default = space.defaults(site.attributes)
    unit = space.to_unit(default)
    moved = unit.copy()
    moved[which] = np.where(unit[which] < 0.5, unit[which] + by, unit[which] - by)
    return default, space.from_unit(moved)


def _distance(
    one: xr.Dataset, other: xr.Dataset, i: int, j: int, mean: bool = False
) -> dict[str, float]:
    """Largest (or mean) difference of two members by output."""
    reduce: Callable = np.nanmean if mean else np.max
    shared = [n for n in ("Qle", "Qh", "GPP", "NEE", "Rnet", "Qg") if n in one and n in other]
    return {
        name: float(reduce(np.abs(one[name].values[i] - other[name].values[j]))) for name in shared
    }
