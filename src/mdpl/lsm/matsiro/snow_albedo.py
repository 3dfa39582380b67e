"""Albedo of snow: ageing, refreshment by snowfall, dependence on zenith angle.

MATSIRO.md 2.4 and 2.17.4 (after Yang et al. 1997).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro.constants import (
    AGEING_CAP,
    AGEING_DIRT,
    AGEING_TEMPERATURE,
    AGEING_TIME,
    ALBEDO_NEW,
    ALBEDO_OLD,
    COS_DIFFUSE,
    SNOW_REFRESH,
    T_MELT,
    ZENITH_SLOPE,
)

_NEW = np.asarray(ALBEDO_NEW)[:, None]


def fresh(columns_like: Array) -> Array:
    """Albedo of new snow, (3, column): visible, near infrared, infrared."""
    return jnp.broadcast_to(_NEW, (3, *jnp.shape(columns_like)))


def age(
    albedo: Array, albedo_old: Array, temperature_top: Array, snowfall: Array, dt: Array
) -> Array:
    """Albedo after one step, (3, column).

    The age of all bands is read from the visible one.

    Args:
        albedo: visible, near infrared, infrared, (3, column).
        albedo_old: visible albedo of old snow, (column,).
        temperature_top: of the first snow layer, K, at most that of melting.
        snowfall: kg m-2 s-1.
    """
    visible, *rest = ALBEDO_NEW
    share = jnp.clip((albedo[0] - visible) / (albedo_old - visible), 0.0, AGEING_CAP)
    pace = jnp.exp(AGEING_TEMPERATURE * (1.0 / T_MELT - 1.0 / temperature_top))
    age_ = share / (1.0 - share) + (pace + pace**10 + AGEING_DIRT) * dt / AGEING_TIME
    share = age_ / (1.0 + age_)
    share = share * (1.0 - jnp.minimum(snowfall * dt / SNOW_REFRESH, 1.0))
    span = [albedo_old - visible, *(o - n for o, n in zip(ALBEDO_OLD[1:], rest, strict=True))]
    return jnp.stack([n + share * s for n, s in zip(ALBEDO_NEW, span, strict=True)])


def of_zenith(albedo_band: Array, cos_zenith: Array) -> tuple[Array, Array]:
    """Snow albedo of one solar band for direct and for diffuse light."""

    def at(cosine: Array | float) -> Array:
        return albedo_band + (1.0 - albedo_band) * ZENITH_SLOPE * (1.0 - cosine) ** 5

    return at(jnp.clip(cos_zenith, 0.0, 1.0)), at(COS_DIFFUSE)
