"""Interception and drip (MATSIRO.md 2.16, liquid water, convective fraction 0)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro.constants import DRIP_D1, DRIP_D2, RHO_WATER


class CanopyWater(NamedTuple):
    store: Array  # m
    throughfall: Array  # kg m-2 s-1, drip included


def wet_share(store: Array, capacity: Array) -> Array:
    """Share of the leaves that is wet (linear in the store, as described)."""
    return jnp.clip(store / capacity, 0.0, 1.0)


def update(
    store: Array, loss: Array, rain: Array, lai: Array, capacity: Array, dt: Array
) -> CanopyWater:
    """Evaporate, intercept, drip.

    Args:
        store: water on leaves, m.
        loss: evaporation from wet leaves less dew, kg m-2 s-1 (at most store / dt).
        rain: kg m-2 s-1.
        capacity: most that stays on the leaves, m.
    """
    caught_share = jnp.minimum(lai, 1.0)
    after = store + (caught_share * rain - loss) * dt / RHO_WATER
    gravity = DRIP_D1 * jnp.exp(DRIP_D2 * jnp.minimum(after, capacity)) * dt
    drip = jnp.clip(jnp.maximum(after - capacity, 0.0) + gravity, 0.0, jnp.maximum(after, 0.0))
    return CanopyWater(after - drip, (1.0 - caught_share) * rain + drip * RHO_WATER / dt)
