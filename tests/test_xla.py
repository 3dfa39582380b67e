"""Loops without matrix products are one kernel each, and a user's own options stand."""

import os

import jax
import jax.numpy as jnp
import pytest

from mdpl import xla


def kernels_of(body, start):
    """The compiled text of a loop over ``body``."""

    def loop(x):
        return jax.lax.scan(lambda now, _: (body(now), now), x, None, length=2000)

    return jax.jit(loop).lower(start).compile().as_text()


def test_a_loop_of_small_arrays_is_one_function():
    start = jnp.ones(64)  # above the size at which loops are small unasked
    assert "xla_cpu_small_call" in kernels_of(lambda x: jnp.sin(x) + jnp.exp(-x), start)
    square = jnp.ones((16, 16))
    assert "xla_cpu_small_call" not in kernels_of(lambda x: square @ jnp.sin(x), square)


@pytest.mark.parametrize("mine", ["", "--xla_cpu_multi_thread_eigen=false"])
def test_options_are_added_to_others(monkeypatch, mine):
    monkeypatch.setenv("XLA_FLAGS", mine)
    xla.compile_loops_whole()
    xla.compile_loops_whole()
    found = os.environ["XLA_FLAGS"].split()
    assert found[: len(mine.split())] == mine.split()
    assert len(found) == len(mine.split()) + 1 and "small_while" in found[-1]


def test_a_users_extra_options_stand(monkeypatch):
    mine = "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling"
    monkeypatch.setenv("XLA_FLAGS", mine)
    xla.compile_loops_whole()
    assert os.environ["XLA_FLAGS"] == mine
