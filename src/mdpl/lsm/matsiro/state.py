"""What a column remembers from one step to the next, and what drives and leaves it."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from jax import Array

from mdpl.lsm.matsiro.snow import Snow

Series = Any
"""NumPy in a record on the host, `jax.Array` in a step."""


_Numbers = TypeVar("_Numbers", bound=tuple[Any, ...])


def filled(kind: type[_Numbers], value: Array) -> _Numbers:
    """A named tuple of one value."""
    return kind(*[value] * len(kind._fields))  # type: ignore[attr-defined]


class Unknowns(NamedTuple):
    """What the solution of a surface seeks; nothing in it stores heat, it starts the next solve."""

    co2: Array  # c_i, Pa
    zeta_ground: Array  # stability that the ground's own flux makes, (z_a - d) / L_g
    canopy: Array  # T_c, K
    ground: Array  # T_s, K
    zeta: Array  # stability of the whole surface, (z_a - d) / L


class State(NamedTuple):
    """Prognostic state; columns last, layers first."""

    soil_side: Unknowns  # of the snow-free part, (column,)
    snow_side: Unknowns  # of the snow-covered part, (column,)
    soil_temperature: Array  # K, (layer, column)
    soil_water: Array  # total volumetric water, m3 m-3, (layer, column)
    soil_ice: Array  # frozen part, m3 m-3 of water, (layer, column)
    canopy_water: Array  # liquid and frozen, m, (column,)
    canopy_frozen: Array  # frozen share of it, (column,)
    snow: Snow


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
    snowfall: Series  # kg m-2 s-1
    co2: Series  # mol mol-1
    LAI: Series  # m2 m-2
    valid: Series  # 0 in padding: the state does not move


class Surface(NamedTuple):
    """Fluxes out of the surface solution; upward positive, W m-2 or kg m-2 s-1."""

    sensible: Array
    latent: Array
    net_radiation: Array
    ground_heat: Array  # from the first node to the surface, F_g(1/2) or F_Sn(1/2)
    surplus: Array  # energy left for melting at a surface held at T_melt
    ground_vapour: Array  # from soil or snow
    transpiration: Array
    interception_loss: Array  # from wet leaves, liquid or frozen
    dew_on_leaves: Array  # part of downward transpiration, sent to the canopy store
    shortwave_up: Array
    longwave_up: Array
    gpp: Array  # mol m-2 s-1
    leaf_respiration: Array  # mol m-2 s-1
    residual: Array  # what the energy balance does not close, W m-2
    solution: Unknowns
    last_step: Array  # length of the last, exact Newton step, K
    unsolved: Array  # 1 where the search ended before it arrived
