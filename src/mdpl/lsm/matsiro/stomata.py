"""Photosynthesis, stomata and the resistances to vapour (MATSIRO.md 2.8-2.11; SiB2)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro.atmosphere import saturation_pressure
from mdpl.lsm.matsiro.constants import MOLAR_DENSITY, O2_FRACTION

_TINY = 1e-28


class Leaf(NamedTuple):
    """Leaf traits of a column; `parameters.py` lists meaning and source."""

    vmax: Array  # mol m-2 s-1
    slope: Array
    intercept: Array  # mol m-2 s-1
    quantum_yield: Array
    curvature_light: Array  # beta_ce
    curvature_sink: Array  # beta_ps
    respiration: Array  # f_d
    t_high: Array  # s2, K
    t_low: Array  # s4, K
    is_c4: Array  # bool


class Air(NamedTuple):
    """What the leaf sees of the air at the reference height."""

    pressure: Array  # Pa
    co2: Array  # mol mol-1
    vapour: Array  # mol mol-1


class Capacity(NamedTuple):
    """Rates that depend on leaf temperature but not on c_i (mol m-2 s-1, Pa)."""

    rubisco: Array
    michaelis: Array
    gamma: Array
    light: Array
    sink: Array  # C3: the rate; C4: rate per Pa of c_i
    respiration: Array


class Stomata(NamedTuple):
    """Exchange of the leaves."""

    co2: Array  # c_i that diffusion implies, Pa
    conductance: Array  # g_s, mol m-2 s-1 per leaf area
    assimilation: Array  # gross, canopy mean, mol m-2 s-1 per leaf area
    respiration: Array  # canopy mean, likewise


def canopy_mean(extinction: Array) -> Array:
    """f_avr: canopy mean over top-leaf rate for an extinction over the whole canopy."""
    return -jnp.expm1(-extinction) / extinction


def capacity(leaf: Leaf, temperature: Array, stress: Array, light: Array, air: Air) -> Capacity:
    """Temperature-dependent rates (SiB2); ``light`` is J = yield x absorbed quanta."""
    q_t = (temperature - 298.0) / 10.0
    oxygen = O2_FRACTION * air.pressure
    # One exponential for each base: b**q = exp(q ln b).
    k_c = 30.0 * jnp.exp(0.7419373447293773 * q_t)
    k_o = 30000.0 * jnp.exp(0.1823215567939546 * q_t)
    specificity = 2600.0 * jnp.exp(-0.562118918153541 * q_t)
    gamma = jnp.where(leaf.is_c4, 0.0, 0.5 * oxygen / specificity)
    cold = jax.nn.sigmoid(0.2 * (temperature - leaf.t_low))
    hot = jax.nn.sigmoid(-0.3 * (temperature - leaf.t_high))
    base = leaf.vmax * stress
    rubisco = base * jnp.exp(0.7419373447293773 * q_t) * hot
    sink = base * jnp.exp(0.5877866649021191 * q_t)
    breath = jnp.exp(0.6931471805599453 * q_t) * jax.nn.sigmoid(-1.3 * (temperature - 328.0))
    return Capacity(
        rubisco=jnp.where(leaf.is_c4, rubisco * cold, rubisco),
        michaelis=k_c * (1.0 + oxygen / k_o),
        gamma=gamma,
        light=light,
        sink=jnp.where(leaf.is_c4, 0.2 * sink, 0.5 * sink * cold),
        respiration=leaf.respiration * base * breath,
    )


def smooth_min(a: Array, b: Array, curvature: Array) -> Array:
    """Smaller root of ``curvature x^2 - (a + b) x + a b = 0``."""
    total = a + b
    root = jnp.sqrt(jnp.maximum(total**2 - 4.0 * curvature * a * b, 0.0) + _TINY)
    return (total - root) / (2.0 * curvature)


def assimilation(leaf: Leaf, cap: Capacity, co2: Array) -> Array:
    """Gross photosynthesis of the top leaf at internal CO2 ``co2`` (Pa), mol m-2 s-1."""
    excess = jnp.maximum(co2 - cap.gamma, 0.0)  # none above 65 C, where gamma exceeds the air's
    w_c = jnp.where(leaf.is_c4, cap.rubisco, cap.rubisco * excess / (co2 + cap.michaelis))
    w_e = jnp.where(leaf.is_c4, cap.light, cap.light * excess / (co2 + 2.0 * cap.gamma))
    w_s = jnp.where(leaf.is_c4, cap.sink * co2, cap.sink)
    w_p = smooth_min(w_c, w_e, leaf.curvature_light)
    return smooth_min(w_p, w_s, leaf.curvature_sink)


def conductance(
    leaf: Leaf, net: Array, minimum: Array, boundary: Array, inside: Array, air: Air
) -> tuple[Array, Array]:
    """Ball-Berry with the leaf surface in balance with its boundary layer.

    Args:
        net: net assimilation, mol m-2 s-1 per leaf area.
        minimum: b f_w, mol m-2 s-1.
        boundary: g_l, mol m-2 s-1 per leaf area.
        inside: saturated vapour mole fraction in the leaf.

    Returns:
        g_s (mol m-2 s-1) and CO2 at the leaf surface (mol mol-1).
    """
    co2_surface = air.co2 - 1.4 * net / boundary
    y = (
        leaf.slope
        * jnp.maximum(net, 1e-12)
        / (inside * jnp.clip(co2_surface, 1.0 / air.pressure, air.co2))
    )
    linear = boundary - y * inside - minimum
    constant = boundary * (minimum + y * air.vapour)
    root = 0.5 * (-linear + jnp.sqrt(linear**2 + 4.0 * constant))
    return jnp.minimum(root, y * inside + minimum), co2_surface


def exchange(
    leaf: Leaf,
    cap: Capacity,
    mean: Array,
    minimum: Array,
    boundary: Array,
    temperature: Array,
    air: Air,
    co2: Array,
) -> Stomata:
    """Photosynthesis and conductance at a trial c_i, and the c_i that diffusion then implies.

    ``co2 - implied`` is negative at no c_i and not negative at `highest_co2`: there is a solution
    between. In hot, dry air there may be three (open, shut and an unstable one between).

    Args:
        mean: canopy mean over top-leaf rate (f_avr).
        minimum: b f_w, mol m-2 s-1; boundary: g_l, mol m-2 s-1 per leaf area.
        temperature: of the leaves, K.
        co2: trial c_i, Pa.
    """
    inside = saturation_pressure(temperature) / air.pressure
    gross = assimilation(leaf, cap, co2)
    net = (gross - cap.respiration) * mean
    g_s, surface = conductance(leaf, net, minimum, boundary, inside, air)
    # Respiring leaves push c_i far up without any effect on the fluxes; dawn must find it near.
    implied = jnp.minimum(
        (surface - 1.6 * net / g_s) * air.pressure, highest_co2(air.co2, air.pressure)
    )
    return Stomata(implied, g_s, gross * mean, cap.respiration * mean)


def highest_co2(co2: Array, pressure: Array) -> Array:
    """Highest c_i that is told apart, Pa; CO2 of the air in mol mol-1, pressure in Pa."""
    return 1.2 * co2 * pressure


def molar_density(temperature: Array, pressure: Array) -> Array:
    """Moles of air in a cubic metre: converts m s-1 to mol m-2 s-1 (SiB2)."""
    return MOLAR_DENSITY * (273.16 / temperature) * (pressure / 1.013e5)


def layer_stress(psi: Array, critical: Array, steepness: Array) -> Array:
    """f_w of each layer; psi and critical in m (negative)."""
    return jax.nn.sigmoid(-steepness * (critical - psi))


def root_uptake(stress: Array, roots: Array, most: Array) -> tuple[Array, Array]:
    """Root-zone stress and the share of uptake by layer (sums to one however dry it is).

    Args:
        stress, roots: shape (layer, column).
        most: that a layer can give, over what the largest transpiration takes, (layer, column). A
            layer that cannot give its share, frozen or dry, leaves it to the others.
    """
    weighted = stress * roots
    possible = jnp.minimum(weighted, most)
    total = possible.sum(0)
    share = jnp.where(total > _TINY, possible / jnp.maximum(total, _TINY), roots)
    return weighted.sum(0), share
