"""What surrounds a surface while its temperatures are sought: light, roughness, stores.

The snow-free and the snow-covered part of a column are two surfaces over one soil (MATSIRO.md
2.3-2.6, 2.8, 2.11, 2.14).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro import (
    canopy_water,
    radiation,
    snow,
    snow_albedo,
    soil,
    stomata,
    turbulence,
)
from mdpl.lsm.matsiro.constants import (
    ALBEDO_NEW,
    DIFFUSIVITY,
    GRAVITY,
    L_MELT,
    L_SUB,
    L_VAP,
    LAI_FLOOR,
    LEAF_PROJECTION,
    PAR_QUANTA,
    R_VAPOUR,
    RHO_SNOW,
    RHO_WATER,
    SATURATION_FLOOR,
    SOIL_RESISTANCE_A2,
    SOIL_THICKNESS,
    T_MELT,
    Z0_GROUND,
    Z0_SNOW,
    ZT_GROUND,
    ZT_SNOW,
)
from mdpl.lsm.matsiro.fluxes import Setting
from mdpl.lsm.matsiro.place import Column
from mdpl.lsm.matsiro.state import Forcing, State, Unknowns
from mdpl.lsm.matsiro.turbulence import Roughness

_DZ = np.asarray(SOIL_THICKNESS)[:, None]
_NO_CEILING = 1e3
_LARGEST_UPTAKE = 3e-4  # kg m-2 s-1, a millimetre an hour: more than any canopy transpires
_LEAST_SHARE = 1e-6


class Canopy(NamedTuple):
    """The part of the canopy that stands out of the snow."""

    height: Array  # m above soil or snow
    lai: Array  # m2 m-2
    depth: Array  # of the snow, m


class Floor(NamedTuple):
    """Albedo below the canopy for direct and diffuse light, by band, and its emissivity."""

    visible: tuple[Array, Array]
    infrared: tuple[Array, Array]
    emissivity: Array


class Roots(NamedTuple):
    """What the soil offers to the roots and to evaporation."""

    psi: Array  # potential, m, (layer, column)
    stress: Array  # f_w
    share: Array  # of uptake by layer, (layer, column)
    store: Array  # most that the roots can take up, kg m-2 s-1


def emerged(column: Column, lai: Array, depth: Array) -> Canopy:
    """Canopy above snow of a depth (m); leaves are spread evenly between base and top."""
    height = jnp.maximum(column.canopy_height - depth, 0.0)
    base = jnp.maximum(column.canopy_base - depth, 0.0)
    share = (height - base) / (column.canopy_height - column.canopy_base)
    return Canopy(height, jnp.maximum(lai * share, LAI_FLOOR), depth)


def rooted(column: Column, state: State, dt: Array) -> Roots:
    """Moisture stress of the roots (MATSIRO.md 2.8)."""
    degree = soil.saturation(state.soil_water, state.soil_ice, column.porosity)
    psi = soil.potential(degree, column.psi_sat, column.soil_b)
    by_layer = stomata.layer_stress(psi, column.psi_critical, column.stress_slope)
    # The liquid water that `degree` counts as more than none.
    dry = SATURATION_FLOOR * (column.porosity - state.soil_ice)
    available = jnp.maximum(state.soil_water - state.soil_ice - dry, 0.0) * _DZ * RHO_WATER / dt
    most = 0.5 * available
    stress, share = stomata.root_uptake(by_layer, column.roots, most / _LARGEST_UPTAKE)
    store = jnp.where(share > _LEAST_SHARE, most / jnp.maximum(share, _LEAST_SHARE), jnp.inf)
    return Roots(psi, stress, share, jnp.min(store, axis=0))


def soil_side(
    column: Column, state: State, air: Forcing, roots: Roots, canopy: Canopy, dt: Array
) -> tuple[Roughness, Setting]:
    """The snow-free part."""
    floor = Floor(
        (column.albedo_vis, column.albedo_vis),
        (column.albedo_nir, column.albedo_nir),
        column.emissivity,
    )
    rough = turbulence.roughness(
        canopy.height, canopy.lai, column.drag, column.heat, column.reference_height, 0.0,
        Z0_GROUND, ZT_GROUND,
    )  # fmt: skip
    wet = jnp.minimum(state.soil_water[0] / column.porosity, 1.0)
    frozen = soil.frozen_share(state.soil_water[0], state.soil_ice[0])
    spare = jnp.maximum(state.soil_water[0] - SATURATION_FLOOR * column.porosity, 0.0)
    conductivity = soil.conductivity(state.soil_water[0], column.soil_conductivity)
    common = _common(column, state, air, roots, canopy, floor, state.soil_side, dt)
    return rough, common._replace(
        ground_resistance=column.soil_resistance * (1.0 - wet) / (SOIL_RESISTANCE_A2 + wet),
        ground_humidity=jnp.exp(roots.psi[0] * GRAVITY / (R_VAPOUR * state.soil_temperature[0])),
        ground_latent=L_VAP + frozen * L_MELT,
        ground_conductance=2.0 * conductivity / SOIL_THICKNESS[0],
        ground_node=state.soil_temperature[0],
        ground_store=0.9 * spare * SOIL_THICKNESS[0] * RHO_WATER / dt,
    )


def snow_side(
    column: Column,
    state: State,
    air: Forcing,
    roots: Roots,
    canopy: Canopy,
    area: Array,
    dt: Array,
) -> tuple[Roughness, Setting]:
    """The snow-covered part, of share ``area`` of the ground."""
    albedo = state.snow.albedo
    bands = [snow_albedo.of_zenith(albedo[b], 1.0 / air.sec_zenith) for b in (0, 1)]
    floor = Floor(bands[0], bands[1], 1.0 - albedo[2])
    free = jnp.maximum(1.0 - canopy.depth / Z0_GROUND, 0.0)
    rough = turbulence.roughness(
        canopy.height, canopy.lai, column.drag, column.heat, column.reference_height, canopy.depth,
        jnp.maximum(free * Z0_GROUND, Z0_SNOW), jnp.maximum(free * ZT_GROUND, ZT_SNOW),
    )  # fmt: skip
    conductivity = soil.conductivity(state.soil_water[0], column.soil_conductivity)
    conductance, node = snow.surface_response(
        state.snow,
        column.snow,
        state.soil_temperature[0],
        0.5 * SOIL_THICKNESS[0] / conductivity,
        dt,
    )
    common = _common(column, state, air, roots, canopy, floor, state.snow_side, dt)
    return rough, common._replace(
        ground_latent=L_SUB * jnp.ones_like(node),
        ground_conductance=conductance,
        ground_node=node,
        ground_store=state.snow.amount / (jnp.maximum(area, 1e-6) * dt),
        ceiling=T_MELT * jnp.ones_like(node),
    )


def snow_depth(state: State, area: Array) -> Array:
    """Depth of the snow where it lies, m."""
    return state.snow.amount / (RHO_SNOW * jnp.maximum(area, 1e-6))


def _common(
    column: Column,
    state: State,
    air: Forcing,
    roots: Roots,
    canopy: Canopy,
    floor: Floor,
    last: Unknowns,
    dt: Array,
) -> Setting:
    leafy = canopy.lai / column.cover
    capacity = column.canopy_capacity * canopy.lai
    wet_share = canopy_water.wet_share(state.canopy_water, capacity)
    # Frozen water on leaves brightens them towards the snow of the forest floor.
    icy = jnp.where(last.canopy <= T_MELT, wet_share, 0.0)
    bright = jnp.where(
        state.snow.amount > 0, state.snow.albedo[:2], np.asarray(ALBEDO_NEW)[:2, None]
    )
    vis = _leaf(column.r_vis, column.t_vis, icy, bright[0])
    nir = _leaf(column.r_nir, column.t_nir, icy, bright[1])
    bands = []
    for (r, t), (direct, diffuse) in ((vis, floor.visible), (nir, floor.infrared)):
        closed = radiation.canopy_band(r, t, leafy, air.sec_zenith, direct, diffuse)
        bands.append(radiation.cover(closed, column.cover, direct, diffuse))
    light = radiation.shortwave(
        bands[0], bands[1], air.direct_visible, air.direct_infrared, air.diffuse_visible,
        air.diffuse_infrared,
    )  # fmt: skip
    decay = LEAF_PROJECTION * DIFFUSIVITY * jnp.sqrt((1.0 - vis[1]) ** 2 - vis[0] ** 2)
    mean = stomata.canopy_mean(column.extinction * decay * leafy)
    one = jnp.ones_like(roots.stress)
    return Setting(
        shortwave_ground=light.ground,
        shortwave_canopy=light.canopy,
        shortwave_up=light.up,
        emissivity=floor.emissivity,
        gap=radiation.longwave_gap(leafy, column.cover),
        light=column.leaf.quantum_yield * PAR_QUANTA * light.canopy_par / (canopy.lai * mean),
        canopy_mean=mean,
        lai=canopy.lai,
        stress=roots.stress,
        minimum_conductance=column.leaf.intercept * jnp.maximum(roots.stress, 0.1),
        ground_resistance=0.0 * one,
        ground_humidity=one,
        ground_latent=one,
        leaf_latent=L_VAP + state.canopy_frozen * L_MELT,
        ground_conductance=one,
        ground_node=one,
        ceiling=_NO_CEILING * one,
        canopy_store=jnp.maximum(state.canopy_water, 0.0) * RHO_WATER / dt,
        ground_store=one,
        root_store=roots.store,
        wet_share=wet_share,
    )


def _leaf(r: Array, t: Array, icy: Array, bright: Array) -> tuple[Array, Array]:
    """Effective leaf optics with ice on them (MATSIRO.md 2.5)."""
    r = (1.0 - icy) * r + icy * bright
    t = (1.0 - icy) * t + icy * jnp.minimum(0.5 * (1.0 - bright), t)
    return radiation.mix_leaf(r, t)
