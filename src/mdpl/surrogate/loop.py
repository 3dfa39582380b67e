"""The loop by which both networks learn: draw a batch, step downhill, keep a checkpoint.

Every batch is drawn from (seed, step) alone, and a checkpoint holds weights, optimiser and step;
so a training stopped anywhere and taken up again ends in the same bits as one left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from mdpl.errors import ModelError, RunError
from mdpl.progress import Progress, SilentProgress
from mdpl.surrogate import store

Objective = Callable[[Any, Any], tuple[jax.Array, jax.Array]]
"""(weights, batch) -> (loss, losses by row and task, shape (row, task))."""

Draw = Callable[[int], tuple[Any, Sequence[str]]]
"""step -> (batch, what each row of it is, such as ``site DE-Tha, member 3``)."""

Judge = Callable[[Any], float]
"""Weights -> the loss by which the best are chosen."""


class LoopSettings(Protocol):
    """The fields of a network's config the loop reads."""

    @property
    def steps(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def clip(self) -> float: ...
    @property
    def checkpoint_every(self) -> int: ...


@dataclass(frozen=True)
class _State:
    step: int
    weights: Any
    optimiser: Any
    best: Any
    best_loss: float

    def arrays(self) -> Any:
        return self.weights, self.optimiser, self.best


def descend(
    weights: Any,
    objective: Objective,
    draw: Draw,
    settings: LoopSettings,
    *,
    tasks: Sequence[str],
    description: str,
    folder: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
    judge: Judge | None = None,
    judge_every: int = 100,
) -> tuple[Any, pd.DataFrame]:
    """Minimise an objective by AdamW with a warmed-up cosine schedule and clipped gradients.

    Args:
        weights: pytree of float arrays.
        tasks: names of the columns of the objective's losses.
        folder: where ``checkpoint.eqx`` and ``history.csv`` go; None keeps nothing.
        fingerprint: tells trainings apart; a checkpoint of another one is refused.
        judge: keeps the best weights seen at every ``judge_every`` steps, the first and the
            last included; None returns the last.

    Returns:
        the weights, and a table with one row a step: step, learning_rate, seconds (since the
        start, over all resumptions), loss and one column a task.

    Raises:
        ModelError: the loss is not finite.
        RunError: the folder cannot be written or holds another training.
    """
    optimiser, rate = _optimiser(settings)
    state = _State(0, weights, optimiser.init(weights), weights, float("inf"))
    rows: list[tuple[float, ...]] = []
    if folder is not None and (folder / "checkpoint.eqx").exists():
        state, rows = _resume(folder, state, fingerprint)
    if judge is not None and state.step == 0:
        state = _judged(state, judge)
    advance = _stepper(objective, optimiser)
    columns = ["step", "learning_rate", "seconds", "loss", *tasks]
    began = time.perf_counter() - (rows[-1][2] if rows else 0.0)
    with (progress or SilentProgress()).task(description, settings.steps) as bar:
        bar.advance(state.step)
        try:
            upcoming = draw(state.step) if state.step < settings.steps else None
            while upcoming is not None:
                step, (batch, names) = state.step, upcoming
                new_weights, new_optimiser, loss, losses = advance(
                    state.weights, state.optimiser, batch
                )
                # The next batch is gathered while the device works on this one.
                upcoming = draw(step + 1) if step + 1 < settings.steps else None
                _check_finite(step, float(loss), np.asarray(losses), names, tasks)
                state = _State(step + 1, new_weights, new_optimiser, state.best, state.best_loss)
                by_task = np.asarray(losses).mean(axis=0).tolist()
                seconds = time.perf_counter() - began
                rows.append((step, float(rate(step)), seconds, float(loss), *by_task))
                last = state.step == settings.steps
                if judge is not None and (last or state.step % judge_every == 0):
                    state = _judged(state, judge)
                if last or state.step % settings.checkpoint_every == 0:
                    _keep(folder, state, rows, columns, fingerprint)
                bar.advance(1)
        except KeyboardInterrupt:
            _keep(folder, state, rows[: state.step], columns, fingerprint)
            raise
    history = pd.DataFrame(rows, columns=columns).astype({"step": int})
    return (state.weights if judge is None else state.best), history


def _optimiser(
    settings: LoopSettings,
) -> tuple[optax.GradientTransformation, Callable[[int], Any]]:
    warmup = max(1, settings.steps // 20)
    rate = optax.warmup_cosine_decay_schedule(
        settings.learning_rate / 10,
        settings.learning_rate,
        warmup,
        max(settings.steps, warmup + 1),
        settings.learning_rate / 100,
    )
    chain = optax.chain(
        optax.clip_by_global_norm(settings.clip),
        optax.adamw(rate, weight_decay=settings.weight_decay),
    )
    # One long vector compiles several times faster than an update for each array.
    return optax.flatten(chain), rate


def _stepper(
    objective: Objective, optimiser: optax.GradientTransformation
) -> Callable[[Any, Any, Any], tuple[Any, Any, jax.Array, jax.Array]]:
    @jax.jit
    def advance(weights: Any, state: Any, batch: Any) -> tuple[Any, Any, jax.Array, jax.Array]:
        (loss, losses), slope = jax.value_and_grad(objective, has_aux=True)(weights, batch)
        updates, state = optimiser.update(slope, state, weights)
        return optax.apply_updates(weights, updates), state, loss, losses

    return advance


def _judged(state: _State, judge: Judge) -> _State:
    loss = judge(state.weights)
    if not loss < state.best_loss:
        return state
    return _State(state.step, state.weights, state.optimiser, state.weights, loss)


def _check_finite(
    step: int, loss: float, losses: np.ndarray, names: Sequence[str], tasks: Sequence[str]
) -> None:
    if np.isfinite(loss) and np.isfinite(losses).all():
        return
    bad = np.argwhere(~np.isfinite(losses))
    row, task = (int(i) for i in bad[0]) if len(bad) else (0, 0)
    raise ModelError(
        f"training stopped at step {step}: the loss of {tasks[task]} is {losses[row, task]} at "
        f"{names[row]} ({len(bad)} of {losses.size} losses of this batch are not finite); look "
        "for infinite values in its simulation, or lower the learning rate"
    )


def _keep(
    folder: Path | None,
    state: _State,
    rows: Sequence[tuple[float, ...]],
    columns: Sequence[str],
    fingerprint: str,
) -> None:
    if folder is None:
        return
    table = pd.DataFrame(rows, columns=list(columns)).astype({"step": int})
    text = table.to_csv(index=False).encode()
    # History first: it may run ahead of the checkpoint, never behind it.
    store.write_whole(folder / "history.csv", lambda file: file.write(text))
    header = {"step": state.step, "best_loss": state.best_loss, "fingerprint": fingerprint}
    store.write_tree(folder / "checkpoint.eqx", header, state.arrays())


def _resume(
    folder: Path, fresh: _State, fingerprint: str
) -> tuple[_State, list[tuple[float, ...]]]:
    path = folder / "checkpoint.eqx"
    header = store.read_header(path)
    if header.get("fingerprint") != fingerprint:
        raise RunError(
            f"{path} belongs to another training (other settings, towers or data); "
            "delete the folder or choose a new one"
        )
    weights, optimiser, best = store.read_tree(path, fresh.arrays())
    state = _State(int(header["step"]), weights, optimiser, best, float(header["best_loss"]))
    table = pd.read_csv(folder / "history.csv", nrows=state.step)
    return state, [tuple(row) for row in table.itertuples(index=False)]


def as_device(values: np.ndarray) -> jax.Array:
    """float32 on the device, whatever the host array was."""
    return jnp.asarray(values, dtype=jnp.float32)
