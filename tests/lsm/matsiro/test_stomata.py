"""Photosynthesis and stomata (MATSIRO.md 6, cases 8-12; appendix A.4)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from mdpl.lsm.matsiro import stomata
from mdpl.lsm.matsiro.atmosphere import saturation_pressure

C3 = dict(vmax=60e-6, slope=9, intercept=0.01, quantum_yield=0.08, curvature_light=0.98,
          curvature_sink=0.95, respiration=0.015, t_high=308, t_low=281)  # fmt: skip
C4 = C3 | dict(vmax=30e-6, slope=4, intercept=0.04, quantum_yield=0.05, curvature_light=0.80,
               respiration=0.025, t_high=313, t_low=288)  # fmt: skip


def leaf(c4=False, **changes):
    traits = (C4 if c4 else C3) | changes
    return stomata.Leaf(**{k: jnp.float64(v) for k, v in traits.items()}, is_c4=jnp.asarray(c4))


def air(e=2000.0, co2=400e-6, p=1e5):
    return stomata.Air(jnp.float64(p), jnp.float64(co2), jnp.float64(e / p))


exchange = jax.jit(stomata.exchange)


def f64(*values):
    return tuple(jnp.float64(v) for v in values)


def cold(t, half):
    return 1 / (1 + np.exp(0.2 * (half - t)))


def hot(t, half):
    return 1 / (1 + np.exp(0.3 * (t - half)))


def solve(par, t=298.0, mean=1.0, stress=1.0, g_l=1.0, e=2000.0, co2=400e-6, plant=None):
    """The leaf at the c_i that its own diffusion implies."""
    plant = plant or leaf()
    here = air(e, co2)
    cap = stomata.capacity(
        plant, jnp.float64(t), jnp.float64(stress), plant.quantum_yield * par * 1e-6, here
    )
    minimum = plant.intercept * max(stress, 0.1)
    fixed = (plant, cap, *(jnp.float64(x) for x in (mean, minimum, g_l, t)), here)
    c_i = brentq(lambda c: c - float(exchange(*fixed, c).co2), 0.01, 60.0, xtol=1e-12)
    return exchange(*fixed, c_i), cap, here, plant


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (dict(par=1000), (16.495659, 0.9, 0.275568695, 28.761495)),
        (dict(par=600, mean=0.5, stress=0.5, g_l=0.3, e=1500),
         (3.968887, 0.225, 0.054119022, 27.184250)),
        (dict(par=200, t=283, mean=0.6, g_l=0.5, e=900),
         (4.104404, 0.190919, 0.080315112, 31.107963)),
        (dict(par=1000, t=303, e=2500, plant=leaf(True)),
         (29.831306, 1.060660, 0.256540197, 18.028320)),
    ],
)  # fmt: skip
def test_reference_leaves(case, expected):
    out, *_ = solve(**case)
    found = (out.assimilation * 1e6, out.respiration * 1e6, out.conductance, out.co2)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_constants_at_25_degrees():
    """Case 8."""
    _, cap, *_ = solve(0)
    np.testing.assert_allclose(cap.gamma, 4.0192, atol=5e-5)
    np.testing.assert_allclose(cap.michaelis, 50.900, atol=5e-4)


@pytest.mark.parametrize(("stress", "share"), [(1.0, 1.0), (0.5, 0.5), (0.01, 0.1)])
def test_darkness_closes_the_stomata(stress, share):
    """Case 9: no assimilation, leaf respiration stays, conductance b max(f_w, 0.1)."""
    out, cap, *_ = solve(0, t=290, mean=0.5, g_l=0.5, e=1200, stress=stress)
    assert abs(float(out.assimilation)) < 1e-12
    np.testing.assert_allclose(out.respiration, 0.258457e-6 * stress, atol=1e-12)
    np.testing.assert_allclose(out.respiration, 0.5 * cap.respiration, rtol=1e-12)
    np.testing.assert_allclose(out.conductance, 0.01 * share, atol=1e-6)


def test_no_photosynthesis_at_the_compensation_point():
    """Case 8."""
    _, cap, _, plant = solve(800)
    assert abs(float(stomata.assimilation(plant, cap, cap.gamma))) < 1e-12


def test_smooth_minimum_becomes_the_minimum():
    """Case 8: curvature 1."""
    a, b = jnp.float64(3e-5), jnp.float64(1e-5)
    np.testing.assert_allclose(stomata.smooth_min(a, b, jnp.float64(1 - 1e-9)), 1e-5, rtol=1e-6)
    assert stomata.smooth_min(a, b, jnp.float64(0.95)) < b


def test_endless_light_leaves_rubisco_and_sink():
    """Case 8: J huge gives the smoothed minimum of w_c and w_s."""
    plant = leaf()
    cap = stomata.capacity(plant, *f64(300, 0.8, 1e3), air())
    co2 = jnp.float64(25.0)
    w_c = cap.rubisco * (co2 - cap.gamma) / (co2 + cap.michaelis)
    both = stomata.smooth_min(w_c, cap.sink, plant.curvature_sink)
    np.testing.assert_allclose(stomata.assimilation(plant, cap, co2), both, rtol=1e-7)
    np.testing.assert_allclose(cap.sink, 0.5 * 60e-6 * 0.8 * 1.8**0.2 * cold(300, 281), rtol=1e-9)
    np.testing.assert_allclose(cap.rubisco, 60e-6 * 0.8 * 2.1**0.2 * hot(300, 308), rtol=1e-9)


def test_no_carbon_no_light_no_assimilation():
    """Case 8: w_e vanishes with light however much CO2 there is."""
    plant = leaf()
    cap = stomata.capacity(plant, *f64(300, 0.8, 0.0), air())
    assert abs(float(stomata.assimilation(plant, cap, jnp.float64(30.0)))) < 1e-12


def test_c4_is_co2_limited_at_low_co2():
    """Case 8: the initial slope V_max / 5 x 1.8^Q_T x f_w."""
    plant = leaf(True, curvature_sink=1 - 1e-9, curvature_light=1 - 1e-9)
    _, cap, *_ = solve(2000, t=298, plant=plant)
    rate = stomata.assimilation(plant, cap, jnp.float64(0.1))
    np.testing.assert_allclose(rate, 30e-6 / 5 * 0.1, rtol=1e-6)
    warm = stomata.capacity(plant, *f64(305, 0.6, 1.0), air())
    rate = stomata.assimilation(plant, warm, jnp.float64(1e-3))
    np.testing.assert_allclose(rate, 30e-6 / 5 * 1.8**0.7 * 0.6 * 1e-3, rtol=1e-6)


@pytest.mark.parametrize("c4", [False, True])
def test_every_leaf_has_a_solution_and_only_hot_dry_air_may_have_more(c4):
    """Case 10: c_i is always bracketed; where air is not very dry it is the only one."""
    rng, n = np.random.default_rng(1), 2000
    u = lambda low, high: jnp.asarray(rng.uniform(low, high, n))  # noqa: E731
    plant = stomata.Leaf(*(jnp.full(n, x) for x in leaf(c4)))._replace(vmax=u(2e-5, 2e-4))
    here = stomata.Air(jnp.full(n, 1e5), jnp.full(n, 400e-6), u(3e-3, 15e-3))
    t, stress, mean, g_l = u(275, 312), u(0.05, 1), u(0.3, 1), 10 ** u(-1.5, 0.7)
    cap = stomata.capacity(plant, t, stress, plant.quantum_yield * u(0, 1.8e-3), here)
    minimum = plant.intercept * jnp.maximum(stress, 0.1)
    fixed = (plant, cap, mean, minimum, g_l, t, here)
    trials = np.linspace(0.01, float(stomata.highest_co2(here.co2, here.pressure)[0]), 200)
    implied = jax.vmap(lambda co2: exchange(*fixed, co2).co2)(trials[:, None] * jnp.ones(n))
    off = trials[:, None] - np.asarray(implied)
    assert (off[0] < 0).all() and (off[-1] >= 0).all()
    rising = (np.diff(off, axis=0) > 0).all(axis=0)
    humid = np.asarray(here.vapour * here.pressure / saturation_pressure(t)) > 0.4
    assert humid.sum() > 300
    assert rising[humid].all()
    crossings = (np.diff((off > 0).astype(int), axis=0) != 0).sum(axis=0)
    assert (crossings > 1).mean() < 0.015


def test_both_equations_hold_at_the_solution():
    """Case 10: Ball-Berry and diffusion."""
    out, _, here, plant = solve(900, g_l=0.4)
    net = out.assimilation - out.respiration
    surface = here.co2 - 1.4 * net / 0.4
    np.testing.assert_allclose(
        out.co2, (surface - 1.6 * net / out.conductance) * here.pressure, atol=1e-9
    )
    inside = 611.2 * np.exp(17.67 * (298 - 273.15) / (298 - 29.65)) / 1e5
    at_surface = (out.conductance * inside + 0.4 * here.vapour) / (out.conductance + 0.4)
    ball_berry = plant.slope * net / surface * at_surface / inside + plant.intercept
    np.testing.assert_allclose(out.conductance, ball_berry, rtol=1e-9)


def test_more_light_co2_and_capacity_give_more():
    """Case 10."""
    base = float(solve(500)[0].assimilation)
    assert float(solve(700)[0].assimilation) > base
    assert float(solve(500, co2=500e-6)[0].assimilation) > base
    assert float(solve(500, plant=leaf(vmax=80e-6))[0].assimilation) > base


def test_stress_is_half_at_its_critical_potential_and_roots_share_all():
    """Case 12."""
    half = stomata.layer_stress(jnp.float64(-200), jnp.float64(-200), jnp.float64(0.02))
    np.testing.assert_allclose(half, 0.5, atol=1e-15)
    roots = jnp.array([[0.3], [0.7]])
    for psi in (-1.0, -300.0, -1e5):
        stress = stomata.layer_stress(jnp.full((2, 1), psi), jnp.float64(-200), jnp.float64(0.02))
        for most in ([[1.0], [1.0]], [[0.0], [1.0]], [[0.0], [0.0]]):
            total, share = stomata.root_uptake(stress, roots, jnp.array(most))
            np.testing.assert_allclose(share.sum(0), 1.0, atol=1e-12)
            np.testing.assert_allclose(total, stress[0], rtol=1e-12)


def test_a_layer_short_of_water_leaves_its_share_to_the_others():
    stress, roots = jnp.ones((2, 1)), jnp.array([[0.4], [0.6]])
    shares = [
        float(stomata.root_uptake(stress, roots, jnp.array([[most], [9.0]]))[1][0, 0])
        for most in (1.0, 0.4, 0.1, 0.0)
    ]
    np.testing.assert_allclose(shares, [0.4, 0.4, 0.1 / 0.7, 0.0])


def test_canopy_mean_goes_to_one_for_a_thin_canopy():
    """Case 11."""
    np.testing.assert_allclose(stomata.canopy_mean(jnp.float64(1e-9)), 1.0, atol=1e-8)
    np.testing.assert_allclose(stomata.canopy_mean(jnp.float64(2.0)), (1 - np.exp(-2)) / 2)
