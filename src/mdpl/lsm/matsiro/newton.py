"""Newton's method for small systems of smooth equations, one in every column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array

X = TypeVar("X", bound=tuple)


def columns(function: Callable[[X], Any], at: X) -> list[Any]:
    """Derivatives of a function by each unknown in turn.

    One unknown at a time lets what does not depend on it drop out of the derivative.

    Args:
        at: named tuple of unknowns.

    Returns:
        for each unknown the derivative of all that ``function`` returns.
    """

    def by(index: int) -> Any:
        def along(value: Array) -> Any:
            return function(at._replace(**{at._fields[index]: value}))  # type: ignore[attr-defined]

        return jax.jvp(along, (at[index],), (jnp.ones_like(at[index]),))[1]

    return [by(i) for i in range(len(at))]


class Triangle(NamedTuple):
    """A small system after forward elimination."""

    rows: list[list[Array]]
    rights: list[list[Array]]


def eliminate(matrix: Sequence[Sequence[Array]], rights: Sequence[Sequence[Array]]) -> Triangle:
    """Forward elimination of a small dense system in the order given, without pivoting.

    Args:
        matrix: ``matrix[j][i]`` is the coefficient of unknown j in equation i.
        rights: right-hand sides, each with one item an equation.
    """
    n = len(matrix)
    rows = [[matrix[j][i] for j in range(n)] for i in range(n)]
    values = [list(right) for right in rights]
    for k in range(n):
        inverse = 1.0 / rows[k][k]
        for i in range(k + 1, n):
            factor = rows[i][k] * inverse
            for j in range(k + 1, n):
                rows[i][j] = rows[i][j] - factor * rows[k][j]
            for value in values:
                value[i] = value[i] - factor * value[k]
    return Triangle(rows, values)


def substitute(triangle: Triangle, which: int, last: Array | None = None) -> list[Array]:
    """Unknowns for one of the right-hand sides.

    Args:
        last: the last unknown, where it is given instead of its equation.
    """
    rows, values = triangle.rows, triangle.rights[which]
    n = len(rows)
    found: list[Array] = [values[-1] / rows[-1][-1] if last is None else last] * n
    for k in reversed(range(n - 1)):
        total = values[k]
        for j in range(k + 1, n):
            total = total - rows[k][j] * found[j]
        found[k] = total / rows[k][k]
    return found
