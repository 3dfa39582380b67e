"""Canopy radiation (Watanabe & Otani 1995 as in MATSIRO; MATSIRO.md 2.4-2.5)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro.constants import DIFFUSIVITY, LEAF_PROJECTION


class BandOptics(NamedTuple):
    """Canopy and floor as one band sees them; every item broadcasts over columns."""

    albedo_direct: Array
    albedo_diffuse: Array
    floor_direct: Array  # share of the incident beam absorbed by the floor
    floor_diffuse: Array


class Shortwave(NamedTuple):
    """Shares of shortwave radiation, W m-2."""

    up: Array
    ground: Array  # absorbed by the floor
    canopy: Array  # absorbed by the leaves
    canopy_par: Array  # visible part of it


def mix_leaf(reflectance: Array, transmittance: Array) -> tuple[Array, Array]:
    """Effective leaf optics of inclined leaves; both lines act at once (keeps r + t)."""
    return (
        0.75 * reflectance + 0.25 * transmittance,
        0.75 * transmittance + 0.25 * reflectance,
    )


def canopy_band(
    r: Array, t: Array, lai: Array, sec_zenith: Array, floor_direct: Array, floor_diffuse: Array
) -> BandOptics:
    """Albedo and floor absorption of a closed canopy in one band.

    Args:
        r, t: leaf reflectance (> 0) and transmittance, already mixed.
        lai: leaf area per vegetated ground, m2 m-2.
        sec_zenith: 1 / cos z.
        floor_direct, floor_diffuse: albedo of the floor for beam and diffuse light.
    """
    f, d = LEAF_PROJECTION, DIFFUSIVITY
    q = jnp.sqrt((1.0 - t) ** 2 - r**2)
    dq = d * q
    # The beam solution has a removable singularity at s = d q; s is shifted everywhere,
    # because moving the denominator alone breaks the cancellation.
    near = jnp.abs(sec_zenith - dq) < 1e-5 * dq
    s = jnp.where(near, dq * (1.0 + 1e-5), sec_zenith)

    a1, a2 = (1.0 - t + q) / r, (1.0 - t - q) / r
    inverse_d = 1.0 / (dq**2 - s**2)
    c3 = s * (t * s + d * t * (1.0 - t) + d * r**2) * inverse_d
    c4 = r * (d - s) * s * inverse_d
    e = jnp.exp(-f * dq * lai)
    b = jnp.exp(-f * lai * s)
    low, high = a1 - floor_diffuse, a2 - floor_diffuse
    inverse_a3 = 1.0 / (low - high * e**2)
    beam = c3 * floor_diffuse + floor_direct - c4

    albedo_diffuse = (a2 * low - a1 * high * e**2) * inverse_a3
    albedo_direct = -c3 * albedo_diffuse + c4 + (a1 - a2) * beam * b * e * inverse_a3
    into_diffuse = ((1.0 - a2) * low - (1.0 - a1) * high) * e * inverse_a3
    into_direct = (
        -c3 * into_diffuse
        + (beam * ((1.0 - a1) - (1.0 - a2) * e**2) * inverse_a3 + c3 - c4 + 1.0) * b
    )
    albedo_direct = jnp.clip(albedo_direct, 0.0, 1.0)
    into_direct = jnp.clip(into_direct, 0.0, 1.0 - albedo_direct)
    return BandOptics(albedo_direct, albedo_diffuse, into_direct, into_diffuse)


def cover(band: BandOptics, fraction: Array, direct: Array, diffuse: Array) -> BandOptics:
    """Mix a closed canopy with open ground by vegetated fraction.

    Args:
        direct, diffuse: albedo of the ground for beam and diffuse light.
    """
    open_ = 1.0 - fraction
    return BandOptics(
        fraction * band.albedo_direct + open_ * direct,
        fraction * band.albedo_diffuse + open_ * diffuse,
        fraction * band.floor_direct + open_ * (1.0 - direct),
        fraction * band.floor_diffuse + open_ * (1.0 - diffuse),
    )


def shortwave(
    visible: BandOptics,
    infrared: BandOptics,
    direct_visible: Array,
    direct_infrared: Array,
    diffuse_visible: Array,
    diffuse_infrared: Array,
) -> Shortwave:
    """Absorbed and reflected shortwave from the four incident streams, W m-2."""
    up_visible = visible.albedo_direct * direct_visible + visible.albedo_diffuse * diffuse_visible
    up_infrared = (
        infrared.albedo_direct * direct_infrared + infrared.albedo_diffuse * diffuse_infrared
    )
    ground_visible = visible.floor_direct * direct_visible + visible.floor_diffuse * diffuse_visible
    ground_infrared = (
        infrared.floor_direct * direct_infrared + infrared.floor_diffuse * diffuse_infrared
    )
    canopy_par = direct_visible + diffuse_visible - up_visible - ground_visible
    canopy_infrared = direct_infrared + diffuse_infrared - up_infrared - ground_infrared
    return Shortwave(
        up_visible + up_infrared,
        ground_visible + ground_infrared,
        canopy_par + canopy_infrared,
        canopy_par,
    )


def longwave_gap(lai: Array, fraction: Array) -> Array:
    """Share of thermal radiation that passes between sky and ground (tau_L)."""
    through = jnp.exp(-LEAF_PROJECTION * DIFFUSIVITY * lai)
    return fraction * through + (1.0 - fraction)
