"""The linear layers all networks are made of, and their first weights."""

from __future__ import annotations

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

_Network = TypeVar("_Network", bound=eqx.Module)


def linear(inputs: int, outputs: int, *, bias: bool = True) -> eqx.nn.Linear:
    """A layer that knows its shapes and has no weights yet; see `drawn`."""
    layer: eqx.nn.Linear = eqx.filter_eval_shape(
        eqx.nn.Linear, inputs, outputs, bias, dtype=jnp.float32, key=jax.random.key(0)
    )
    return layer


def zeros(size: int) -> Any:
    """An array that `drawn` fills with zeros, shape (size,)."""
    return jax.ShapeDtypeStruct((size,), jnp.float32)


def drawn(network: _Network, seed: int) -> _Network:
    """A network with weights: even between -1/sqrt(inputs) and 1/sqrt(inputs) in every layer.

    They are drawn by NumPy: drawn by JAX they need a program for every layer, and compiling those
    takes longer than a short training.
    """
    draw = np.random.default_rng(seed)

    def fill(part: object) -> object:
        if isinstance(part, jax.ShapeDtypeStruct):
            return jnp.zeros(part.shape, part.dtype)
        if not isinstance(part, eqx.nn.Linear):
            return part
        bound = int(part.in_features) ** -0.5
        return jax.tree.map(
            lambda a: jnp.asarray(draw.uniform(-bound, bound, a.shape), dtype=a.dtype), part
        )

    filled: _Network = jax.tree.map(
        fill, network, is_leaf=lambda part: isinstance(part, eqx.nn.Linear)
    )
    return filled
