"""Soil heat and water (MATSIRO.md 2.19-2.21)."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro.constants import (
    CP_WATER,
    L_MELT,
    RHO_WATER,
    SATURATION_FLOOR,
    SOIL_SPACING,
    SOIL_THICKNESS,
    T_MELT,
)

_DZ = np.asarray(SOIL_THICKNESS)[:, None]


def thomas(lower: Sequence, diagonal: Sequence, upper: Sequence, right: Sequence) -> list[Array]:
    """Solve a tridiagonal system given by rows; ``lower[0]`` and ``upper[-1]`` are unused."""
    n = len(diagonal)
    c: list[Array] = []
    d: list[Array] = []
    for k in range(n):
        pivot = diagonal[k] if k == 0 else diagonal[k] - lower[k] * c[k - 1]
        inverse = 1.0 / pivot
        c.append(upper[k] * inverse)
        d.append((right[k] if k == 0 else right[k] - lower[k] * d[k - 1]) * inverse)
    x = [d[-1]]
    for k in reversed(range(n - 1)):
        x.insert(0, d[k] - c[k] * x[0])
    return x


def saturation(water: Array, ice: Array, porosity: Array) -> Array:
    """Degree of saturation of the pores not filled with ice, floored for finite potentials."""
    pores = jnp.maximum(porosity - ice, 1e-3)
    return jnp.clip((water - ice) / pores, SATURATION_FLOOR, 1.0)


def frozen_share(water: Array, ice: Array) -> Array:
    """Share of a layer's water that is ice."""
    return jnp.clip(ice / jnp.maximum(water, 1e-6), 0.0, 1.0)


def potential(degree: Array, psi_sat: Array, b: Array) -> Array:
    """Clapp-Hornberger water potential, m (negative)."""
    return jnp.maximum(psi_sat * jnp.exp(-b * jnp.log(degree)), -1e5)


def conductivity(water: Array, dry: Array) -> Array:
    """Thermal conductivity, W m-1 K-1."""
    return dry * (1.0 + 6.0 * jnp.tanh(water / 0.25))


def heat_capacity(water: Array, dry: Array) -> Array:
    """Heat capacity of each layer, J m-2 K-1."""
    return (dry + RHO_WATER * CP_WATER * water) * _DZ


def conduct(
    temperature: Array, conductivity_: Array, capacity: Array, from_soil: Array, dt: Array
) -> Array:
    """Implicit heat conduction.

    Args:
        temperature, conductivity_, capacity: (layer, column).
        from_soil: heat leaving through the surface, W m-2 (upward positive).
    """
    half = 0.5 * _DZ / conductivity_
    link = 1.0 / (half[:-1] + half[1:])
    n = temperature.shape[0]
    zero = jnp.zeros_like(link[0])
    below = [link[k] if k < n - 1 else zero for k in range(n)]
    above = [link[k - 1] if k > 0 else zero for k in range(n)]
    rate = capacity / dt
    right = [rate[k] * temperature[k] - (from_soil if k == 0 else 0.0) for k in range(n)]
    x = thomas(
        [-a for a in above],
        [rate[k] + above[k] + below[k] for k in range(n)],
        [-b for b in below],
        right,
    )
    return jnp.stack(jnp.broadcast_arrays(*x))


def freeze(temperature: Array, water: Array, ice: Array, capacity: Array) -> tuple[Array, Array]:
    """Freeze or thaw with the heat of the layer; no supercooled water.

    Returns:
        temperature (K) and ice (m3 m-3), (layer, column); enthalpy is conserved exactly.
    """
    latent = L_MELT * RHO_WATER * _DZ
    wish = capacity * (T_MELT - temperature) / latent
    # Uptake may leave a little less water than there was ice: the excess melts.
    change = jnp.clip(wish, -ice, water - ice)
    return temperature + latent * change / capacity, ice + change


