"""Muon steps as far along all directions of a matrix; the rest moves by AdamW."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.surrogate.optimisers import OTHERS, adamw, muon, schedule

SETTINGS = SimpleNamespace(steps=100, learning_rate=0.05, weight_decay=0.0, clip=1.0)


def first_step(optimiser, gradient):
    weights = {name: jnp.zeros_like(g) for name, g in gradient.items()}
    mover = optimiser(lambda number: 0.05, SETTINGS)
    return mover.update(gradient, mover.init(weights), weights)[0]


@pytest.fixture(scope="module")
def gradient():
    """A matrix whose singular values span a factor of a thousand, and a vector."""
    draw = np.random.default_rng(0)
    left, _ = np.linalg.qr(draw.normal(size=(24, 6)))
    right, _ = np.linalg.qr(draw.normal(size=(6, 6)))
    matrix = left @ np.diag(np.geomspace(1e-3, 1.0, 6)) @ right
    return {
        "matrix": jnp.asarray(matrix, dtype=jnp.float32),
        "vector": jnp.asarray([0.3, -0.002], dtype=jnp.float32),
    }


def spread(matrix):
    values = np.linalg.svd(np.asarray(matrix), compute_uv=False)
    return values[0] / values[-1]


def test_muon_levels_the_directions_of_a_matrix_and_adam_does_not(gradient):
    levelled = first_step(muon, gradient)["matrix"]
    assert spread(levelled) < 15 < 900 < spread(gradient["matrix"])
    assert np.sum(levelled * gradient["matrix"]) < 0
    assert spread(first_step(adamw, gradient)["matrix"]) > 900


def test_the_elements_of_a_vector_move_alike_at_their_share_of_the_rate(gradient):
    step = np.asarray(first_step(muon, gradient)["vector"])
    assert (np.sign(step) == -np.sign(gradient["vector"])).all()
    nesterov = 0.9 / (1 - 0.9**2) * 0.1 + 0.1 / (1 - 0.9)
    np.testing.assert_allclose(abs(step), 0.05 * OTHERS * nesterov, rtol=1e-3)


def test_the_rate_rises_within_a_twentieth_of_the_steps_and_falls_to_a_hundredth():
    rate = schedule(SETTINGS)
    assert float(rate(0)) == pytest.approx(0.005)
    assert float(rate(5)) == pytest.approx(0.05)
    assert float(rate(100)) == pytest.approx(0.0005)


def test_matrices_decay_and_vectors_do_not():
    weights = {"matrix": jnp.ones((4, 3), jnp.float32), "vector": jnp.ones(3, jnp.float32)}
    mover = muon(lambda number: 0.05, SimpleNamespace(clip=1.0, weight_decay=0.1))
    none = {name: jnp.zeros_like(w) for name, w in weights.items()}
    step, _ = mover.update(none, mover.init(weights), weights)
    np.testing.assert_allclose(step["matrix"], -0.05 * 0.1, rtol=1e-5)
    np.testing.assert_allclose(step["vector"], 0.0, atol=1e-12)
