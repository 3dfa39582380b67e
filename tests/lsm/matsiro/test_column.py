"""Whole steps of the column (MATSIRO.md 6, cases 1, 14-16, 31, 32; appendix A.6)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro.constants import CP_WATER, L_MELT, RHO_WATER, SOIL_THICKNESS

DAY = {
    "h": 274.305, "le": 137.870, "ground_heat": -126.247, "longwave_up": 428.128,
    "t_c": 295.47688, "t_s": 290.23515, "c_i": 28.4233, "shortwave_up": 700 - 616.549107,
}  # fmt: skip
NIGHTS = {
    2.5: (-47.3636, 7.4593, 369.5888, 284.13271, 287.47445),
    1.5: (-7.1964, 1.5378, 351.3550, 280.17852, 287.19097),
}
FAR = [dict(canopy=300, ground=275, zeta=-5), dict(canopy=270, zeta=4, co2=1), dict(zeta=4.9)]


def reference(made, most, start=None, **weather):
    """One step of the column of appendix A.6, by its own first guess unless told otherwise."""
    state = made.repeat(made.state(made.guess(**(start or {}))))
    air = made.still(made.tile(made.repeat(made.air(**weather))))
    _, out = made.run(made.repeat(made.column()), state, air, most=most)
    return {name: series[0, ..., 0] for name, series in out.items()}


@pytest.mark.parametrize("most", [12, 30])
def test_reference_day(made, most):
    """Appendix A.6 from its far-off start."""
    found = reference(made, most)
    for name, value in DAY.items():
        np.testing.assert_allclose(found[name], value, atol=0.006, err_msg=name)
    np.testing.assert_allclose(1e6 * found["gpp"], 17.5671, atol=0.006)
    np.testing.assert_allclose(1e6 * found["leaf"], 0.85543, atol=0.006)
    np.testing.assert_allclose(found["transpiration"], 5.29446e-5, rtol=1e-4)
    np.testing.assert_allclose(found["ground_vapour"], 2.20327e-6, rtol=1e-4)
    np.testing.assert_allclose(found["stress"], 0.980263409, atol=1e-9)
    assert found["unsolved"] == 0


def test_reference_day_in_the_soil(made):
    """Appendix A.6: what the step leaves in the soil."""
    state, air = made.repeat(made.state()), made.tile(made.repeat(made.air()))
    _, out = made.run(made.repeat(made.column()), state, air, most=30)
    np.testing.assert_allclose(out["t_g"][0, :2, 0], (289.70186, 288.07181), atol=1e-4)


def night(found):
    return [found[name] for name in ("h", "le", "longwave_up", "t_c", "t_s")]


@pytest.mark.parametrize("most", [12, 30])
@pytest.mark.parametrize("wind", NIGHTS)
def test_reference_nights(made, wind, most):
    """Appendix A.6 from its far-off start."""
    found = reference(made, most, night=True, wind=wind)
    np.testing.assert_allclose(night(found), NIGHTS[wind], atol=1e-3)
    assert found["unsolved"] == 0


@pytest.mark.parametrize("start", FAR)
def test_reference_from_any_guess(made, start):
    """Appendix A.6: one solution only, which the search finds from anywhere."""
    found = reference(made, 60, start)
    for name in ("h", "le", "t_c", "t_s"):
        np.testing.assert_allclose(found[name], DAY[name], atol=0.02, err_msg=name)
    for wind, expected in NIGHTS.items():
        found = reference(made, 60, start, night=True, wind=wind)
        np.testing.assert_allclose(night(found), expected, atol=0.02)
        assert found["unsolved"] == 0
        early = reference(made, 20, start, night=True, wind=wind)
        np.testing.assert_allclose(night(early), expected, atol=0.02)


def check(out):
    """Every budget of every step, and the bounds of every store."""
    for name, series in out.items():
        assert np.isfinite(series).all(), name
    assert np.abs(out["energy"]).max() < 1e-9
    assert np.abs(out["water"]).max() < 1e-9
    assert np.abs(out["snow_mass"]).max() < 1e-9
    assert np.abs(out["snow_heat"]).max() < 1e-6
    assert out["w"].min() > 0
    assert out["ice"].min() >= 0
    assert (out["ice"] <= out["w"] + 1e-12).all()
    assert out["canopy"].min() > -1e-9
    assert out["swe"].min() >= 0 and out["snow_t"].max() <= 273.15 + 1e-9
    assert out["area"].min() >= 0 and out["area"].max() <= 1
    assert out["surplus"].min() > -1e-9
    assert out["gpp"].min() >= 0 and out["respiration"].min() >= 0


@pytest.fixture(scope="module")
def anything(made):
    """Columns of any parameters in weather of no order, many of them under snow at first."""
    rng = np.random.default_rng(0)
    column, state = made.any_columns(rng, corners=16), made.any_state(rng, snowy=0.6)
    air = made.weather(rng)
    return column, state, air, made.run(column, state, air)


def test_budgets_close_in_any_weather_with_any_parameters(anything):
    """Cases 1, 14, 16, 24 and 25, of snow-covered and snow-free ground."""
    out = anything[3][1]
    check(out)
    closure = out["net"] - out["h"] - out["le"] + out["ground_heat"] - out["surplus"]
    assert np.abs(closure).max() < 1e-9
    assert (out["t_g"].min() > 200) and (out["t_g"].max() < 350)
    assert (out["area"] > 0).mean() > 0.1 and (out["area"] == 0).mean() > 0.1
    assert (out["ice"] > 0.01).any() and (out["surplus"] > 10).any()


def test_soil_enthalpy_changes_by_what_enters(anything):
    """Case 16 with freezing and thawing, where no snow lies."""
    column, state, _, (_, out) = anything
    thick = SOIL_THICKNESS[:, None]
    starts = dict(t_g=state.soil_temperature, w=state.soil_water, ice=state.soil_ice)
    before = {n: np.concatenate([np.asarray(x)[None], out[n][:-1]]) for n, x in starts.items()}
    capacity = (np.asarray(column.dry_heat_capacity) + RHO_WATER * CP_WATER * before["w"]) * thick
    warmed = (capacity * (out["t_g"] - before["t_g"])).sum(axis=1) / 1800.0
    ice = ((out["ice"] - before["ice"]) * thick).sum(axis=1) * RHO_WATER / 1800.0
    freed = L_MELT * (ice + out["ice_loss"])
    bare = (out["area"] == 0) & (out["swe"] == 0)
    left = warmed - freed + out["ground_heat"] - out["soil_heat"]
    assert bare.sum() > 1000 and (np.abs(freed[bare]) > 1).any()
    assert np.abs(left[bare]).max() < 1e-7


WEATHER = {
    "summer": dict(warmth=(285, 303)),
    "dry hot": dict(warmth=(298, 313), fall=[0.0]),
    "cold snowy": dict(warmth=(250, 268), fall=[0.0, 1e-5, 1e-3]),
    "thaw": dict(warmth=(270, 279), fall=[0.0, 1e-5, 1e-3]),
    "calm": dict(warmth=(270, 300), wind=(0.5, 1.0)),
    "windy and wet": dict(warmth=(278, 295), wind=(8, 15), fall=[1e-4, 2e-3]),
}


@pytest.mark.parametrize("dt", [1800.0, 3600.0])
@pytest.mark.parametrize("kind", WEATHER)
def test_random_parameters_survive_every_kind_of_weather(made, kind, dt):
    """Case 32: budgets, bounds, and surfaces not far from the air, the sky, the sun or the soil."""
    rng = np.random.default_rng(len(kind))
    column = made.any_columns(rng)
    state = made.any_state(rng, snowy=0.7 if kind in ("cold snowy", "thaw") else 0.0)
    air = made.weather(rng, **WEATHER[kind])
    _, out = made.run(column, state, air, dt)
    check(out)
    colder, hotter = made.farthest(out, state, air)
    assert colder < 15 and hotter < 30


def test_a_column_does_not_feel_its_neighbours(made, anything):
    """Case 31: neither their order, nor what they are."""
    column, state, air, (_, together) = anything
    rng = np.random.default_rng(1)
    order = rng.permutation(made.COLUMNS)
    few = np.where(np.arange(made.COLUMNS) < 7, order, 0)
    for some in (order, few):
        picked = jax.tree.map(lambda a, some=some: a[..., some], (column, state, air))
        _, apart = made.run(*picked)
        for name in ("h", "le", "t_g", "swe"):
            expected = together[name][..., some]
            np.testing.assert_allclose(apart[name], expected, atol=1e-8, err_msg=name)


def test_padding_does_not_move_the_state(made, anything):
    """Case 31: steps that are not valid leave the state, whatever their weather."""
    column, state, air, (_, out) = anything
    half = made.STEPS // 2
    later = jnp.arange(made.STEPS)[:, None] >= half
    valid = jnp.where(later, 0.0, air.valid)
    last, _ = made.run(column, state, air._replace(valid=valid))
    np.testing.assert_array_equal(last.soil_water, out["w"][half - 1])
    np.testing.assert_array_equal(last.soil_temperature, out["t_g"][half - 1])
    np.testing.assert_array_equal(last.snow.amount, out["swe"][half - 1])
