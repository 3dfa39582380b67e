"""Fluxes of one surface at given temperatures (MATSIRO.md 2.12-2.13)."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro import stomata, turbulence
from mdpl.lsm.matsiro.atmosphere import saturation_humidity, vapour_pressure
from mdpl.lsm.matsiro.constants import CP_AIR, L_VAP, STEFAN_BOLTZMANN
from mdpl.lsm.matsiro.state import Forcing, Unknowns
from mdpl.lsm.matsiro.turbulence import Roughness

_TINY_FLUX = 1e-12


class Setting(NamedTuple):
    """All that stays fixed while the temperatures of a surface are sought."""

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
    ground_resistance: Array  # s m-1, of soil to evaporation; 0 for snow
    ground_humidity: Array  # h_soil; 1 for snow
    ground_latent: Array  # J kg-1, of what evaporates from the ground
    leaf_latent: Array  # J kg-1, of what evaporates from wet leaves
    ground_conductance: Array  # k/dz to the first node, W m-2 K-1
    ground_node: Array  # temperature of that node, K
    ceiling: Array  # K, warmest the ground may be: T_melt for snow, no bound for soil
    canopy_store: Array  # most that leaves can evaporate in the step, kg m-2 s-1
    ground_store: Array  # most that the ground can evaporate
    root_store: Array  # most that the roots can take up
    wet_share: Array  # f_cwet


class Fluxes(NamedTuple):
    """Fluxes of a surface; upward positive, W m-2 or kg m-2 s-1."""

    heat_ground: Array
    heat_canopy: Array
    ground: Array  # vapour from soil or snow
    transpiration: Array
    interception: Array
    black_ground: Array  # eps sigma T_s^4
    black_canopy: Array
    ground_heat: Array  # from the first node to the surface
    gpp: Array  # mol m-2 s-1
    leaf_respiration: Array  # mol m-2 s-1


class Mismatch(NamedTuple):
    """What the equations leave open at trial values, in the order of `Unknowns`."""

    co2: Array  # Pa
    zeta_ground: Array  # K
    canopy: Array  # energy leaving the canopy, W m-2
    ground: Array  # energy leaving the ground, W m-2
    zeta: Array  # K


class KeptLeaves(NamedTuple):
    """Columns whose stomata do not follow the canopy's temperature, and what they keep to."""

    where: Array  # bool
    temperature: Array  # K


def evaluate(
    leaf: stomata.Leaf,
    rough: Roughness,
    setting: Setting,
    air: Forcing,
    at: Unknowns,
    kept: KeptLeaves | None = None,
) -> tuple[Fluxes, Mismatch]:
    """Fluxes at trial values, and what these leave open of the equations."""
    leaves = at.canopy if kept is None else jnp.where(kept.where, kept.temperature, at.canopy)
    transfer, mismatch, mismatch_ground = turbulence.exchange(
        rough, at.zeta, at.zeta_ground, at.ground - air.theta, at.canopy - air.theta, air.Wind
    )
    via_ground = transfer.ground * air.Wind
    via_canopy = transfer.canopy * air.Wind

    moles = stomata.molar_density(at.canopy, air.Psurf)
    leaf_air = stomata.Air(air.Psurf, air.co2, vapour_pressure(air.Qair, air.Psurf) / air.Psurf)
    cap = stomata.capacity(leaf, leaves, setting.stress, setting.light, leaf_air)
    exchange = stomata.exchange(
        leaf,
        cap,
        setting.canopy_mean,
        setting.minimum_conductance,
        via_canopy / setting.lai * moles,
        leaves,
        leaf_air,
        at.co2,
    )
    through_stomata = 1.0 / (1.0 / via_canopy + moles / (exchange.conductance * setting.lai))
    through_ground = 1.0 / (1.0 / via_ground + setting.ground_resistance)

    rho = air.density
    drying = saturation_humidity(at.canopy, air.Psurf) - air.Qair
    wet_rate = rho * via_canopy * drying
    # No flux may take more than its store holds: beyond, the flux is that limit.
    store_share = setting.canopy_store / jnp.maximum(wet_rate, _TINY_FLUX)
    # Both are zero on dry leaves: there the store binds, or slopes would grow from step to step.
    wet = jnp.where(
        (wet_rate > 0) & (store_share <= setting.wet_share), store_share, setting.wet_share
    )
    dry_rate = (1.0 - wet) * rho * jnp.where(drying > 0, through_stomata, via_canopy) * drying

    saturated = saturation_humidity(at.ground, air.Psurf)
    humid = setting.ground_humidity * saturated - air.Qair
    # Between h q* and q* the pores neither evaporate nor take up dew.
    dew = jnp.minimum(saturated - air.Qair, 0.0)
    ground = rho * jnp.where(humid > 0, through_ground * humid, via_ground * dew)

    heat = CP_AIR * rho
    fluxes = Fluxes(
        heat_ground=heat * via_ground * (at.ground - air.theta),
        heat_canopy=heat * via_canopy * (at.canopy - air.theta),
        ground=jnp.minimum(ground, setting.ground_store),
        transpiration=jnp.minimum(dry_rate, setting.root_store),
        interception=wet * wet_rate,
        black_ground=setting.emissivity * STEFAN_BOLTZMANN * at.ground**4,
        black_canopy=setting.emissivity * STEFAN_BOLTZMANN * at.canopy**4,
        ground_heat=setting.ground_conductance * (setting.ground_node - at.ground),
        gpp=exchange.assimilation * setting.lai,
        leaf_respiration=exchange.respiration * setting.lai,
    )
    canopy, ground = balances(setting, air, fluxes)
    return fluxes, Mismatch(at.co2 - exchange.co2, mismatch_ground, canopy, ground, mismatch)


def balances(setting: Setting, air: Forcing, fluxes: Fluxes) -> tuple[Array, Array]:
    """Energy leaving canopy and ground, W m-2, linear in the fluxes; zero at balance."""
    closed = 1.0 - setting.gap
    thermal = setting.emissivity * air.LWdown
    canopy = (
        fluxes.heat_canopy
        - setting.shortwave_canopy
        - thermal * closed
        + (2.0 * fluxes.black_canopy - fluxes.black_ground) * closed
        + L_VAP * fluxes.transpiration
        + setting.leaf_latent * fluxes.interception
    )
    ground = (
        fluxes.heat_ground
        - setting.shortwave_ground
        - thermal * setting.gap
        + fluxes.black_ground
        - fluxes.black_canopy * closed
        + setting.ground_latent * fluxes.ground
        - fluxes.ground_heat
    )
    return canopy, ground
