"""Land-cover classes: what a column's vegetation is where a tower does not say.

Values of SiB2 (Sellers et al. 1996, J. Climate 9, 676-737); roots follow Zeng (2001, J.
Hydrometeorol. 2, 525-530). MATSIRO.md 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Cover(NamedTuple):
    """What a class is beside the calibratable parameters: heights m, optics, photosynthesis."""

    height: float
    base: float
    r_vis: float
    t_vis: float
    t_nir: float
    quantum_yield: float
    curvature: float
    respiration: float


C4_CLASS = 6

_TREES = (0.08, 0.98, 0.015)
CLASSES: Mapping[int, Cover] = {
    1: Cover(35, 1.0, .100, .05, .25, *_TREES),
    2: Cover(20, 11.5, .100, .05, .25, *_TREES),
    3: Cover(20, 10, .070, .05, .15, *_TREES),
    4: Cover(17, 8.5, .070, .05, .10, *_TREES),
    5: Cover(17, 8.5, .070, .05, .10, *_TREES),
    6: Cover(1.0, 0.1, .105, .07, .25, 0.05, 0.80, 0.025),
    7: Cover(0.5, 0.1, .100, .05, .25, *_TREES),
    8: Cover(0.6, 0.1, .105, .07, .25, *_TREES),
    9: Cover(1.0, 0.1, .105, .07, .25, *_TREES),
}  # fmt: skip
"""SiB2 biome values by land-cover class (1-9); heights give way to the tower's own."""

ROOTS: Mapping[str, tuple[float, float]] = {
    "ENF": (6.706, 2.175), "EBF": (7.344, 1.303), "DNF": (7.066, 1.953), "DBF": (5.990, 1.955),
    "MF": (4.453, 1.631), "CSH": (6.326, 1.567), "OSH": (7.718, 1.262), "WSA": (7.604, 2.300),
    "SAV": (8.235, 1.627), "GRA": (10.740, 2.608), "CRO": (5.558, 2.614),
}  # fmt: skip
"""Zeng (2001) root profile coefficients a, b (m-1) by IGBP class; others take GRA's."""
