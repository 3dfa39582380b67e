"""Train the surrogate on an ensemble of land-model runs, and judge it on runs it never saw.

The loss is the paper's Eq. 1: the squared error of every flux, here divided by the variance of
that flux in the tower's ensemble so that no tower and no flux drowns another, averaged over
towers, members and tasks. One minus a task's loss is its coefficient of determination.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from mdpl.config_learning import SurrogateConfig
from mdpl.errors import ModelError
from mdpl.progress import Progress
from mdpl.surrogate.batches import Batch, Pool, drawer, losses
from mdpl.surrogate.layers import drawn
from mdpl.surrogate.loop import as_device, descend
from mdpl.surrogate.network import Network, Scalers, Surrogate
from mdpl.surrogate.optimisers import muon
from mdpl.surrogate.windows import SiteTensors


@dataclass(frozen=True)
class TowerRuns:
    """The ensemble of one tower.

    Attributes:
        tensors: the tower as the surrogate sees it.
        unit: parameters of each member in the unit cube, shape (member, parameter).
        targets: task -> land-model output on the tower's time axis, shape (member, time); any
            array with NumPy indexing (NumPy, zarr). NaN does not count: a failed member is NaN.
        near: True for members about the learnt parameters, shape (member,); they are half of
            what is drawn for training, however few. None means there are none.
    """

    tensors: SiteTensors
    unit: np.ndarray
    targets: Mapping[str, Any]
    near: np.ndarray | None = None

    def select(self, members: np.ndarray) -> TowerRuns:
        """Only these members (an index array)."""
        targets = {task: np.asarray(v[:])[members] for task, v in self.targets.items()}
        near = None if self.near is None else self.near[members]
        return replace(self, unit=np.asarray(self.unit)[members], targets=targets, near=near)

    def with_near(self, others: TowerRuns) -> TowerRuns:
        """These members, and others about the learnt parameters of the same tower."""
        own = np.zeros(len(self.unit), bool) if self.near is None else self.near
        return replace(
            self,
            unit=np.concatenate([self.unit, others.unit]),
            targets={
                k: np.concatenate([v[:], others.targets[k][:]]) for k, v in self.targets.items()
            },
            near=np.concatenate([own, np.ones(len(others.unit), bool)]),
        )

    def folded(self) -> np.ndarray:
        """Targets by block, shape (member, block, slot, task), float32.

        Raises:
            ModelError: a task is absent or the shapes do not agree.
        """
        code, members = self.tensors.code, len(self.unit)
        series = []
        for task in self.tensors.tasks:
            if task not in self.targets:
                raise ModelError(
                    f"site {code}: the ensemble lacks {task}; it has {', '.join(self.targets)}"
                )
            values = np.asarray(self.targets[task][:], dtype=np.float32)
            if values.shape != (members, self.tensors.n_time):
                raise ModelError(
                    f"site {code}, {task}: expected simulations of shape "
                    f"({members}, {self.tensors.n_time}) (member, time), found {values.shape}"
                )
            series.append(self.tensors.fold(values))
        return np.stack(series, axis=-1)


def hold_out(n_members: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split members at random into those to train on and those never to be seen; one of each at
    least.

    Raises:
        ModelError: fewer than two members.
    """
    if n_members < 2:
        raise ModelError(
            f"a surrogate needs two members or more of every tower, one of them to be judged by; "
            f"found {n_members} that ran"
        )
    order = np.random.default_rng(seed).permutation(n_members)
    held = min(max(1, round(share * n_members)), n_members - 1)
    return np.sort(order[held:]), np.sort(order[:held])


def train(
    runs: Sequence[TowerRuns],
    parameter_names: Sequence[str],
    config: SurrogateConfig,
    *,
    start: Surrogate | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Surrogate, pd.DataFrame]:
    """Train a surrogate.

    Args:
        runs: the ensemble of each tower, training members only.
        parameter_names: names of the columns of ``TowerRuns.unit``.
        start: a surrogate to go on from instead of a fresh one; its scalers are kept.
        folder: for checkpoints and ``history.csv``; if it holds a checkpoint of this training,
            it is continued, to the same result bit for bit.

    Returns:
        the surrogate, and its history (see `mdpl.surrogate.loop.descend`).

    Raises:
        ModelError: no runs to learn from, towers prepared differently, or a loss not finite.
        RunError: the folder cannot be used.
    """
    _check(runs, parameter_names)
    first = runs[0].tensors
    if start is not None:
        start.check(first)
    scale = None if start is None else np.asarray(start.scalers.task_scale)
    pools, scalers = _pools(runs, scale)
    surrogate = start or _fresh(first, parameter_names, config, scalers)
    weights, static = eqx.partition(surrogate.network, eqx.is_inexact_array)

    def objective(weights: Any, batch: Batch, scalers: Scalers) -> tuple[jax.Array, jax.Array]:
        network = eqx.combine(weights, static)
        taught = replace(surrogate, network=network, scalers=scalers)
        return jnp.zeros((), jnp.float32), losses(taught, batch)

    found = descend(
        weights,
        objective,
        drawer(pools, config, config.members_per_batch),
        config,
        tasks=surrogate.tasks,
        description="surrogate",
        fixed=(surrogate.scalers,),
        folder=folder,
        fingerprint=_fingerprint(runs, parameter_names, config, start),
        progress=progress,
        optimiser=muon,
    )
    return replace(surrogate, network=eqx.combine(found.weights, static)), found.history


