"""Roughness and bulk transfer coefficients (MATSIRO.md 2.6-2.7)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro.constants import (
    DISPLACEMENT_CAP,
    GRAVITY,
    THETA_0,
    VON_KARMAN,
    Z0_GROUND,
    ZT_GROUND,
)


class Roughness(NamedTuple):
    """Height above displacement, m, and logarithms of it over the roughness lengths."""

    height: Array  # z_a - d, m
    momentum: Array  # ln((z_a - d) / z0)
    heat: Array  # ln((z_a - d) / zT)
    ground_heat: Array  # ln((z_a - d) / zT+): the ground seen through inert leaves
    # exp of their negatives, needed in every stability update
    z0_share: Array
    zt_share: Array
    zt_ground_share: Array


class Transfer(NamedTuple):
    """Bulk coefficients: momentum, heat from the ground, heat from the canopy."""

    momentum: Array
    ground: Array
    canopy: Array


def canopy_logs(h: Array, lai: Array, c_d: Array, c_h: Array) -> tuple[Array, Array, Array, Array]:
    """Watanabe (1994) fit: h - d (m), ln((h-d)/z0), ln((h-d)/zT), ln((h-d)/zT+).

    Logarithms are kept because zT+ underflows below a dense canopy.
    """
    h = jnp.maximum(h, 3.0 * Z0_GROUND)
    drag = jnp.maximum(c_d * lai / (2.0 * VON_KARMAN**2), 1e-10)
    ratio = c_h / c_d
    above = h * -jnp.expm1(-drag) / drag
    decay = jnp.exp(-drag)
    ground = (-jnp.log(Z0_GROUND / h)) ** (-1.0 / 0.45)
    i0 = (-jnp.expm1(-drag) + ground * decay**2) ** 0.45

    log_x = jnp.log(ZT_GROUND / h)
    p1 = 0.0115 * jnp.exp(0.1 * log_x + 5.0 * jnp.exp(0.22 * log_x))
    p2 = 0.55 * jnp.exp(-0.58 * jnp.exp(0.35 * log_x))
    log_inner = jnp.log(p1) - jnp.logaddexp(jnp.log(p1), jnp.log(drag) + drag)
    inverse_it_ground = -log_x * jnp.exp(-p2 * log_inner)

    c0 = i0 / inverse_it_ground
    c_inf = 0.5 * (-1.0 + jnp.sqrt(1.0 + 8.0 * ratio))
    p3 = (ratio + 0.084 * jnp.exp(-15.0 * ratio)) ** 0.15
    p4 = 2.0 * ratio**1.1
    it = (c_inf / i0) * (
        1.0 - jnp.exp(-p3 * drag) + (c0 / c_inf) ** (1.0 / 0.9) * jnp.exp(-p4 * drag)
    ) ** 0.9
    return above, 1.0 / i0, 1.0 / it, inverse_it_ground


def roughness(h: Array, lai: Array, c_d: Array, c_h: Array, z_ref: Array) -> Roughness:
    """Roughness of canopy and ground as seen from the reference height ``z_ref`` (m)."""
    above, log_z0, log_zt, log_zt_ground = canopy_logs(h, lai, c_d, c_h)
    displacement = jnp.minimum(jnp.maximum(h, 3.0 * Z0_GROUND) - above, DISPLACEMENT_CAP * z_ref)
    height = z_ref - displacement
    lift = jnp.log(height / jnp.minimum(above, 0.6 * height))
    m0, m_t, m_tg = lift + log_z0, lift + log_zt, lift + log_zt_ground
    return Roughness(height, m0, m_t, m_tg, jnp.exp(-m0), jnp.exp(-m_t), jnp.exp(-m_tg))


def _stability_heat(zeta: Array, share: Array) -> Array:
    """Psi_h(zeta) - Psi_h(zeta * share): Paulson (1970) unstable, Kondo's form stable."""
    stable = zeta > 0
    zs, zu = jnp.maximum(zeta, 0.0), jnp.minimum(zeta, 0.0)
    x2, x2_0 = jnp.sqrt(1.0 - 16.0 * zu), jnp.sqrt(1.0 - 16.0 * zu * share)
    ratio = jnp.where(stable, (1.0 + zs) / (1.0 + zs * share), (1.0 + x2_0) / (1.0 + x2))
    return jnp.where(stable, 6.0, 2.0) * jnp.log(ratio)


def _stability_momentum(zeta: Array, share: Array) -> Array:
    """Psi_m(zeta) - Psi_m(zeta * share), with one logarithm and one arctangent."""
    stable = zeta > 0
    zs, zu = jnp.maximum(zeta, 0.0), jnp.minimum(zeta, 0.0)
    x2, x2_0 = jnp.sqrt(1.0 - 16.0 * zu), jnp.sqrt(1.0 - 16.0 * zu * share)
    x, x_0 = jnp.sqrt(x2), jnp.sqrt(x2_0)
    unstable_ratio = ((1.0 + x_0) / (1.0 + x)) ** 2 * (1.0 + x2_0) / (1.0 + x2)
    ratio = jnp.where(stable, (1.0 + zs) / (1.0 + zs * share), unstable_ratio)
    turning = 2.0 * jnp.arctan((x - x_0) / (1.0 + x * x_0))
    return jnp.where(stable, 6.0, 1.0) * jnp.log(ratio) + turning


def neutral(rough: Roughness) -> Transfer:
    """Coefficients without stratification."""
    return _transfer(rough.momentum, rough.heat, rough.momentum, rough.ground_heat)


def _transfer(m: Array, h: Array, m_ground: Array, h_ground: Array) -> Transfer:
    k2 = VON_KARMAN**2
    total = k2 / (m * h)
    ground = jnp.minimum(k2 / (m_ground * h_ground), 0.95 * total)
    return Transfer(k2 / m**2, ground, total - ground)


def stratified(
    rough: Roughness, old: Transfer, ground_excess: Array, canopy_excess: Array, wind: Array
) -> Transfer:
    """One update of the coefficients from the stratification of the last ones.

    The lower-limit terms keep every bracket positive when the tower stands close above the
    canopy (the description's form without them can change sign).

    Args:
        ground_excess, canopy_excess: surface minus air potential temperature, K.
        wind: m s-1.
    """
    scale = (
        -VON_KARMAN
        * GRAVITY
        * rough.height
        / (THETA_0 * old.momentum * jnp.sqrt(old.momentum) * wind**2)
    )
    zeta_ground = scale * old.ground * ground_excess
    zeta = jnp.clip(zeta_ground + scale * old.canopy * canopy_excess, -10.0, 5.0)
    zeta_ground = jnp.clip(zeta_ground, -10.0, 5.0)
    return _transfer(
        rough.momentum + _stability_momentum(zeta, rough.z0_share),
        rough.heat + _stability_heat(zeta, rough.zt_share),
        rough.momentum + _stability_momentum(zeta_ground, rough.z0_share),
        rough.ground_heat + _stability_heat(zeta_ground, rough.zt_ground_share),
    )
