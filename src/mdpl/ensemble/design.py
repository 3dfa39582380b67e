"""Where in parameter space the ensemble is run."""

from __future__ import annotations

import zlib
from typing import Literal

import numpy as np
from scipy.stats import qmc

Kind = Literal["sobol", "latin_hypercube"]


def draw(members: int, dimensions: int, kind: Kind, seed: int) -> np.ndarray:
    """Space-filling points of the unit cube, all parameters perturbed jointly.

    Returns:
        shape (member, dimension), each strictly inside (0, 1).
    """
    rng = np.random.default_rng(seed)
    if kind == "sobol":
        # Sobol points balance in powers of two; the first of a longer sequence stay the same.
        power = max(int(np.ceil(np.log2(max(members, 1)))), 0)
        points = qmc.Sobol(dimensions, seed=rng).random_base2(power)[:members]
    else:
        points = qmc.LatinHypercube(dimensions, seed=rng).random(members)
    return np.clip(points, 1e-6, 1.0 - 1e-6)


def around(centre: np.ndarray, members: int, spread: float, seed: int) -> np.ndarray:
    """Points of the unit cube about one of them, itself the first.

    Args:
        centre: shape (dimension,).
        spread: standard deviation of each coordinate, before it is reflected at the bounds.

    Returns:
        shape (member, dimension), each strictly inside (0, 1).
    """
    rng = np.random.default_rng(seed)
    points = centre + spread * rng.standard_normal((members, len(centre)))
    points = 1.0 - np.abs(1.0 - np.abs(points) % 2.0)  # reflected at 0 and at 1, however far
    points[0] = centre
    return np.asarray(np.clip(points, 1e-6, 1.0 - 1e-6))


def site_seed(seed: int, code: str) -> int:
    """A seed of its own for each tower, whichever other towers take part."""
    return zlib.crc32(f"{seed}:{code}".encode())
