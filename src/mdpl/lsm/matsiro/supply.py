"""Water from outside the column: irrigation and a prescribed water table, both off by default.

Neither is part of the model description. Irrigation on demand follows Ozdogan et al. (2010,
J. Hydrometeorol. 11, 171-184): crops in leaf are watered when their root zone falls below a
threshold. The water table is a boundary condition for towers on wet ground.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro.constants import RHO_WATER, SOIL_INTERFACE, SOIL_THICKNESS
from mdpl.lsm.matsiro.soil import saturation

IRRIGATION_RATE = 5.0 / 3600.0
"""kg m-2 s-1; 5 mm per hour, a common sprinkler rate."""

IRRIGATION_DEPTH = 1.0  # m
IRRIGATION_LAI = 0.5  # leaf area above which a field is irrigated

_DZ = np.asarray(SOIL_THICKNESS)[:, None]
_CENTRE = (SOIL_INTERFACE[1:, None] + SOIL_INTERFACE[:-1, None]) / 2
_NEXT_CENTRE = np.concatenate([_CENTRE[1:], [[np.inf]]])
_IRRIGATED = SOIL_INTERFACE[1:, None] <= IRRIGATION_DEPTH + 1e-9


class Supply(NamedTuple):
    """Options of each column, (column,)."""

    irrigation_target: Array  # saturation to refill to; 0: no irrigation
    irrigation_below: Array  # root-weighted saturation that calls for water
    water_table: Array  # depth, m; infinite (or below the column): none


class Supplied(NamedTuple):
    """Water brought into the column, kg m-2 s-1, (column,)."""

    irrigation: Array
    groundwater: Array  # negative where the water table takes water away


def off(like: Array) -> Supply:
    """No supply, for columns shaped as ``like``."""
    zero = jnp.zeros_like(like)
    return Supply(zero, zero, zero + jnp.inf)


def supply(
    options: Supply,
    water: Array,
    ice: Array,
    porosity: Array,
    psi_sat: Array,
    b: Array,
    roots: Array,
    lai: Array,
    dt: Array,
) -> tuple[Array, Supplied]:
    """Irrigate, then hold the water table.

    Args:
        water, ice: volumetric, (layer, column); only pores free of ice are filled.
        psi_sat: m, negative.
        roots: share of roots, (layer, column).
        dt: s.

    Returns:
        volumetric water and what was brought in; ``water`` itself, to the bit, where all is off.
    """
    irrigated = _irrigate(options, water, ice, porosity, roots, lai, dt)
    held = _hold(options.water_table, irrigated, ice, porosity, psi_sat, b)
    return held, Supplied(_gain(water, irrigated) / dt, _gain(irrigated, held) / dt)


def _gain(before: Array, after: Array) -> Array:
    return RHO_WATER * ((after - before) * _DZ).sum(0)


def _irrigate(
    options: Supply,
    water: Array,
    ice: Array,
    porosity: Array,
    roots: Array,
    lai: Array,
    dt: Array,
) -> Array:
    """Bring rooted layers of the first metre towards the target, each by its share of the lack.

    Nothing is remembered: water comes while the roots are below the threshold, so a field whose
    lack exceeds a step's rate stays near the threshold and the target bounds single layers.
    """
    wetness = (saturation(water, ice, porosity) * roots).sum(0)
    on = options.irrigation_target > 0.0
    thirsty = on & (wetness < options.irrigation_below) & (lai > IRRIGATION_LAI)
    goal = ice + options.irrigation_target * jnp.maximum(porosity - ice, 0.0)
    lack = jnp.where(_IRRIGATED & (roots > 0.0), jnp.maximum(goal - water, 0.0), 0.0)
    total = RHO_WATER * (lack * _DZ).sum(0)
    share = jnp.minimum(1.0, IRRIGATION_RATE * dt / jnp.maximum(total, 1e-12))
    return jnp.where(thirsty, water + share * lack, water)


def _hold(
    depth: Array, water: Array, ice: Array, porosity: Array, psi_sat: Array, b: Array
) -> Array:
    """Saturate layers centred below the table; put the one above it in hydrostatic balance.

    That layer both feeds on the table and drains to it. Held at the potential
    ``psi_s - height`` of its centre, it turns saturated without a jump as the table rises, and
    drainage from above leaves the column there. Layers higher up are left to the soil.
    """
    on = depth < SOIL_INTERFACE[-1]
    table = jnp.where(on, depth, 0.0)
    height = jnp.maximum(table - _CENTRE, 0.0)
    degree = jnp.exp(-jnp.log1p(height / -psi_sat) / b)
    held = on & (table < _NEXT_CENTRE)
    goal = ice + degree * jnp.maximum(porosity - ice, 0.0)
    return jnp.where(held, goal, water)
