"""The multi-task surrogate: forcing, day of year and parameters in, fluxes out.

As in the paper's Figure 1b the calibration parameters and an embedding of the day of year are
concatenated first; that slow feature meets the fast inputs; then come shared layers, gates, and
one tower a task. Between them a recurrence runs over *blocks* and carries what the soil
remembers. A block is a day (the *day-block* network: a day's fluxes at once, memory from day to
day) or a few hours, down to a single step (the *sequence* network, the paper's).

A linear layer of concatenated inputs is the sum of one linear layer for each input. The networks
below are written that way: what depends on the member, the block or the step alone is computed
once for it, and only the sum has the size of all three.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.config_learning import SurrogateConfig
from mdpl.errors import ModelError
from mdpl.surrogate.layers import linear, zeros
from mdpl.surrogate.windows import SiteTensors

HARMONICS = 3
EMBEDDING = 8
_MEMBER_CHUNK = 16
_STEP_CHUNK = 61 * 48


def _apply(layer: eqx.nn.Linear, x: Array) -> Array:
    """A linear layer on the last axis of an array of any rank."""
    y = x @ layer.weight.T
    return y if layer.bias is None else y + layer.bias


class Recurrence(eqx.Module):
    """Gated recurrent unit over blocks (Cho et al. 2014, arXiv:1406.1078).

    Its input is the concatenation of parameters and block features; its first state is a function
    of the parameters and the first block, whose reference soil state is among the features.
    """

    start_parameters: eqx.nn.Linear
    start_block: eqx.nn.Linear
    parameters: eqx.nn.Linear
    block: eqx.nn.Linear
    state: eqx.nn.Linear
    new_bias: Array

    def __init__(self, n_parameters: int, n_block: int, hidden: int):
        self.start_parameters = linear(n_parameters, hidden, bias=False)
        self.start_block = linear(n_block, hidden)
        self.parameters = linear(n_parameters, 3 * hidden, bias=False)
        self.block = linear(n_block, 3 * hidden)
        self.state = linear(hidden, 3 * hidden, bias=False)
        self.new_bias = zeros(hidden)

    def __call__(self, parameters: Array, blocks: Array) -> Array:
        """States, shape (block, member, hidden), from (member, parameter), (block, feature)."""
        member = _apply(self.parameters, parameters)
        start = _apply(self.start_parameters, parameters) + _apply(self.start_block, blocks[0])

        def advance(state: Array, block: Array) -> tuple[Array, Array]:
            reset, update, new = jnp.split(member + block, 3, axis=-1)
            reset_s, update_s, new_s = jnp.split(_apply(self.state, state), 3, axis=-1)
            keep = jax.nn.sigmoid(update + update_s)
            candidate = jnp.tanh(new + jax.nn.sigmoid(reset + reset_s) * (new_s + self.new_bias))
            state = candidate + keep * (state - candidate)
            return state, state

        _, states = jax.lax.scan(advance, jnp.tanh(start), _apply(self.block, blocks))
        return states


class Network(eqx.Module):
    """Parameters ++ day of year, recurrence, shared layers, gates, towers; all standardised.

    Made without weights; `mdpl.surrogate.layers.drawn` gives it the first ones.
    """

    embedding: eqx.nn.Linear
    recurrence: Recurrence
    slow: eqx.nn.Linear
    fast: eqx.nn.Linear
    shared: tuple[eqx.nn.Linear, ...]
    towers: tuple[tuple[eqx.nn.Linear, eqx.nn.Linear], ...]

    def __init__(
        self,
        config: SurrogateConfig,
        n_parameters: int,
        n_dynamic: int,
        n_summary: int,
        n_tasks: int,
    ):
        slow = n_parameters + EMBEDDING + config.hidden
        into = config.width * (1 + n_tasks)
        self.embedding = linear(2 * HARMONICS, EMBEDDING)
        self.recurrence = Recurrence(n_parameters, EMBEDDING + n_summary, config.hidden)
        self.slow = linear(slow, into)
        self.fast = linear(n_dynamic, into, bias=False)
        self.shared = tuple(linear(config.width, config.width) for _ in range(config.layers - 1))
        self.towers = tuple(
            (linear(config.width, config.tower), linear(config.tower, 1)) for _ in range(n_tasks)
        )

    def memory(self, unit: Array, summary: Array, day_of_year: Array) -> Array:
        """Slow features of each block.

        Args:
            unit: parameters in the unit cube, shape (member, parameter).
            summary: standardised summary of the blocks, shape (block, summary).
            day_of_year: shape (block,).

        Returns:
            parameters ++ day-of-year embedding ++ recurrent state, shape (block, member, slow).
        """
        parameters = 2 * unit - 1
        season = _apply(self.embedding, _harmonics(day_of_year))
        states = self.recurrence(parameters, jnp.concatenate([season, summary], axis=-1))
        shape = (states.shape[0], states.shape[1])
        return jnp.concatenate(
            [
                jnp.broadcast_to(parameters, (*shape, parameters.shape[-1])),
                jnp.broadcast_to(season[:, None], (*shape, season.shape[-1])),
                states,
            ],
            axis=-1,
        )

    def head(self, slow: Array, dynamic: Array) -> Array:
        """Fluxes of single steps.

        Args:
            slow: from `memory`, shape (block, member, slow).
            dynamic: standardised inputs, shape (block, step, dynamic).

        Returns:
            standardised fluxes, shape (block, member, step, task).
        """
        joined = _apply(self.slow, slow)[:, :, None] + _apply(self.fast, dynamic)[:, None]
        first, *gates = jnp.split(joined, 1 + len(self.towers), axis=-1)
        shared = jax.nn.silu(first)
        for layer in self.shared:
            shared = jax.nn.silu(_apply(layer, shared))
        fluxes = [
            _apply(last, jax.nn.silu(_apply(inner, shared * jax.nn.sigmoid(gate))))
            for gate, (inner, last) in zip(gates, self.towers, strict=True)
        ]
        return jnp.concatenate(fluxes, axis=-1)


class Scalers(eqx.Module):
    """Means and spreads of the training towers; part of the surrogate, never trained."""

    dynamic_mean: Array
    dynamic_sd: Array
    summary_mean: Array
    summary_sd: Array
    task_scale: Array

    def dynamic(self, values: Array) -> Array:
        return (values - self.dynamic_mean) / self.dynamic_sd

    def summary(self, values: Array) -> Array:
        return (values - self.summary_mean) / self.summary_sd


class Surrogate(eqx.Module):
    """A trained emulator of one land model.

    The prediction at parameters p is ``reference + f(p) - f(p_default)``, f being the network:
    at the default parameters it is the land model's own default run, exactly.

    Attributes:
        tasks, parameter_names: what it predicts, from what, in this order.
        dynamic_names, summary_names: inputs it was trained on, as in `SiteTensors`.
        window_days: longest stretch its recurrence ran over in training.
    """

    network: Network
    scalers: Scalers
    tasks: tuple[str, ...] = eqx.field(static=True)
    parameter_names: tuple[str, ...] = eqx.field(static=True)
    dynamic_names: tuple[str, ...] = eqx.field(static=True)
    summary_names: tuple[str, ...] = eqx.field(static=True)
    window_days: int = eqx.field(static=True)

    def memory(self, unit: Array, default_unit: Array, summary: Array, day_of_year: Array) -> Array:
        """Slow features of some members, and of the tower's default as one more, the last.

        Args:
            unit: shape (member, parameter), unit cube.
            default_unit: shape (parameter,).
            summary: in physical units, shape (block, summary).

        Returns:
            shape (block, member + 1, slow), for `correction`; a block depends on those before.
        """
        both = jnp.concatenate([unit, default_unit[None]])
        return self.network.memory(both, self.scalers.summary(summary), day_of_year)

    def correction(self, slow: Array, dynamic: Array) -> Array:
        """What to add to the reference, in units of `Scalers.task_scale`; differentiable.

        Args:
            slow: chosen blocks of `memory`, shape (block, member + 1, slow).
            dynamic: chosen steps of them, in physical units, shape (block, step, dynamic).

        Returns:
            shape (block, member, step, task).
        """
        fluxes = self.network.head(slow, self.scalers.dynamic(dynamic))
        return fluxes[:, :-1] - fluxes[:, -1:]

    def predict(self, tensors: SiteTensors, unit: np.ndarray) -> np.ndarray:
        """Predict the whole record of a tower.

        Args:
            unit: parameters in the unit cube, shape (parameter,) or (member, parameter).

        Returns:
            shape (time, task) or (member, time, task), float32, in the units of the targets;
            NaN at steps outside whole days.

        Raises:
            ModelError: parameters, inputs or tasks are not those of the training.
        """
        self.check(tensors)
        unit = np.asarray(unit, dtype=np.float32)
        members = np.atleast_2d(unit)
        if members.shape[-1] != len(self.parameter_names):
            raise ModelError(
                f"expected {len(self.parameter_names)} parameters in the last axis, "
                f"found shape {unit.shape}"
            )
        both = np.concatenate([tensors.default_unit[None], members])
        shape = (len(both), tensors.blocks, tensors.slots, len(self.tasks))
        raw = np.empty(shape, np.float32)
        for start in range(0, len(both), _MEMBER_CHUNK):
            part = both[start : start + _MEMBER_CHUNK]
            raw[start : start + len(part)] = self._fluxes(tensors, part)
        folded = tensors.reference + (raw[1:] - raw[:1])
        series = np.moveaxis(tensors.unfold(np.moveaxis(folded, -1, 1)), 1, -1)
        return series if unit.ndim > 1 else series[0]

    def check(self, tensors: SiteTensors) -> None:
        """Refuse a tower prepared for another surrogate."""
        for what, own, found in (
            ("tasks", self.tasks, tensors.tasks),
            ("inputs", self.dynamic_names, tensors.dynamic_names),
            ("summary of a block", self.summary_names, tensors.summary_names),
        ):
            if own != found:
                raise ModelError(
                    f"site {tensors.code}: the surrogate has the {what} {', '.join(own)}, the "
                    f"tower {', '.join(found)}; prepare both with the same land-model outputs"
                )

    def _fluxes(self, tensors: SiteTensors, members: np.ndarray) -> np.ndarray:
        """f(p) of some members, (member, block, slot, task); fixed shapes, few compilations."""
        count = _padded(len(members))
        unit = np.concatenate([members, np.repeat(members[-1:], count - len(members), axis=0)])
        year, blocks = 366 * tensors.per_day, tensors.blocks
        pad = -blocks % year
        summary = np.pad(tensors.summary, ((0, pad), (0, 0)), mode="edge")
        slow = _memory(self, unit, summary, np.pad(tensors.day_of_year, (0, pad), mode="edge"))
        out = np.empty((len(members), blocks, tensors.slots, len(self.tasks)), np.float32)
        chunk = max(1, _STEP_CHUNK // tensors.slots)
        for start in range(0, blocks, chunk):
            stop = min(start + chunk, blocks)
            begin = max(0, stop - chunk)
            fluxes = _head(self, slow[begin:stop], tensors.dynamic[begin:stop])
            out[:, begin:stop] = np.moveaxis(np.asarray(fluxes), 0, 1)[: len(members)]
        return out


@eqx.filter_jit
def _memory(
    surrogate: Surrogate, unit: np.ndarray, summary: np.ndarray, day_of_year: np.ndarray
) -> Array:
    blocks = surrogate.scalers.summary(jnp.asarray(summary))
    return surrogate.network.memory(jnp.asarray(unit), blocks, jnp.asarray(day_of_year))


@eqx.filter_jit
def _head(surrogate: Surrogate, slow: Array, dynamic: np.ndarray) -> Array:
    scalers = surrogate.scalers
    return surrogate.network.head(slow, scalers.dynamic(jnp.asarray(dynamic))) * scalers.task_scale


def _padded(members: int) -> int:
    """1, 2, 4, ... up to the chunk, so that few shapes are compiled."""
    return int(min(_MEMBER_CHUNK, 1 << (members - 1).bit_length()))


def _harmonics(day_of_year: Array) -> Array:
    """Sine and cosine of the season, shape (block, 2 * HARMONICS)."""
    order = jnp.arange(1, HARMONICS + 1, dtype=jnp.float32)
    angle = jnp.float32(2 * np.pi / 365.25) * day_of_year[:, None] * order
    return jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], axis=-1)