def flow(
    water: Array,
    ice: Array,
    porosity: Array,
    psi_sat: Array,
    b: Array,
    k_sat: Array,
    infiltration: Array,
    sink: Array,
    dt: Array,
) -> Array:
    """Richards equation with Clapp-Hornberger hydraulics, one implicit step.

    Args:
        water, ice: volumetric, (layer, column).
        infiltration: water entering the first layer less evaporation from it, kg m-2 s-1.
        sink: root uptake and drainage by layer, kg m-2 s-1, (layer, column).

    Returns:
        volumetric water after the step, (layer, column), supersaturation swept down, then up.
    """
    n = water.shape[0]
    rate = RHO_WATER * _DZ / dt
    liquid = jnp.maximum(water - ice - SATURATION_FLOOR * porosity, 0.0) * rate
    infiltration, sink = _borrow(infiltration, sink, liquid)
    pores = jnp.maximum(porosity - ice, 1e-3)
    degree = saturation(water, ice, porosity)
    psi = potential(degree, psi_sat, b)
    d_psi = -b * psi / (degree * pores)
    blocked = jnp.clip(1.0 - ice / pores, 0.0, 1.0)
    wetter = jnp.maximum(degree[:-1], degree[1:])
    k = k_sat * jnp.exp((2.0 * b + 3.0) * jnp.log(wetter)) * blocked[:-1] * blocked[1:]
    spacing = np.asarray(SOIL_SPACING)[:, None]
    up = RHO_WATER * k * ((psi[1:] - psi[:-1]) / spacing - 1.0)
    from_upper = -RHO_WATER * k / spacing * d_psi[:-1]
    from_lower = RHO_WATER * k / spacing * d_psi[1:]

    lower, diagonal, upper, right = [], [], [], []
    zero = jnp.zeros_like(up[0])
    for layer in range(n):
        inside = layer < n - 1
        flux_below = up[layer] if inside else zero
        flux_above = up[layer - 1] if layer > 0 else -infiltration
        diagonal.append(
            rate[layer]
            - (from_upper[layer] if inside else 0.0)
            + (from_lower[layer - 1] if layer > 0 else 0.0)
        )
        upper.append(-from_lower[layer] if inside else zero)
        lower.append(from_upper[layer - 1] if layer > 0 else zero)
        right.append(flux_below - flux_above - sink[layer])
    change = thomas(lower, diagonal, upper, right)
    flux = [up[i] + from_upper[i] * change[i] + from_lower[i] * change[i + 1] for i in range(n - 1)]
    flux = [-infiltration, *_within_supply(flux, liquid - sink, infiltration), zero]
    new = [water[i] + (flux[i + 1] - flux[i] - sink[i]) / rate[i] for i in range(n)]
    return sweep(jnp.stack(new), porosity)


def _borrow(infiltration: Array, sink: Array, liquid: Array) -> tuple[Array, Array]:
    """Evaporation the first layer cannot give within the step comes from the layers below.

    The description does not limit evaporation by the water there is; a coarse, dry soil of low
    resistance would be drawn below nothing.

    Args:
        infiltration: less evaporation, kg m-2 s-1.
        sink, liquid: uptake of each layer and what it holds, kg m-2 s-1, (layer, column).

    Returns:
        both, their difference summed over layers unchanged.
    """
    lack = jnp.maximum(-infiltration - jnp.maximum(liquid[0] - sink[0], 0.0), 0.0)
    taken = [sink[0]]
    for layer in range(1, sink.shape[0]):
        gift = jnp.minimum(lack, jnp.maximum(liquid[layer] - sink[layer], 0.0))
        taken.append(sink[layer] + gift)
        infiltration, lack = infiltration + gift, lack - gift
    return infiltration, jnp.stack(taken)


def _within_supply(flux: list[Array], free: Array, infiltration: Array) -> list[Array]:
    """Keep flows between layers (upward positive) within what their giving layer holds.

    K is lagged, so in a conductive soil gravity would take more than a layer has.

    Args:
        free: liquid a layer can give besides its sink, kg m-2 s-1, (layer, column).
    """
    flux = list(flux)
    left = []
    income = infiltration
    for i, flow_ in enumerate(flux):
        supply = jnp.maximum(free[i] + income, 0.0)
        flux[i] = jnp.maximum(flow_, -supply)
        income = jnp.maximum(-flux[i], 0.0)
        left.append(supply - income)
    left.append(jnp.maximum(free[-1] + income, 0.0))
    rising = jnp.zeros_like(infiltration)
    for i in reversed(range(len(flux))):
        rising = jnp.minimum(jnp.maximum(flux[i], 0.0), left[i + 1] + rising)
        flux[i] = jnp.where(flux[i] > 0, rising, flux[i])
    return flux


def sweep(water: Array, porosity: Array) -> Array:
    """Pass water beyond saturation down to the bottom, then up; the rest ponds on top."""
    n = water.shape[0]
    layers = [water[k] for k in range(n)]
    for k in range(1, n - 1):
        excess = jnp.maximum(layers[k] - porosity, 0.0)
        layers[k] = layers[k] - excess
        layers[k + 1] = layers[k + 1] + excess * (SOIL_THICKNESS[k] / SOIL_THICKNESS[k + 1])
    for k in reversed(range(1, n)):
        excess = jnp.maximum(layers[k] - porosity, 0.0)
        layers[k] = layers[k] - excess
        layers[k - 1] = layers[k - 1] + excess * (SOIL_THICKNESS[k] / SOIL_THICKNESS[k - 1])
    return jnp.stack(layers)
