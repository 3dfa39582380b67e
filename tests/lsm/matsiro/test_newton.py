"""Newton's method for small systems, one in every column."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from mdpl.lsm.matsiro import newton


class Three(NamedTuple):
    a: Array
    b: Array
    c: Array


def equations(x: Three):
    return Three(x.a * x.b - 2.0, jnp.exp(0.1 * x.a) + x.c**2, x.b - 3.0 * x.c)


def solve(matrix, rights, last=None):
    """``matrix`` (column, equation, unknown), ``rights`` (column, equation) each."""
    n = matrix.shape[1]
    columns = [[jnp.asarray(matrix[:, i, j]) for i in range(n)] for j in range(n)]
    triangle = newton.eliminate(columns, [[jnp.asarray(r[:, i]) for i in range(n)] for r in rights])
    return [np.stack(newton.substitute(triangle, k, last), axis=-1) for k in range(len(rights))]


@pytest.mark.parametrize("n", [1, 2, 4, 5])
def test_systems_are_solved_as_numpy_does(n):
    rng = np.random.default_rng(n)
    matrix = rng.normal(size=(50, n, n)) + 4 * np.eye(n)
    rights = [rng.normal(size=(50, n)) for _ in range(2)]
    for found, right in zip(solve(matrix, rights), rights, strict=True):
        expected = np.linalg.solve(matrix, right[..., None])[..., 0]
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_the_last_unknown_may_be_given_instead_of_its_equation():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(50, 4, 4)) + 4 * np.eye(4)
    right, last = rng.normal(size=(50, 4)), rng.normal(size=50)
    (found,) = solve(matrix, [right], jnp.asarray(last))
    np.testing.assert_array_equal(found[:, -1], last)
    rest = right[:, :-1] - matrix[:, :-1, -1] * last[:, None]
    expected = np.linalg.solve(matrix[:, :-1, :-1], rest[..., None])[..., 0]
    np.testing.assert_allclose(found[:, :-1], expected, rtol=1e-10, atol=1e-12)


def test_derivatives_come_by_unknown_and_column():
    at = Three(*(jnp.asarray(x) for x in ([1.0, 2.0], [3.0, -1.0], [0.5, 4.0])))
    by = newton.columns(equations, at)
    a, b, c = (np.asarray(x) for x in at)
    expected = [
        [b, 0.1 * np.exp(0.1 * a), 0 * a],
        [a, 0 * a, 1 + 0 * a],
        [0 * a, 2 * c, -3 + 0 * a],
    ]
    np.testing.assert_allclose(np.asarray([list(x) for x in by]), expected, rtol=1e-14)


def test_steps_of_newton_converge_quadratically():
    at = Three(*(jnp.full(1, x) for x in (1.0, 1.0, 1.0)))
    at = at._replace(c=jnp.full(1, 0.4))
    off = []
    goal = equations(Three(*(jnp.full(1, x) for x in (1.3, 1.2, 0.3))))
    for _ in range(6):
        left = [x - y for x, y in zip(equations(at), goal, strict=True)]
        off.append(max(float(jnp.abs(x[0])) for x in left))
        matrix = [list(column) for column in newton.columns(equations, at)]
        triangle = newton.eliminate(matrix, [[-x for x in left]])
        change = newton.substitute(triangle, 0)
        at = Three(*(x + d for x, d in zip(at, change, strict=True)))
    assert off[-1] < 1e-13
    assert off[3] < 10 * off[2] ** 2 + 1e-13
