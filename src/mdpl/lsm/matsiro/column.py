"""One step of the column, and the loop over a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro import (
    canopy_water,
    energy,
    respiration,
    runoff,
    setting,
    snow,
    soil,
    supply,
)
from mdpl.lsm.matsiro.constants import (
    L_SUB,
    L_VAP,
    RHO_WATER,
    SOIL_THICKNESS,
    T_MELT,
)
from mdpl.lsm.matsiro.place import Column
from mdpl.lsm.matsiro.search import System
from mdpl.lsm.matsiro.state import Forcing, State, Surface, Unknowns, filled

_DZ = np.asarray(SOIL_THICKNESS)[:, None]

TOGETHER = 4
"""Columns whose surfaces are searched for together: as many as a vector register holds."""


class Vapour(NamedTuple):
    """Water leaving as vapour, kg m-2 s-1, means over the column."""

    soil: Array  # liquid, Et11
    soil_ice: Array  # Et21
    snow: Array  # E_Sn
    leaves: Array  # interception loss less dew
    transpiration: Array

    def total(self) -> Array:
        return self.soil + self.soil_ice + self.snow + self.leaves + self.transpiration


class Step(NamedTuple):
    """All that a step computes beyond the new state."""

    surface: Surface  # means over the snow-free and the snow-covered part
    vapour: Vapour
    water: runoff.Runoff
    snow: snow.SnowStep
    snow_area: Array  # A_Sn during the step
    lai: Array
    stress: Array
    respiration: respiration.Respiration
    supplied: supply.Supplied
    rain: Array  # above the canopy, kg m-2 s-1
    snowfall: Array
    water_residual: Array  # kg m-2


def water_stored(state: State) -> Array:
    """Water in soil, snow and on leaves, kg m-2, (column,)."""
    in_soil = (state.soil_water * _DZ).sum(0)
    return RHO_WATER * (in_soil + state.canopy_water) + state.snow.amount


def step(column: Column, state: State, air: Forcing, dt: Array, most: int) -> tuple[State, Step]:
    """Advance the column by one interval of ``dt`` seconds.

    Fluxes see the old state; then canopy water, snow, runoff, soil heat, soil water and freezing
    follow in the description's order (MATSIRO.md 1.2).

    Args:
        most: Newton steps of the surface solution at most.
    """
    lai = air.LAI * column.lai_scale
    roots = setting.rooted(column, state, dt)
    area = snow.cover_fraction(state.snow.amount, column.snow.full_cover)
    bare, snowy, emerged_lai = _surfaces(column, state, air, roots, lai, area, dt, most)
    surface = jax.tree.map(lambda a, b: (1.0 - area) * a + area * b, bare, snowy)
    vapour = _vapour(state, bare, snowy, surface, area, dt)

    frozen = (1.0 - area) * (bare.solution.canopy < T_MELT) + area * (
        snowy.solution.canopy < T_MELT
    )
    leaves = canopy_water.update(
        state.canopy_water,
        state.canopy_frozen,
        frozen,
        surface.interception_loss * (1.0 - state.canopy_frozen) + surface.dew_on_leaves,
        surface.interception_loss * state.canopy_frozen,
        air.rain,
        air.snowfall,
        emerged_lai,
        column.canopy_capacity * emerged_lai,
        dt,
    )
    conductivity = soil.conductivity(state.soil_water, column.soil_conductivity)
    into = snow.SnowInput(
        sublimation=vapour.snow,
        top_heat=area * snowy.ground_heat,
        surplus=area * snowy.surplus,
        canopy_heat=leaves.phase_heat,
        rain=leaves.throughfall,
        snowfall=leaves.snowfall,
        soil_temperature=state.soil_temperature[0],
        soil_resistance=0.5 * SOIL_THICKNESS[0] / conductivity[0],
    )
    pack = jax.lax.cond(
        jnp.any((state.snow.amount > 0) | (leaves.snowfall > 0)),
        lambda: snow.advance(state.snow, column.snow, into, dt),
        lambda: snow.without(into),
    )
    from_soil = (1.0 - area) * bare.ground_heat - pack.soil_heat
    below, drained = _soil(column, state, roots, vapour, pack.water, from_soil, conductivity, dt)
    wetness, supplied = supply.supply(
        column.supply,
        below[1],
        below[2],
        column.porosity,
        column.psi_sat,
        column.soil_b,
        column.roots,
        emerged_lai,
        dt,
    )
    new = State(
        soil_side=bare.solution,
        snow_side=_next_guess(bare.solution, snowy.solution, area),
        soil_temperature=below[0],
        soil_water=wetness,
        soil_ice=below[2],
        canopy_water=leaves.store,
        canopy_frozen=frozen,
        snow=pack.snow,
    )
    out = vapour.total() + drained.saturation_excess + drained.infiltration_excess
    out = out + drained.overflow + drained.base_flow
    come = air.rain + air.snowfall + supplied.irrigation + supplied.groundwater
    residual = water_stored(new) - water_stored(state) - (come - out) * dt
    breath = respiration.respire(
        column.respiration,
        surface.leaf_respiration,
        surface.gpp,
        emerged_lai,
        surface.solution.canopy,
        state.soil_temperature,
        jnp.clip(state.soil_water / column.porosity, 0.0, 1.0),
    )
    one = jnp.ones_like(area)
    return new, Step(
        surface=surface,
        vapour=vapour,
        water=drained,
        snow=pack,
        snow_area=area,
        lai=emerged_lai,
        stress=roots.stress,
        respiration=breath,
        supplied=supplied,
        rain=air.rain * one,
        snowfall=air.snowfall * one,
        water_residual=residual,
    )


def _surfaces(
    column: Column,
    state: State,
    air: Forcing,
    roots: setting.Roots,
    lai: Array,
    area: Array,
    dt: Array,
    most: int,
) -> tuple[Surface, Surface, Array]:
    """Both parts of the column, and the leaf area out of the snow as a mean over them."""
    canopy = setting.emerged(column, lai, jnp.zeros_like(area))
    above = setting.emerged(column, lai, setting.snow_depth(state, area))
    rough, around = setting.soil_side(column, state, air, roots, canopy, dt)
    snow_rough, snow_around = jax.lax.cond(
        jnp.any(area > 0),
        lambda: setting.snow_side(column, state, air, roots, above, area, dt),
        lambda: (rough, around),
    )
    bare, snowy = _solve_both(
        System(column.leaf, rough, around, air),
        state.soil_side,
        System(column.leaf, snow_rough, snow_around, air),
        state.snow_side,
        area,
        most,
    )
    return bare, snowy, (1.0 - area) * canopy.lai + area * above.lai


def _solve_both(
    soil_side: System,
    soil_guess: Unknowns,
    snow_side: System,
    snow_guess: Unknowns,
    area: Array,
    most: int,
) -> tuple[Surface, Surface]:
    """The snow-free surface and, where snow lies, the snow-covered one.

    A loop over both, a few columns at a time: the search is in the program once, and few columns
    wait for their slowest.
    """
    columns = area.shape[0]
    together = TOGETHER if columns % TOGETHER == 0 else columns

    def split(a: Array, b: Array) -> Array:
        pair = jnp.stack([jnp.broadcast_to(a, area.shape), jnp.broadcast_to(b, area.shape)])
        return pair.reshape(-1, together)

    def solve(_: None, side: tuple[System, Unknowns, Array]) -> tuple[None, Surface]:
        system, guess, share = side
        return None, jax.lax.cond(
            jnp.any(share > 0),
            lambda: energy.solve_surface(system, guess, most),
            lambda: none,
        )

    zero = jnp.zeros(together)
    none = filled(Surface, zero)._replace(solution=filled(Unknowns, zero))
    sides = jax.tree.map(split, (soil_side, soil_guess), (snow_side, snow_guess))
    _, both = jax.lax.scan(solve, None, (*sides, split(jnp.ones_like(area), area)))
    both = jax.tree.map(lambda a: a.reshape(2, columns), both)
    bare, snowy = (jax.tree.map(lambda a, i=i: a[i], both) for i in (0, 1))
    return bare, snowy


def _vapour(
    state: State, bare: Surface, snowy: Surface, surface: Surface, area: Array, dt: Array
) -> Vapour:
    """Vapour by source; what the snow cannot give is taken from the soil, with the same energy."""
    frozen = soil.frozen_share(state.soil_water[0], state.soil_ice[0])
    from_soil = (1.0 - area) * bare.ground_vapour
    from_snow = area * snowy.ground_vapour
    excess = jnp.maximum(from_snow - state.snow.amount / dt, 0.0)
    return Vapour(
        soil=(1.0 - frozen) * from_soil + excess * (L_SUB / L_VAP),
        soil_ice=frozen * from_soil,
        snow=from_snow - excess,
        leaves=surface.interception_loss + surface.dew_on_leaves,
        transpiration=surface.transpiration,
    )


def _soil(
    column: Column,
    state: State,
    roots: setting.Roots,
    vapour: Vapour,
    water: Array,
    from_soil: Array,
    conductivity: Array,
    dt: Array,
) -> tuple[tuple[Array, Array, Array], runoff.Runoff]:
    """Runoff, heat, water and freezing of the soil: temperature, water and ice after the step."""
    sublimated = vapour.soil_ice * dt / RHO_WATER / SOIL_THICKNESS[0]
    ice = state.soil_ice.at[0].add(-sublimated)
    wetness = state.soil_water.at[0].add(-sublimated)
    drained = runoff.runoff(
        water,
        wetness,
        ice,
        roots.psi,
        state.soil_temperature,
        column.porosity,
        column.k_sat,
        column.drainage,
        dt,
    )
    capacity = soil.heat_capacity(state.soil_water, column.dry_heat_capacity)
    warmth = soil.conduct(state.soil_temperature, conductivity, capacity, from_soil, dt)
    wetness = soil.flow(
        wetness,
        ice,
        column.porosity,
        column.psi_sat,
        column.soil_b,
        column.k_sat,
        drained.into_soil - vapour.soil,
        roots.share * vapour.transpiration + drained.drawn,
        dt,
    )
    warmth, ice = soil.freeze(warmth, wetness, ice, capacity)
    return (warmth, wetness, ice), drained


def _next_guess(bare: Unknowns, snowy: Unknowns, area: Array) -> Unknowns:
    """Snow that is yet to come starts from the bare surface, not warmer than melting."""
    born = bare._replace(ground=jnp.minimum(bare.ground, T_MELT))
    return Unknowns(*(jnp.where(area > 0, a, b) for a, b in zip(snowy, born, strict=True)))


Kept = dict[str, Array]

Keep = Callable[[State, Step], Kept]
"""Picks what to return of every step."""


def advance(
    column: Column, state: State, air: Forcing, dt: Array, most: int, keep: Keep
) -> tuple[State, Kept]:
    """A step of a record and what is kept of it; padding (``valid`` 0) does not move the state."""
    new, all_ = step(column, state, air, dt, most)
    moving = air.valid > 0
    return jax.tree.map(lambda a, b: jnp.where(moving, a, b), new, state), keep(new, all_)


def march(
    column: Column, state: State, record: Forcing, dt: Array, most: int, keep: Keep
) -> tuple[State, Kept, State]:
    """Run a record.

    Args:
        record: forcing with the time axis first.

    Returns:
        the last state; what was kept, and the states before every step, with the time axis first.
    """

    def body(now: State, air: Forcing) -> tuple[State, tuple[Kept, State]]:
        new, kept = advance(column, now, air, dt, most, keep)
        return new, (kept, now)

    last, (kept, states) = jax.lax.scan(body, state, record)
    return last, kept, states
