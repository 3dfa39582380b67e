"""Roughness and transfer coefficients (MATSIRO.md 6, cases 5-7; appendix A.2, A.3)."""

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import turbulence
from mdpl.lsm.matsiro.constants import VON_KARMAN


def f64(*values):
    return tuple(jnp.float64(v) for v in values)


@pytest.fixture
def forest():
    return turbulence.roughness(*f64(20, 3, 0.2, 0.06, 30))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ((20, 5, 0.25, 0.06), (5.01701, 1.009183, 2.906973, 1501.184)),
        ((17, 3, 0.25, 0.10), (6.55725, 1.046351, 2.063105, 472.4643)),
        ((0.5, 1, 0.20, 0.08), (0.371791, 1.354358, 2.897883, 23.22675)),
        ((20, 0.05, 0.2, 0.06), (19.69073, 3.908741, 9.004144, 17.05409)),
    ],
)
def test_canopy_reference_numbers(case, expected):
    np.testing.assert_allclose(turbulence.canopy_logs(*f64(*case)), expected, rtol=1e-6)


def test_no_leaves_is_bare_ground():
    above, log_z0, log_zt, log_ground = turbulence.canopy_logs(*f64(10, 0, 0.2, 0.06))
    np.testing.assert_allclose(above, 10, rtol=1e-6)
    np.testing.assert_allclose(np.exp(-log_z0) * 10, 0.05, rtol=1e-6)
    np.testing.assert_allclose(np.exp([-log_zt, -log_ground]) * 10, 0.005, rtol=1e-6)


def test_neutral_limit_is_the_logarithmic_law(forest):
    neutral = turbulence.neutral(forest)
    np.testing.assert_allclose(neutral.momentum, (VON_KARMAN / forest.momentum) ** 2, rtol=1e-13)
    still = turbulence.stratified(forest, neutral, *f64(0, 0, 3))
    np.testing.assert_allclose(still, neutral, rtol=1e-12)


@pytest.mark.parametrize(
    ("excess", "two", "converged"),
    [
        ((3, 3), (0.0704503963, 0.000254944750, 0.0385313667),
         (0.0707130875, 0.000254974380, 0.0386947742)),
        ((-2, -2), (0.0216827039, 0.000252206231, 0.0128313986),
         (0.0187938445, 0.000250707191, 0.0113155415)),
        ((5, -1), (0.0334266442, 0.000256912896, 0.0185889453),
         (0.0329730431, 0.000257195675, 0.0183763401)),
    ],
)  # fmt: skip
def test_stratified_reference_numbers(forest, excess, two, converged):
    now = turbulence.neutral(forest)
    for update in range(60):
        now = turbulence.stratified(forest, now, *f64(*excess, 3))
        if update == 1:
            np.testing.assert_allclose(now, two, rtol=1e-8)
    np.testing.assert_allclose(now, converged, rtol=1e-8)


def test_stability_functions_reference_and_continuity():
    # As differences from a vanishing lower limit they are the functions themselves.
    def both(zeta):
        return (
            float(turbulence._stability_momentum(*f64(zeta, 1e-14))),
            float(turbulence._stability_heat(*f64(zeta, 1e-14))),
        )

    np.testing.assert_allclose(both(-0.5), (-0.793359121, -1.386294361), atol=1e-8)
    np.testing.assert_allclose(both(-2.0), (-1.494691123, -2.431178932), atol=1e-8)
    np.testing.assert_allclose(both(0.5), (2.432790649, 2.432790649), atol=1e-8)
    np.testing.assert_allclose(both(1e-9), both(-1e-9), atol=1e-7)


def test_exchange_falls_with_stability(forest):
    start = turbulence.neutral(forest)
    excess = jnp.linspace(8, -8, 33)
    now = turbulence.stratified(forest, start, 0 * excess, excess, jnp.float64(3))
    assert (np.diff(np.asarray(now.canopy)) <= 0).all()
    assert (np.asarray(now.canopy) > 0).all()
