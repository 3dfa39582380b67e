"""Roughness and bulk transfer coefficients (MATSIRO.md 2.6-2.7)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro.constants import (
    DISPLACEMENT_CAP,
    GRAVITY,
    THETA_0,
    VON_KARMAN,
)

STABILITY_RANGE = (-10.0, 5.0)
"""zeta beyond these is not told apart (MATSIRO.md 2.7)."""


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


def canopy_logs(
    h: Array, lai: Array, c_d: Array, c_h: Array, z0_floor: Array | float, zt_floor: Array | float
) -> tuple[Array, Array, Array, Array]:
    """Watanabe (1994) fit: h - d (m), ln((h-d)/z0), ln((h-d)/zT), ln((h-d)/zT+).

    Logarithms are kept because zT+ underflows below a dense canopy.

    Args:
        h: canopy height, m, at least three times the floor's roughness.
        z0_floor, zt_floor: roughness lengths of soil or snow for momentum and heat, m.
    """
    drag = jnp.maximum(c_d * lai / (2.0 * VON_KARMAN**2), 1e-10)
    ratio = c_h / c_d
    above = h * -jnp.expm1(-drag) / drag
    decay = jnp.exp(-drag)
    ground = (-jnp.log(z0_floor / h)) ** (-1.0 / 0.45)
    i0 = (-jnp.expm1(-drag) + ground * decay**2) ** 0.45

    log_x = jnp.log(zt_floor / h)
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


def roughness(
    h: Array,
    lai: Array,
    c_d: Array,
    c_h: Array,
    z_ref: Array,
    snow_depth: Array | float,
    z0_floor: Array | float,
    zt_floor: Array | float,
) -> Roughness:
    """Roughness of canopy and floor as seen from the reference height.

    Args:
        h: canopy height above soil or snow, m.
        z_ref: reference height above the soil, m.
        snow_depth: raises the displacement height, m.
        z0_floor, zt_floor: see `canopy_logs`.
    """
    h = jnp.maximum(h, 3.0 * z0_floor)
    above, log_z0, log_zt, log_zt_ground = canopy_logs(h, lai, c_d, c_h, z0_floor, zt_floor)
    displacement = jnp.minimum(h - above + snow_depth, DISPLACEMENT_CAP * z_ref)
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


def _transfer(m: Array, h: Array, m_ground: Array, h_ground: Array) -> Transfer:
    k2 = VON_KARMAN**2
    total = k2 / (m * h)
    ground = jnp.minimum(k2 / (m_ground * h_ground), 0.95 * total)
    return Transfer(k2 / m**2, ground, total - ground)


def exchange(
    rough: Roughness,
    zeta: Array,
    zeta_ground: Array,
    ground_excess: Array,
    canopy_excess: Array,
    wind: Array,
) -> tuple[Transfer, Array, Array]:
    """Coefficients at given stabilities, and how far these are from what the fluxes imply.

    The lower-limit terms keep every bracket positive when the tower stands close above the
    canopy (the description's form without them can change sign).

    Args:
        zeta, zeta_ground: (z_a - d) / L of the whole surface and of the ground's own flux.
        ground_excess, canopy_excess: surface minus air potential temperature, K.
        wind: m s-1.

    Returns:
        coefficients, and for zeta and zeta_ground the difference to the implied value (kept in
        `STABILITY_RANGE`) as a temperature, K: rising in either, near linear in the excesses.
    """
    transfer = _transfer(
        rough.momentum + _stability_momentum(zeta, rough.z0_share),
        rough.heat + _stability_heat(zeta, rough.zt_share),
        rough.momentum + _stability_momentum(zeta_ground, rough.z0_share),
        rough.ground_heat + _stability_heat(zeta_ground, rough.zt_ground_share),
    )
    lift = transfer.ground * ground_excess + transfer.canopy * canopy_excess
    total = transfer.ground + transfer.canopy
    shear = transfer.momentum * jnp.sqrt(transfer.momentum)
    buoyancy = VON_KARMAN * GRAVITY * rough.height / (THETA_0 * wind**2)
    return (
        transfer,
        _mismatch(zeta, shear / (buoyancy * total), lift / total),
        _mismatch(zeta_ground, shear / (buoyancy * transfer.ground), ground_excess),
    )


def _mismatch(zeta: Array, kelvin: Array, excess: Array) -> Array:
    """``(zeta - implied) kelvin``; out of range ``kelvin`` only scales: the slope is positive."""
    implied = -excess / kelvin
    bound = jnp.clip(implied, *STABILITY_RANGE)
    apart = (zeta - bound) * jax.lax.stop_gradient(kelvin)
    return jnp.where(implied == bound, zeta * kelvin + excess, apart)