def _fresh(
    tensors: SiteTensors,
    parameter_names: Sequence[str],
    config: SurrogateConfig,
    scalers: Scalers,
) -> Surrogate:
    sizes = (
        len(parameter_names),
        len(tensors.dynamic_names),
        len(tensors.summary_names),
        len(tensors.tasks),
    )
    return Surrogate(
        drawn(Network(config, *sizes), config.seed),
        scalers,
        tensors.tasks,
        tuple(parameter_names),
        tensors.dynamic_names,
        tensors.summary_names,
        config.window_days,
    )


def _pools(
    runs: Sequence[TowerRuns], scale: np.ndarray | None = None
) -> tuple[list[Pool], Scalers]:
    spreads, variances, pools = [], [], []
    for tower in runs:
        target = tower.folded()
        variances.append(_variance(target))
        spreads.append(_mean((target - tower.tensors.reference) ** 2))
    if scale is None:
        scale = np.sqrt(np.mean(spreads, axis=0))
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
    for tower, variance in zip(runs, variances, strict=True):
        target = tower.folded()
        with np.errstate(over="ignore"):  # beyond float16 is infinite, and reported as such
            residual = ((target - tower.tensors.reference) / scale).astype(np.float16)
        alive = np.flatnonzero(~np.isnan(residual).all(axis=(1, 2, 3)))
        if not alive.size:
            raise ModelError(
                f"site {tower.tensors.code}: all {len(residual)} simulations failed; "
                "look at the ensemble's log before training"
            )
        floor = 1e-4 * scale**2
        importance = scale**2 / np.where(variance > floor, variance, floor)
        chance = None if tower.near is None else _chance(tower.near[alive])
        unit = np.asarray(tower.unit)
        pools.append(Pool(tower.tensors, unit, residual, alive, importance, chance))
    return pools, fit_scalers([tower.tensors for tower in runs], scale)


def _chance(near: np.ndarray) -> np.ndarray | None:
    """Half for the members about the learnt parameters, half for all others."""
    if near.all() or not near.any():
        return None
    return np.where(near, 0.5 / near.sum(), 0.5 / (~near).sum())


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean of each task over finite values, 0 if there are none.

    Infinite values are left for the loop to report, which knows their place.
    """
    finite = np.isfinite(values)
    axes = tuple(range(values.ndim - 1))
    total = values.sum(axis=axes, where=finite, dtype=float)
    return np.asarray(total / np.maximum(finite.sum(axis=axes), 1))


def _variance(values: np.ndarray) -> np.ndarray:
    return _mean((values - _mean(values)) ** 2)


def fit_scalers(tensors: Sequence[SiteTensors], task_scale: np.ndarray) -> Scalers:
    """Mean and spread of the inputs, every tower counting once whatever its length."""

    def moments(name: str) -> tuple[jax.Array, jax.Array]:
        flat = [getattr(t, name).reshape(-1, getattr(t, name).shape[-1]) for t in tensors]
        mean = np.mean([f.mean(axis=0, dtype=float) for f in flat], axis=0)
        var = np.mean([((f - mean) ** 2).mean(axis=0, dtype=float) for f in flat], axis=0)
        sd = np.sqrt(var)
        constant = sd <= 1e-6 * np.maximum(np.abs(mean), 1e-12)
        return as_device(mean), as_device(np.where(constant, 1, sd))

    return Scalers(*moments("dynamic"), *moments("summary"), as_device(task_scale))


def _check(runs: Sequence[TowerRuns], parameter_names: Sequence[str]) -> None:
    if not runs:
        raise ModelError("the surrogate needs the ensemble of at least one tower, found none")
    first = runs[0].tensors
    for tower in runs:
        own = tower.tensors
        if (own.tasks, own.dynamic_names, own.summary_names) != (
            first.tasks,
            first.dynamic_names,
            first.summary_names,
        ):
            raise ModelError(
                f"site {own.code}: tasks {own.tasks} and inputs {own.dynamic_names} differ from "
                f"those of site {first.code} ({first.tasks}, {first.dynamic_names}); prepare all "
                "towers with the same land-model outputs"
            )
        if np.shape(tower.unit)[1:] != (len(parameter_names),):
            raise ModelError(
                f"site {own.code}: expected parameters of shape (member, {len(parameter_names)}), "
                f"found {np.shape(tower.unit)}"
            )


def _fingerprint(
    runs: Sequence[TowerRuns],
    parameter_names: Sequence[str],
    config: SurrogateConfig,
    start: Surrogate | None,
) -> str:
    """Tells one training from another by settings, towers, parameters, inputs and start."""
    digest = hashlib.sha256(config.model_dump_json().encode())
    digest.update(repr(tuple(parameter_names)).encode())
    for tower in runs:
        digest.update(repr((tower.tensors.code, tower.tensors.tasks)).encode())
        digest.update(np.ascontiguousarray(tower.unit, dtype=np.float64).tobytes())
        digest.update(tower.tensors.dynamic.tobytes())
        for task, values in sorted(tower.targets.items()):
            digest.update(task.encode())
            digest.update(np.ascontiguousarray(values, dtype=np.float32).tobytes())
    for leaf in jax.tree.leaves(eqx.filter(start, eqx.is_array)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()
