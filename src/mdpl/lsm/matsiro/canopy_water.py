"""Interception, drip and phase of canopy water (MATSIRO.md 2.16, convective fraction 0)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro.constants import DRIP_D1, DRIP_D2, L_MELT, RHO_WATER


class CanopyWater(NamedTuple):
    store: Array  # water and ice on leaves, m
    throughfall: Array  # rain reaching the ground, drip included, kg m-2 s-1
    snowfall: Array  # snow reaching the ground, drip included, kg m-2 s-1
    phase_heat: Array
    """dF_c,conv = -l_m M_c, W m-2 per unit ground: positive when canopy water freezes (the heat
    is given to the ground), negative when canopy ice melts (the heat is taken from it)."""


def wet_share(store: Array, capacity: Array) -> Array:
    """Share of the leaves that is wet (linear in the store, as described)."""
    return jnp.clip(store / jnp.maximum(capacity, 1e-12), 0.0, 1.0)


def update(
    store: Array,
    frozen_share: Array,
    new_frozen_share: Array,
    liquid_loss: Array,
    ice_loss: Array,
    rain: Array,
    snowfall: Array,
    lai: Array,
    capacity: Array,
    dt: Array,
) -> CanopyWater:
    """Evaporate, intercept, drip, then freeze or melt to the new frozen share.

    Each phase may fill the capacity, as described, so the store can exceed it by one phase.

    Args:
        store: water and ice on leaves, m.
        frozen_share, new_frozen_share: of the store, at the end of the last and of this step.
        liquid_loss, ice_loss: evaporation less dew and sublimation less frost, kg m-2 s-1
            (together at most store / dt; a phase that runs short is fed by the other).
        rain, snowfall: kg m-2 s-1.
        capacity: most that stays on the leaves, m.
    """
    per_metre = RHO_WATER / dt
    liquid = store * (1.0 - frozen_share) - liquid_loss / per_metre
    ice = store * frozen_share - ice_loss / per_metre
    lack_liquid, lack_ice = jnp.maximum(-liquid, 0.0), jnp.maximum(-ice, 0.0)
    melted = lack_liquid - lack_ice
    liquid, throughfall = _intercept(liquid + melted, rain, lai, capacity, dt)
    ice, snow = _intercept(ice - melted, snowfall, lai, capacity, dt)
    after = liquid + ice
    melt = per_metre * (melted + ice - after * new_frozen_share)
    return CanopyWater(after, throughfall, snow, -L_MELT * melt)


def _intercept(
    store: Array, fall: Array, lai: Array, capacity: Array, dt: Array
) -> tuple[Array, Array]:
    """One phase: the store (m) and what reaches the ground (kg m-2 s-1)."""
    caught_share = jnp.minimum(lai, 1.0)
    after = store + caught_share * fall * dt / RHO_WATER
    gravity = DRIP_D1 * jnp.exp(DRIP_D2 * jnp.minimum(after, capacity)) * dt
    drip = jnp.clip(jnp.maximum(after - capacity, 0.0) + gravity, 0.0, jnp.maximum(after, 0.0))
    return after - drip, (1.0 - caught_share) * fall + drip * RHO_WATER / dt
