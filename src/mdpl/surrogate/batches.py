"""Batches for training, and the loss both networks share.

The recurrence runs over a stretch as long as the record, for the soil remembers; the dear part,
the flux of each step, is computed at a few blocks drawn from it and a few steps of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from mdpl.surrogate.loop import Draw
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.windows import SiteTensors

_STEPS_AT_ONCE = 180


class BatchSettings(Protocol):
    """The fields of a network's config that shape a batch."""

    @property
    def sites_per_batch(self) -> int: ...
    @property
    def window_days(self) -> int: ...
    @property
    def warmup_days(self) -> int: ...
    @property
    def days_per_batch(self) -> int: ...
    @property
    def slots_per_day(self) -> int: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Pool:
    """A tower's targets in host memory.

    Attributes:
        unit: parameters in the unit cube, shape (member, parameter).
        residual: (target - reference) / scale, shape (member, block, slot, task), float16 to halve
            the memory; NaN where a step does not count.
        members: indices of the members worth drawing.
        importance: squared scale over variance of the target, shape (task,).
        chance: of each of ``members`` to be drawn; None means all alike.
    """

    tensors: SiteTensors
    unit: np.ndarray
    residual: np.ndarray
    members: np.ndarray
    importance: np.ndarray
    chance: np.ndarray | None = None

    @cached_property
    def useful(self) -> np.ndarray:
        """Blocks with any target, in increasing order."""
        return np.flatnonzero(~np.isnan(self.residual).all(axis=(0, 2, 3)))


class Batch(NamedTuple):
    """Towers x members of one step; W blocks of recurrence, D of them with K steps in the loss."""

    unit: jax.Array  # (site, member, parameter)
    default_unit: jax.Array  # (site, parameter)
    summary: jax.Array  # (site, W, summary)
    day_of_year: jax.Array  # (site, W)
    chosen: jax.Array  # (site, D), blocks within W
    dynamic: jax.Array  # (site, D, K, dynamic)
    target: jax.Array  # (site, D, member, K, task), minus reference, scaled; NaN does not count
    importance: jax.Array  # (site, task)
    tower: jax.Array  # (site,), which pool


