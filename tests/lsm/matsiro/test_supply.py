"""Irrigation and the prescribed water table: budgets, limits, nothing where off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import supply as supply_
from mdpl.lsm.matsiro.constants import SOIL_INTERFACE, SOIL_THICKNESS
from mdpl.lsm.matsiro.supply import IRRIGATION_RATE, Supply

DT = 1800.0
POROSITY, PSI_SAT, B = 0.45, -0.15, 5.39
DZ = SOIL_THICKNESS[:, None]
CENTRE = 0.5 * (SOIL_INTERFACE[1:] + SOIL_INTERFACE[:-1])
ROOTS = jnp.array([[0.2], [0.4], [0.3], [0.1], [0.0]])
DRY = jnp.full((5, 1), 0.15)
supply_of = jax.jit(supply_.supply)


def supply(water=DRY, ice=0.0, target=0.0, below=0.5, table=np.inf, lai=3.0, dt=DT, roots=ROOTS):
    one = jnp.ones(water.shape[1])
    return supply_of(
        Supply(target * one, below * one, table * one),
        water,
        ice * jnp.ones_like(water),
        POROSITY * one,
        PSI_SAT * one,
        B * one,
        roots * one,
        lai * one,
        dt,
    )


def test_off_changes_nothing():
    rng = np.random.default_rng(0)
    water = jnp.asarray(rng.uniform(0, 0.6, (5, 50)))
    ice = jnp.asarray(rng.uniform(0, 0.6, (5, 50)))  # more than there is water, too
    options = supply_.off(jnp.ones(50))
    one = jnp.ones(50)
    new, added = supply_of(
        options, water, ice, POROSITY * one, PSI_SAT * one, B * one, ROOTS * one, 3 * one, DT
    )
    np.testing.assert_array_equal(new, water)
    np.testing.assert_array_equal(added, np.zeros((2, 50)))


@pytest.mark.parametrize("table", [np.inf, 0.0, 0.02, 0.3, 1.7, 3.99])
@pytest.mark.parametrize("target", [0.0, 0.8])
def test_budget_closes(table, target):
    rng = np.random.default_rng(1)
    ice = rng.uniform(0, 0.2, (5, 40))
    water = jnp.asarray(ice + rng.uniform(0, 0.24, (5, 40)))
    new, added = supply(water, jnp.asarray(ice), target, 0.6, table)
    gained = (1000 * (new - water) * DZ).sum(0)
    np.testing.assert_allclose(gained, (added.irrigation + added.groundwater) * DT, atol=1e-12)
    assert (np.asarray(added.irrigation).max() > 0) == (target > 0)
    assert (np.abs(added.groundwater).max() > 0) == (table < 4)


def test_irrigation_is_limited_by_its_rate():
    new, added = supply(target=0.9)
    np.testing.assert_allclose(added.irrigation, IRRIGATION_RATE, rtol=1e-12)
    assert float(added.groundwater[0]) == 0.0
    gain = np.asarray(new - DRY)[:, 0]
    np.testing.assert_allclose(gain[:3], gain[0], rtol=1e-12)  # equal lack, equal gain
    np.testing.assert_array_equal(gain[3:], 0.0)  # below the first metre


def test_enough_time_refills_to_the_target():
    ice = 0.1
    new, _ = supply(DRY, ice, target=0.8, dt=1e7)
    np.testing.assert_allclose(new[:3], ice + 0.8 * (POROSITY - ice), rtol=1e-12)
    wet = DRY.at[0].set(0.44)
    np.testing.assert_array_equal(supply(wet, target=0.8, dt=1e7)[0][0], wet[0])


@pytest.mark.parametrize(
    "case",
    [dict(below=0.3), dict(lai=0.4), dict(water=jnp.full((5, 1), 0.3))],
)
def test_no_irrigation_without_need(case):
    # A saturation of 1/3 is above 0.3; of 2/3 above 0.5.
    assert float(supply(**{"target": 0.9} | case)[1].irrigation[0]) == 0.0
    assert float(supply(target=0.9)[1].irrigation[0]) > 0.0


def test_layers_without_roots_stay_dry():
    new, _ = supply(target=0.9, roots=jnp.array([[0.5], [0.5], [0.0], [0.0], [0.0]]))
    np.testing.assert_array_equal(new[2:], DRY[2:])


def test_irrigation_leaves_ice_filled_pores_alone():
    frozen = jnp.full((5, 1), POROSITY)
    new, added = supply(frozen, POROSITY, target=0.9)
    np.testing.assert_array_equal(new, frozen)
    assert float(added.irrigation[0]) == 0.0


def test_layers_below_the_table_are_saturated():
    new, added = supply(table=0.7)
    np.testing.assert_allclose(new[3:], POROSITY, rtol=1e-14)
    height = 0.7 - CENTRE[2]
    balance = POROSITY * (1 + height / 0.15) ** (-1 / B)
    np.testing.assert_allclose(new[2], balance, rtol=1e-12)
    np.testing.assert_array_equal(new[:2], DRY[:2])
    assert float(added.groundwater[0]) > 0.0


def test_held_layer_is_in_hydrostatic_balance_with_the_table():
    new, _ = supply(table=2.5)
    psi = PSI_SAT * (new[3, 0] / POROSITY) ** -B
    np.testing.assert_allclose(psi, PSI_SAT - (2.5 - CENTRE[3]), rtol=1e-12)


def test_water_above_the_held_state_is_taken_away():
    full = jnp.full((5, 1), POROSITY)
    new, added = supply(full, table=1.0)
    assert float(new[2, 0]) < POROSITY
    assert float(added.groundwater[0]) < 0.0
    pond = full.at[0].add(0.02)
    new, added = supply(pond, table=0.0)
    np.testing.assert_allclose(new, POROSITY, rtol=1e-14)
    np.testing.assert_allclose(added.groundwater * DT, -1.0, rtol=1e-12)


def test_ice_stays_and_only_open_pores_are_filled():
    new, _ = supply(DRY, 0.12, table=0.7)
    np.testing.assert_allclose(new[3:], POROSITY, rtol=1e-14)
    balance = 0.12 + (POROSITY - 0.12) * (1 + (0.7 - CENTRE[2]) / 0.15) ** (-1 / B)
    np.testing.assert_allclose(new[2], balance, rtol=1e-12)


def test_store_is_continuous_where_the_table_crosses_a_centre():
    for centre in CENTRE[1:]:
        below, _ = supply(table=centre + 1e-9)
        at, _ = supply(table=centre - 1e-9)
        k = int(np.argmin(np.abs(CENTRE - centre)))
        np.testing.assert_allclose(below[k:], at[k:], rtol=1e-7)


def test_table_below_the_column_is_none():
    np.testing.assert_array_equal(supply(table=4.0)[0], DRY)


@pytest.mark.parametrize("options", [(0.0, 0.5, np.inf), (0.8, 0.5, np.inf), (0.8, 0.5, 0.7)])
def test_gradients(options):
    one = jnp.ones(1)

    def stored(x):
        new, added = supply_of(
            Supply(*(o * one for o in options)), DRY + 0.1 * x[0] * ROOTS, x[1] * 0.05 + 0 * DRY,
            x[2] * one, -x[3] * one, x[4] * one, ROOTS, 3 * one, DT,
        )  # fmt: skip
        return new.sum() + 1e3 * sum(a.sum() for a in added)

    x = jnp.array([0.1, 0.2, 0.45, 0.15, 5.0])
    slopes = jax.grad(stored)(x)
    for i in range(len(x)):
        h = 1e-6
        difference = (stored(x.at[i].add(h)) - stored(x.at[i].add(-h))) / (2 * h)
        np.testing.assert_allclose(slopes[i], difference, rtol=1e-5, atol=1e-8)


def test_gradients_stay_finite_at_the_edges():
    def stored(options, water, ice):
        one = jnp.ones(1)
        new, added = supply_of(
            options, water, ice, POROSITY * one, PSI_SAT * one, B * one, ROOTS, 3 * one, DT
        )
        return new.sum() + sum(a.sum() for a in added)

    for table in (np.inf, 0.0, CENTRE[2]):
        for water, ice in ((0 * DRY, 0 * DRY), (DRY, DRY), (0 * DRY + POROSITY, 0 * DRY + 0.46)):
            options = Supply(*(jnp.full(1, x) for x in (0.9, 0.9, table)))
            slopes = jax.tree.leaves(jax.grad(stored, (0, 1, 2))(options, water, ice))
            assert all(np.isfinite(g).all() for g in slopes)
