r"""Train the parameter generator through the frozen surrogate against measured fluxes.

The objective is the paper's Eq. 2. With the generator :math:`g_z` (weights z), the attributes
:math:`A_s` of tower s, the surrogate :math:`f` and the forcing :math:`X_s`,

.. math:: J(z) = \frac{1}{ST} \sum_{s,k} \frac{\overline{(f_k(X_s, g_z(A_s)) - y_{sk})^2}}
          {\mathrm{var}(y_{sk})} + w \, \overline{\left(\frac{g_z(A_s) - u_s}{b}\right)^2}

where k runs over the T fluxes, S is the number of towers that measure flux k, bars are means over
measured steps (first term) and over towers and parameters (second), :math:`u_s` is the tower's
default in the unit cube, b the prior width of each parameter and w the weight of the prior.

Against daily means :math:`y_d` with standard deviations :math:`\sigma_d`, :math:`f` is averaged
over all steps of the day, and the first term is the share of weighted variance left unexplained,

.. math:: \frac{\sum_d w_d (f_d - y_d)^2}{\sum_d w_d (y_d - \bar y)^2}, \quad
          w_d = \frac{1}{\sigma_d^2 + (e \, \mathrm{sd}(y))^2}

with :math:`\bar y` the mean weighted by w and e the share of the observations' own spread that no
parameter is expected to explain; with equal :math:`\sigma_d` it is Eq. 2 of daily means.

How the gradient reaches g_z: the chain rule gives
:math:`\partial J/\partial z = \sum_s (\partial J/\partial f_s) (\partial f_s/\partial u)
(\partial g_z(A_s)/\partial z)`. The middle factor, the response of the fluxes to the parameters,
is what no land model in Fortran can give; here it is reverse-mode differentiation of the
surrogate, through its head, its recurrence over all earlier days and its first state. The
surrogate's own weights are constants: only z moves.
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

from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ModelError, SiteError
from mdpl.generator.known import Known
from mdpl.generator.network import Generator, fit_encoder, untrained
from mdpl.progress import Progress
from mdpl.surrogate.balance import balance
from mdpl.surrogate.batches import Batch, Pool, drawer, losses
from mdpl.surrogate.loop import descend
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.windows import SiteTensors


@dataclass(frozen=True)
class DailyTargets:
    """Daily means to learn from in place of single steps.

    Attributes:
        values: task -> daily mean on the whole days of the tower's record, shape (day,); NaN
            where a day does not count.
        variance: task -> of its error, that of the observation and of the model, shape (day,).
    """

    values: Mapping[str, np.ndarray]
    variance: Mapping[str, np.ndarray]

    def stacked(self, tasks: Sequence[str], days: int) -> tuple[np.ndarray, np.ndarray]:
        """Values and weights of mean one, shape (day, task), NaN where a day does not count."""
        empty = np.full(days, np.nan)
        values = np.stack([self.values.get(task, empty) for task in tasks], axis=-1)
        variance = np.stack([self.variance.get(task, empty) for task in tasks], axis=-1)
        weight = np.where(np.isfinite(values), 1.0 / variance, np.nan)
        number = np.maximum(np.isfinite(weight).sum(axis=0), 1)
        total = np.nansum(weight, axis=0)
        return values, weight / np.where(total > 0, total / number, 1.0)


@dataclass(frozen=True)
class TowerObservations:
    """What a generator may learn of one tower.

    Attributes:
        tensors: the tower as the surrogate sees it.
        known: what the generator is told of the place.
        observed: task -> measured flux, shape (time,), NaN where missing.
        counts: task -> True where a step is measured and in the calibration period, (time,).
        daily: None, or daily means that are learnt from instead.
    """

    tensors: SiteTensors
    known: Known
    observed: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]
    daily: DailyTargets | None = None

    def folded(self) -> np.ndarray:
        """Counting observations by block, shape (block, slot, task); NaN elsewhere.

        Raises:
            SiteError: nothing is left to learn from.
        """
        series = []
        for task in self.tensors.tasks:
            if task in self.observed and task in self.counts:
                values = np.where(self.counts[task], self.observed[task], np.nan)
            else:
                values = np.full(self.tensors.n_time, np.nan)
            series.append(self.tensors.fold(values))
        folded = np.stack(series, axis=-1)
        if not np.isfinite(folded).any():
            raise SiteError(
                f"site {self.tensors.code}: no measured step of {', '.join(self.tensors.tasks)} "
                "in the calibration period; leave the tower out"
            )
        return folded


def train(
    surrogate: Surrogate,
    towers: Sequence[TowerObservations],
    config: GeneratorConfig,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> tuple[Generator, pd.DataFrame]:
    """Train a generator (or free parameters, ``config.kind``).

    The weights kept are those with the least objective over all calibration data, among those of
    every ``config.evaluate_every`` steps, of the start (the defaults) and of the end.

    Args:
        folder: for checkpoints and ``history.csv``; a training found there is continued.

    Returns:
        the generator, and its history (see `mdpl.surrogate.loop.descend`).

    Raises:
        ModelError: no towers, a tower prepared for another surrogate, or a loss not finite.
        SiteError: a tower without measured steps.
        RunError: the folder cannot be used.
    """
    if not towers:
        raise ModelError("the generator needs the observations of at least one tower, found none")
    for tower in towers:
        surrogate.check(tower.tensors)
    codes = [tower.tensors.code for tower in towers]
    encoder = fit_encoder(codes, [t.known for t in towers], config.kind)
    start = untrained(config, encoder, surrogate.parameter_names)
    pools = _present([_pool(surrogate, tower) for tower in towers])
    features = jnp.stack([jnp.asarray(encoder(t.tensors.code, t.known)) for t in towers])

    def generator(weights: Any) -> Generator:
        return eqx.tree_at(lambda g: g.layers, start, weights)

    frozen, static = eqx.partition(surrogate, eqx.is_array)

    def objective(
        weights: Any, batch: Batch, frozen: Surrogate, features: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        through = eqx.combine(frozen, static)
        return loss_of_generator(generator(weights), through, features, batch, config)

    def judge(weights: Any) -> float:
        return full_loss(generator(weights), surrogate, towers, pools, config)

    found = descend(
        start.layers,
        objective,
        drawer(pools, config, members=1, longest=surrogate.window_days),
        config,
        tasks=surrogate.tasks,
        description="generator",
        fixed=(frozen, features),
        folder=folder,
        fingerprint=_fingerprint(surrogate, pools, features, config),
        progress=progress,
        judge=judge,
        judge_every=config.evaluate_every,
    )
    return generator(found.weights), found.history


def loss_of_generator(
    generator: Generator,
    surrogate: Surrogate,
    features: jax.Array,
    batch: Batch,
    config: GeneratorConfig,
) -> tuple[jax.Array, jax.Array]:
    """Eq. 2 on a batch.

    Args:
        features: of all training towers, shape (tower, feature); ``batch.tower`` picks from it.

    Returns:
        the penalty, and the error over variance by (site, task).
    """
    unit = jax.vmap(generator)(features[batch.tower], batch.default_unit)
    far = (unit - batch.default_unit) / jnp.asarray(
        config.widths(surrogate.parameter_names), unit.dtype
    )
    penalty = config.prior_weight * (far**2).mean()
    return penalty, losses(surrogate, batch._replace(unit=unit[:, None]))


def full_loss(
    generator: Generator,
    surrogate: Surrogate,
    towers: Sequence[TowerObservations],
    pools: Sequence[Pool],
    config: GeneratorConfig,
) -> float:
    """Eq. 2 on every counting step of every tower, tasks weighed as the user says."""
    weights = balance("fixed", config.task_weights, surrogate.tasks, 0).weights
    widths = np.array(config.widths(surrogate.parameter_names))
    errors, penalties = [], []
    for tower, pool in zip(towers, pools, strict=True):
        tensors = tower.tensors
        unit = generator.parameters(tensors.code, tower.known, tensors.default_unit)
        fluxes = np.moveaxis(tensors.fold(surrogate.predict(tensors, unit).T), 0, -1)
        correction = _as_targets(fluxes - tensors.reference, pool)
        scaled = correction / np.asarray(surrogate.scalers.task_scale)
        squared = (scaled - pool.residual[0].astype(np.float32)) ** 2
        squared = squared if pool.weight is None else squared * pool.weight[:, None]
        number = np.maximum(np.isfinite(squared).sum(axis=(0, 1)), 1)
        errors.append(np.nansum(squared, axis=(0, 1)) / number * pool.importance * weights)
        penalties.append(((unit - tensors.default_unit) / widths) ** 2)
    return float(np.mean(errors) + config.prior_weight * np.mean(penalties))


def _pool(surrogate: Surrogate, tower: TowerObservations) -> Pool:
    """Observations as the one 'member' of a tower."""
    tensors = tower.tensors
    if tower.daily is None:
        target, weight = tower.folded(), None
    else:
        values, weight = tower.daily.stacked(tensors.tasks, tensors.blocks // tensors.per_day)
        target = values[:, None]
        if not np.isfinite(target).any():
            raise SiteError(
                f"site {tensors.code}: no daily {' or '.join(tensors.tasks)} in the calibration "
                "period; leave the tower out or hold it out"
            )
    scale = np.asarray(surrogate.scalers.task_scale)
    floor = 1e-4 * scale**2
    pool = Pool(
        tensors=tensors,
        unit=tensors.default_unit[None],
        residual=target[None],
        members=np.array([0]),
        importance=scale**2 / np.maximum(_variance(target, weight), floor),
        weight=weight,
    )
    residual = (target - _as_targets(tensors.reference, pool)) / scale
    return replace(pool, residual=residual.astype(np.float16)[None])


def _variance(target: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Of what counts, (task,), weighted by day; infinite where nothing does.

    Args:
        target: (block or day, slot, task).
        weight: (day, task), mean one; None weighs all alike.
    """
    found = []
    for k in range(target.shape[-1]):
        values = target[..., k]
        known = np.isfinite(values)
        if not known.any():
            found.append(np.inf)
        elif weight is None:
            found.append(np.var(values[known]))
        else:
            own = weight[known[:, 0], k]
            mean = np.average(values[known], weights=own)
            found.append(np.average((values[known] - mean) ** 2, weights=own))
    return np.array(found)


def _as_targets(series: np.ndarray, pool: Pool) -> np.ndarray:
    """Steps (block, slot, task) as the pool's targets are: themselves, or daily means."""
    if pool.weight is None:
        return series
    days = series.shape[0] // pool.span
    return series.reshape(days, 1, -1, series.shape[-1]).mean(axis=2)


def _present(pools: Sequence[Pool]) -> list[Pool]:
    """A flux counts by the towers that measure it: the others are no towers without error."""
    measure = np.array([pool.importance > 0 for pool in pools])
    share = np.maximum(measure.mean(axis=0), 1 / len(pools))
    return [replace(pool, importance=pool.importance / share) for pool in pools]


def _fingerprint(
    surrogate: Surrogate, pools: Sequence[Pool], features: jax.Array, config: GeneratorConfig
) -> str:
    digest = hashlib.sha256(config.model_dump_json().encode())
    for leaf in jax.tree.leaves((eqx.filter(surrogate, eqx.is_array), features)):
        digest.update(np.asarray(leaf).tobytes())
    for pool in pools:
        digest.update(pool.tensors.code.encode())
        digest.update(pool.residual.tobytes())
        if pool.weight is not None:
            digest.update(pool.weight.tobytes())
    return digest.hexdigest()
