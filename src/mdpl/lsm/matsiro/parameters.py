"""The column's parameters: the calibratable table, the class tables, and a column's full set.

The model description names its land-cover parameters but prints no values. Class values are
those of SiB2 (Sellers et al. 1996, J. Climate 9, 676-737), whose photosynthesis the description
follows; roots follow Zeng (2001), soils SiB2's loam. Bounds are those of MATSIRO.md 7.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.lsm.matsiro.constants import SOIL_INTERFACE
from mdpl.lsm.matsiro.stomata import Leaf
from mdpl.lsm.model import Parameter, ParameterSpace

_SIB2 = "SiB2 biome table (Sellers et al. 1996)"
_SPEC = "bounds: plausible range of the model description's term"
C4_CLASS = 6


def _by_class(*values: float) -> Mapping[int, float]:
    return dict(enumerate(values, start=1))


PARAMETERS = ParameterSpace(
    (
        Parameter("vmax", "umol m-2 s-1", "Rubisco capacity of the top leaf at 298 K", 8, 200,
                  _by_class(100, 100, 80, 60, 100, 30, 60, 60, 100), f"{_SIB2}; {_SPEC}", "log"),
        Parameter("bb_slope", "1", "slope of the Ball-Berry conductance", 2, 16,
                  _by_class(9, 9, 9, 9, 9, 4, 9, 9, 9), f"{_SIB2}; {_SPEC}"),
        Parameter("bb_intercept", "mol m-2 s-1", "conductance of closed stomata", 0.001, 0.08,
                  _by_class(.01, .01, .01, .01, .01, .04, .01, .01, .01), f"{_SIB2}; {_SPEC}",
                  "log"),
        Parameter("extinction", "1", "extinction of capacity over that of light (f_atn)", 0.4, 1.5,
                  1.0, "consistent with the diffuse extinction (Sellers et al. 1992)"),
        Parameter("t_high", "K", "temperature of half inhibition, hot end (s2)", 295, 321,
                  _by_class(313, 311, 307, 303, 303, 313, 313, 303, 308), f"{_SIB2}; {_SPEC}"),
        Parameter("t_low", "K", "temperature of half inhibition, cold end (s4)", 270, 296,
                  _by_class(288, 283, 281, 278, 278, 288, 283, 278, 281), f"{_SIB2}; {_SPEC}"),
        Parameter("psi_stress", "m", "suction of half water stress (-psi_cr)", 30, 600,
                  _by_class(200, 200, 200, 200, 200, 200, 300, 200, 200), f"{_SIB2}; {_SPEC}",
                  "log"),
        Parameter("stress_slope", "m-1", "steepness of the water stress", 0.005, 0.2, 0.02,
                  "model description (fixed there); range from sensitivity", "log"),
        Parameter("root_depth", "1", "stretches the root profile", 0.4, 3.0, 1.0,
                  "profiles of Zeng (2001)", "log"),
        Parameter("leaf_drag", "1", "momentum exchange of leaves (c_d)", 0.05, 0.5,
                  _by_class(.2, .2, .2, .25, .25, .2, .2, .2, .2),
                  "canopy models of Kondo & Watanabe (1992) type", "log"),
        Parameter("leaf_heat", "1", "heat exchange of leaves (c_h)", 0.015, 0.2,
                  _by_class(.06, .06, .08, .1, .1, .08, .08, .08, .08),
                  "leaf boundary-layer theory, sheltered", "log"),
        Parameter("leaf_nir", "1", "leaf reflectance in the near infrared", 0.25, 0.60,
                  _by_class(.45, .45, .40, .35, .35, .58, .45, .58, .58), f"{_SIB2}; {_SPEC}"),
        Parameter("ground_albedo", "1", "factor on the ground albedo, both bands", 0.5, 2.5, 1.0,
                  "SiB2 0.11 / 0.225 (class 9: 0.10 / 0.15)", "log"),
        Parameter("cover", "1", "vegetated fraction of the ground (f_V)", 0.1, 1.0,
                  _by_class(1, 1, 1, 1, 1, 1, .5, 1, 1), f"{_SIB2}; class 7 between OSH and CSH"),
        Parameter("canopy_capacity", "mm", "water held per leaf area (w_cmax)", 0.05, 0.5, 0.2,
                  "model description", "log"),
        Parameter("soil_resistance", "s m-1", "resistance of dry soil to evaporation (a1)", 50,
                  5000, 800, "model description", "log"),
        Parameter("soil_conductivity", "W m-1 K-1", "thermal conductivity of dry soil (k_g0)",
                  0.08, 0.6, 0.25, "order of Kondo (1994); no value in the description", "log"),
        Parameter("soil_b", "1", "Clapp-Hornberger exponent", 2.5, 12, 5.39, "SiB2 loam", "log"),
        Parameter("psi_sat", "m", "suction at saturation (-psi_s)", 0.02, 0.8, 0.15, "SiB2 loam",
                  "log"),
        Parameter("k_sat", "m s-1", "saturated hydraulic conductivity", 1e-7, 2e-4, 7e-6,
                  "SiB2 loam", "log"),
        Parameter("drainage", "m s-1", "base flow with the water table at the surface (R_b)",
                  1e-11, 1e-6, 1e-8, "slope 0.02, elevation s.d. 10 m", "log"),
        Parameter("lai_scale", "1", "factor on the leaf area index", 0.7, 1.4, 1.0,
                  "uncertainty of satellite leaf area", "log"),
    )
)  # fmt: skip
"""Every calibratable parameter."""

RECOMMENDED = (
    "vmax", "bb_slope", "bb_intercept", "extinction", "t_high", "psi_stress", "root_depth",
    "leaf_drag", "leaf_heat", "leaf_nir", "ground_albedo", "canopy_capacity",
    "soil_resistance", "soil_conductivity", "soil_b",
)  # fmt: skip
"""The set calibrated unless the user says otherwise (MATSIRO.md 7.3, the core sets)."""


class _Class(NamedTuple):
    height: float
    base: float
    r_vis: float
    t_vis: float
    t_nir: float
    quantum_yield: float
    curvature: float
    respiration: float


_TREES = (0.08, 0.98, 0.015)
CLASSES: Mapping[int, _Class] = {
    1: _Class(35, 1.0, .100, .05, .25, *_TREES),
    2: _Class(20, 11.5, .100, .05, .25, *_TREES),
    3: _Class(20, 10, .070, .05, .15, *_TREES),
    4: _Class(17, 8.5, .070, .05, .10, *_TREES),
    5: _Class(17, 8.5, .070, .05, .10, *_TREES),
    6: _Class(1.0, 0.1, .105, .07, .25, 0.05, 0.80, 0.025),
    7: _Class(0.5, 0.1, .100, .05, .25, *_TREES),
    8: _Class(0.6, 0.1, .105, .07, .25, *_TREES),
    9: _Class(1.0, 0.1, .105, .07, .25, *_TREES),
}  # fmt: skip
"""SiB2 biome values by land-cover class (1-9); heights give way to the tower's own."""

