"""The surface solution (MATSIRO.md 6, cases 4, 28, 30; 2.13): hard weather, first guesses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import canopy_water, energy, fluxes, setting, snow
from mdpl.lsm.matsiro.constants import STEFAN_BOLTZMANN, T_MELT
from mdpl.lsm.matsiro.search import System

UNSOLVED = {"warm": 0.02, "cold": 0.02}
"""Share of surfaces the search may leave unsolved after 12 steps in light wind, any parameters."""


def surroundings(made, state, air):
    """Roughness and setting of the snow-free and of the snow-covered part."""
    column, dt = made.column(), 1800.0
    roots = setting.rooted(column, state, dt)
    area = snow.cover_fraction(state.snow.amount, column.snow.full_cover)
    lai = air.LAI * column.lai_scale
    free = setting.emerged(column, lai, 0 * area)
    above = setting.emerged(column, lai, setting.snow_depth(state, area))
    return (
        setting.soil_side(column, state, air, roots, free, dt),
        setting.snow_side(column, state, air, roots, above, area, dt),
    )


def snowy(made, amount=60.0):
    state = made.state()
    frozen = state.snow._replace(amount=made.one(amount), temperature=jnp.full((3, 1), 270.0))
    return state._replace(snow=frozen, soil_temperature=jnp.full((5, 1), 272.0))


@pytest.mark.parametrize("side", [0, 1])
def test_isothermal_enclosure_exchanges_no_radiation(made, side):
    """Case 4: both surfaces and the sky at one temperature."""
    air = made.air(night=True)._replace(LWdown=made.one(STEFAN_BOLTZMANN * 280.0**4))
    around = surroundings(made, snowy(made), air)[side][1]
    nothing = fluxes.Fluxes(*[0.0 * made.one(0)] * len(fluxes.Fluxes._fields))
    black = around.emissivity * STEFAN_BOLTZMANN * 280.0**4
    alike = nothing._replace(black_ground=black, black_canopy=black)
    for balance in fluxes.balances(around, air, alike):
        np.testing.assert_allclose(balance, 0.0, atol=1e-9)
    up = around.gap * black + (1 - around.gap) * black + (1 - around.emissivity) * air.LWdown
    np.testing.assert_allclose(up, air.LWdown, rtol=1e-12)


solve = jax.jit(energy.solve_surface)


@pytest.fixture(scope="module")
def melting(made):
    """A snow surface under a warm, sunny sky."""
    air = made.air()
    rough, around = surroundings(made, snowy(made), air)[1]
    column, guess = made.column(), made.guess(canopy=285, ground=270)
    return rough, around, air, solve(System(column.leaf, rough, around, air), guess, 30)


def test_melting_snow_stays_at_melting_and_yields_the_surplus(made, melting):
    """Case 28: T_s = 273.15, and what the balance leaves melts snow."""
    _, around, _, found = melting
    assert float(found.solution.ground[0]) == T_MELT
    assert float(found.surplus[0]) > 1.0
    np.testing.assert_allclose(found.residual, 0.0, atol=1e-9)
    conducted = around.ground_conductance * (around.ground_node - T_MELT)
    np.testing.assert_allclose(found.ground_heat, conducted, rtol=1e-9)


def test_cold_snow_has_no_surplus(made):
    """Case 28, the other way."""
    air = made.air(night=True)._replace(Tair=made.one(262), theta=made.one(262.3),
                                        Qair=made.one(1e-3), LWdown=made.one(200))  # fmt: skip
    rough, around = surroundings(made, snowy(made), air)[1]
    found = solve(System(made.column().leaf, rough, around, air), made.guess(ground=270), 30)
    assert float(found.solution.ground[0]) < T_MELT - 1
    assert float(found.surplus[0]) == 0.0


def test_the_solution_solves_the_equations(made):
    """The converged point leaves nothing open, beyond what the last linear step may."""
    air = made.air()
    rough, around = surroundings(made, made.state(), air)[0]
    leaf = made.column().leaf
    found = solve(System(leaf, rough, around, air), made.guess(), 30)
    again = solve(System(leaf, rough, around, air), found.solution, 30)
    assert float(again.last_step[0]) < 1e-6
    open_ = fluxes.evaluate(leaf, rough, around, air, again.solution)[1]
    for name, left in zip(open_._fields, open_, strict=True):
        np.testing.assert_allclose(left, 0.0, atol=1e-6, err_msg=name)


def test_the_gradient_is_that_of_the_solution(made):
    """The last step alone carries the derivative; it is the implicit function theorem."""
    air = made.air()
    rough, around = surroundings(made, made.state(), air)[0]
    leaf = made.column().leaf
    start = solve(System(leaf, rough, around, air), made.guess(), 60).solution

    def latent(x):
        here = air._replace(Tair=air.Tair + x, theta=air.theta + x, LWdown=air.LWdown + 10 * x)
        bright = around._replace(shortwave_canopy=around.shortwave_canopy * (1 + x))
        return solve(System(leaf, rough, bright, here), start, 60).latent[0]

    slope = jax.grad(latent)(0.0)
    difference = (latent(1e-3) - latent(-1e-3)) / 2e-3
    np.testing.assert_allclose(slope, difference, rtol=1e-4)


HARD = {"warm": dict(warmth=(272.0, 302.0)), "cold": dict(warmth=(255.0, 285.0))}


@pytest.fixture(scope="module", params=HARD)
def hard(request, made):
    """Six clear days in wind of 0.5 to 1 m/s, any parameters: dawns, dusks, drying leaves."""
    rng = np.random.default_rng(0)
    column = made.any_columns(rng)
    state = made.any_state(rng, snowy=0.7 if request.param == "cold" else 0.0)
    air = made.clear_days(rng, **HARD[request.param])
    return request.param, column, state, air, made.run(column, state, air)[1]


def test_few_surfaces_stay_unsolved_in_light_wind(made, hard):
    """2.13's hard cases."""
    kind, _, state, air, out = hard
    for name, series in out.items():
        assert np.isfinite(series).all(), name
    assert (out["unsolved"] > 0).mean() < UNSOLVED[kind]
    colder, hotter = made.farthest(out, state, air)
    assert colder < 15 and hotter < 30
    assert np.abs(out["energy"]).max() < 1e-9


