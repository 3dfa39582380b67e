"""TOPMODEL runoff on one uniform slope (MATSIRO.md 2.18, without a frost table)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro.constants import (
    KS_DECAY,
    PONDING,
    RHO_WATER,
    SOIL_INTERFACE,
    SOIL_THICKNESS,
)

UNSATURATED = 1e-3
"""EPSGW: a layer counts as saturated above (1 - EPSGW) w_sat."""


class Runoff(NamedTuple):
    """Water leaving the column, kg m-2 s-1, and what enters the soil."""

    saturation_excess: Array
    infiltration_excess: Array
    overflow: Array
    base_flow: Array
    into_soil: Array
    drawn: Array  # base flow and overflow by layer, (layer, column)


def water_table(water: Array, porosity: Array, psi: Array) -> tuple[Array, Array]:
    """Depth of the water table (m) and the layer that holds it, as weights (layer, column).

    All weights are zero where no water table lies in the column.
    """
    layers = len(SOIL_THICKNESS)
    weights = [jnp.zeros_like(porosity) for _ in range(layers)]
    depth = jnp.full_like(porosity, SOIL_INTERFACE[-1])
    below_saturated = jnp.ones_like(porosity, dtype=bool)
    for k in reversed(range(layers)):
        here = below_saturated & (water[k] < porosity * (1.0 - UNSATURATED))
        below_saturated = below_saturated & ~here
        reach = SOIL_INTERFACE[k] - psi[k]
        inside = reach <= SOIL_INTERFACE[k + 1]
        depth = jnp.where(here, jnp.minimum(reach, SOIL_INTERFACE[k + 1]), depth)
        weights[k] = jnp.where(here & inside, 1.0, weights[k])
        if k + 1 < layers:
            weights[k + 1] = jnp.where(here & ~inside, 1.0, weights[k + 1])
    depth = jnp.where(below_saturated, 0.0, depth)
    weights[0] = jnp.where(below_saturated, 1.0, weights[0])
    return depth, jnp.stack(weights)


def runoff(
    rain: Array,
    water: Array,
    ice: Array,
    psi: Array,
    porosity: Array,
    conductivity: Array,
    drainage: Array,
    dt: Array,
) -> Runoff:
    """Partition the water reaching the ground and drain the column.

    Args:
        rain: water reaching the ground, kg m-2 s-1.
        water, ice, psi: volumetric water and ice, potential (m), shape (layer, column).
        conductivity: K_s, m s-1.
        drainage: R_b, base flow with the water table at the surface, m s-1.
    """
    thickness = np.asarray(SOIL_THICKNESS)[:, None]
    depth, where = water_table(water, porosity, psi)
    saturated = jnp.maximum(0.0, -jnp.expm1(KS_DECAY * depth - 1.0))
    on_saturated = rain * saturated
    beyond = jnp.maximum(rain - RHO_WATER * conductivity, 0.0) * (1.0 - saturated)
    overflow = (
        jnp.maximum(water[0] - porosity - PONDING / thickness[0], 0.0)
        * RHO_WATER
        * thickness[0]
        / dt
    )
    drainable = jnp.maximum(water - ice - 0.05 * porosity, 0.0) * thickness * where * RHO_WATER / dt
    wish = RHO_WATER * drainage * jnp.exp(1.0 - KS_DECAY * depth)
    base = jnp.minimum(wish * where, 0.5 * drainable)
    drawn = base.at[0].add(overflow)
    return Runoff(on_saturated, beyond, overflow, base.sum(0), rain - on_saturated - beyond, drawn)
