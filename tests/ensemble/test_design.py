"""Designs fill the unit cube, and keep their points when more members are asked for."""

import numpy as np
import pytest
from scipy.stats import qmc

from mdpl.ensemble.design import draw, site_seed


@pytest.mark.parametrize("kind", ["sobol", "latin_hypercube"])
def test_designs_fill_the_cube_better_than_chance(kind):
    points = draw(64, 5, kind, seed=3)
    assert points.shape == (64, 5)
    assert points.min() > 0
    assert points.max() < 1
    chance = [qmc.discrepancy(np.random.default_rng(s).random((64, 5))) for s in range(20)]
    assert qmc.discrepancy(points) < min(chance)
    np.testing.assert_array_equal(points, draw(64, 5, kind, seed=3))
    assert not np.array_equal(points, draw(64, 5, kind, seed=4))


def test_a_latin_hypercube_has_one_point_in_every_slice():
    points = draw(20, 3, "latin_hypercube", seed=0)
    np.testing.assert_array_equal(np.sort((points * 20).astype(int), axis=0).T, [range(20)] * 3)


def test_more_sobol_members_keep_the_first():
    np.testing.assert_array_equal(draw(40, 4, "sobol", 1), draw(64, 4, "sobol", 1)[:40])


def test_towers_have_designs_of_their_own():
    assert site_seed(0, "DE-Tha") != site_seed(0, "DK-Sor")
    assert site_seed(0, "DE-Tha") != site_seed(1, "DE-Tha")
