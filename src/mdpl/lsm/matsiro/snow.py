"""Snow pack of up to three layers (MATSIRO.md 2.17).

Layers of the pack are lists of three arrays, first on top: masses in kg m-2, temperatures as
degrees above melting (never positive), so that ice carries the enthalpy m (c t - l_m) and liquid
water none. Masses are per snow-covered area until snowfall, then means over the ground.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from mdpl.lsm.matsiro import snow_albedo
from mdpl.lsm.matsiro.constants import (
    CP_ICE,
    L_MELT,
    REFREEZE_SHARE,
    RHO_SNOW,
    SNOW_COLDEST,
    SNOW_LEAST,
    SNOW_MAX,
    T_MELT,
)
from mdpl.lsm.matsiro.soil import thomas

Layers = list[Array]


class Snow(NamedTuple):
    """What the pack remembers."""

    amount: Array  # kg m-2, mean over the ground, (column,)
    temperature: Array  # K, (3, column); a layer that does not exist holds that of the one above
    albedo: Array  # visible, near infrared, infrared, (3, column)


class SnowTraits(NamedTuple):
    """What can be calibrated."""

    full_cover: Array  # Sn_c, kg m-2
    conductivity: Array  # k_Sn, W m-1 K-1
    albedo_old: Array  # visible


class SnowInput(NamedTuple):
    """What acts on the pack; means over the ground, (column,)."""

    sublimation: Array  # less deposition, kg m-2 s-1
    top_heat: Array  # F_Sn(1/2), W m-2, upward positive
    surplus: Array  # dF_conv, energy left for melting, W m-2
    canopy_heat: Array  # dF_c,conv, W m-2 per unit ground
    rain: Array  # below the canopy, kg m-2 s-1
    snowfall: Array  # below the canopy, kg m-2 s-1
    soil_temperature: Array  # T_g(1), K
    soil_resistance: Array  # dz_g(1/2) / k_g(1/2), m2 K W-1


class SnowStep(NamedTuple):
    """The pack after a step and what it gave away; means over the ground, (column,)."""

    snow: Snow
    water: Array  # reaching the ground: rain, melt and glacier outflow, kg m-2 s-1
    soil_heat: Array  # dF_conv* + dF_c,conv*, W m-2, downward positive
    melt: Array  # of lying snow, refrozen part included, kg m-2 s-1
    mass_residual: Array  # kg m-2
    heat_residual: Array  # W m-2
    unmet: Array  # sublimation the pack could not give, kg m-2 s-1


def bare(columns_like: Array) -> Snow:
    """No snow on columns shaped like ``columns_like``."""
    nothing = jnp.zeros_like(columns_like, dtype=float)
    temperature = jnp.full((3, *nothing.shape), T_MELT)
    return Snow(nothing, temperature, snow_albedo.fresh(nothing))


def cover_fraction(amount: Array, full_cover: Array) -> Array:
    """Share of the ground under snow, A_Sn."""
    some = amount > 0
    root = jnp.sqrt(jnp.where(some, amount, full_cover) / full_cover)
    return jnp.where(some, jnp.minimum(root, 1.0), 0.0)


def layer_masses(per_covered_area: Array) -> Array:
    """Layers of a pack of so many kg m-2, (3, column)."""
    s = per_covered_area
    first = jnp.where(s < 20, s, jnp.where(s < 40, 0.5 * s, 20.0))
    lower = s - first
    second = jnp.where(s < 60, lower, jnp.where(s < 100, 0.5 * (s - 20), 40.0))
    return jnp.stack([first, second, lower - second])


def surface_layer(snow: Snow, traits: SnowTraits) -> tuple[Array, Array]:
    """Conductance (W m-2 K-1) from the surface to the middle of the first layer, and its K."""
    first = layer_masses(snow.amount / _area(snow, traits))[0]
    thickness = jnp.where(first > 0, first, 1.0) / RHO_SNOW
    return traits.conductivity / (0.5 * thickness), snow.temperature[0]


def surface_response(
    snow: Snow, traits: SnowTraits, soil_temperature: Array, soil_resistance: Array, dt: Array
) -> tuple[Array, Array]:
    """Like `surface_layer`, with the change of the first layer within the step.

    F_Sn = conductance (temperature - T_s) then uses the temperature that `advance` will find,
    which keeps a thin pack on a dry soil from ringing. Not in the description.
    """
    half, _ = surface_layer(snow, traits)
    masses = list(layer_masses(snow.amount / _area(snow, traits)))
    links = _links(masses, soil_resistance, traits.conductivity, dt)
    right = links.stored(list(snow.temperature - T_MELT), soil_temperature - T_MELT)
    unheated = jnp.minimum(links.solve(right)[0], 0.0)
    zero = 0.0 * right[0]
    yielding = links.solve([zero + 1.0, zero, zero])[0]
    return 1.0 / (1.0 / half + yielding), T_MELT + unheated


def enthalpy(snow: Snow, traits: SnowTraits) -> Array:
    """Heat the pack holds against liquid water at melting, J m-2 of ground (negative)."""
    area = _area(snow, traits)
    masses = layer_masses(snow.amount / area)
    return area * _enthalpy(list(masses), list(snow.temperature - T_MELT))


def advance(snow: Snow, traits: SnowTraits, into: SnowInput, dt: Array) -> SnowStep:
    """One step of the pack, in the order of MATSIRO.md 2.17.3.

    Where the description leaves a choice: snow melts on arrival over thawed soil on the share of
    the ground that was free of snow; beyond ``SNOW_MAX`` ice leaves as it is, with its own
    enthalpy, and counts as water; sublimation carries the enthalpy of the layer it comes from,
    snowfall that of the layer it joins. Less than ``SNOW_LEAST`` melts with heat of the soil.
    """
    lying = snow.amount > 0
    area = _area(snow, traits)
    before = layer_masses(snow.amount / area)
    degrees = list(snow.temperature - T_MELT)
    soil_degrees = into.soil_temperature - T_MELT

    sublimation = jnp.where(lying, into.sublimation, 0.0)
    masses, lack = _take(list(before), sublimation / area * dt)
    vapour = area * _enthalpy([b - m for b, m in zip(before, masses, strict=True)], degrees)

    top = (into.top_heat - into.surplus) / area - into.canopy_heat
    links = _links(masses, into.soil_resistance, traits.conductivity, dt)
    degrees, surplus, bottom = _conduct(links, degrees, top, soil_degrees)
    degrees, masses, melt, left = _melt(degrees, masses, surplus, dt)
    soil_heat = area * (left - bottom) + (1.0 - area) * into.canopy_heat
    degrees, masses, drained = _refreeze(degrees, masses, into.rain + melt, dt)
    water = (1.0 - area) * into.rain + area * drained

    masses = [area * m for m in masses]
    open_ground = jnp.where(sum(masses) > 0, 1.0 - area, 1.0)
    arrival = jnp.where(soil_degrees > 0, open_ground * into.snowfall, 0.0)
    settles = into.snowfall - arrival
    degrees[0] = _settling(degrees, masses, soil_degrees)
    masses[0] = masses[0] + settles * dt
    brought = settles * (CP_ICE * degrees[0] - L_MELT) - arrival * L_MELT
    masses, rest, rest_heat = _clear(degrees, masses)
    soil_heat = soil_heat - L_MELT * arrival - rest_heat / dt

    new, glacier = _divide(snow, traits, degrees, masses)
    albedo = snow_albedo.age(snow.albedo, traits.albedo_old, new.temperature[0], settles, dt)
    kept = lying & (new.amount > 0)
    new = new._replace(albedo=jnp.where(kept, albedo, snow_albedo.fresh(new.amount)))
    water = water + arrival + (rest + glacier) / dt

    unmet = jnp.where(lying, area * lack / dt, into.sublimation)
    given = into.rain + into.snowfall - into.sublimation + unmet - water
    heat = into.surplus - into.top_heat + into.canopy_heat - soil_heat + brought
    carried = vapour + glacier * (CP_ICE * (new.temperature[2] - T_MELT) - L_MELT)
    stored = enthalpy(new, traits) - enthalpy(snow, traits)
    return SnowStep(
        snow=new,
        water=water,
        soil_heat=soil_heat,
        melt=area * melt + rest / dt,
        mass_residual=new.amount - snow.amount - given * dt,
        heat_residual=(stored + carried) / dt - heat,
        unmet=unmet,
    )


def without(into: SnowInput) -> SnowStep:
    """What `advance` gives where neither snow lies nor any falls, at no cost."""
    none = jnp.zeros_like(into.rain)
    return SnowStep(bare(none), into.rain, into.canopy_heat, none, none, none, none)


def _area(snow: Snow, traits: SnowTraits) -> Array:
    """Snow-covered share; 1 without snow: a pack of no mass lets everything through."""
    return jnp.where(snow.amount > 0, cover_fraction(snow.amount, traits.full_cover), 1.0)


def _enthalpy(masses: Layers, degrees: Layers) -> Array:
    return sum(
        (m * (CP_ICE * t - L_MELT) for m, t in zip(masses, degrees, strict=True)),
        start=jnp.zeros(()),
    )


def _take(masses: Layers, wanted: Array) -> tuple[Layers, Array]:
    """Draw from the top down, or add to the first layer; also returns what was lacking."""
    left = []
    for mass in masses:
        left.append(jnp.maximum(mass - wanted, 0.0))
        wanted = jnp.maximum(wanted - mass, 0.0)
    return left, wanted


class _Links(NamedTuple):
    """Conductances (W m-2 K-1) of the layers there are; a vanished first layer hands heat on."""

    here: Layers  # whether there is snow in this layer or below
    rate: Layers  # heat capacity / dt
    above: Layers
    below: Layers
    soil: Layers  # of the lowest layer

    def solve(self, right: Layers, held: Array | bool = False) -> Layers:
        """Degrees of an implicit step; where ``held`` the first layer is at melting."""
        diagonal = [jnp.where(h, r + a + b + s, 1.0) for h, r, a, b, s in zip(*self, strict=True)]
        right = [jnp.where(h, x, 0.0) for h, x in zip(self.here, right, strict=True)]
        upper = [-b for b in self.below]
        for row, value in ((diagonal, 1.0), (upper, 0.0), (right, 0.0)):
            row[0] = jnp.where(held, value, row[0])
        return thomas([-a for a in self.above], diagonal, upper, right)

    def stored(self, degrees: Layers, soil_degrees: Array) -> Layers:
        """Right side without heat from above."""
        return [
            r * t + s * soil_degrees for r, t, s in zip(self.rate, degrees, self.soil, strict=True)
        ]


def _links(masses: Layers, soil_resistance: Array, conductivity: Array, dt: Array) -> _Links:
    per_mass = RHO_SNOW * conductivity
    none = 0.0 * (masses[0] + soil_resistance)
    lower = masses[1] + masses[2]
    here = [masses[0] + lower > 0, lower > 0, masses[2] > 0]
    last = [here[0] & ~here[1], here[1] & ~here[2], here[2]]
    link = [
        jnp.where(
            here[k + 1], per_mass / jnp.maximum(0.5 * (masses[k] + masses[k + 1]), 1e-3), none
        )
        for k in range(2)
    ]
    soil = [
        jnp.where(end, 1.0 / (soil_resistance + 0.5 * m / per_mass), none)
        for end, m in zip(last, masses, strict=True)
    ]
    return _Links(here, [CP_ICE * m / dt for m in masses], [none, *link], [*link, none], soil)


def _conduct(
    links: _Links, degrees: Layers, top: Array, soil_degrees: Array
) -> tuple[Layers, Array, Array]:
    """Implicit conduction, explicit in the soil temperature; fluxes upward positive, W m-2.

    Returns:
        new temperatures, the energy for melting, the flux from the soil.
    """
    right = links.stored(degrees, soil_degrees)
    right[0] = right[0] - top
    pinned = links.here[0] & (links.solve(right)[0] > 0)
    new = links.solve(right, pinned)
    gain = links.below[0] * (new[1] - new[0]) + links.soil[0] * (soil_degrees - new[0]) - top
    surplus = jnp.where(pinned, jnp.maximum(gain + links.rate[0] * degrees[0], 0.0), 0.0)
    held = [jnp.maximum(t, SNOW_COLDEST - T_MELT) for t in new]
    flux = 0.0 * top
    for r, s, t, h in zip(links.rate, links.soil, new, held, strict=True):
        flux += s * (soil_degrees - t) + r * (h - t)
    return held, surplus, jnp.where(links.here[0], flux, top)


def _melt(
    degrees: Layers, masses: Layers, left: Array, dt: Array
) -> tuple[Layers, Layers, Array, Array]:
    """Melt from the top down; what a vanished layer leaves warms the next.

    Returns:
        temperatures, masses, melt (kg m-2 s-1), energy left below the last layer (W m-2).
    """
    warmth, remaining = [], []
    melt = jnp.zeros_like(left)
    for t, m in zip(degrees, masses, strict=True):
        energy = CP_ICE * m * t + left * dt
        spent = jnp.minimum(jnp.maximum(energy, 0.0), L_MELT * m)
        warmth.append(jnp.minimum(energy, 0.0) / (CP_ICE * jnp.where(m > 0, m, 1.0)))
        remaining.append(jnp.where(energy >= L_MELT * m, 0.0, m - spent / L_MELT))
        melt = melt + (m - remaining[-1]) / dt
        left = jnp.maximum(energy - L_MELT * m, 0.0) / dt
    return warmth, remaining, melt, left


def _refreeze(
    degrees: Layers, masses: Layers, water: Array, dt: Array
) -> tuple[Layers, Layers, Array]:
    """Freeze part of the water that passes through cold layers; the rest leaves at the bottom."""
    warmth, heavier = [], []
    for t, m in zip(degrees, masses, strict=True):
        frozen = jnp.minimum(water * dt, jnp.minimum(-CP_ICE * t / L_MELT, REFREEZE_SHARE) * m)
        mass = m + frozen
        gained = (L_MELT * frozen + CP_ICE * m * t) / (CP_ICE * jnp.where(mass > 0, mass, 1.0))
        warmth.append(jnp.where(mass > 0, jnp.minimum(gained, 0.0), t))
        heavier.append(mass)
        water = jnp.maximum(water - frozen / dt, 0.0)
    return warmth, heavier, water


def _settling(degrees: Layers, masses: Layers, soil_degrees: Array) -> Array:
    """Temperature that snowfall takes: of the first layer there is, else of frozen soil."""
    top = jnp.maximum(jnp.minimum(soil_degrees, 0.0), SNOW_COLDEST - T_MELT)
    for t, m in zip(reversed(degrees), reversed(masses), strict=True):
        top = jnp.where(m > 0, t, top)
    return top


def _clear(degrees: Layers, masses: Layers) -> tuple[Layers, Array, Array]:
    """Melt a remnant: masses, the water (kg m-2) and the heat it takes (J m-2)."""
    gone = sum(masses) < SNOW_LEAST
    rest = [jnp.where(gone, m, 0.0) for m in masses]
    masses = [jnp.where(gone, 0.0, m) for m in masses]
    return masses, rest[0] + rest[1] + rest[2], -_enthalpy(rest, degrees)


def _divide(snow: Snow, traits: SnowTraits, degrees: Layers, masses: Layers) -> tuple[Snow, Array]:
    """Divide the pack anew, by overlap of masses, and cut it at the glacier limit (kg m-2).

    Masses are means over the ground; the albedo is still that of ``snow``.
    """
    total = masses[0] + masses[1] + masses[2]
    pack = snow._replace(amount=total)
    area = _area(pack, traits)
    wanted = list(area * layer_masses(total / area))
    old, new = _edges(masses), _edges(wanted)
    temperature: Layers = []
    above = jnp.zeros_like(total)
    for k in range(3):
        shared = [
            jnp.maximum(jnp.minimum(old[j + 1], new[k + 1]) - jnp.maximum(old[j], new[k]), 0.0)
            for j in range(3)
        ]
        whole = shared[0] + shared[1] + shared[2]
        some = (wanted[k] > 0) & (whole > 0)
        mean = sum(s * t for s, t in zip(shared, degrees, strict=True))
        above = jnp.where(some, mean / jnp.where(some, whole, 1.0), above)
        temperature.append(above)
    amount = jnp.minimum(total, SNOW_MAX)
    return Snow(amount, T_MELT + jnp.stack(temperature), snow.albedo), total - amount


def _edges(masses: Layers) -> Layers:
    first = masses[0]
    return [jnp.zeros_like(first), first, first + masses[1], first + masses[1] + masses[2]]
