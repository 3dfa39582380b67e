"""Budgets of water and ice on leaves (MATSIRO.md 6, case 13)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import canopy_water
from mdpl.lsm.matsiro.constants import L_MELT, RHO_WATER

DT = 1800.0


def _random(n=4000):
    rng = np.random.default_rng(0)
    lai = rng.uniform(0, 8, n)
    capacity = 2e-4 * lai
    store = rng.uniform(0, 2, n) * capacity
    loss = rng.choice([-0.3, 0.0, 0.5, 1.0], n) * store * RHO_WATER / DT
    iced = rng.choice([0.0, 1.0, 0.3], n)
    return {
        "store": store,
        "frozen_share": rng.choice([0.0, 0.4, 1.0], n),
        "new_frozen_share": rng.choice([0.0, 0.7, 1.0], n),
        "liquid_loss": (1 - iced) * loss,
        "ice_loss": iced * loss,
        "rain": rng.choice([0.0, 1e-5, 1e-3, 5e-2], n),
        "snowfall": rng.choice([0.0, 1e-5, 1e-3], n),
        "lai": lai,
        "capacity": capacity,
    }


def _update(values):
    return canopy_water.update(**{k: jnp.asarray(v) for k, v in values.items()}, dt=DT)


def test_water_and_each_phase_close():
    given = _random()
    new = _update(given)
    fall = given["rain"] + given["snowfall"]
    loss = given["liquid_loss"] + given["ice_loss"]
    change = RHO_WATER * (new.store - given["store"])
    kept = (fall - loss - new.throughfall - new.snowfall) * DT
    np.testing.assert_allclose(change, kept, atol=1e-12)
    ice = RHO_WATER * (
        new.store * given["new_frozen_share"] - given["store"] * given["frozen_share"]
    )
    frozen = ice - (given["snowfall"] - given["ice_loss"] - new.snowfall) * DT
    np.testing.assert_allclose(new.phase_heat * DT, L_MELT * frozen, atol=1e-6)
    assert (np.asarray(new.phase_heat) > 1).any() and (np.asarray(new.phase_heat) < -1).any()


def test_the_store_stays_within_one_capacity_a_phase():
    given = _random()
    new = _update(given)
    assert (np.asarray(new.store) >= -1e-18).all()
    assert (np.asarray(new.store) <= 2 * given["capacity"] + 1e-15).all()
    thawed = _update(
        given
        | {
            "frozen_share": np.zeros_like(given["store"]),
            "snowfall": np.zeros_like(given["store"]),
            "liquid_loss": np.zeros_like(given["store"]),
            "ice_loss": np.zeros_like(given["store"]),
        }
    )
    assert (np.asarray(thawed.store) <= given["capacity"] + 1e-15).all()


def _one(**changes):
    given = {
        "store": 1e-4,
        "frozen_share": 0.0,
        "new_frozen_share": 0.0,
        "liquid_loss": 0.0,
        "ice_loss": 0.0,
        "rain": 0.0,
        "snowfall": 0.0,
        "lai": 3.0,
        "capacity": 6e-4,
    }
    return _update(given | changes)


def test_freezing_gives_and_melting_takes_the_latent_heat():
    np.testing.assert_allclose(_one(new_frozen_share=1.0).phase_heat, L_MELT * 0.1 / DT, rtol=1e-3)
    np.testing.assert_allclose(_one(frozen_share=1.0).phase_heat, -L_MELT * 0.1 / DT, rtol=1e-3)
    np.testing.assert_allclose(_one().phase_heat, 0.0, atol=1e-9)


def test_a_phase_that_runs_short_is_fed_by_the_other():
    new = _one(frozen_share=1.0, new_frozen_share=1.0, liquid_loss=0.04 / DT)
    np.testing.assert_allclose(new.store, 0.6e-4, rtol=1e-3)
    np.testing.assert_allclose(new.phase_heat, -L_MELT * 0.04 / DT, rtol=1e-6)
    new = _one(ice_loss=0.04 / DT)
    np.testing.assert_allclose(new.phase_heat, L_MELT * 0.04 / DT, rtol=1e-6)


@pytest.mark.parametrize("kind, out", [("rain", "throughfall"), ("snowfall", "snowfall")])
def test_bare_ground_gets_all_that_falls(kind, out):
    new = _one(store=0.0, lai=0.0, capacity=0.0, **{kind: 1e-3})
    np.testing.assert_allclose(getattr(new, out), 1e-3, rtol=1e-12)
    np.testing.assert_allclose(new.phase_heat, 0.0, atol=1e-12)


def test_snow_on_leaves_stays_snow_until_they_thaw():
    new = _one(store=0.0, new_frozen_share=1.0, snowfall=1e-4)
    np.testing.assert_allclose(new.store, 1e-4 * DT / RHO_WATER, rtol=1e-3)
    assert new.throughfall == 0
    np.testing.assert_allclose(new.phase_heat, 0.0, atol=1e-9)


def test_gradients_are_finite_without_leaves():
    def total(lai):
        new = canopy_water.update(0.0, 0.0, 1.0, 0.0, 0.0, 1e-3, 1e-3, lai, 2e-4 * lai, DT)
        share = canopy_water.wet_share(new.store, 2e-4 * lai)
        return new.throughfall + new.phase_heat + share

    slopes = jax.vmap(jax.grad(total))(jnp.array([0.0, 1e-3, 0.5, 3.0]))
    assert np.isfinite(slopes).all()