def drawer(
    pools: Sequence[Pool], settings: BatchSettings, members: int, longest: int | None = None
) -> Draw:
    """Batches of one shape, each drawn from (seed, step) alone.

    Args:
        longest: days the recurrence runs over at most, where ``settings.window_days`` is more.
    """
    sites = min(settings.sites_per_batch, len(pools))
    per_day = max(p.tensors.per_day for p in pools)
    window_days = min(settings.window_days, longest or settings.window_days)
    window = min(window_days * per_day, max(int(p.useful[-1]) + 1 for p in pools))
    warmup = settings.warmup_days * per_day
    # Short blocks: as many steps in all, spread over more blocks.
    steps = max(1, settings.slots_per_day // per_day)
    steps = min(steps, min(p.tensors.slots for p in pools))
    blocks = min(settings.days_per_batch * min(per_day, settings.slots_per_day), window)
    at_once = _at_once(steps)
    if blocks > at_once:
        blocks = -(-blocks // at_once) * at_once

    def draw(step: int) -> tuple[Batch, list[str]]:
        rng = np.random.default_rng((settings.seed, step))
        parts, names = [], []
        for index in rng.choice(len(pools), sites, replace=False):
            pool = pools[index]
            possible = len(pool.members) if pool.chance is None else np.sum(pool.chance > 0)
            drawn = rng.choice(pool.members, members, replace=possible < members, p=pool.chance)
            sample = _sample(rng, pool, drawn, (window, blocks, steps), warmup)
            parts.append((*sample, np.int32(index)))
            names += [f"site {pool.tensors.code}, member {int(m)}" for m in drawn]
        return Batch(*(_to_device(p) for p in zip(*parts, strict=True))), names

    return draw


def losses(surrogate: Surrogate, batch: Batch) -> jax.Array:
    """Squared error over variance, by tower and member, and task.

    Steps whose target is NaN do not count.

    Returns:
        shape (site x member, task).
    """
    slow = jax.vmap(surrogate.memory)(
        batch.unit, batch.default_unit, batch.summary, batch.day_of_year
    )
    slow = jax.vmap(lambda blocks, chosen: blocks[chosen])(slow, batch.chosen)
    counts = ~jnp.isnan(batch.target)
    target = jnp.where(counts, batch.target, 0)

    # Few blocks at once, recomputed in the backward pass: the arrays stay in the cache, which is
    # twice as fast as keeping them.
    @jax.checkpoint
    def squares(few: tuple[jax.Array, ...]) -> jax.Array:
        slow, dynamic, target, counts = few
        error = jnp.where(counts, surrogate.correction(slow, dynamic) - target, 0)
        return (error**2).sum(axis=(0, 2))

    sites, blocks = batch.chosen.shape
    at_once = _at_once(batch.target.shape[3])
    at_once = at_once if blocks % at_once == 0 else blocks

    def cut(x: jax.Array) -> jax.Array:
        return x.reshape(-1, at_once, *x.shape[2:])

    summed = jax.lax.map(squares, (cut(slow), cut(batch.dynamic), cut(target), cut(counts)))
    summed = summed.reshape(sites, -1, *summed.shape[1:]).sum(axis=1)
    number = jnp.maximum(counts.sum(axis=(1, 3)), 1).astype(summed.dtype)
    parts = summed / number * batch.importance[:, None]
    return parts.reshape(-1, parts.shape[-1])


def _sample(
    rng: np.random.Generator,
    pool: Pool,
    members: np.ndarray,
    shape: tuple[int, int, int],
    warmup: int,
) -> tuple[np.ndarray, ...]:
    """One tower's share of a `Batch`, in its order."""
    window, blocks, steps = shape
    tensors, useful = pool.tensors, pool.useful
    start, skip = _stretch(rng, int(useful[-1]) + 1, window, warmup)
    within = useful[(useful >= start + skip) & (useful < start + window)]
    chosen = np.sort(rng.choice(within, min(blocks, len(within)), replace=False))
    padded = np.resize(chosen, blocks) if len(chosen) else np.full(blocks, start)
    slot = np.argsort(rng.random((blocks, tensors.slots)), axis=1)[:, :steps]
    picked = pool.residual[members[:, None, None], padded[:, None], slot]
    target = np.moveaxis(picked, 0, 1).astype(np.float32)
    target[len(chosen) :] = np.nan
    stretch = np.minimum(start + np.arange(window), tensors.blocks - 1)
    return (
        pool.unit[members],
        tensors.default_unit,
        tensors.summary[stretch],
        tensors.day_of_year[stretch],
        (padded - start).astype(np.int32),
        tensors.dynamic[padded[:, None], slot],
        target,
        pool.importance,
    )


def _stretch(rng: np.random.Generator, extent: int, window: int, warmup: int) -> tuple[int, int]:
    """First block of a stretch, and how many of its blocks do not count.

    A stretch that begins with the record counts from its first block; its chance is that of a
    start within the warm-up, so that the record's first days count about as often as others.
    """
    if extent <= window:
        return 0, 0
    warmup = min(warmup, window // 2)
    start = int(rng.integers(-warmup, extent - window + 1))
    return (start, warmup) if start > 0 else (0, 0)


def _at_once(steps: int) -> int:
    """Blocks worked on together, by the steps of each."""
    return max(1, _STEPS_AT_ONCE // steps)


def _to_device(parts: Sequence[np.ndarray]) -> jax.Array:
    stacked = np.stack(parts)
    whole = np.issubdtype(stacked.dtype, np.integer)
    return jnp.asarray(stacked, dtype=jnp.int32 if whole else jnp.float32)
