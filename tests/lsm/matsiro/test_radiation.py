"""Canopy radiation against reference solutions and limits (MATSIRO.md 6, cases 2-4)."""

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import radiation
from mdpl.lsm.matsiro.constants import DIFFUSIVITY, LEAF_PROJECTION


def band(r, t, lai, cos_z, floor):
    return radiation.canopy_band(*(jnp.float64(x) for x in (r, t, lai, 1 / cos_z, floor, floor)))


@pytest.mark.parametrize(
    ("r", "t", "lai", "floor", "cos_z", "expected"),
    [
        (0.07, 0.05, 3, 0.11, 0.7, (0.035102730, 0.037543939, 0.115341655, 0.084141617)),
        (0.40, 0.15, 3, 0.225, 0.7, (0.233219928, 0.249409214, 0.148317121, 0.118751237)),
        (0.45, 0.25, 5, 0.225, 0.3, (0.410191951, 0.332621037, 0.030157484, 0.061611491)),
        (0.105, 0.07, 0.5, 0.10, 0.95, (0.073948008, 0.076784708, 0.706213966, 0.613914088)),
    ],
)
def test_reference_numbers(r, t, lai, floor, cos_z, expected):
    np.testing.assert_allclose(np.array(band(r, t, lai, cos_z, floor)), expected, atol=2e-9)


def layered(r, t, lai, sec, floor_direct, floor_diffuse, direct):
    """Albedo and floor absorption by solving the equations of two streams on a grid.

    Chebyshev collocation; unknowns are the diffuse streams down and up at each node, the beam
    is known. Depth x runs from 0 at the top to ``lai``.
    """
    f, d, s, n = LEAF_PROJECTION, DIFFUSIVITY, sec, 60
    node = np.cos(np.pi * np.arange(n + 1) / n)
    weight = np.hstack([2, np.ones(n - 1), 2]) * (-1.0) ** np.arange(n + 1)
    gap = node[:, None] - node + np.eye(n + 1)
    slope = np.outer(weight, 1 / weight) / gap
    slope -= np.diag(slope.sum(axis=1))
    x = lai * (1 - node) / 2
    derivative = -2 / lai * slope
    eye, none = np.eye(n + 1), np.zeros((n + 1, n + 1))
    matrix = np.block(
        [
            [derivative + f * d * (1 - t) * eye, -f * d * r * eye],
            [f * d * r * eye, derivative - f * d * (1 - t) * eye],
        ]
    )
    beam = np.exp(-f * s * x) * direct
    right = np.hstack([f * s * t * beam, -f * s * r * beam])
    matrix[0] = np.hstack([eye[0], none[0]])
    right[0] = 1.0 - direct
    matrix[-1] = np.hstack([-floor_diffuse * eye[-1], eye[-1]])
    right[-1] = floor_direct * beam[-1]
    down, up = np.split(np.linalg.solve(matrix, right), 2)
    floor = (1 - floor_direct) * beam[-1] + (1 - floor_diffuse) * down[-1]
    return up[0], floor


@pytest.mark.parametrize(
    "case",
    [
        (0.40, 0.15, 3.0, 1 / 0.6, 0.225, 0.225),
        (0.07, 0.05, 5.0, 1 / 0.3, 0.11, 0.11),
        (0.525, 0.333, 1.5, 1 / 0.9, 0.85, 0.70),
        (0.45, 0.25, 8.0, 1 / 0.1, 0.6, 0.9),
    ],
)
def test_against_a_numerical_boundary_value_problem(case):
    """Case 3, also over a floor whose beam albedo differs from its diffuse one."""
    ours = radiation.canopy_band(*(jnp.float64(x) for x in case))
    for kind in ("direct", "diffuse"):
        expected = layered(*case, float(kind == "direct"))
        found = (getattr(ours, f"albedo_{kind}"), getattr(ours, f"floor_{kind}"))
        np.testing.assert_allclose(found, expected, atol=1e-8, err_msg=kind)


def test_no_leaves_shows_the_floor():
    """Case 3."""
    bare = band(0.4, 0.15, 1e-9, 0.6, 0.2)
    np.testing.assert_allclose(bare, (0.2, 0.2, 0.8, 0.8), atol=1e-6)


def test_endless_canopy_hides_the_floor():
    """Case 3: the diffuse albedo of an endless canopy is A2."""
    dark, bright = band(0.4, 0.15, 80, 0.6, 0.05), band(0.4, 0.15, 80, 0.6, 0.9)
    np.testing.assert_allclose(dark.albedo_diffuse, bright.albedo_diffuse, atol=1e-12)
    assert dark.floor_diffuse < 1e-10
    q = np.sqrt((1 - 0.15) ** 2 - 0.4**2)
    np.testing.assert_allclose(dark.albedo_diffuse, (1 - 0.15 - q) / 0.4, atol=1e-12)


def test_black_leaves_leave_an_exponential_beam():
    """Case 3."""
    thin = band(1e-7, 1e-7, 2.0, 0.5, 0.0)
    np.testing.assert_allclose(thin.floor_direct, np.exp(-0.5 * 2.0 / 0.5), rtol=1e-6)


def test_smooth_across_the_singular_angle():
    q = np.sqrt((1 - 0.15) ** 2 - 0.4**2)
    singular = 1 / (DIFFUSIVITY * q)
    around = [
        float(band(0.4, 0.15, 3, singular * (1 + e), 0.2).albedo_direct)
        for e in (-1e-3, -1e-7, 0.0, 1e-7, 1e-3)
    ]
    assert np.ptp(around) < 1e-3
    np.testing.assert_allclose(around[1:4], around[2], atol=1e-5)


def test_every_watt_is_accounted_for():
    """Case 2."""
    rng = np.random.default_rng(0)
    n = 500
    bands = []
    for _ in range(2):
        r, t = rng.uniform(0.04, 0.6, n), rng.uniform(0.02, 0.35, n)
        floor = jnp.asarray(rng.uniform(0.05, 0.5, n))
        lai, sec = jnp.asarray(rng.uniform(0, 8, n)), jnp.asarray(1 / rng.uniform(0.05, 1, n))
        beam = floor * jnp.asarray(rng.uniform(0.8, 1.5, n))
        closed = radiation.canopy_band(jnp.asarray(r), jnp.asarray(t), lai, sec, beam, floor)
        bands.append(radiation.cover(closed, jnp.asarray(rng.uniform(0.1, 1, n)), beam, floor))
    streams = [jnp.asarray(rng.uniform(0, 400, n)) for _ in range(4)]
    light = radiation.shortwave(*bands, *streams)
    np.testing.assert_allclose(light.up + light.ground + light.canopy, sum(streams), rtol=1e-12)
    assert (np.asarray(light.canopy_par) <= np.asarray(light.canopy) + 1e-9).all()
