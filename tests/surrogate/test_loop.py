"""Parts of a batch count as the whole."""

import contextlib

import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from mdpl.config_learning import DayBlockConfig, GeneratorConfig
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


def judged(folder, judge, **more):
    names = [f"row {i}" for i in range(len(ROWS))]
    settings = GeneratorConfig(
        steps=12, learning_rate=0.1, compare_every=3, checkpoint_every=50, **more
    )
    return descend(
        jnp.zeros((4, 2), jnp.float32), error, lambda step: ([jnp.asarray(ROWS)], names), settings,
        tasks=("a", "b"), description="", folder=folder, judge=judge, judge_every=4,
    )  # fmt: skip


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_training_cut_in_a_judgement_makes_it_again(tmp_path, number):
    """Judgements are the longest calls of a generator's training, and where Ctrl-C falls."""
    calls = []

    def judge(weights):
        calls.append(weights)
        if len(calls) == number:
            raise KeyboardInterrupt
        return float(jnp.abs(weights - 0.1).sum())

    with contextlib.suppress(KeyboardInterrupt):
        judged(tmp_path / "cut", judge)
    again = judged(tmp_path / "cut", judge)
    whole = judged(tmp_path / "whole", judge)
    np.testing.assert_array_equal(again.weights, whole.weights)
    np.testing.assert_array_equal(again.history.loss, whole.history.loss)
    np.testing.assert_array_equal(again.balance, whole.balance)


def test_patience_ends_what_is_judged_and_nothing_else(tmp_path):
    assert len(judged(None, lambda _: 1.0, patience=1).history) == 4
    assert len(judged(None, None, patience=1).history) == 12
    with pytest.raises(ValidationError, match="patience"):
        DayBlockConfig(patience=3)


def test_a_row_of_the_second_half_is_called_by_its_name():
    broken = ROWS.copy()
    broken[4] = np.inf
    with pytest.raises(ModelError, match="row 4"):
        learn([jnp.asarray(broken[:3]), jnp.asarray(broken[3:])])