def test_more_steps_solve_nearly_all(made, hard):
    _, column, state, air, _ = hard
    _, out = made.run(column, state, air, most=60)
    assert (out["unsolved"] > 0).mean() < 0.002


def test_first_guess_matters_only_where_there_are_several_solutions(made, hard):
    """Each hour from the same soil with three first guesses, most = 60."""
    _, column, state, air, _ = hard
    guesses = (
        dict(),
        dict(zeta=4.5, canopy=-6.0, ground=-3.0),
        dict(zeta=-8.0, canopy=8.0, ground=5.0),
    )
    warm = np.asarray(air.Tair).mean(axis=0)
    heat, solved = [], []
    for start in guesses:
        side = state.soil_side._replace(
            canopy=warm + start.get("canopy", 0.0), ground=warm + start.get("ground", 0.0),
            zeta=start.get("zeta", 0.0) + 0 * warm, zeta_ground=0 * warm,
        )  # fmt: skip
        cold = side._replace(ground=jnp.minimum(side.ground, T_MELT))
        begin = state._replace(
            soil_side=side, snow_side=cold, soil_temperature=warm + 0 * state.soil_temperature
        )
        _, out = made.run(column, begin, made.still(air), most=60)
        heat.append(out["h"])
        solved.append(out["unsolved"] == 0)
    solved = np.all(solved, axis=0)
    spread = np.ptp(heat, axis=0)[solved]
    assert solved.mean() > 0.95
    assert (spread > 0.5).mean() < 0.05


def test_twelve_steps_are_as_good_as_sixty_in_a_summer_week(made):
    """Case 30: wind about 3 m/s, defaults-like parameters, dry leaves."""
    rng = np.random.default_rng(4)
    column, state = made.any_columns(rng), made.any_state(rng)
    air = made.clear_days(rng, wind=(2.5, 3.5), warmth=(285.0, 300.0))
    air = air._replace(rain=0 * air.rain, snowfall=0 * air.snowfall)
    few, many = (made.run(column, state, air, most=most)[1] for most in (12, 60))
    difference = few["h"] - many["h"]
    assert np.sqrt((difference**2).mean()) < 1.5
    assert np.quantile(np.abs(difference), 0.99) < 0.5


def test_dry_leaves_lose_at_most_what_they_hold(made):
    """The slope of the loss by the store is a share: beyond 1 gradients grow from step to step."""
    air = made.air()
    rough, around = surroundings(made, made.state(), air)[0]

    def loss(store):
        wet = canopy_water.wet_share(store, 1e-5 * made.one(1))
        leaves = around._replace(wet_share=wet, canopy_store=store * 1000.0 / 1800.0)
        found = fluxes.evaluate(made.column().leaf, rough, leaves, air, made.guess(canopy=300))[0]
        return found.interception[0] * 1800.0 / 1000.0

    assert 0.0 <= float(jax.grad(loss)(0.0 * made.one(1))[0]) <= 1.0 + 1e-9
