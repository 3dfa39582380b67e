"""Runs many columns, of one tower or of several, through their records in compiled chunks."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro import snow
from mdpl.lsm.matsiro.column import Keep, Step, march
from mdpl.lsm.matsiro.constants import RHO_WATER, SOIL_THICKNESS, T_MELT
from mdpl.lsm.matsiro.place import Column
from mdpl.lsm.matsiro.state import Forcing, State, Unknowns
from mdpl.xla import LIGHTLY

CHUNK_STEPS = 1440
"""Steps compiled as one call: a month of half-hours; memory is flat in the record's length."""

BATCH = 16
"""Columns that run together; fewer are padded up. Their numbers stay in the first-level cache
(docs/decisions/0010)."""

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")

_dispatch = threading.Lock()
"""Held while a chunk is handed over, so that threads that begin together compile once."""

_THICKNESS = np.asarray(SOIL_THICKNESS)[:, None]

OUTPUTS: dict[str, tuple[str, str, Callable[[State, Step], Array]]] = {
    "Qle": ("W m-2", "latent heat flux, upward", lambda s, x: x.surface.latent),
    "Qh": ("W m-2", "sensible heat flux, upward", lambda s, x: x.surface.sensible),
    "Rnet": ("W m-2", "net radiation", lambda s, x: x.surface.net_radiation),
    "Qg": (
        "W m-2",
        "heat flux into soil and snow, melting at the surface included",
        lambda s, x: x.surface.surplus - x.surface.ground_heat,
    ),
    "GPP": ("umol m-2 s-1", "gross primary production", lambda s, x: 1e6 * x.surface.gpp),
    "Reco": (
        "umol m-2 s-1",
        "ecosystem respiration",
        lambda s, x: 1e6 * x.respiration.total,
    ),
    "NEE": (
        "umol m-2 s-1",
        "net ecosystem exchange, respiration less photosynthesis",
        lambda s, x: 1e6 * (x.respiration.total - x.surface.gpp),
    ),
    "SWup": ("W m-2", "reflected shortwave", lambda s, x: x.surface.shortwave_up),
    "LWup": ("W m-2", "upward longwave", lambda s, x: x.surface.longwave_up),
    "TVeg": ("kg m-2 s-1", "transpiration", lambda s, x: x.vapour.transpiration),
    "ESoil": (
        "kg m-2 s-1",
        "evaporation from soil, ice included",
        lambda s, x: x.vapour.soil + x.vapour.soil_ice,
    ),
    "ECanop": ("kg m-2 s-1", "interception loss less dew", lambda s, x: x.vapour.leaves),
    "SubSnow": ("kg m-2 s-1", "sublimation of snow less frost", lambda s, x: x.vapour.snow),
    "Rainf": ("kg m-2 s-1", "rain", lambda s, x: x.rain),
    "Snowf": ("kg m-2 s-1", "snowfall", lambda s, x: x.snowfall),
    "Qirrig": ("kg m-2 s-1", "irrigation", lambda s, x: x.supplied.irrigation),
    "Qgw": (
        "kg m-2 s-1",
        "water from a prescribed water table",
        lambda s, x: x.supplied.groundwater,
    ),
    "Qs": (
        "kg m-2 s-1",
        "surface runoff",
        lambda s, x: x.water.saturation_excess + x.water.infiltration_excess + x.water.overflow,
    ),
    "Qsb": ("kg m-2 s-1", "base flow", lambda s, x: x.water.base_flow),
    "AvgSurfT": (
        "K",
        "radiative surface temperature",
        lambda s, x: (x.surface.longwave_up / 5.67e-8) ** 0.25,
    ),
    "BaresoilT": (
        "K",
        "surface temperature of the ground, snow or soil",
        lambda s, x: x.surface.solution.ground,
    ),
    "VegT": ("K", "canopy temperature", lambda s, x: x.surface.solution.canopy),
    "SWE": ("kg m-2", "snow water equivalent", lambda s, x: s.snow.amount),
    "SnowFrac": ("1", "snow-covered share of the ground", lambda s, x: x.snow_area),
    "SnowT": ("K", "temperature of the upper snow layer", lambda s, x: s.snow.temperature[0]),
    "SAlbedo": ("1", "visible albedo of the snow", lambda s, x: s.snow.albedo[0]),
    "Qsm": ("kg m-2 s-1", "snow melt", lambda s, x: x.snow.melt),
    "CanopInt": ("kg m-2", "water on leaves", lambda s, x: RHO_WATER * s.canopy_water),
    "SoilStress": ("1", "root-zone moisture stress, 1 = none", lambda s, x: x.stress),
    "SoilMoist": (
        "kg m-2",
        "soil water by layer, ice included",
        lambda s, x: RHO_WATER * s.soil_water * _THICKNESS,
    ),
    "SoilTemp": ("K", "soil temperature by layer", lambda s, x: s.soil_temperature),
    "EnergyResidual": (
        "W m-2",
        "what the surface energy balance does not close",
        lambda s, x: x.surface.residual,
    ),
    "SnowHeatResidual": (
        "W m-2",
        "what the heat budget of the snow does not close",
        lambda s, x: x.snow.heat_residual,
    ),
    "Unsolved": (
        "1",
        "share of the surface whose temperatures the step's search did not find",
        lambda s, x: x.surface.unsolved,
    ),
    "WaterResidual": (
        "kg m-2",
        "what the water balance of a step does not close",
        lambda s, x: x.water_residual,
    ),
}
"""name -> unit, long name, how it is read off a step."""


