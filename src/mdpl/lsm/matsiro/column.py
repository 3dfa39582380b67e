"""One step of the column, and the loop over a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro import canopy_water, energy, radiation, runoff, soil, stomata, turbulence
from mdpl.lsm.matsiro.constants import (
    DIFFUSIVITY,
    GRAVITY,
    LEAF_PROJECTION,
    PAR_QUANTA,
    R_VAPOUR,
    RHO_WATER,
    SATURATION_FLOOR,
    SOIL_RESISTANCE_A2,
    SOIL_THICKNESS,
)
from mdpl.lsm.matsiro.parameters import Column
from mdpl.lsm.matsiro.state import Forcing, State, Surface

_DZ = np.asarray(SOIL_THICKNESS)[:, None]


class Step(NamedTuple):
    """All that a step computes beyond the new state."""

    surface: Surface
    water: runoff.Runoff
    stress: Array
    water_residual: Array  # kg m-2


def water_stored(state: State) -> Array:
    """Water in soil and on leaves, kg m-2, (column,)."""
    return RHO_WATER * ((state.soil_water * _DZ).sum(0) + state.canopy_water)


def step(column: Column, state: State, air: Forcing, dt: Array, passes: int) -> tuple[State, Step]:
    """Advance the column by one interval of ``dt`` seconds.

    Fluxes see the old state; then canopy water, runoff, soil heat, soil water and freezing
    follow in the description's order (MATSIRO.md 1.2).
    """
    psi = soil.potential(
        soil.saturation(state.soil_water, state.soil_ice, column.porosity),
        column.psi_sat,
        column.soil_b,
    )
    by_layer = stomata.layer_stress(psi, column.psi_critical, column.stress_slope)
    stress, uptake_share = stomata.root_uptake(by_layer, column.roots)
    lai = air.LAI * column.lai_scale
    setting = _setting(column, state, air, lai, psi, stress, uptake_share, dt)
    rough = turbulence.roughness(
        column.canopy_height, lai, column.drag, column.heat, column.reference_height
    )
    surface = energy.solve_surface(
        column.leaf,
        rough,
        setting,
        air,
        state.ground_temperature,
        state.canopy_temperature,
        state.leaf_co2,
        passes,
    )

    capacity = column.canopy_capacity * lai
    canopy = canopy_water.update(
        state.canopy_water,
        surface.interception_loss + surface.dew_on_leaves,
        air.rain,
        lai,
        capacity,
        dt,
    )
    ice = state.soil_ice
    sublimated = surface.soil_sublimation * dt / RHO_WATER / SOIL_THICKNESS[0]
    ice = ice.at[0].add(-sublimated)
    wetness = state.soil_water.at[0].add(-sublimated)

    drained = runoff.runoff(
        canopy.throughfall,
        wetness,
        ice,
        psi,
        column.porosity,
        column.k_sat,
        column.drainage,
        dt,
    )
    heat_capacity = soil.heat_capacity(state.soil_water, column.dry_heat_capacity)
    warmth = soil.conduct(
        state.soil_temperature,
        soil.conductivity(state.soil_water, column.soil_conductivity),
        heat_capacity,
        surface.ground_heat,
        dt,
    )
    wetness = soil.flow(
        wetness,
        ice,
        column.porosity,
        column.psi_sat,
        column.soil_b,
        column.k_sat,
        drained.into_soil - surface.soil_evaporation,
        uptake_share * surface.transpiration + drained.drawn,
        dt,
    )
    warmth, ice = soil.freeze(warmth, wetness, ice, heat_capacity)

    new = State(
        surface.ground_temperature,
        surface.canopy_temperature,
        surface.leaf_co2,
        warmth,
        wetness,
        ice,
        canopy.store,
    )
    out = surface.transpiration + surface.interception_loss + surface.dew_on_leaves
    out = out + surface.soil_evaporation + surface.soil_sublimation
    out = out + drained.saturation_excess + drained.infiltration_excess
    out = out + drained.overflow + drained.base_flow
    residual = water_stored(new) - water_stored(state) - (air.rain - out) * dt
    return new, Step(surface, drained, stress, residual)


def _setting(
    column: Column,
    state: State,
    air: Forcing,
    lai: Array,
    psi: Array,
    stress: Array,
    uptake_share: Array,
    dt: Array,
) -> energy.Setting:
    leafy = lai / column.cover
    bands = []
    for r, t, floor in (
        (column.r_vis, column.t_vis, column.albedo_vis),
        (column.r_nir, column.t_nir, column.albedo_nir),
    ):
        r, t = radiation.mix_leaf(r, t)
        closed = radiation.canopy_band(r, t, leafy, air.sec_zenith, floor, floor)
        bands.append(radiation.cover(closed, column.cover, floor))
    light = radiation.shortwave(
        bands[0],
        bands[1],
        air.direct_visible,
        air.direct_infrared,
        air.diffuse_visible,
        air.diffuse_infrared,
    )
    r, t = radiation.mix_leaf(column.r_vis, column.t_vis)
    decay = LEAF_PROJECTION * DIFFUSIVITY * jnp.sqrt((1.0 - t) ** 2 - r**2)
    mean = stomata.canopy_mean(column.extinction * decay * leafy)

    dry_surface = jnp.minimum(state.soil_water[0] / column.porosity, 1.0)
    capacity = column.canopy_capacity * lai
    available = jnp.maximum(
        state.soil_water - state.soil_ice - SATURATION_FLOOR * column.porosity, 0.0
    )
    store = available * _DZ * RHO_WATER / dt
    ice_share = jnp.clip(state.soil_ice[0] / jnp.maximum(state.soil_water[0], 1e-6), 0.0, 1.0)
    floor = jnp.maximum(state.soil_water[0] - SATURATION_FLOOR * column.porosity, 0.0)
    return energy.Setting(
        shortwave_ground=light.ground,
        shortwave_canopy=light.canopy,
        shortwave_up=light.up,
        emissivity=column.emissivity,
        gap=radiation.longwave_gap(leafy, column.cover),
        light=column.leaf.quantum_yield * PAR_QUANTA * light.canopy_par / (lai * mean),
        canopy_mean=mean,
        lai=lai,
        stress=stress,
        minimum_conductance=column.leaf.intercept * jnp.maximum(stress, 0.1),
        soil_resistance=column.soil_resistance
        * (1.0 - dry_surface)
        / (SOIL_RESISTANCE_A2 + dry_surface),
        soil_humidity=jnp.exp(psi[0] * GRAVITY / (R_VAPOUR * state.soil_temperature[0])),
        ice_share=ice_share,
        ground_conductance=2.0
        * soil.conductivity(state.soil_water[0], column.soil_conductivity)
        / SOIL_THICKNESS[0],
        soil_temperature=state.soil_temperature[0],
        canopy_store=jnp.maximum(state.canopy_water, 0.0) * RHO_WATER / dt,
        soil_store=0.9 * floor * SOIL_THICKNESS[0] * RHO_WATER / dt,
        root_store=jnp.min(0.5 * store / (uptake_share + 1e-9), axis=0),
        wet_share=canopy_water.wet_share(state.canopy_water, capacity),
    )


def march(
    column: Column,
    state: State,
    record: Forcing,
    dt: Array,
    passes: int,
    keep: Callable[[State, Step], dict[str, Array]],
    remat: bool = False,
) -> tuple[State, dict[str, Array]]:
    """Run a record; padding steps (``valid`` 0) leave the state as it is.

    Args:
        record: forcing with the time axis first.
        keep: picks what to return of every step.
        remat: recompute steps in reverse mode instead of storing them.

    Returns:
        the last state and the kept outputs with the time axis first.
    """

    def body(now: State, air: Forcing) -> tuple[State, dict[str, Array]]:
        new, all_ = step(column, now, air, dt, passes)
        moving = air.valid > 0
        held = jax.tree.map(lambda a, b: jnp.where(moving, a, b), new, now)
        return held, keep(new, all_)

    return jax.lax.scan(jax.checkpoint(body) if remat else body, state, record)
