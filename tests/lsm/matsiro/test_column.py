"""Whole steps of the column (MATSIRO.md 6, cases 1, 14, 15, 31, 32; appendix A.6)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import column as whole
from mdpl.lsm.matsiro import parameters
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.state import Forcing, State

REFERENCE = dict(
    vmax=60, bb_slope=9, bb_intercept=0.01, t_high=308, t_low=281, psi_stress=200,
    stress_slope=0.02, leaf_drag=0.2, leaf_heat=0.06, canopy_capacity=0.2, soil_b=5.4, psi_sat=0.3,
)  # fmt: skip
PLACE = dict(land_cover=4, igbp="ENF", canopy_height=20, reference_height=30)


def one(x):
    return jnp.full((1,), float(x))


def reference_column():
    values = PARAMETERS.defaults(4)
    for name, value in REFERENCE.items():
        values[PARAMETERS.names.index(name)] = value
    column = parameters.build(jnp.asarray(values[None]), parameters.place(PLACE))
    return column._replace(
        r_vis=one(0.07), r_nir=one(0.40), t_vis=one(0.05), t_nir=one(0.15), porosity=one(0.43),
        roots=jnp.array([[0.12], [0.30], [0.42], [0.14], [0.02]]), emissivity=one(0.98),
    )  # fmt: skip


def reference_state():
    return State(
        one(288), one(288), one(28), jnp.full((5, 1), 288.0), jnp.full((5, 1), 0.6 * 0.43),
        jnp.zeros((5, 1)), one(0),
    )  # fmt: skip


def reference_air(night=False, wind=3.0):
    t, q, lw, cos_z = (285, 0.007, 300, 0.05) if night else (293, 0.009, 350, 0.8)
    sun = (0, 0, 0, 0) if night else (250, 250, 100, 100)
    theta = t * np.exp(9.81 * 30 / (1004.6 * t))
    rho = 1e5 / (287.04 * t * (1 + 0.608 * q))
    return Forcing(
        *(one(x) for x in (*sun, 1 / cos_z, lw, t, theta, q, rho, wind, 1e5, 0, 400e-6, 3, 1))
    )


def advance(passes, **weather):
    step = jax.jit(functools.partial(whole.step, passes=passes))
    return step(reference_column(), reference_state(), reference_air(**weather), 1800.0)


def test_reference_day():
    new, made = advance(200)
    s = made.surface
    found = {
        "H": s.sensible, "LE": s.latent, "G": -s.ground_heat, "LWup": s.longwave_up,
        "T_c": s.canopy_temperature, "T_s": s.ground_temperature, "c_i": s.leaf_co2,
        "GPP": s.gpp * 1e6, "R_d": s.leaf_respiration * 1e6, "T_g1": new.soil_temperature[0],
    }  # fmt: skip
    expected = {
        "H": 274.305, "LE": 137.870, "G": 126.247, "LWup": 428.128, "T_c": 295.47688,
        "T_s": 290.23515, "c_i": 28.4233, "GPP": 17.5671, "R_d": 0.85543, "T_g1": 289.70186,
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][0], value, atol=0.006, err_msg=name)
    np.testing.assert_allclose(made.stress[0], 0.980263409, atol=1e-9)


@pytest.mark.parametrize(
    ("wind", "expected"),
    [(2.5, (-47.3636, 7.4593, 369.5888)), (1.5, (-7.1964, 1.5378, 351.3550))],
)
def test_reference_nights(wind, expected):
    s = advance(200, night=True, wind=wind)[1].surface
    np.testing.assert_allclose([s.sensible[0], s.latent[0], s.longwave_up[0]], expected, atol=1e-3)


def test_eight_passes_are_near_convergence():
    far, near = advance(200)[1].surface, advance(8)[1].surface
    np.testing.assert_allclose(near.sensible, far.sensible, atol=0.3)
    np.testing.assert_allclose(near.latent, far.latent, atol=0.3)


def stress_weather(steps, columns, rng):
    """Polar night to desert noon, calm to storm, dry air to 200 mm/h, in no order at all."""
    u = lambda low, high: rng.uniform(low, high, (steps, columns))  # noqa: E731
    t = rng.uniform(243, 313, (1, columns)) + 8 * u(-1, 1)
    sun = np.clip(u(-300, 1000), 0, None)
    saturated = 0.622 * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65)) / 9e4
    q = saturated * u(0.02, 1.0)
    rain = rng.choice([0, 0, 0, 0, 1e-5, 1e-3, 200 / 3600], (steps, columns))
    lai = np.maximum(rng.choice([0, 0.3, 3, 8], (1, columns)) * np.ones((steps, 1)), 1e-3)
    return Forcing(
        *(jnp.asarray(x) for x in (
            0.3 * sun, 0.35 * sun, 0.19 * sun, 0.16 * sun,
            1 / rng.uniform(0.05, 1, (steps, columns)),
            u(100, 450), t, t * np.exp(9.81 * 30 / (1004.6 * t)), q,
            9e4 / (287.04 * t * (1 + 0.608 * q)), np.maximum(rng.weibull(1.5, t.shape) * 4, 0.5),
            9e4 + 0 * t, rain, 400e-6 + 0 * t, lai, 1 + 0 * t,
        ))
    )  # fmt: skip


def every_class(columns):
    """Places of the nine land-cover classes in turn."""
    places = [parameters.place({**PLACE, "land_cover": 1 + i % 9}) for i in range(columns)]
    return parameters.Place(*(jnp.stack(a) for a in zip(*places, strict=True)))


def test_budgets_close_in_any_weather_with_any_parameters():
    rng, steps, columns = np.random.default_rng(0), 300, 200
    values = PARAMETERS.from_unit(rng.random((columns, len(PARAMETERS))))
    values[: 2**4] = PARAMETERS.from_unit(rng.integers(0, 2, (2**4, len(PARAMETERS))))
    column = parameters.build(jnp.asarray(values), every_class(columns))
    state = jax.tree.map(lambda a: jnp.repeat(a, columns, axis=-1), reference_state())
    state = state._replace(
        soil_water=0.45 * jnp.asarray(rng.uniform(0.03, 1.0, (5, columns))),
        soil_temperature=jnp.asarray(rng.uniform(255, 305, (5, columns))),
    )

    def keep(now, made):
        s = made.surface
        return dict(
            energy=s.residual, water=made.water_residual, h=s.sensible, le=s.latent,
            t_s=s.ground_temperature, t_c=s.canopy_temperature, w=now.soil_water, ice=now.soil_ice,
            t_g=now.soil_temperature, canopy=now.canopy_water, gpp=s.gpp,
        )  # fmt: skip

    run = jax.jit(functools.partial(whole.march, passes=5, keep=keep))
    air = stress_weather(steps, columns, rng)
    _, out = run(column, state, air, 1800.0)
    out = {k: np.asarray(v) for k, v in out.items()}
    for name, series in out.items():
        assert np.isfinite(series).all(), name
    assert np.abs(out["energy"]).max() < 1e-9
    assert np.abs(out["water"]).max() < 1e-9
    assert out["w"].min() > 0
    assert out["ice"].min() >= 0
    assert (out["ice"] <= out["w"] + 1e-12).all()
    assert out["canopy"].min() > -1e-9
    assert out["gpp"].min() > -1e-9
    assert (out["t_g"].min() > 225) and (out["t_g"].max() < 345)


def test_a_column_does_not_feel_its_neighbours():
    rng, columns = np.random.default_rng(1), 6
    values = jnp.asarray(PARAMETERS.from_unit(rng.random((columns, len(PARAMETERS)))))
    here = parameters.place(PLACE)
    state = jax.tree.map(lambda a: jnp.repeat(a, columns, axis=-1), reference_state())
    air = stress_weather(50, columns, rng)

    @functools.partial(jax.jit, static_argnames="passes")
    def run(values, state, air, passes):
        return whole.march(
            parameters.build(values, here), state, air, 1800.0, passes,
            lambda now, made: {"h": made.surface.sensible},
        )[1]["h"]  # fmt: skip

    together = run(values, state, air, 5)
    order = np.array([4, 1, 5, 0, 3, 2])
    shuffled = run(
        values[order],
        jax.tree.map(lambda a: a[..., order], state),
        jax.tree.map(lambda a: a[..., order], air),
        5,
    )
    np.testing.assert_allclose(shuffled, together[:, order], atol=1e-8)


def test_padding_does_not_move_the_state():
    air = jax.tree.map(lambda a: jnp.repeat(a[None], 4, axis=0), reference_air())
    stopped = air._replace(valid=jnp.array([[1.0], [1.0], [0.0], [0.0]]))
    march = functools.partial(
        whole.march, reference_column(), reference_state(), dt=1800.0, passes=5,
        keep=lambda now, made: {},
    )  # fmt: skip
    short, _ = march(record=jax.tree.map(lambda a: a[:2], air))
    padded, _ = march(record=stopped)
    for a, b in zip(short, padded, strict=True):
        np.testing.assert_array_equal(a, b)
