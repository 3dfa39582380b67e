"""TOPMODEL runoff on one uniform slope (MATSIRO.md 2.18)."""

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
    T_MELT,
)

UNSATURATED = 1e-3
"""EPSGW: a layer counts as saturated above (1 - EPSGW) w_sat."""

FROZEN_SHARE = 0.01
"""Ice, as a share of w_sat, above which a layer at or below freezing counts as frozen."""


class Runoff(NamedTuple):
    """Water leaving the column, kg m-2 s-1, and what enters the soil."""

    saturation_excess: Array
    infiltration_excess: Array
    overflow: Array
    base_flow: Array
    into_soil: Array
    drawn: Array  # base flow and overflow by layer, (layer, column)


def above_frost(ice: Array, temperature: Array, porosity: Array) -> Array:
    """Whether each layer lies above the frost table, the top of the uppermost frozen layer.

    Args:
        ice, temperature: volumetric ice and K, (layer, column).

    Returns:
        bool, (layer, column); all true where nothing is frozen.
    """
    frozen = (ice > FROZEN_SHARE * porosity) & (temperature <= T_MELT)
    above = [~frozen[0]]
    for k in range(1, len(SOIL_THICKNESS)):
        above.append(above[-1] & ~frozen[k])
    return jnp.stack(above)


def water_table(
    water: Array, porosity: Array, psi: Array, above: Array | None = None
) -> tuple[Array, Array]:
    """Depth of the water table (m) and the layer that holds it, as weights (layer, column).

    All weights are zero, and the depth is the column's, where no water table lies in the column
    or, with a frost table, above that.

    Args:
        above: layers above the frost table, as `above_frost` gives them; all if left out.
    """
    layers = len(SOIL_THICKNESS)
    if above is None:
        above = jnp.ones_like(water, dtype=bool)
    bottom = SOIL_INTERFACE[-1]
    weights = [jnp.zeros_like(porosity) for _ in range(layers)]
    depth = jnp.full_like(porosity, bottom)
    below_saturated = jnp.ones_like(porosity, dtype=bool)
    for k in reversed(range(layers)):
        here = below_saturated & above[k] & (water[k] < porosity * (1.0 - UNSATURATED))
        below_saturated = below_saturated & ~here
        reach = SOIL_INTERFACE[k] - psi[k]
        inside = reach <= SOIL_INTERFACE[k + 1]
        beneath = bottom
        if k + 1 < layers:
            beneath = jnp.where(above[k + 1], SOIL_INTERFACE[k + 1], bottom)
            weights[k + 1] = jnp.where(here & ~inside & above[k + 1], 1.0, weights[k + 1])
        depth = jnp.where(here, jnp.where(inside, reach, beneath), depth)
        weights[k] = jnp.where(here & inside, 1.0, weights[k])
    soaked = below_saturated & above[0]
    depth = jnp.where(soaked, 0.0, depth)
    weights[0] = jnp.where(soaked, 1.0, weights[0])
    return depth, jnp.stack(weights)


def runoff(
    rain: Array,
    water: Array,
    ice: Array,
    psi: Array,
    temperature: Array,
    porosity: Array,
    conductivity: Array,
    drainage: Array,
    dt: Array,
) -> Runoff:
    """Partition the water reaching the ground and drain the column.

    Frozen ground carries a perched water table: only layers above the frost table drain, less
    what would flow below it. A frozen top layer leaves neither water table nor base flow.

    Args:
        rain: water reaching the ground, kg m-2 s-1.
        water, ice, psi, temperature: volumetric water and ice, potential (m) and K, shape
            (layer, column).
        conductivity: K_s, m s-1.
        drainage: R_b, base flow with the water table at 1/f = 0.333 m, m s-1.
    """
    thickness = np.asarray(SOIL_THICKNESS)[:, None]
    above = above_frost(ice, temperature, porosity)
    depth, where = water_table(water, porosity, psi, above)
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
    frost_table = (above * thickness).sum(0)
    below_frost = jnp.where(above[-1], 0.0, jnp.exp(1.0 - KS_DECAY * frost_table))
    flow = jnp.maximum(jnp.exp(1.0 - KS_DECAY * depth) - below_frost, 0.0)
    wish = RHO_WATER * drainage * flow
    base = jnp.minimum(wish * where, 0.5 * drainable)
    drawn = base.at[0].add(overflow)
    return Runoff(on_saturated, beyond, overflow, base.sum(0), rain - on_saturated - beyond, drawn)
