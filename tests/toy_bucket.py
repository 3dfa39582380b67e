"""A small land model with soil memory, on weather made up from a seed; truth for the tests."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mdpl.config_learning import DayBlockConfig
from mdpl.sites.site import Site
from mdpl.surrogate.batches import Batch
from mdpl.surrogate.loop import Draw
from mdpl.surrogate.train import TowerRuns
from mdpl.surrogate.windows import SiteTensors, build

NAMES = ("uptake", "capacity", "albedo", "inert")
TINY = {
    "hidden": 6,
    "width": 8,
    "tower": 4,
    "days_per_batch": 10,
    "slots_per_day": 4,
    "members_per_batch": 3,
    "steps": 12,
    "checkpoint_every": 4,
}


def site(
    code: str = "XX-Toy", days: int = 120, steps: int = 24, seed: int = 0, start: str = "2001-03-01"
) -> Site:
    """A tower with random weather; ``start`` may lie within a day."""
    rng = np.random.default_rng(seed)
    length = days * steps
    seconds = 86400 // steps
    time = np.datetime64(start, "ns") + np.arange(length) * np.timedelta64(seconds, "s")
    hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    sun = np.maximum(np.sin(np.pi * (hour - 6) / 12), 0)
    cloud = np.repeat(rng.uniform(0.3, 1, days + 1), steps)[:length]
    storm = (rng.random(length) < 0.02) * rng.exponential(3, length)
    warm = 285 + 4 * seed % 7 + 8 * np.sin(2 * np.pi * np.arange(length) / length)
    columns = {
        "SWdown": 900 * sun * cloud,
        "LWdown": 320 + 10 * cloud,
        "Tair": warm + 6 * sun,
        "Qair": np.full(length, 0.006),
        "Wind": 2 + rng.random(length),
        "Psurf": np.full(length, 1e5),
        "Precip": storm / 3600,
        "CO2air": np.full(length, 380.0),
        "LAI": np.full(length, 2.0),
    }
    forcing = xr.Dataset({k: ("time", v) for k, v in columns.items()}, coords={"time": time})
    attributes = {"land_cover": 1 + seed % 3, "igbp": "ENF"}
    return Site(code, forcing, xr.Dataset(coords={"time": time}), attributes, {})


def simulate(tower: Site, unit: np.ndarray) -> xr.Dataset:
    """A bucket that rain fills and evaporation empties, dims (member, time).

    Qle grows with uptake and soil wetness, Qh takes the energy left; the wetness of today depends
    on all weather before. The fourth parameter does nothing.
    """
    uptake, capacity, albedo, _ = np.atleast_2d(unit).T
    size = 20 + 100 * capacity
    water = 0.5 * size
    sun, rain = tower.forcing["SWdown"].values, tower.forcing["Precip"].values
    out = np.empty((3, len(sun), len(water)))
    for i in range(len(sun)):
        energy = (0.95 - 0.4 * albedo) * sun[i] - 20
        wet = water / size
        latent = (0.2 + 0.7 * uptake) * np.maximum(energy, 0) * wet**0.7
        out[:, i] = latent, energy - latent, wet
        loss = latent / 2.45e6 * tower.step_seconds
        water = np.clip(water + rain[i] * tower.step_seconds - loss, 0, size)
    names = ("Qle", "Qh", "wet")
    return xr.Dataset(
        {n: (("member", "time"), o.T) for n, o in zip(names, out, strict=True)},
        coords={"time": tower.time},
    )


def default_unit(seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 50).uniform(0.3, 0.7, len(NAMES))


def tensors(
    tower: Site, seed: int = 0, tasks: tuple[str, ...] = ("Qle", "Qh"), block_hours: float = 24
) -> SiteTensors:
    default = default_unit(seed)
    return build(tower, simulate(tower, default), default, tasks, block_hours)


def runs(
    days: int = 120,
    members: int = 24,
    seed: int = 0,
    tasks: tuple[str, ...] = ("Qle", "Qh"),
    steps: int = 24,
    block_hours: float = 24,
) -> TowerRuns:
    tower = site(f"XX-{seed:03d}", days, steps, seed)
    unit = np.random.default_rng(seed).random((members, len(NAMES)))
    result = simulate(tower, unit)
    built = tensors(tower, seed, tasks, block_hours)
    return TowerRuns(built, unit, {t: result[t].values for t in tasks})


def tiny(**changes: object) -> DayBlockConfig:
    return DayBlockConfig.model_validate({**TINY, **changes})


def batch(draw: Draw, step: int) -> Batch:
    """The parts of a batch as one."""
    parts, _ = draw(step)
    return jax.tree.map(lambda *part: jnp.concatenate(part), *parts)
