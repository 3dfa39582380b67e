"""Canopy radiation against reference solutions and limits (MATSIRO.md 6, cases 2-4)."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

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


def test_against_a_numerical_boundary_value_problem():
    r, t, lai, floor, cos_z = 0.40, 0.15, 3.0, 0.225, 0.6
    f, d, s = LEAF_PROJECTION, DIFFUSIVITY, 1 / cos_z

    def rates(x, y):
        down, up = y
        beam = np.exp(-f * s * x)
        d_down = -f * d * (1 - t) * down + f * d * r * up + f * s * t * beam
        d_up = f * d * (1 - t) * up - f * d * r * down - f * s * r * beam
        return np.vstack([d_down, d_up])

    def ends(top, bottom):
        beam = np.exp(-f * s * lai)
        return np.array([top[0], bottom[1] - floor * (bottom[0] + beam)])

    x = np.linspace(0, lai, 200)
    solved = solve_bvp(rates, ends, x, np.full((2, 200), 0.1), tol=1e-10, max_nodes=100000)
    beam = np.exp(-f * s * lai)
    floor_net = (1 - floor) * (solved.y[0, -1] + beam)
    ours = band(r, t, lai, cos_z, floor)
    assert solved.success
    np.testing.assert_allclose(ours.albedo_direct, solved.y[1, 0], atol=1e-7)
    np.testing.assert_allclose(ours.floor_direct, floor_net, atol=1e-7)


def test_no_leaves_shows_the_floor():
    bare = band(0.4, 0.15, 1e-9, 0.6, 0.2)
    np.testing.assert_allclose(bare, (0.2, 0.2, 0.8, 0.8), atol=1e-6)


def test_endless_canopy_hides_the_floor():
    dark, bright = band(0.4, 0.15, 80, 0.6, 0.05), band(0.4, 0.15, 80, 0.6, 0.9)
    np.testing.assert_allclose(dark.albedo_diffuse, bright.albedo_diffuse, atol=1e-12)
    assert dark.floor_diffuse < 1e-10


def test_black_leaves_leave_an_exponential_beam():
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
    rng = np.random.default_rng(0)
    n = 500
    bands = []
    for _ in range(2):
        r, t = rng.uniform(0.04, 0.6, n), rng.uniform(0.02, 0.35, n)
        floor = jnp.asarray(rng.uniform(0.05, 0.5, n))
        lai, sec = jnp.asarray(rng.uniform(0, 8, n)), jnp.asarray(1 / rng.uniform(0.05, 1, n))
        closed = radiation.canopy_band(jnp.asarray(r), jnp.asarray(t), lai, sec, floor, floor)
        bands.append(radiation.cover(closed, jnp.asarray(rng.uniform(0.1, 1, n)), floor))
    streams = [jnp.asarray(rng.uniform(0, 400, n)) for _ in range(4)]
    light = radiation.shortwave(*bands, *streams)
    np.testing.assert_allclose(light.up + light.ground + light.canopy, sum(streams), rtol=1e-12)
    assert (np.asarray(light.canopy_par) <= np.asarray(light.canopy) + 1e-9).all()
