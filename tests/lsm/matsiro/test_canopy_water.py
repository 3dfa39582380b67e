"""Interception budget (MATSIRO.md 6, case 13)."""

import jax.numpy as jnp
import numpy as np

from mdpl.lsm.matsiro import canopy_water
from mdpl.lsm.matsiro.constants import RHO_WATER

DT = 1800.0


def test_budget_closes_and_the_store_stays_within_bounds():
    rng = np.random.default_rng(0)
    n = 400
    lai = jnp.asarray(rng.uniform(0, 8, n))
    capacity = 2e-4 * lai
    store = jnp.asarray(rng.uniform(0, 1, n)) * capacity
    rain = jnp.asarray(rng.choice([0.0, 1e-5, 1e-3, 5e-2], n))
    loss = jnp.asarray(rng.uniform(0, 1, n)) * store * RHO_WATER / DT
    new = canopy_water.update(store, loss, rain, lai, capacity, DT)
    change = RHO_WATER * (new.store - store)
    np.testing.assert_allclose(change, (rain - loss - new.throughfall) * DT, atol=1e-12)
    assert (np.asarray(new.store) >= -1e-18).all()
    assert (np.asarray(new.store) <= np.asarray(capacity) + 1e-15).all()


def test_bare_ground_gets_all_the_rain():
    new = canopy_water.update(
        *(jnp.float64(x) for x in (0.0, 0.0, 1e-3, 0.0, 0.0)), jnp.float64(DT)
    )
    np.testing.assert_allclose(new.throughfall, 1e-3, rtol=1e-12)
