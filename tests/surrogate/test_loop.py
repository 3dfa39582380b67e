"""Parts of a batch count as the whole."""

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.config_learning import DayBlockConfig
from mdpl.errors import ModelError
from mdpl.surrogate.loop import descend

ROWS = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)


def error(weights, batch):
    return 0.1 * (weights**2).mean(), ((batch @ weights - 1.0) ** 2)


def learn(parts):
    names = [f"row {i}" for i in range(len(ROWS))]
    return descend(
        jnp.zeros((4, 2), jnp.float32), error, lambda step: (parts, names),
        DayBlockConfig(steps=40, learning_rate=0.1, compare_every=10),
        tasks=("a", "b"), description="",
    )  # fmt: skip


def test_halves_of_a_batch_move_the_weights_as_the_whole_does():
    whole = learn([jnp.asarray(ROWS)])
    halves = learn([jnp.asarray(ROWS[:3]), jnp.asarray(ROWS[3:])])
    np.testing.assert_allclose(halves.weights, whole.weights, atol=1e-5)
    np.testing.assert_allclose(halves.history.loss, whole.history.loss, rtol=1e-5)
    np.testing.assert_allclose(halves.balance.value, whole.balance.value, rtol=1e-3, atol=1e-5)
    assert whole.history.loss.iloc[-1] < 0.8 * whole.history.loss.iloc[0]


def test_a_row_of_the_second_half_is_called_by_its_name():
    broken = ROWS.copy()
    broken[4] = np.inf
    with pytest.raises(ModelError, match="row 4"):
        learn([jnp.asarray(broken[:3]), jnp.asarray(broken[3:])])
