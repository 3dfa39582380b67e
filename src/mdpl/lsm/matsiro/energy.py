"""Joint energy balance of ground surface and canopy (MATSIRO.md 2.12-2.15)."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro import stomata, turbulence
from mdpl.lsm.matsiro.atmosphere import saturation_humidity, vapour_pressure
from mdpl.lsm.matsiro.constants import (
    CP_AIR,
    L_SUB,
    L_VAP,
    STEFAN_BOLTZMANN,
)
from mdpl.lsm.matsiro.state import Forcing, Surface
from mdpl.lsm.matsiro.turbulence import Roughness, Transfer

MAX_PASS_CHANGE = 10.0
"""K a temperature may move in any pass but the last, which is exact whatever it takes."""

_TINY_GRADIENT = 1e-12


class Setting(NamedTuple):
    """All that stays fixed while the surface temperatures are sought."""

    shortwave_ground: Array  # absorbed, W m-2
    shortwave_canopy: Array
    shortwave_up: Array
    emissivity: Array
    gap: Array  # tau_L
    light: Array  # J of the top leaf, mol m-2 s-1
    canopy_mean: Array  # f_avr
    lai: Array
    stress: Array  # f_w
    minimum_conductance: Array  # b max(f_w, 0.1), mol m-2 s-1
    soil_resistance: Array  # s m-1
    soil_humidity: Array  # h_soil
    ice_share: Array  # frozen share of evaporation from soil
    ground_conductance: Array  # k/dz to the first soil node, W m-2 K-1
    soil_temperature: Array  # first node, K
    canopy_store: Array  # most that leaves can evaporate in the step, kg m-2 s-1
    soil_store: Array  # most that the first layer can evaporate
    root_store: Array  # most that the roots can take up
    wet_share: Array  # f_cwet


class Iterate(NamedTuple):
    """What one pass hands to the next."""

    ground: Array  # K
    canopy: Array  # K
    transfer: Transfer
    co2: Array  # Pa
    wet: Array  # share of the step the leaves are wet
    soil_limit: Array  # factors that keep evaporation within the stores
    root_limit: Array


class Fluxes(NamedTuple):
    """Fluxes at the temperatures of a pass and their derivatives, before the linear step."""

    heat_ground: Array
    heat_canopy: Array
    soil: Array  # Et11 + Et21, kg m-2 s-1
    transpiration: Array
    interception: Array
    d_heat_ground: Array
    d_heat_canopy: Array
    d_soil: Array
    d_transpiration: Array
    d_interception: Array


def solve_surface(
    leaf: stomata.Leaf,
    rough: Roughness,
    setting: Setting,
    air: Forcing,
    ground: Array,
    canopy: Array,
    co2: Array,
    passes: int,
) -> Surface:
    """Iterate coefficients, stomata and the two-surface balance; the last pass is exact.

    Args:
        ground, canopy, co2: first guesses (last step's T_s, T_c in K and c_i in Pa).
        passes: passes of the surface solution (n_outer); 5 recommended.
    """
    transfer = turbulence.neutral(rough)
    for _ in range(2):
        transfer = turbulence.stratified(
            rough, transfer, ground - air.theta, canopy - air.theta, air.Wind
        )
    one = jnp.ones_like(ground)
    start = Iterate(ground, canopy, transfer, co2, setting.wet_share * one, one, one)

    def relaxed(_pass: int, last: Iterate) -> Iterate:
        fluxes, now, _ = _fluxes(leaf, rough, setting, air, last)
        d_ground, d_canopy = _linear_step(setting, air, now, fluxes)
        bound = MAX_PASS_CHANGE
        return now._replace(
            ground=now.ground + jnp.clip(d_ground, -bound, bound),
            canopy=now.canopy + jnp.clip(d_canopy, -bound, bound),
        )

    # Reverse mode needs a scan; a static trip count makes this loop one.
    before_last = jax.lax.fori_loop(0, passes - 1, relaxed, start)
    fluxes, now, leaf_state = _fluxes(leaf, rough, setting, air, before_last)
    d_ground, d_canopy = _linear_step(setting, air, now, fluxes)
    return _finish(setting, air, now, fluxes, leaf_state, d_ground, d_canopy)


def _fluxes(
    leaf: stomata.Leaf, rough: Roughness, setting: Setting, air: Forcing, last: Iterate
) -> tuple[Fluxes, Iterate, stomata.Stomata]:
    update = turbulence.stratified(
        rough, last.transfer, last.ground - air.theta, last.canopy - air.theta, air.Wind
    )
    transfer = Transfer(*(0.5 * (a + b) for a, b in zip(last.transfer, update, strict=True)))
    via_ground = transfer.ground * air.Wind
    via_canopy = transfer.canopy * air.Wind

    moles = stomata.molar_density(last.canopy, air.Psurf)
    leaf_air = stomata.Air(air.Psurf, air.co2, vapour_pressure(air.Qair, air.Psurf) / air.Psurf)
    cap = stomata.capacity(leaf, last.canopy, setting.stress, setting.light, leaf_air)
    leaf_state = stomata.solve_leaf(
        leaf,
        cap,
        setting.canopy_mean,
        setting.minimum_conductance,
        via_canopy / setting.lai * moles,
        last.canopy,
        leaf_air,
        last.co2,
    )
    through_stomata = 1.0 / (1.0 / via_canopy + moles / (leaf_state.conductance * setting.lai))
    through_soil = 1.0 / (1.0 / via_ground + setting.soil_resistance)

    q_canopy, dq_canopy, _ = saturation_humidity(last.canopy, air.Psurf)
    q_ground, dq_ground, _ = saturation_humidity(last.ground, air.Psurf)
    rho = air.density
    drying = q_canopy - air.Qair

    # Limits act on conductances, so a flux stays proportional to its gradient.
    potential = jnp.maximum(rho * via_canopy * drying, _TINY_GRADIENT)
    wet = 0.5 * (last.wet + jnp.minimum(setting.wet_share, setting.canopy_store / potential))
    leaf_conductance = jnp.where(drying > 0, through_stomata, via_canopy)
    rate = (1.0 - wet) * rho * leaf_conductance
    uptake = jnp.maximum(rate * drying, _TINY_GRADIENT)
    root_limit = 0.5 * (last.root_limit + jnp.minimum(1.0, setting.root_store / uptake))
    rate = rate * jnp.where(drying > 0, root_limit, 1.0)

    humid = setting.soil_humidity * q_ground - air.Qair
    dew = q_ground - air.Qair
    evaporating = humid > 0
    gradient = jnp.where(evaporating, humid, jnp.minimum(dew, 0.0))
    slope = jnp.where(
        evaporating, setting.soil_humidity * dq_ground, jnp.where(dew < 0, dq_ground, 0.0)
    )
    soil_rate = rho * jnp.where(evaporating, through_soil, via_ground)
    demand = jnp.maximum(soil_rate * gradient, _TINY_GRADIENT)
    soil_limit = 0.5 * (last.soil_limit + jnp.minimum(1.0, setting.soil_store / demand))
    soil_rate = soil_rate * jnp.where(evaporating, soil_limit, 1.0)

    heat = CP_AIR * rho
    fluxes = Fluxes(
        heat_ground=heat * via_ground * (last.ground - air.theta),
        heat_canopy=heat * via_canopy * (last.canopy - air.theta),
        soil=soil_rate * gradient,
        transpiration=rate * drying,
        interception=wet * rho * via_canopy * drying,
        d_heat_ground=heat * via_ground,
        d_heat_canopy=heat * via_canopy,
        d_soil=soil_rate * slope,
        d_transpiration=rate * dq_canopy,
        d_interception=wet * rho * via_canopy * dq_canopy,
    )
    now = Iterate(last.ground, last.canopy, transfer, leaf_state.co2, wet, soil_limit, root_limit)
    return fluxes, now, leaf_state


def _soil_latent(setting: Setting) -> Array:
    return L_VAP + setting.ice_share * (L_SUB - L_VAP)


def _linear_step(
    setting: Setting, air: Forcing, now: Iterate, fluxes: Fluxes
) -> tuple[Array, Array]:
    """Solve the 2 x 2 system for the change of T_s and T_c."""
    eps, gap = setting.emissivity, setting.gap
    soil_latent = _soil_latent(setting)
    black_ground = eps * STEFAN_BOLTZMANN * now.ground**4
    black_canopy = eps * STEFAN_BOLTZMANN * now.canopy**4
    d_black_ground = 4.0 * eps * STEFAN_BOLTZMANN * now.ground**3
    d_black_canopy = 4.0 * eps * STEFAN_BOLTZMANN * now.canopy**3
    closed = 1.0 - gap

    residual_ground = (
        fluxes.heat_ground
        - setting.shortwave_ground
        - eps * air.LWdown * gap
        + black_ground
        - black_canopy * closed
        + soil_latent * fluxes.soil
        - setting.ground_conductance * (setting.soil_temperature - now.ground)
    )
    residual_canopy = (
        fluxes.heat_canopy
        - setting.shortwave_canopy
        - eps * air.LWdown * closed
        + (2.0 * black_canopy - black_ground) * closed
        + L_VAP * (fluxes.transpiration + fluxes.interception)
    )
    a11 = (
        fluxes.d_heat_ground
        + d_black_ground
        + soil_latent * fluxes.d_soil
        + setting.ground_conductance
    )
    a12 = -closed * d_black_canopy
    a21 = -closed * d_black_ground
    a22 = (
        fluxes.d_heat_canopy
        + 2.0 * d_black_canopy * closed
        + L_VAP * (fluxes.d_transpiration + fluxes.d_interception)
    )
    inverse = 1.0 / (a11 * a22 - a12 * a21)
    d_ground = (a12 * residual_canopy - a22 * residual_ground) * inverse
    d_canopy = (a21 * residual_ground - a11 * residual_canopy) * inverse
    return d_ground, d_canopy


def _finish(
    setting: Setting,
    air: Forcing,
    now: Iterate,
    fluxes: Fluxes,
    leaf_state: stomata.Stomata,
    d_ground: Array,
    d_canopy: Array,
) -> Surface:
    """Update every flux linearly, so that the balance closes exactly."""
    eps, gap = setting.emissivity, setting.gap
    heat = (
        fluxes.heat_ground
        + fluxes.d_heat_ground * d_ground
        + fluxes.heat_canopy
        + fluxes.d_heat_canopy * d_canopy
    )
    soil = fluxes.soil + fluxes.d_soil * d_ground
    interception = fluxes.interception + fluxes.d_interception * d_canopy
    transpiration = fluxes.transpiration + fluxes.d_transpiration * d_canopy
    # What the leaves' store cannot give is taken from the roots, with the same energy;
    # dew on dry leaves wets them instead of flowing into the roots.
    excess = jnp.maximum(interception - setting.canopy_store, 0.0)
    interception = interception - excess
    transpiration = transpiration + excess
    dew = jnp.minimum(transpiration, 0.0)

    up_ground = eps * STEFAN_BOLTZMANN * (now.ground**4 + 4.0 * now.ground**3 * d_ground)
    up_canopy = eps * STEFAN_BOLTZMANN * (now.canopy**4 + 4.0 * now.canopy**3 * d_canopy)
    longwave_up = gap * up_ground + (1.0 - gap) * up_canopy + (1.0 - eps) * air.LWdown
    ground, canopy = now.ground + d_ground, now.canopy + d_canopy
    ground_heat = setting.ground_conductance * (setting.soil_temperature - ground)
    latent = L_VAP * (transpiration + interception) + _soil_latent(setting) * soil
    absorbed = setting.shortwave_ground + setting.shortwave_canopy
    net = absorbed + air.LWdown - longwave_up
    return Surface(
        sensible=heat,
        latent=latent,
        net_radiation=net,
        ground_heat=ground_heat,
        soil_evaporation=(1.0 - setting.ice_share) * soil,
        soil_sublimation=setting.ice_share * soil,
        transpiration=transpiration - dew,
        interception_loss=interception,
        dew_on_leaves=dew,
        shortwave_up=setting.shortwave_up,
        longwave_up=longwave_up,
        ground_temperature=ground,
        canopy_temperature=canopy,
        leaf_co2=leaf_state.co2,
        gpp=leaf_state.assimilation * setting.lai,
        leaf_respiration=leaf_state.respiration * setting.lai,
        residual=net - heat - latent + ground_heat,
    )