def keep(names: tuple[str, ...]) -> Keep:
    """Keeps outputs by name."""
    return lambda state, all_: {name: OUTPUTS[name][2](state, all_) for name in names}


@functools.lru_cache(maxsize=32)
def compiled(most: int) -> Any:
    """One program for every choice of outputs: working out all takes less than compiling again."""
    return jax.jit(
        functools.partial(march, most=most, keep=keep(tuple(OUTPUTS))),
        compiler_options=LIGHTLY,
    )


def blocks(items: Sequence[_Item]) -> list[list[_Item]]:
    """The items in groups that fit a batch."""
    return [list(items[first : first + BATCH]) for first in range(0, len(items), BATCH)]


def in_threads(work: Callable[[_Item], _Made], items: Sequence[_Item]) -> list[_Made]:
    """Results in order, as many at a time as there are cores; one run of a batch keeps one busy."""
    if len(items) < 2:
        return [work(item) for item in items]
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        return list(pool.map(work, items))
    finally:
        pool.shutdown(cancel_futures=True)


def start_state(column: Column, temperature: np.ndarray, co2: np.ndarray) -> State:
    """Moist, thawed soil at one temperature: where a spin-up starts.

    Args:
        temperature: mean air temperature, K, (column,).
        co2: partial pressure of CO2 in the air, Pa, (column,).
    """
    layers = len(SOIL_THICKNESS)
    degree = jnp.clip((-3.3 / column.psi_sat) ** (-1.0 / column.soil_b), 0.05, 0.95)
    water = jnp.tile(degree * column.porosity, (layers, 1))
    warm = jnp.asarray(temperature, dtype=jnp.float64) * jnp.ones_like(column.porosity)
    none = jnp.zeros_like(warm)
    guess = Unknowns(0.7 * jnp.asarray(co2) + none, none, warm, warm, none)
    return State(
        soil_side=guess,
        snow_side=guess._replace(ground=jnp.minimum(warm, T_MELT)),
        soil_temperature=jnp.tile(warm, (layers, 1)),
        soil_water=water,
        soil_ice=jnp.zeros_like(water),
        canopy_water=none,
        canopy_frozen=none,
        snow=snow.bare(warm),
    )


def run(
    column: Column,
    state: State,
    record: Forcing,
    dt: np.ndarray,
    names: Sequence[str],
    most: int,
) -> tuple[State, dict[str, np.ndarray]]:
    """Run columns through a record.

    Args:
        column, state: parameters and state of C columns.
        record: forcing, NumPy, (time, C) or (time, 1).
        dt: step length, s, (C,).
        names: keys of `OUTPUTS` to keep.

    Returns:
        the last state, and outputs (column, time) or (column, layer, time), float64.
    """
    columns = column.porosity.shape[0]
    if columns > BATCH:
        raise ValueError(f"at most {BATCH} columns a call, found {columns}")
    column, now = jax.tree.map(pad_columns, (column, state))
    seconds = pad_columns(np.broadcast_to(np.asarray(dt, dtype=float), (columns,)))
    march_chunk = compiled(most)
    steps = record.Tair.shape[0]
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for first in range(0, steps, CHUNK_STEPS):
        piece = chunk(record, first)
        with _dispatch:
            now, out, _ = march_chunk(column, now, piece, seconds)
        for name in names:
            kept[name].append(np.asarray(out[name])[: steps - first, ..., :columns])
    last = jax.tree.map(lambda a: a[..., :columns], now)
    return last, {
        name: np.moveaxis(np.concatenate(parts), 0, -1).swapaxes(0, -2)
        if parts[0].ndim == 3
        else np.concatenate(parts).T
        for name, parts in kept.items()
    }


def pad_columns(array: Any) -> Array:
    """`BATCH` columns, the first again where there are fewer; so one program takes all."""
    missing = BATCH - array.shape[-1]
    if missing == 0:
        return jnp.asarray(array)
    return jnp.concatenate([array, jnp.repeat(array[..., :1], missing, axis=-1)], axis=-1)


def chunk(record: Forcing, first: int) -> Forcing:
    """`CHUNK_STEPS` of a record from a step on, for `BATCH` columns; padded at its end."""
    piece = Forcing(*(_cut(a, first) for a in record))
    piece.valid[record.Tair.shape[0] - first :] = 0.0
    return piece


def _cut(array: np.ndarray, first: int) -> np.ndarray:
    piece = array[first : first + CHUNK_STEPS]
    columns = piece.shape[1]
    out = np.empty((CHUNK_STEPS, BATCH))
    out[: len(piece), :columns] = piece
    out[: len(piece), columns:] = piece[:, :1]
    if len(piece) < CHUNK_STEPS:
        out[len(piece) :] = out[len(piece) - 1]
    return out


def pad_time(record: Forcing, steps: int) -> Forcing:
    """Lengthen a record to ``steps`` with intervals that do not move the state."""
    missing = steps - record.Tair.shape[0]
    if missing <= 0:
        return record
    longer = [np.concatenate([a, np.repeat(a[-1:], missing, axis=0)]) for a in record]
    out = Forcing(*longer)
    out.valid[-missing:] = 0.0
    return out
