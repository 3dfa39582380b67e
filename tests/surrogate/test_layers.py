"""First weights: of the usual size, the same for a seed, and none before they are asked for."""

import equinox as eqx
import jax
import numpy as np
import pytest

from mdpl.surrogate.layers import drawn, linear, zeros


class Two(eqx.Module):
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    start: jax.Array
    name: str = eqx.field(static=True)

    def __init__(self):
        self.first = linear(400, 300)
        self.second = linear(25, 8, bias=False)
        self.start = zeros(5)
        self.name = "two"


def test_weights_are_even_within_the_bound_of_their_layer():
    made = drawn(Two(), 3)
    for layer, inputs in ((made.first, 400), (made.second, 25)):
        weight, bound = np.asarray(layer.weight), inputs**-0.5
        assert weight.dtype == np.float32 and weight.shape == (layer.out_features, inputs)
        assert 0.9 * bound < np.abs(weight).max() <= bound
    assert np.std(made.first.weight) == pytest.approx((3 * 400) ** -0.5, rel=0.01)
    assert np.abs(made.first.bias).max() <= 400**-0.5
    assert made.second.bias is None
    assert not made.start.any() and made.start.shape == (5,)
    x = np.ones(25, dtype=np.float32)
    np.testing.assert_allclose(made.second(x), np.asarray(made.second.weight).sum(1), rtol=1e-5)


def test_a_seed_gives_the_same_weights_and_another_gives_others():
    assert eqx.tree_equal(drawn(Two(), 3), drawn(Two(), 3))
    other = drawn(Two(), 4)
    assert np.mean(np.isclose(drawn(Two(), 3).first.weight, other.first.weight)) < 0.01


def test_a_layer_of_any_size_costs_nothing_before_it_is_drawn():
    layer = linear(10**6, 10**6)
    assert layer.weight.shape == (10**6, 10**6)
    assert isinstance(layer.weight, jax.ShapeDtypeStruct)