ROOTS: Mapping[str, tuple[float, float]] = {
    "ENF": (6.706, 2.175), "EBF": (7.344, 1.303), "DNF": (7.066, 1.953), "DBF": (5.990, 1.955),
    "MF": (4.453, 1.631), "CSH": (6.326, 1.567), "OSH": (7.718, 1.262), "WSA": (7.604, 2.300),
    "SAV": (8.235, 1.627), "GRA": (10.740, 2.608), "CRO": (5.558, 2.614),
}  # fmt: skip
"""Zeng (2001) root profile coefficients a, b (m-1) by IGBP class; others take GRA's."""

POROSITY = 0.45  # SiB2 loam
DRY_HEAT_CAPACITY = 1.2e6  # J m-3 K-1
EMISSIVITY = 0.97


class Place(NamedTuple):
    """What a column is given by its tower; scalars or (column,)."""

    reference_height: Array  # m
    canopy_height: Array  # m
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


def place(attributes: Mapping[str, float | str]) -> Place:
    """What the class tables and a tower's attributes say of its column (NumPy scalars)."""
    land_cover = int(attributes["land_cover"])
    kind = CLASSES[land_cover]
    root_a, root_b = ROOTS.get(str(attributes["igbp"]), ROOTS["GRA"])
    vis, nir = (0.10, 0.15) if land_cover == 9 else (0.11, 0.225)
    height = float(attributes["canopy_height"])
    reference = max(float(attributes["reference_height"]), height + 2.0)
    numbers = (
        reference, height, kind.r_vis, kind.t_vis, kind.t_nir, vis, nir,
        kind.quantum_yield, kind.curvature, kind.respiration, root_a, root_b,
    )  # fmt: skip
    scalars = [jnp.asarray(x, dtype=jnp.float64) for x in numbers]
    return Place(*[*scalars, jnp.asarray(land_cover == C4_CLASS)])


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
        porosity=POROSITY * one,
        dry_heat_capacity=DRY_HEAT_CAPACITY * one,
        emissivity=EMISSIVITY * one,
        lai_scale=p["lai_scale"],
    )
