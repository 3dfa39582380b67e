"""The column's calibratable parameters.

The model description names its land-cover parameters but prints no values. Class values are
those of SiB2 (Sellers et al. 1996, J. Climate 9, 676-737), whose photosynthesis the description
follows; soils are SiB2's loam where a tower does not give its texture. Bounds
are wide enough for every class; those of single classes would be narrower (docs/matsiro.md,
Parameters).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from mdpl.lsm.matsiro import respiration, texture
from mdpl.lsm.matsiro.constants import ALBEDO_OLD, SNOW_CONDUCTIVITY, SNOW_FULL_COVER
from mdpl.lsm.model import Parameter, ParameterSpace

_SIB2 = "SiB2 biome table (Sellers et al. 1996)"
_TEXTURE = "Cosby et al. (1984) from sand and clay where known, else SiB2 loam"
_SPEC = "bounds: plausible range over all classes"
LOAM = texture.SIB2[3]
"""The soil of a tower whose texture is not known."""


def _soil(name: str, sign: float, low: float, high: float) -> Callable[..., float | None]:
    """Default of a hydraulic parameter from the soil texture of a place, within its bounds."""

    def of(attributes: Mapping[str, float | str]) -> float | None:
        soil = texture.of_place(attributes)
        return None if soil is None else float(np.clip(sign * getattr(soil, name), low, high))

    return of


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
        Parameter("soil_b", "1", "Clapp-Hornberger exponent", 2.5, 12, float(LOAM.b), _TEXTURE,
                  "log", _soil("b", 1, 2.5, 12)),
        Parameter("psi_sat", "m", "suction at saturation (-psi_s)", 0.02, 0.8, float(-LOAM.psi_sat),
                  _TEXTURE, "log", _soil("psi_sat", -1, 0.02, 0.8)),
        Parameter("k_sat", "m s-1", "saturated hydraulic conductivity", 1e-7, 2e-4,
                  float(LOAM.k_sat), _TEXTURE, "log", _soil("k_sat", 1, 1e-7, 2e-4)),
        Parameter("drainage", "m s-1", "base flow with the water table at 0.333 m (R_b)",
                  1e-11, 1e-6, 1e-8, "slope 0.02, elevation s.d. 10 m", "log"),
        Parameter("lai_scale", "1", "factor on the leaf area index", 0.7, 1.4, 1.0,
                  "uncertainty of satellite leaf area", "log"),
        Parameter("snow_full_cover", "kg m-2", "snow that covers all the ground (Sn_c)", 10, 150,
                  SNOW_FULL_COVER, "model description", "log"),
        Parameter("snow_conductivity", "W m-1 K-1", "thermal conductivity of snow (k_Sn)", 0.1,
                  0.6, SNOW_CONDUCTIVITY, "model description; range Sturm et al. (1997)", "log"),
        Parameter("snow_albedo_old", "1", "visible albedo of old snow (a_old)", 0.4, 0.75,
                  ALBEDO_OLD[0], "model description"),
        *respiration.PARAMETERS,
    )
)  # fmt: skip
"""Every calibratable parameter."""

RECOMMENDED = (
    "vmax", "bb_slope", "bb_intercept", "extinction", "t_high", "psi_stress", "root_depth",
    "leaf_drag", "leaf_heat", "leaf_nir", "ground_albedo", "canopy_capacity",
    "soil_resistance", "soil_conductivity", "soil_b",
)  # fmt: skip
"""The set calibrated unless the user says otherwise (MATSIRO.md 7.3, the core sets)."""

VEGETATION = frozenset({
    "vmax", "bb_slope", "bb_intercept", "extinction", "t_high", "t_low", "psi_stress",
    "stress_slope", "root_depth", "leaf_drag", "leaf_heat", "leaf_nir", "cover",
    "canopy_capacity", "lai_scale", "plant_respiration",
})  # fmt: skip
"""Parameters of the plants; the others are of soil and snow."""
