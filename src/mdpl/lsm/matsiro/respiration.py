"""Respiration beyond the leaf's, so that net ecosystem exchange can be scored.

The model description stops at leaf respiration. The rest here is the least that is published:
a soil rate with the temperature response of Lloyd & Taylor (1994, Funct. Ecol. 8, 315-323) and
the moisture response of Raich et al. (1991, Ecol. Appl. 1, 399-429), as SiB2 has it; stems and
roots in proportion to leaf area with a Q10 of 2; and growth as a fixed share of what maintenance
leaves of photosynthesis (Ryan 1991, Ecol. Appl. 1, 157-167). There are no carbon pools: the soil
rate stands for the carbon a site has.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.model import Parameter

PARAMETERS = (
    Parameter("soil_respiration", "umol m-2 s-1",
              "heterotrophic respiration at 10 C and optimal moisture", 0.1, 8, 1.5,
              "tower base rates of 1-5 (Reichstein et al. 2005, Glob. Change Biol. 11, 1424-1439), "
              "about half of soil respiration not from roots (Hanson et al. 2000, "
              "Biogeochemistry 48, 115-146)", "log"),
    Parameter("temperature_sensitivity", "K",
              "temperature sensitivity of heterotrophic respiration (E0)", 50, 400, 308.56,
              "Lloyd & Taylor (1994); bounds: accepted in partitioning tower fluxes "
              "(Lasslop et al. 2010, Glob. Change Biol. 16, 187-208)"),
    Parameter("plant_respiration", "umol m-2 s-1",
              "maintenance respiration of stems and roots per leaf area at 15 C", 0.02, 2, 0.25,
              "stems of conifers 52-162 g C m-2 yr-1 (Ryan et al. 1995, Oecologia 101, 133-140), "
              "roots taken to respire about twice that, a leaf area index of 4", "log"),
)  # fmt: skip
"""The calibratable numbers, in the order of `RespirationTraits`."""

GROWTH_SHARE = 0.25  # of photosynthesis after maintenance (Ryan 1991)
T_0 = 227.13  # K, where the response of Lloyd & Taylor (1994) vanishes
T_SOIL = 283.15  # K, reference of the soil rate
T_PLANT = 288.15  # K, reference of the plant rate
LN_Q10 = 0.6931471805599453
MICRO = 1e-6
_LAYER = 1  # 5-25 cm: the top layer swings with the day, the third hardly with the season

CLAY = 0.20  # loam, as the soil's default
W_OPT = 0.59 + 0.22 * CLAY - 0.08 * CLAY**2
SKEWNESS = 0.3478 + 0.2101 * CLAY - 0.4491 * CLAY**2 - 2.0 * CLAY**3
SATURATED = 0.5 + 0.25 * CLAY
"""Optimal saturation, skewness and response at saturation: SiB's fits by clay to Raich et al."""


class RespirationTraits(NamedTuple):
    """What a column's respiration is calibrated by, (column,)."""

    soil_respiration: Array  # umol m-2 s-1 at 10 C
    temperature_sensitivity: Array  # E0, K
    plant_respiration: Array  # umol m-2 s-1 per leaf area at 15 C


class Respiration(NamedTuple):
    """Ecosystem respiration and its parts, mol m-2 s-1, (column,)."""

    leaf: Array
    plant: Array  # maintenance of stems and roots
    growth: Array
    soil: Array  # heterotrophic
    total: Array


def lloyd_taylor(temperature: Array, sensitivity: Array) -> Array:
    """exp(E0 (1/(283.15 - T0) - 1/(T - T0))), one at 10 C, nothing below T0.

    Args:
        temperature: K.
        sensitivity: E0, K.
    """
    # 0.1 K above T0 the response is below 1e-200: the floor is not felt.
    above = jnp.maximum(temperature - T_0, 0.1)
    return jnp.exp(sensitivity * (1.0 / (T_SOIL - T_0) - 1.0 / above))


def moisture_response(saturation: Array) -> Array:
    """0.2 + 0.8 s^B, B = ((W^m - W_opt^m) / (1 - W_opt^m))^2; one at W_opt (Raich et al. 1991).

    Falls to 0.2 in dry soil and to 0.2 + 0.8 s (0.64) at saturation, for want of oxygen.

    Args:
        saturation: W, degree of saturation.
    """
    wet = jnp.exp(SKEWNESS * jnp.log(jnp.clip(saturation, 1e-3, 1.0)))
    best = W_OPT**SKEWNESS
    exponent = ((wet - best) / (1.0 - best)) ** 2
    return 0.2 + 0.8 * SATURATED**exponent


def q10(temperature: Array) -> Array:
    """Doubling every 10 K, one at 15 C."""
    return jnp.exp(LN_Q10 * (temperature - T_PLANT) / 10.0)


def respire(
    traits: RespirationTraits,
    leaf_respiration: Array,
    gpp: Array,
    lai: Array,
    canopy_temperature: Array,
    soil_temperature: Array,
    saturation: Array,
) -> Respiration:
    """Respiration of a column; net ecosystem exchange is ``total - gpp``.

    Args:
        leaf_respiration, gpp: mol m-2 s-1 of ground, (column,).
        lai: m2 m-2, (column,).
        canopy_temperature: K, (column,).
        soil_temperature, saturation: K and degree of saturation, (layer, column).
    """
    ground = soil_temperature[_LAYER]
    # Stems live in the air, roots in the soil; half of the maintenance each.
    warmth = 0.5 * (q10(canopy_temperature) + q10(ground))
    plant = MICRO * traits.plant_respiration * lai * warmth
    growth = GROWTH_SHARE * jnp.maximum(gpp - leaf_respiration - plant, 0.0)
    soil = (
        MICRO
        * traits.soil_respiration
        * lloyd_taylor(ground, traits.temperature_sensitivity)
        * moisture_response(saturation[_LAYER])
    )
    return Respiration(
        leaf_respiration, plant, growth, soil, leaf_respiration + plant + growth + soil
    )
