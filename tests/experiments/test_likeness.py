"""Towers are alike in what is known of them, whatever was measured there."""

import numpy as np
import pytest

from mdpl.experiments.likeness import surroundings, weights
from mdpl.generator.known import Known


def known(**aridity):
    return {
        code: Known({"aridity": value, "elevation": 100.0, "land_cover": 4.0})
        for code, value in aridity.items()
    }


def test_the_driest_tower_is_nearest_to_the_next_driest_and_constants_do_not_count():
    towers = known(wet=0.5, mild=1.0, dry=2.0, driest=4.0)
    found = surroundings("driest", ["wet", "mild", "dry"], towers, "attributes")
    spread = np.std(np.log([0.5, 1.0, 2.0]))
    expected = np.log([8.0, 4.0, 2.0]) / spread
    assert found.names[0] == "aridity"
    np.testing.assert_allclose(found.distance, expected, rtol=1e-4)


def test_weights_fall_with_distance_whatever_its_unit():
    near = weights(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(near.sum(), 1)
    np.testing.assert_allclose(near[1:] / near[0], np.exp([-1.5, -4.0]))
    np.testing.assert_allclose(weights(np.array([10.0, 20.0, 30.0])), near)


def test_a_tower_that_is_the_same_counts_alone():
    np.testing.assert_array_equal(weights(np.array([0.0, 0.3, 0.0])), [0.5, 0, 0.5])
    assert weights(np.array([0.7])) == pytest.approx([1.0])
