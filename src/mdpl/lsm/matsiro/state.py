"""What a column remembers from one step to the next, and what drives and leaves it."""

from __future__ import annotations

from typing import Any, NamedTuple

from jax import Array

Series = Any
"""NumPy in a record on the host, `jax.Array` in a step."""


class State(NamedTuple):
    """Prognostic state; columns last, layers first."""

    ground_temperature: Array  # T_s, K, (column,): no heat capacity, starts the next solve
    canopy_temperature: Array  # T_c, K, (column,): likewise
    leaf_co2: Array  # c_i, Pa, (column,): likewise
    soil_temperature: Array  # K, (layer, column)
    soil_water: Array  # total volumetric water, m3 m-3, (layer, column)
    soil_ice: Array  # frozen part, m3 m-3 of water, (layer, column)
    canopy_water: Array  # m, (column,)


class Forcing(NamedTuple):
    """One interval of prepared forcing; (time, column or 1) in a record, (column or 1,) in a step.

    `mdpl.lsm.matsiro.forcing` makes it from a tower record.
    """

    direct_visible: Series  # W m-2
    direct_infrared: Series
    diffuse_visible: Series
    diffuse_infrared: Series
    sec_zenith: Series
    LWdown: Series  # W m-2
    Tair: Series  # K
    theta: Series  # potential temperature of the air referred to the surface, K
    Qair: Series  # kg kg-1
    density: Series  # kg m-3
    Wind: Series  # m s-1, floored
    Psurf: Series  # Pa
    rain: Series  # kg m-2 s-1
    co2: Series  # mol mol-1
    LAI: Series  # m2 m-2
    valid: Series  # 0 in padding: the state does not move


class Surface(NamedTuple):
    """Fluxes out of the surface solution; upward positive, W m-2 or kg m-2 s-1."""

    sensible: Array
    latent: Array
    net_radiation: Array
    ground_heat: Array  # F_g(1/2): from the soil to the surface
    soil_evaporation: Array  # liquid, Et11
    soil_sublimation: Array  # Et21
    transpiration: Array  # Et12
    interception_loss: Array  # Et13
    dew_on_leaves: Array  # part of downward Et12, sent to the canopy store
    shortwave_up: Array
    longwave_up: Array
    ground_temperature: Array
    canopy_temperature: Array
    leaf_co2: Array
    gpp: Array  # mol m-2 s-1
    leaf_respiration: Array  # mol m-2 s-1
    residual: Array  # what the energy balance does not close, W m-2
