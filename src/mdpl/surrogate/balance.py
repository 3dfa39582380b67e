r"""How much each task counts while several are learnt by one network.

Three ways, `Balance.kind`:

- ``fixed``: the weights the user gives, 1 unless said.
- ``uncertainty``: :math:`\sum_k e^{-s_k} L_k + s_k` with one trained number a task; at its
  optimum :math:`e^{-s_k} = 1 / L_k`, so that a task already well learnt is not left behind by
  one that cannot be (Kendall, Gal & Cipolla 2018, doi:10.1109/CVPR.2018.00781, eq. 10).
- ``gradnorm``: weights that bring the gradient of every task to a common norm, larger for tasks
  that lag behind their own start (Chen et al. 2018, arXiv:1711.02257, eq. 1-2). The weights
  move at the measurements only, not at every step, for each costs a gradient a task.

At every measurement the cosine between the gradients of two tasks is kept: below zero they pull
the shared weights apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from mdpl.errors import ConfigError

ASYMMETRY = 1.5
"""Strength of the pull towards tasks that lag (Chen et al. 2018, alpha in their section 4)."""
_PACE = 0.3
"""Share of the way to the balanced weights that one measurement goes."""

Row = tuple[int, str, float]
"""(step, what, value): ``norm:Qle``, ``weight:Qle`` or ``cosine:Qle:Qh``."""


@dataclass(frozen=True)
class Balance:
    """How tasks are balanced, from a network's config.

    Attributes:
        weights: of the tasks, fixed or at the start, shape (task,), mean one.
        every: steps between measurements of the gradients of single tasks; 0 never.
    """

    kind: Literal["fixed", "uncertainty", "gradnorm"]
    weights: np.ndarray
    every: int


def balance(kind: Any, given: Mapping[str, float], tasks: Sequence[str], every: int) -> Balance:
    """Settings of one training; tasks without a given weight have weight one.

    Raises:
        ConfigError: no task has any weight.
    """
    weights = np.array([float(given.get(task, 1.0)) for task in tasks])
    if not weights.any():
        raise ConfigError(
            f"task_weights: every task ({', '.join(tasks)}) has weight 0; give one a weight"
        )
    if kind == "gradnorm":
        every = every or 50
    return Balance(kind, weights / weights.mean(), every if len(tasks) > 1 else 0)


def weighted(parts: jax.Array, log_variance: jax.Array, weights: jax.Array) -> jax.Array:
    """The loss of all tasks together.

    Args:
        parts: losses by row and task, shape (row, task).
        log_variance: s above, (task,); zero where it is not trained.
        weights: (task,).
    """
    return (weights * jnp.exp(-log_variance) * parts.mean(axis=0) + log_variance).mean()


def measure(
    slope: Callable[[np.ndarray], Any], tasks: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Norm of every task's gradient, (task,), and cosines between them, (task, task).

    Args:
        slope: task weights -> gradient of the loss with them, a pytree.
    """
    count = len(tasks)
    common = _flat(slope(np.zeros(count)))
    slopes = [_flat(slope(np.eye(count)[k] * count)) - common for k in range(count)]
    norms = np.array([np.linalg.norm(s) for s in slopes])
    length = np.maximum(norms, 1e-30)
    return norms, np.array([[a @ b for b in slopes] for a in slopes]) / np.outer(length, length)


def rebalanced(
    weights: np.ndarray, norms: np.ndarray, losses: np.ndarray, first: np.ndarray
) -> np.ndarray:
    """GradNorm's weights after one more measurement, mean one.

    Args:
        norms: of the gradients of the unweighted losses, (task,).
        losses, first: losses of the tasks now and at the first measurement, (task,).
    """
    remaining = losses / np.maximum(first, 1e-30)
    lag = (remaining / remaining.mean()) ** ASYMMETRY
    target = lag / np.maximum(norms, 1e-30)
    moved = weights ** (1 - _PACE) * (target / target.mean()) ** _PACE
    return np.asarray(moved / moved.mean())


def rows(
    step: int, tasks: Sequence[str], norms: np.ndarray, cosines: np.ndarray, weights: np.ndarray
) -> Iterator[Row]:
    """One measurement as lines of ``balance.csv``."""
    for k, task in enumerate(tasks):
        yield step, f"norm:{task}", float(norms[k])
        yield step, f"weight:{task}", float(weights[k])
    for i, j in combinations(range(len(tasks)), 2):
        yield step, f"cosine:{tasks[i]}:{tasks[j]}", float(cosines[i, j])


def _flat(tree: Any) -> np.ndarray:
    return np.concatenate([np.asarray(x, dtype=float).ravel() for x in jax.tree.leaves(tree)])
