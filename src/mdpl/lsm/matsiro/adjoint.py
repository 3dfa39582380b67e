"""Gradients of a whole record's fluxes, month by month.

Reverse mode over a year in one program is compiled anew for every length of record and holds too
much. Here the record is run forward once and the state at the head of each chunk
(`mdpl.lsm.matsiro.engine.CHUNK_STEPS`) is kept; then, from the last chunk to the first, each is run
again from its head, and its steps are pulled back one by one from their states. One program serves
every tower, and memory hardly grows with the record.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import engine
from mdpl.lsm.matsiro.column import advance
from mdpl.lsm.matsiro.place import Place, build
from mdpl.lsm.matsiro.state import Forcing, State
from mdpl.xla import AT_ONCE

OUTPUTS = ("Qle", "Qh", "GPP", "NEE", "Rnet")
"""What slopes can be pulled back from; always all, so that one program serves every choice."""

Outputs = Mapping[str, np.ndarray]
"""name -> (column, time)."""

Pullback = Callable[[Outputs], np.ndarray]
"""From the slope of some function by every output to its slope by every value,
(column, parameter)."""


def vjp(
    values: np.ndarray,
    where: Place,
    state: State,
    spinup: Sequence[Forcing],
    record: Forcing,
    dt: float,
    names: tuple[str, ...],
    most: int,
) -> tuple[dict[str, np.ndarray], Pullback]:
    """Run columns through a record, ready to be differentiated.

    Args:
        values: physical values, (column, parameter); at most `engine.BATCH` columns.
        state: of one column, where all begin; it counts as fixed.
        spinup: records run before, of which nothing is kept but the state; gradients go
            through them.
        names: outputs wanted, of `OUTPUTS`.
        most: Newton steps at most.

    Returns:
        outputs (column, time), and the function that pulls slopes back.

    Raises:
        ModelError: too many columns, or an output no slopes can be pulled back from.
    """
    if len(values) > engine.BATCH or set(names) - set(OUTPUTS):
        raise ModelError(
            f"gradients: expected at most {engine.BATCH} parameter sets and outputs of "
            f"{', '.join(OUTPUTS)}, found {len(values)} and {', '.join(names)}"
        )
    columns = len(values)
    size = engine.BATCH
    padded = engine.pad_columns(values.T).T
    seconds = engine.pad_columns(np.full(columns, float(dt)))
    now, column = jax.tree.map(engine.pad_columns, (state, build(padded, where)))
    forward = engine.compiled(most)
    tape: list[tuple[State, Forcing, slice | None]] = []
    kept: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for part in (*spinup, record):
        for first in range(0, len(part.Tair), engine.CHUNK_STEPS):
            piece = engine.chunk(part, first)
            inside = slice(first, min(first + engine.CHUNK_STEPS, len(part.Tair)))
            tape.append((now, piece, inside if part is record else None))
            now, out, _ = forward(column, now, piece, seconds)
            if part is record:
                for name in names:
                    kept[name].append(np.asarray(out[name])[: inside.stop - first, :columns].T)
    rest = jax.tree.map(jnp.zeros_like, now)

    def pull(slopes: Outputs) -> np.ndarray:
        by_values, by_state = jnp.zeros_like(padded), rest
        for head, piece, inside in reversed(tape):
            slope = {name: np.zeros((engine.CHUNK_STEPS, size)) for name in OUTPUTS}
            if inside is not None:
                for name in names:
                    own = slopes[name][:, inside].T
                    slope[name][: len(own), :columns] = own
            states = forward(column, head, piece, seconds)[2]
            more, by_state = _pull(most)(padded, where, states, piece, seconds, by_state, slope)
            by_values = by_values + more
        return np.asarray(by_values)[:columns]

    return {name: np.concatenate(parts, axis=1) for name, parts in kept.items()}, pull


@functools.lru_cache(maxsize=8)
def _pull(most: int) -> Any:
    """Pulls slopes back through one chunk, whose states are known."""
    keep = engine.keep(OUTPUTS)

    def pull(
        values: Array,
        where: Place,
        states: State,
        piece: Forcing,
        dt: Array,
        by_state: State,
        slope: dict[str, Array],
    ) -> tuple[Array, State]:
        column, to_values = eqx.filter_vjp(lambda v: build(v, where), values)
        numbers, rest = eqx.partition(column, eqx.is_inexact_array)

        def back(by: tuple[Any, State], now: Any) -> tuple[tuple[Any, State], None]:
            state, air, slope = now

            def run(numbers: Any, state: State) -> tuple[State, dict[str, Array]]:
                return advance(eqx.combine(numbers, rest), state, air, dt, most, keep)

            by_numbers, before = jax.vjp(run, numbers, state)[1]((by[1], slope))
            return (jax.tree.map(jnp.add, by[0], by_numbers), before), None

        none = jax.tree.map(jnp.zeros_like, numbers)
        (by_column, before), _ = jax.lax.scan(
            back, (none, by_state), (states, piece, slope), reverse=True
        )
        return to_values(by_column)[0], before

    return jax.jit(pull, compiler_options=AT_ONCE)
