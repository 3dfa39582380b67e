"""The column of MATSIRO.md's appendix A.6, and weather in no order at all.

All whole-column tests run the same compiled program: 300 steps of 64 columns.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import column as whole
from mdpl.lsm.matsiro import place as place_
from mdpl.lsm.matsiro import snow
from mdpl.lsm.matsiro.constants import STEFAN_BOLTZMANN
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.state import Forcing, State, Unknowns

PARAMETER_VALUES = dict(
    vmax=60, bb_slope=9, bb_intercept=0.01, t_high=308, t_low=281, psi_stress=200,
    stress_slope=0.02, leaf_drag=0.2, leaf_heat=0.06, canopy_capacity=0.2, soil_b=5.4, psi_sat=0.3,
)  # fmt: skip
PLACE = dict(land_cover=4, igbp="ENF", canopy_height=20.0, reference_height=30.0)
COLUMNS, STEPS = 64, 300
CLASSES = ("EBF", "DBF", "MF", "ENF", "DNF", "SAV", "OSH", "OSH", "GRA")


def one(x):
    return jnp.full((1,), float(x))


def column():
    values = PARAMETERS.defaults(PLACE)
    for name, value in PARAMETER_VALUES.items():
        values[PARAMETERS.names.index(name)] = value
    made = place_.build(jnp.asarray(values[None]), place_.place(PLACE))
    return made._replace(
        r_vis=one(0.07), r_nir=one(0.40), t_vis=one(0.05), t_nir=one(0.15), porosity=one(0.43),
        roots=jnp.array([[0.12], [0.30], [0.42], [0.14], [0.02]]), emissivity=one(0.98),
    )  # fmt: skip


def guess(co2=28.0, canopy=288.0, ground=288.0, zeta=0.0):
    return Unknowns(one(co2), one(zeta), one(canopy), one(ground), one(zeta))


def state(soil_side=None):
    here = soil_side or guess()
    return State(
        here, here._replace(ground=jnp.minimum(here.ground, 273.15)), jnp.full((5, 1), 288.0),
        jnp.full((5, 1), 0.6 * 0.43), jnp.zeros((5, 1)), one(0), one(0), snow.bare(one(0)),
    )  # fmt: skip


def air(night=False, wind=3.0):
    t, q, lw, cos_z = (285, 0.007, 300, 0.05) if night else (293, 0.009, 350, 0.8)
    sun = (0, 0, 0, 0) if night else (250, 250, 100, 100)
    theta = t * np.exp(9.81 * 30 / (1004.6 * t))
    rho = 1e5 / (287.04 * t * (1 + 0.608 * q))
    rest = (wind, 1e5, 0, 0, 400e-6, 3, 1)
    return Forcing(*(one(x) for x in (*sun, 1 / cos_z, lw, t, theta, q, rho, *rest)))


def weather(rng, warmth=(243, 313), wind=None, fall=None):
    """Polar night to desert noon, calm to storm, dry air to 200 mm/h, in no order at all."""
    steps, columns = STEPS, COLUMNS
    u = lambda low, high: rng.uniform(low, high, (steps, columns))  # noqa: E731
    t = rng.uniform(*warmth, (1, columns)) + 8 * u(-1, 1)
    sun = np.clip(u(-300, 1000), 0, None)
    saturated = 0.622 * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65)) / 9e4
    q = saturated * u(0.02, 1.0)
    amounts = [0, 0, 0, 0, 1e-5, 1e-3, 200 / 3600] if fall is None else fall
    water = rng.choice(amounts, (steps, columns))
    frozen = np.clip((275.15 - t) / 2, 0, 1)
    lai = np.maximum(rng.choice([0, 0.3, 3, 8], (1, columns)) * np.ones((steps, 1)), 1e-3)
    blows = np.maximum(rng.weibull(1.5, t.shape) * 4, 0.5) if wind is None else u(*wind)
    return Forcing(
        *(jnp.asarray(x) for x in (
            0.3 * sun, 0.35 * sun, 0.19 * sun, 0.16 * sun,
            1 / rng.uniform(0.05, 1, (steps, columns)),
            u(100, 450), t, t * np.exp(9.81 * 30 / (1004.6 * t)), q,
            9e4 / (287.04 * t * (1 + 0.608 * q)), blows, 9e4 + 0 * t,
            water * (1 - frozen), np.minimum(water, 1e-2) * frozen, 400e-6 + 0 * t, lai, 1 + 0 * t,
        ))
    )  # fmt: skip


def places(columns):
    """Places of the nine land-cover classes in turn."""
    return place_.stack(
        [
            place_.place(PLACE | dict(land_cover=1 + i % 9, igbp=CLASSES[i % 9]))
            for i in range(columns)
        ]
    )


def any_columns(rng, corners=0, columns=COLUMNS):
    """Columns drawn from the whole parameter box, the first ones at corners of it."""
    unit = rng.random((columns, len(PARAMETERS)))
    unit[:corners] = rng.integers(0, 2, (corners, len(PARAMETERS)))
    return place_.build(jnp.asarray(PARAMETERS.from_unit(unit)), places(columns))


def any_state(rng, snowy=0.0, columns=COLUMNS):
    """Soil of any wetness and warmth, snow on a share of the columns."""
    alike = jax.tree.map(lambda a: jnp.repeat(a, columns, axis=-1), state())
    amount = rng.choice([0.0, 0.5, 15.0, 50.0, 300.0], columns)
    amount = np.where(rng.random(columns) < snowy, amount, 0.0)
    cold = jnp.asarray(rng.uniform(255, 273, (3, columns)))
    return alike._replace(
        soil_water=0.45 * jnp.asarray(rng.uniform(0.03, 1.0, (5, columns))),
        soil_temperature=jnp.asarray(rng.uniform(255, 305, (5, columns))),
        snow=alike.snow._replace(amount=jnp.asarray(amount), temperature=cold),
    )


def repeat(tree, columns=COLUMNS):
    """One column as several."""
    return jax.tree.map(lambda a: jnp.repeat(a, columns, axis=-1), tree)


def tile(air, steps=STEPS):
    """One interval as a record."""
    return jax.tree.map(lambda a: jnp.repeat(a[None], steps, axis=0), air)


def still(air):
    """The same record, in which every interval starts from the first state and guess."""
    return air._replace(valid=0.0 * air.valid)


def clear_days(rng, wind=(0.5, 1.0), warmth=(270.0, 300.0), columns=COLUMNS):
    """Six sunny days in light wind, with showers that dry off: hard for the solver."""
    u = lambda low, high: rng.uniform(low, high, (1, columns))  # noqa: E731
    hour = np.arange(STEPS)[:, None] * 0.5 % 24
    height = np.cos(2 * np.pi * (hour - 12) / 24) + u(-0.3, 0.3)
    sun = np.clip(height, 0, None) * u(300, 900)
    t = u(*warmth) + 6 * np.cos(2 * np.pi * (hour - 15) / 24)
    saturated = 0.622 * 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65)) / 9.5e4
    q = np.minimum(u(0.3, 0.95) * saturated.mean(axis=0), 0.98 * saturated)
    shower = rng.choice([0, 0, 0, 0, 0, 0, 0, 3e-5, 1e-3], t.shape)
    frozen = np.clip((275.15 - t) / 2, 0, 1)
    return Forcing(
        *(jnp.asarray(x + 0 * t) for x in (
            0.3 * sun, 0.35 * sun, 0.19 * sun, 0.16 * sun, 1 / np.maximum(height, 0.05),
            0.75 * 5.67e-8 * t**4 * u(0.95, 1.2), t, t * np.exp(9.81 * 30 / (1004.6 * t)), q,
            9.5e4 / (287.04 * t * (1 + 0.608 * q)), rng.uniform(*wind, t.shape), 9.5e4,
            shower * (1 - frozen), shower * frozen, 400e-6,
            rng.choice([0.3, 1, 3, 6], (1, columns)), 1,
        ))
    )  # fmt: skip


@jax.jit
def march(column, state, record, dt, most):
    """A record with all that budgets and bounds are checked by, NumPy."""

    def keep(now, made):
        s = made.surface
        return dict(
            energy=s.residual, water=made.water_residual, h=s.sensible, le=s.latent,
            t_s=s.solution.ground, t_c=s.solution.canopy, w=now.soil_water, ice=now.soil_ice,
            t_g=now.soil_temperature, canopy=now.canopy_water, gpp=s.gpp, unsolved=s.unsolved,
            swe=now.snow.amount, area=made.snow_area, snow_mass=made.snow.mass_residual,
            snow_heat=made.snow.heat_residual, snow_t=now.snow.temperature,
            respiration=made.respiration.total, surplus=s.surplus, ground_heat=s.ground_heat,
            net=s.net_radiation, longwave_up=s.longwave_up, shortwave_up=s.shortwave_up,
            c_i=s.solution.co2, leaf=s.leaf_respiration, transpiration=s.transpiration,
            ground_vapour=s.ground_vapour, stress=made.stress, soil_heat=made.snow.soil_heat,
            ice_loss=made.vapour.soil_ice,
        )  # fmt: skip

    return whole.march(column, state, record, dt, most, keep)[:2]


def run(column, state, record, dt=1800.0, most=12):
    # Scalars that JAX holds weakly typed would make it compile again.
    column, state, record = jax.tree.map(np.asarray, (column, state, record))
    last, out = march(column, state, record, dt, most)
    return last, {k: np.asarray(v) for k, v in out.items()}


def outside(surface, air, sky, sun, soil):
    """K by which a surface is colder, and hotter, than all that it exchanges heat with.

    Args:
        surface, air, soil: K; sky, sun: W m-2 of longwave and of shortwave that come down.
    """
    coldest = np.minimum(np.minimum(air, (sky / STEFAN_BOLTZMANN) ** 0.25), soil)
    hottest = np.maximum(np.maximum(air, ((sky + sun) / STEFAN_BOLTZMANN) ** 0.25), soil)
    return float((coldest - surface).max()), float((surface - hottest).max())


def farthest(out, state, air):
    """`outside` of both surfaces in a run from ``state``."""
    before = np.asarray(state.soil_temperature)[None, 0]
    soil = np.concatenate([before, out["t_g"][:-1, 0]])
    sky, sun = np.asarray(air.LWdown), sum(np.asarray(part) for part in air[:4])
    found = [outside(out[name], np.asarray(air.Tair), sky, sun, soil) for name in ("t_s", "t_c")]
    return np.max(found, axis=0)


@pytest.fixture(scope="session")
def made():
    """What tests build columns, states and weather with."""
    return SimpleNamespace(
        one=one, column=column, guess=guess, state=state, air=air, weather=weather,
        any_columns=any_columns, any_state=any_state, PLACE=PLACE, run=run, repeat=repeat,
        tile=tile, still=still, farthest=farthest, clear_days=clear_days, COLUMNS=COLUMNS,
        STEPS=STEPS,
    )  # fmt: skip
