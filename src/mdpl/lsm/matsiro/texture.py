"""Soil hydraulic parameters from texture (MATSIRO.md 3.2; NumPy, on the host)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mdpl.errors import ModelError

Number = float | np.ndarray
MINERAL_HEAT_CAPACITY = 2.1e6  # J m-3 K-1 of the solid


class Hydraulics(NamedTuple):
    """Clapp-Hornberger parameters of a soil; scalars or arrays of one shape."""

    b: Number
    porosity: Number  # m3 m-3
    psi_sat: Number  # m, negative
    k_sat: Number  # m s-1


SIB2: Mapping[int, Hydraulics] = {
    1: Hydraulics(4.05, 0.40, -0.04, 1.76e-4),  # sand, loamy sand
    2: Hydraulics(4.90, 0.44, -0.07, 3.5e-5),  # sandy loam
    3: Hydraulics(5.39, 0.45, -0.15, 7.0e-6),  # loam, silt loam
    4: Hydraulics(7.12, 0.42, -0.12, 6.3e-6),  # clay loam to sandy clay loam
    5: Hydraulics(8.52, 0.48, -0.36, 2.5e-6),  # clay, clay loam
    6: Hydraulics(4.05, 0.40, -0.04, 1.76e-4),  # ice
    7: Hydraulics(5.39, 0.45, -0.15, 7.0e-6),  # organic
}
"""SiB2 soil types (Sellers et al. 1996, J. Climate 9, 706-737)."""

CLAPP_HORNBERGER: Mapping[str, Hydraulics] = {
    "sand": Hydraulics(4.05, 0.395, -0.121, 1.76e-4),
    "loamy sand": Hydraulics(4.38, 0.410, -0.090, 1.56e-4),
    "sandy loam": Hydraulics(4.90, 0.435, -0.218, 3.41e-5),
    "silt loam": Hydraulics(5.30, 0.485, -0.786, 7.2e-6),
    "loam": Hydraulics(5.39, 0.451, -0.478, 7.0e-6),
    "sandy clay loam": Hydraulics(7.12, 0.420, -0.299, 6.3e-6),
    "silty clay loam": Hydraulics(7.75, 0.477, -0.356, 1.7e-6),
    "clay loam": Hydraulics(8.52, 0.476, -0.630, 2.5e-6),
    "sandy clay": Hydraulics(10.4, 0.426, -0.153, 2.2e-6),
    "silty clay": Hydraulics(10.4, 0.492, -0.490, 1.0e-6),
    "clay": Hydraulics(11.4, 0.482, -0.405, 1.3e-6),
}
"""USDA texture classes of Clapp & Hornberger (1978, Water Resour. Res. 14, 601-604)."""


def from_class(name: str) -> Hydraulics:
    """The row of a USDA texture class; case, hyphens and underscores do not matter.

    Silt, which Clapp & Hornberger had no samples of, takes the row of silt loam.

    Raises:
        ModelError: there is no such class.
    """
    plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    row = CLAPP_HORNBERGER.get("silt loam" if plain == "silt" else plain)
    if row is None:
        raise ModelError(
            f"soil_texture: unknown USDA class {name!r}; "
            f"there are {', '.join([*CLAPP_HORNBERGER, 'silt'])}"
        )
    return row


def from_fractions(sand: ArrayLike, clay: ArrayLike) -> Hydraulics:
    """Regressions of Cosby et al. (1984, Water Resour. Res. 20, 682-690), table 5.

    Args:
        sand, clay: percent of the mineral soil by weight; broadcast against each other.

    Raises:
        ModelError: a percentage out of 0-100, not a number, or a sum above 100.
    """
    sand, clay = (_percentage(*pair) for pair in (("sand", sand), ("clay", clay)))
    total = np.asarray(sand + clay)
    if (total > 100.0 + 1e-6).any():
        raise ModelError(
            f"sand + clay: expected at most 100 %, found {total.max():g}; give both as percent "
            "of the mineral soil by weight"
        )
    sand, clay = np.broadcast_arrays(sand, clay)
    return Hydraulics(
        b=2.91 + 0.159 * clay,
        porosity=0.489 - 0.00126 * sand,
        psi_sat=-0.01 * 10.0 ** (1.88 - 0.0131 * sand),
        k_sat=7.0556e-6 * 10.0 ** (-0.884 + 0.0153 * sand),
    )


def of_place(attributes: Mapping[str, float | str]) -> Hydraulics | None:
    """Hydraulics of a place that gives ``sand`` and ``clay`` (percent) or ``soil_texture``."""
    if "sand" in attributes and "clay" in attributes:
        return from_fractions(float(attributes["sand"]), float(attributes["clay"]))
    if "soil_texture" in attributes:
        return from_class(str(attributes["soil_texture"]))
    return None


def dry_heat_capacity(porosity: ArrayLike) -> np.ndarray:
    """Heat capacity of the dry soil per bulk volume, J m-3 K-1."""
    return (1.0 - np.asarray(porosity, dtype=float)) * MINERAL_HEAT_CAPACITY


def _percentage(name: str, value: ArrayLike) -> np.ndarray:
    number = np.asarray(value, dtype=float)
    wrong = number[~((number >= 0.0) & (number <= 100.0))]
    if wrong.size:
        raise ModelError(f"{name}: expected a percentage of 0 to 100, found {wrong[0]:g}")
    return number
