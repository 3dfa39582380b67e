"""How weights move downhill: the course of the learning rate, and two ways to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import optax

Rate = Callable[[Any], Any]
"""step -> learning rate."""

OTHERS = 0.375
"""Learning rate of what is no matrix, over that of matrices, where matrices move by `muon`."""


class DescentSettings(Protocol):
    """The fields of a network's config that say how its weights move."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...


Optimiser = Callable[[Rate, DescentSettings], optax.GradientTransformation]


def schedule(settings: DescentSettings) -> Rate:
    """Up from a tenth within a twentieth of the steps, then down to a hundredth by a cosine."""
    warmup = max(1, settings.steps // 20)
    rate: Rate = optax.warmup_cosine_decay_schedule(
        settings.learning_rate / 10,
        settings.learning_rate,
        warmup,
        max(settings.steps, warmup + 1),
        settings.learning_rate / 100,
    )
    return rate


def adamw(rate: Rate, settings: DescentSettings) -> optax.GradientTransformation:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), of a clipped gradient."""
    step = optax.adamw(rate, weight_decay=settings.weight_decay)
    # One long vector compiles several times faster than an update for each array.
    return optax.flatten(optax.chain(optax.clip_by_global_norm(settings.clip), step))


def muon(rate: Rate, settings: DescentSettings) -> optax.GradientTransformation:
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): a matrix steps as far along
    all its singular vectors. What is no matrix does not decay, and moves by Adam, Nesterov's way,
    at `OTHERS` of the rate.

    Why the surrogate learns by it: docs/decisions/0012.
    """
    step = optax.contrib.muon(
        rate,
        weight_decay=settings.weight_decay,
        adam_learning_rate=lambda number: OTHERS * rate(number),
    )
    return optax.chain(optax.clip_by_global_norm(settings.clip), step)
