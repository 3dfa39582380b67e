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

from mdpl.errors import ModelError
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
        weight: None, or what a day counts, shape (day, task), mean one over those that do. Then
            targets are daily means, and ``residual`` has the shape (member, day, 1, task).
    """

    tensors: SiteTensors
    unit: np.ndarray
    residual: np.ndarray
    members: np.ndarray
    importance: np.ndarray
    chance: np.ndarray | None = None
    weight: np.ndarray | None = None

    @property
    def span(self) -> int:
        """Blocks that one target is the mean of; 1 where each step has its own."""
        return 1 if self.weight is None else self.tensors.per_day

    @cached_property
    def useful(self) -> np.ndarray:
        """Blocks (or days, of daily means) with any target, in increasing order."""
        return np.flatnonzero(~np.isnan(self.residual).all(axis=(0, 2, 3)))

    @property
    def extent(self) -> int:
        """Blocks up to the last with a target."""
        return (int(self.useful[-1]) + 1) * self.span


class Batch(NamedTuple):
    """Towers x members of one step; W blocks of recurrence, D of them with K steps in the loss.

    Where targets are daily means, the D blocks are those of whole days in order, K all their
    steps, and ``target`` has a day for D and 1 for K.
    """

    unit: jax.Array  # (site, member, parameter)
    default_unit: jax.Array  # (site, parameter)
    summary: jax.Array  # (site, W, summary)
    day_of_year: jax.Array  # (site, W)
    chosen: jax.Array  # (site, D), blocks within W
    dynamic: jax.Array  # (site, D, K, dynamic)
    target: jax.Array  # (site, D, member, K, task), minus reference, scaled; NaN does not count
    importance: jax.Array  # (site, task)
    tower: jax.Array  # (site,), which pool
    weight: jax.Array | None = None  # (site, day, task), of daily means


def drawer(
    pools: Sequence[Pool], settings: BatchSettings, members: int, longest: int | None = None
) -> Draw:
    """Batches of one shape, each drawn from (seed, step) alone, in halves where towers are even.

    Args:
        longest: days the recurrence runs over at most, where ``settings.window_days`` is more.
    """
    per_day = max(p.tensors.per_day for p in pools)
    window_days = min(settings.window_days, longest or settings.window_days)
    window = min(window_days * per_day, max(p.extent for p in pools))
    warmup = settings.warmup_days * per_day
    if pools[0].weight is not None:
        slots = _slots_of_all(pools)
        at_once = _at_once(per_day * slots)
        days = max(1, min(settings.days_per_batch, window // per_day) // at_once) * at_once
        return _draws(pools, settings, members, (window, days, slots), warmup)
    # Short blocks: as many steps in all, spread over more blocks.
    steps = max(1, settings.slots_per_day // per_day)
    steps = min(steps, min(p.tensors.slots for p in pools))
    blocks = min(settings.days_per_batch * min(per_day, settings.slots_per_day), window)
    at_once = _at_once(steps)
    if blocks > at_once:
        blocks = -(-blocks // at_once) * at_once
    return _draws(pools, settings, members, (window, blocks, steps), warmup)


def _slots_of_all(pools: Sequence[Pool]) -> int:
    """Steps of a block in a batch of whole days: those of the shortest step, others repeated."""
    slots = max(p.tensors.slots for p in pools)
    for tensors in (p.tensors for p in pools):
        if tensors.per_day != pools[0].tensors.per_day or slots % tensors.slots:
            raise ModelError(
                f"site {tensors.code}: daily targets of towers learnt together need steps that "
                f"divide one another, found {slots} and {tensors.slots} in a block, "
                f"{pools[0].tensors.per_day} and {tensors.per_day} blocks in a day; use a longer "
                "surrogate.block_hours, or learn from such towers in a run of their own"
            )
    return slots


def _draws(
    pools: Sequence[Pool],
    settings: BatchSettings,
    members: int,
    shape: tuple[int, int, int],
    warmup: int,
) -> Draw:
    """Batches with W, D (blocks or days) and K of ``shape``."""
    sites = min(settings.sites_per_batch, len(pools))

    def draw(step: int) -> tuple[list[Batch], list[str]]:
        rng = np.random.default_rng((settings.seed, step))
        parts, names = [], []
        for index in rng.choice(len(pools), sites, replace=False):
            pool = pools[index]
            possible = len(pool.members) if pool.chance is None else np.sum(pool.chance > 0)
            drawn = rng.choice(pool.members, members, replace=possible < members, p=pool.chance)
            sample, weight = _sample(rng, pool, drawn, shape, warmup)
            parts.append((*sample, np.int32(index), *weight))
            names += [f"site {pool.tensors.code}, member {int(m)}" for m in drawn]
        halves = [parts[: sites // 2], parts[sites // 2 :]] if sites % 2 == 0 else [parts]
        return [Batch(*map(_to_device, zip(*half, strict=True))) for half in halves], names

    return draw


def losses(surrogate: Surrogate, batch: Batch) -> jax.Array:
    """Squared error over variance, by tower and member, and task.

    Steps whose target is NaN do not count. A target that stands for several blocks, or for all
    steps of its block, is compared with the mean over them.

    Returns:
        shape (site x member, task).
    """
    slow = jax.vmap(surrogate.memory)(
        batch.unit, batch.default_unit, batch.summary, batch.day_of_year
    )
    slow = jax.vmap(lambda blocks, chosen: blocks[chosen])(slow, batch.chosen)
    counts = ~jnp.isnan(batch.target)
    target = jnp.where(counts, batch.target, 0)
    sites, groups, members, steps, tasks = target.shape
    span = batch.chosen.shape[1] // groups
    weight = (
        jnp.ones((sites, groups, tasks), target.dtype) if batch.weight is None else batch.weight
    )

    # Few blocks at once, recomputed in the backward pass: the arrays stay in the cache, which is
    # twice as fast as keeping them.
    @jax.checkpoint
    def squares(few: tuple[jax.Array, ...]) -> jax.Array:
        slow, dynamic, target, counts, weight = few
        answer = surrogate.correction(slow, dynamic)
        answer = answer.reshape(-1, span, members, steps, answer.shape[2] // steps, tasks)
        error = jnp.where(counts, answer.mean(axis=(1, 4)) - target, 0)
        return (weight[:, None, None] * error**2).sum(axis=(0, 2))

    at_once = _at_once(span * batch.dynamic.shape[2])
    at_once = at_once if groups % at_once == 0 else groups

    def cut(x: jax.Array, each: int = 1) -> jax.Array:
        return x.reshape(-1, at_once * each, *x.shape[2:])

    parts = (cut(slow, span), cut(batch.dynamic, span), cut(target), cut(counts), cut(weight))
    summed = jax.lax.map(squares, parts)
    summed = summed.reshape(sites, -1, *summed.shape[1:]).sum(axis=1)
    number = jnp.maximum(counts.sum(axis=(1, 3)), 1).astype(summed.dtype)
    rows = summed / number * batch.importance[:, None]
    return rows.reshape(-1, tasks)


def _sample(
    rng: np.random.Generator,
    pool: Pool,
    members: np.ndarray,
    shape: tuple[int, int, int],
    warmup: int,
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """One tower's share of a `Batch` up to its importance, and of its weight if it has any."""
    window, groups, steps = shape
    tensors, useful, span = pool.tensors, pool.useful, pool.span
    start, skip = _stretch(rng, pool.extent, window, warmup)
    start -= start % span
    inside = (useful * span >= start + skip) & ((useful + 1) * span <= start + window)
    within = useful[inside]
    chosen = np.sort(rng.choice(within, min(groups, len(within)), replace=False))
    padded = np.resize(chosen, groups) if len(chosen) else np.full(groups, start // span)
    blocks = (padded[:, None] * span + np.arange(span)).reshape(-1)
    weight: tuple[np.ndarray, ...] = ()
    if pool.weight is None:
        answered = slot = np.argsort(rng.random((groups, tensors.slots)), axis=1)[:, :steps]
    else:
        each = np.repeat(np.arange(tensors.slots), steps // tensors.slots)
        slot = np.tile(each, (len(blocks), 1))
        answered = np.zeros((groups, 1), dtype=int)
        weight = (np.nan_to_num(pool.weight[padded]),)
    picked = pool.residual[members[:, None, None], padded[:, None], answered]
    target = np.moveaxis(picked, 0, 1).astype(np.float32)
    target[len(chosen) :] = np.nan
    stretch = np.minimum(start + np.arange(window), tensors.blocks - 1)
    sample = (
        pool.unit[members],
        tensors.default_unit,
        tensors.summary[stretch],
        tensors.day_of_year[stretch],
        (blocks - start).astype(np.int32),
        tensors.dynamic[blocks[:, None], slot],
        target,
        pool.importance,
    )
    return sample, weight


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
