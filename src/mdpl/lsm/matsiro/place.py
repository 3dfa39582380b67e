"""What a column is made of: its place and its full parameter set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro import respiration, texture
from mdpl.lsm.matsiro.constants import SOIL_INTERFACE
from mdpl.lsm.matsiro.cover import C4_CLASS, CLASSES, ROOTS
from mdpl.lsm.matsiro.parameters import LOAM, PARAMETERS
from mdpl.lsm.matsiro.respiration import RespirationTraits
from mdpl.lsm.matsiro.snow import SnowTraits
from mdpl.lsm.matsiro.stomata import Leaf
from mdpl.lsm.matsiro.supply import Supply
from mdpl.lsm.matsiro.texture import dry_heat_capacity

DRY_HEAT_CAPACITY = 1.2e6  # J m-3 K-1
EMISSIVITY = 0.97


@dataclass(frozen=True)
class SupplyOptions:
    """Water from outside the standard scheme, off by default (see `mdpl.lsm.matsiro.supply`).

    Attributes:
        irrigation_target: saturation that irrigation fills the root zone to; 0 = none.
        irrigation_below: root-zone saturation that calls for it.
        water_table: depth of a prescribed water table, m; infinite = none.
    """

    irrigation_target: float = 0.0
    irrigation_below: float = 0.0
    water_table: float = float("inf")


class Place(NamedTuple):
    """What a column is given by its tower; scalars or (column,)."""

    reference_height: Array  # m
    canopy_height: Array  # m
    canopy_base: Array  # m
    r_vis: Array
    t_vis: Array
    t_nir: Array
    albedo_vis: Array
    albedo_nir: Array
    quantum_yield: Array
    curvature: Array
    respiration: Array
    root_a: Array
    root_b: Array
    is_c4: Array
    porosity: Array
    dry_heat_capacity: Array  # J m-3 K-1
    supply: Supply


class Column(NamedTuple):
    """A column's full parameter set, (column,) unless said otherwise."""

    leaf: Leaf
    extinction: Array
    psi_critical: Array  # m, negative
    stress_slope: Array
    roots: Array  # (layer, column), sums to one
    drag: Array
    heat: Array
    canopy_height: Array
    canopy_base: Array
    reference_height: Array
    r_vis: Array
    r_nir: Array
    t_vis: Array
    t_nir: Array
    albedo_vis: Array
    albedo_nir: Array
    cover: Array
    canopy_capacity: Array  # m per leaf area
    soil_resistance: Array
    soil_conductivity: Array
    soil_b: Array
    psi_sat: Array  # m, negative
    k_sat: Array
    drainage: Array
    porosity: Array
    dry_heat_capacity: Array
    emissivity: Array
    lai_scale: Array
    snow: SnowTraits
    respiration: RespirationTraits
    supply: Supply


def place(attributes: Mapping[str, float | str], supplied: SupplyOptions | None = None) -> Place:
    """What the class tables and a tower's attributes say of its column (scalars).

    Args:
        attributes: of a `Site`; ``sand`` and ``clay`` (percent) or ``soil_texture`` if known.
        supplied: water from outside, if any.
    """
    land_cover = int(attributes["land_cover"])
    kind = CLASSES[land_cover]
    root_a, root_b = ROOTS.get(str(attributes["igbp"]), ROOTS["GRA"])
    vis, nir = (0.10, 0.15) if land_cover == 9 else (0.11, 0.225)
    height = float(attributes["canopy_height"])
    soil = texture.of_place(attributes)
    porosity = LOAM.porosity if soil is None else soil.porosity
    numbers = {
        "reference_height": max(float(attributes["reference_height"]), height + 2.0),
        "canopy_height": height,
        "canopy_base": height * kind.base / kind.height,
        "r_vis": kind.r_vis,
        "t_vis": kind.t_vis,
        "t_nir": kind.t_nir,
        "albedo_vis": vis,
        "albedo_nir": nir,
        "quantum_yield": kind.quantum_yield,
        "curvature": kind.curvature,
        "respiration": kind.respiration,
        "root_a": root_a,
        "root_b": root_b,
        "porosity": porosity,
        "dry_heat_capacity": DRY_HEAT_CAPACITY if soil is None else dry_heat_capacity(porosity),
    }
    given = supplied or SupplyOptions()
    return Place(
        **{name: jnp.asarray(x, dtype=jnp.float64) for name, x in numbers.items()},
        is_c4=jnp.asarray(land_cover == C4_CLASS),
        supply=Supply(
            *(jnp.asarray(x) for x in (
                given.irrigation_target, given.irrigation_below, given.water_table
            ))
        ),
    )  # fmt: skip


def stack(places: Sequence[Place]) -> Place:
    """Several places as the columns of one batch."""
    return jax.tree.map(lambda *a: jnp.stack(a), *places)


def root_profile(a: Array, b: Array, stretch: Array) -> Array:
    """Share of roots by layer, (layer, column), from Zeng's cumulative profile."""
    depth = np.asarray(SOIL_INTERFACE)[:, None] / stretch
    cumulative = 1.0 - 0.5 * (jnp.exp(-a * depth) + jnp.exp(-b * depth))
    return (cumulative[1:] - cumulative[:-1]) / cumulative[-1]


def build(values: Array, where: Place) -> Column:
    """Full parameter set of columns at one or more places.

    Args:
        values: physical values of all `PARAMETERS`, shape (column, parameter).
    """
    p = dict(zip(PARAMETERS.names, values.T, strict=True))
    one = jnp.ones_like(p["vmax"])
    leaf = Leaf(
        vmax=p["vmax"] * 1e-6,
        slope=p["bb_slope"],
        intercept=p["bb_intercept"],
        quantum_yield=where.quantum_yield * one,
        curvature_light=where.curvature * one,
        curvature_sink=0.95 * one,
        respiration=where.respiration * one,
        t_high=p["t_high"],
        t_low=p["t_low"],
        is_c4=where.is_c4 & (one > 0),
    )
    return Column(
        leaf=leaf,
        extinction=p["extinction"],
        psi_critical=-p["psi_stress"],
        stress_slope=p["stress_slope"],
        roots=root_profile(where.root_a, where.root_b, p["root_depth"]),
        drag=p["leaf_drag"],
        heat=p["leaf_heat"],
        canopy_height=where.canopy_height * one,
        canopy_base=where.canopy_base * one,
        reference_height=where.reference_height * one,
        r_vis=where.r_vis * one,
        r_nir=p["leaf_nir"],
        t_vis=where.t_vis * one,
        t_nir=where.t_nir * one,
        albedo_vis=where.albedo_vis * p["ground_albedo"],
        albedo_nir=where.albedo_nir * p["ground_albedo"],
        cover=p["cover"],
        canopy_capacity=p["canopy_capacity"] * 1e-3,
        soil_resistance=p["soil_resistance"],
        soil_conductivity=p["soil_conductivity"],
        soil_b=p["soil_b"],
        psi_sat=-p["psi_sat"],
        k_sat=p["k_sat"],
        drainage=p["drainage"],
        porosity=where.porosity * one,
        dry_heat_capacity=where.dry_heat_capacity * one,
        emissivity=EMISSIVITY * one,
        lai_scale=p["lai_scale"],
        snow=SnowTraits(p["snow_full_cover"], p["snow_conductivity"], p["snow_albedo_old"]),
        respiration=RespirationTraits(*(p[x.name] for x in respiration.PARAMETERS)),
        supply=Supply(*(x * one for x in where.supply)),
    )
