"""Regression over members finds which parameter moves a flux, and by how much."""

import numpy as np

from mdpl.ensemble.design import draw
from mdpl.ensemble.sensitivity import strength


def test_a_linear_flux_gives_its_own_coefficients():
    unit = draw(64, 3, "sobol", 0)
    shape = np.array([1.0, -2.0, 1.0, 2.0])
    flux = unit @ np.array([3.0, 0.0, -1.0])[:, None] * shape
    found = strength(unit, flux)
    np.testing.assert_allclose(found[0] / found[2], 3.0)
    np.testing.assert_allclose(found[0], 3.0 * np.sqrt((shape**2).mean()) / flux.std())
    assert found[1] < 1e-12


def test_gaps_and_too_few_members():
    unit = draw(16, 2, "sobol", 0)
    flux = np.repeat(unit[:, :1], 5, axis=1)
    flux[3, 2] = np.nan
    np.testing.assert_allclose(strength(unit, flux), strength(unit, flux[:, [0, 1, 3, 4]]))
    assert np.isnan(strength(unit[:3], flux[:3])).all()
    assert np.isnan(strength(unit, np.full((16, 4), np.nan))).all()
