"""Roughness and transfer coefficients (MATSIRO.md 6, cases 5-7; appendix A.2, A.3)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from mdpl.lsm.matsiro import turbulence
from mdpl.lsm.matsiro.constants import (
    GRAVITY,
    THETA_0,
    VON_KARMAN,
    Z0_GROUND,
    Z0_SNOW,
    ZT_GROUND,
    ZT_SNOW,
)

FLOOR = (Z0_GROUND, ZT_GROUND)
exchange = jax.jit(turbulence.exchange)


def f64(*values):
    return tuple(jnp.float64(v) for v in values)


@pytest.fixture(scope="module")
def forest():
    return turbulence.roughness(*f64(20, 3, 0.2, 0.06, 30, 0, *FLOOR))


def solved(rough, ground, canopy, wind=3.0):
    """Coefficients at the stability that their own fluxes make."""
    low, high = turbulence.STABILITY_RANGE
    at = lambda z, z_g: exchange(rough, *f64(z, z_g, ground, canopy, wind))  # noqa: E731

    def inner(zeta):
        return brentq(lambda z_g: float(at(zeta, z_g)[2]), low, high, xtol=1e-13)

    zeta = brentq(lambda z: float(at(z, inner(z))[1]), low, high, xtol=1e-13)
    return at(zeta, inner(zeta))[0], zeta, inner(zeta)


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
    np.testing.assert_allclose(turbulence.canopy_logs(*f64(*case, *FLOOR)), expected, rtol=1e-6)


@pytest.mark.parametrize("floor", [FLOOR, (Z0_SNOW, ZT_SNOW)])
def test_no_leaves_is_bare_ground(floor):
    """Case 5, its thin end: soil or snow alone, no displacement."""
    above, log_z0, log_zt, log_ground = turbulence.canopy_logs(*f64(10, 0, 0.2, 0.06, *floor))
    np.testing.assert_allclose(above, 10, rtol=1e-6)
    np.testing.assert_allclose(np.exp(-log_z0) * 10, floor[0], rtol=1e-6)
    np.testing.assert_allclose(np.exp([-log_zt, -log_ground]) * 10, floor[1], rtol=1e-6)


def test_endless_leaves_are_felt_at_their_top_alone():
    """Case 5, its thick end: ln((h-d)/z0) -> 1 and the heat coefficient tends to C_inf."""
    drag, heat = 0.2, 0.06
    above, log_z0, log_zt, _ = turbulence.canopy_logs(*f64(20, 80, drag, heat, *FLOOR))
    c_inf = 0.5 * (-1 + np.sqrt(1 + 8 * heat / drag))
    np.testing.assert_allclose(log_z0, 1.0, atol=1e-6)
    np.testing.assert_allclose(1 / (log_z0 * log_zt), c_inf, atol=1e-6)
    np.testing.assert_allclose(above, 20 * 2 * VON_KARMAN**2 / (drag * 80), rtol=1e-6)


def test_snow_lifts_the_displacement():
    bare = turbulence.roughness(*f64(15, 2, 0.2, 0.06, 30, 0.0, *FLOOR))
    deep = turbulence.roughness(*f64(15, 2, 0.2, 0.06, 30, 0.8, *FLOOR))
    np.testing.assert_allclose(bare.height - deep.height, 0.8, rtol=1e-12)


def test_neutral_limit_is_the_logarithmic_law(forest):
    """Case 6."""
    still, off, off_ground = exchange(forest, *f64(0, 0, 0, 0, 3))
    neutral_m = (VON_KARMAN / forest.momentum) ** 2
    total = VON_KARMAN**2 / (forest.momentum * forest.heat)
    ground = VON_KARMAN**2 / (forest.momentum * forest.ground_heat)
    np.testing.assert_allclose(still.momentum, neutral_m, rtol=1e-12)
    np.testing.assert_allclose(still.ground, ground, rtol=1e-12)
    np.testing.assert_allclose(still.ground + still.canopy, total, rtol=1e-12)
    assert float(off) == float(off_ground) == 0.0
    np.testing.assert_allclose(still, (0.0481470496, 0.000254443424, 0.0251343971), rtol=1e-8)


@pytest.mark.parametrize(
    ("excess", "converged"),
    [
        ((3, 3), (0.0707130875, 0.000254974380, 0.0386947742)),
        ((-2, -2), (0.0187938445, 0.000250707191, 0.0113155415)),
        ((5, -1), (0.0329730431, 0.000257195675, 0.0183763401)),
    ],
)
def test_stratified_reference_numbers(forest, excess, converged):
    np.testing.assert_allclose(solved(forest, *excess)[0], converged, rtol=1e-8)


@pytest.mark.parametrize("excess", [(3, 3), (-2, -2), (5, -1), (1, 0.5)])
def test_solution_obeys_the_obukhov_length(forest, excess):
    """At the solution both stabilities are those of the fluxes they allow."""
    wind = 2.0
    found, zeta, zeta_ground = solved(forest, *excess, wind)
    flux_ground = found.ground * excess[0]
    for z, flux in ((zeta, flux_ground + found.canopy * excess[1]), (zeta_ground, flux_ground)):
        obukhov = -(THETA_0 * found.momentum**1.5 * wind**2) / (VON_KARMAN * GRAVITY * flux)
        np.testing.assert_allclose(z, forest.height / obukhov, rtol=1e-8)


def both(zeta):
    # As differences from a vanishing lower limit they are the functions themselves.
    return np.array(
        [
            float(turbulence._stability_momentum(*f64(zeta, 1e-14))),
            float(turbulence._stability_heat(*f64(zeta, 1e-14))),
        ]
    )


def test_stability_functions_reference_and_continuity():
    """Case 7: values, and no jump at neutral."""
    np.testing.assert_allclose(both(-0.5), (-0.793359121, -1.386294361), atol=1e-8)
    np.testing.assert_allclose(both(-2.0), (-1.494691123, -2.431178932), atol=1e-8)
    np.testing.assert_allclose(both(0.5), (2.432790649, 2.432790649), atol=1e-8)
    np.testing.assert_allclose(both(1e-9), both(-1e-9), atol=1e-7)


@pytest.mark.parametrize("zeta", [-5.0, -0.7, -0.02, 0.03, 0.6, 4.0])
def test_stability_functions_integrate_the_shear_functions(zeta):
    """Case 7: dPsi/dzeta = (phi - 1) / zeta."""
    step = 1e-5 * abs(zeta)
    slope = (both(zeta + step) - both(zeta - step)) / (2 * step)
    if zeta < 0:
        phi = np.array([(1 - 16 * zeta) ** -0.25, (1 - 16 * zeta) ** -0.5])
    else:
        phi = np.full(2, 1 + 6 * zeta / (1 + zeta))
    np.testing.assert_allclose(slope, (phi - 1) / zeta, rtol=1e-6)


def test_exchange_falls_with_stability(forest):
    """Case 7: coefficients are monotone in zeta, and at the solution in the excess."""
    zeta = jnp.linspace(*turbulence.STABILITY_RANGE, 200)
    transfer, *_ = exchange(forest, zeta, zeta, 0 * zeta, 0 * zeta, jnp.float64(3))
    for name in ("momentum", "ground"):
        series = np.asarray(getattr(transfer, name))
        assert (np.diff(series) < 0).all() and (series > 0).all(), name
    total = np.asarray(transfer.ground + transfer.canopy)
    assert (np.diff(total) < 0).all() and (np.asarray(transfer.canopy) > 0).all()
    solved_ = [float(solved(forest, 0.0, e)[0].canopy) for e in np.linspace(8, -8, 9)]
    assert (np.diff(solved_) <= 0).all()


def test_ground_never_takes_all_the_exchange():
    """C_Hs keeps its own stability; C_Hc stays positive where the two part."""
    bare = turbulence.roughness(*f64(0.2, 0.01, 0.2, 0.06, 5, 0, *FLOOR))
    transfer, *_ = exchange(bare, *f64(5, -10, 3, -3, 1))
    np.testing.assert_allclose(transfer.ground, 19 * transfer.canopy, rtol=1e-9)
