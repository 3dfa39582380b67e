"""The loop by which both networks learn: draw a batch, step downhill, keep a checkpoint.

Every batch is drawn from (seed, step) alone, and a checkpoint holds all that moves; so a training
stopped anywhere and taken up again ends in the same bits as one left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd

from mdpl.errors import DamageError, ModelError, RunError
from mdpl.files import write_atomic
from mdpl.progress import Progress, SilentProgress
from mdpl.surrogate import balance, store
from mdpl.surrogate.optimisers import DescentSettings, Optimiser, adamw, schedule

Objective = Callable[..., tuple[jax.Array, jax.Array]]
"""(weights, batch, *fixed) -> (penalty that no task owns, losses, shape (row, task))."""

Draw = Callable[[int], tuple[Sequence[Any], Sequence[str]]]
"""step -> (equal parts of a batch, what each row of it is, such as ``site DE-Tha, member 3``).

Parts are worked on side by side; loss and gradient are the mean of theirs."""

Judge = Callable[[Any], float]
"""Weights -> the loss by which the best are chosen."""


class LoopSettings(DescentSettings, Protocol):
    """The fields of a network's config the loop reads."""

    @property
    def checkpoint_every(self) -> int: ...
    @property
    def balance(self) -> Literal["fixed", "uncertainty", "gradnorm"]: ...
    @property
    def task_weights(self) -> Mapping[str, float]: ...
    @property
    def compare_every(self) -> int: ...
    @property
    def patience(self) -> int | None: ...


@dataclass(frozen=True)
class Descent:
    """A finished training.

    Attributes:
        history: one row a step: step, learning_rate, seconds (since the start, over all
            resumptions), loss and one column a task.
        balance: step, what, value: what `mdpl.surrogate.balance` measured.
    """

    weights: Any
    history: pd.DataFrame
    balance: pd.DataFrame


@dataclass(frozen=True)
class _State:
    """All that moves: weights and log variances of the tasks, optimiser, balance, the best."""

    step: int
    trained: tuple[Any, jax.Array]
    optimiser: Any
    task_weights: np.ndarray
    first: np.ndarray
    best: Any
    best_loss: float
    best_step: int

    def arrays(self) -> Any:
        return self.trained, self.optimiser, self.task_weights, self.first, self.best


class _Tables:
    """Rows of the history and of the balance, in memory and beside the checkpoint."""

    def __init__(self, tasks: Sequence[str]):
        self.columns = ["step", "learning_rate", "seconds", "loss", *tasks]
        self.rows: list[tuple[float, ...]] = []
        self.measured: list[balance.Row] = []

    def history(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows, columns=self.columns).astype({"step": int})

    def balance(self) -> pd.DataFrame:
        return pd.DataFrame(self.measured, columns=["step", "what", "value"])

    def cut(self, step: int) -> None:
        """Forget what is of a step that was not finished."""
        self.rows = self.rows[:step]
        self.measured = [row for row in self.measured if row[0] < step]

    def recall(self, rows: np.ndarray, measured: Sequence[Sequence[Any]]) -> None:
        self.rows = [(int(row[0]), *map(float, row[1:])) for row in rows]
        self.measured = [(int(s), str(w), float(v)) for s, w, v in measured]


def descend(
    weights: Any,
    objective: Objective,
    draw: Draw,
    settings: LoopSettings,
    *,
    tasks: Sequence[str],
    description: str,
    fixed: tuple[Any, ...] = (),
    folder: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
    judge: Judge | None = None,
    judge_every: int = 100,
    optimiser: Optimiser = adamw,
) -> Descent:
    """Minimise an objective.

    Args:
        weights: pytree of float arrays.
        tasks: names of the columns of the objective's losses.
        fixed: pytrees of arrays the objective needs beside weights and batch. Arrays it found for
            itself would be constants of the program, which every training then compiles anew.
        folder: where ``checkpoint.eqx``, ``history.csv`` and ``balance.csv`` go; None keeps
            nothing.
        fingerprint: tells trainings apart; a checkpoint of another one is refused.
        judge: keeps the best weights seen at every ``judge_every`` steps, the first and the
            last included; None returns the last. After ``settings.patience`` judgements without
            a better one the training ends.

    Raises:
        ModelError: the loss is not finite.
        RunError: the folder cannot be written or holds another training; a damaged checkpoint
            is said, and the training starts anew.
    """
    balanced = balance.balance(
        settings.balance, settings.task_weights, tasks, settings.compare_every
    )
    rate = schedule(settings)
    mover = optimiser(rate, settings)
    state, tables = _start(weights, mover, balanced), _Tables(tasks)
    progress = progress or SilentProgress()
    if folder is not None and (folder / "checkpoint.eqx").exists():
        try:
            state = _resume(folder, state, tables, fingerprint)
        except DamageError as error:
            progress.say(f"{error} (done: this training starts anew)")
    if judge is not None and state.step == 0:
        state = _judged(state, judge)
    learns_balance = balanced.kind == "uncertainty"
    gradient, advance = _steppers(objective, mover, fixed, trained=learns_balance)
    began = time.perf_counter() - (tables.rows[-1][2] if tables.rows else 0.0)
    with progress.task(description, settings.steps) as bar:
        bar.advance(state.step)
        try:
            patience = None if judge is None else settings.patience
            while state.step < settings.steps and not _exhausted(state, patience, judge_every):
                step, (parts, names) = state.step, draw(state.step)
                slope, loss, losses = gradient(state.trained, parts, state.task_weights)
                trained, optimised = advance(slope, state.optimiser, state.trained)
                _check_finite(step, loss, losses, names, tasks)
                by_task = losses.mean(axis=0, dtype=float)
                now = state
                if balanced.every and step % balanced.every == 0:
                    now = _compared(state, gradient, parts, by_task, balanced, tasks, tables)
                now = replace(now, step=step + 1, trained=trained, optimiser=optimised)
                last = now.step == settings.steps
                if judge is not None and (last or now.step % judge_every == 0):
                    now = _judged(now, judge)
                seconds = time.perf_counter() - began
                tables.rows.append((step, float(rate(step)), seconds, loss, *by_task))
                # What is interrupted before this line is done again, whole.
                state = now
                if last or state.step % settings.checkpoint_every == 0:
                    _keep(folder, state, tables, fingerprint)
                bar.advance(1)
                if step % 10 == 0:
                    shown = zip(tasks, by_task, strict=True)
                    bar.note(", ".join(f"{task} {value:.3g}" for task, value in shown))
        except KeyboardInterrupt:
            _keep(folder, state, tables, fingerprint)
            raise
    best = state.trained[0] if judge is None else state.best
    return Descent(best, tables.history(), tables.balance())


def _start(
    weights: Any, optimiser: optax.GradientTransformation, balanced: balance.Balance
) -> _State:
    count = len(balanced.weights)
    trained = weights, jnp.zeros(count, dtype=jnp.float32)
    return _State(
        step=0,
        trained=trained,
        optimiser=optimiser.init(trained),
        task_weights=balanced.weights,
        first=np.full(count, np.nan),
        best=weights,
        best_loss=float("inf"),
        best_step=0,
    )


def _exhausted(state: _State, patience: int | None, judge_every: int) -> bool:
    """No better weights for as many judgements as patience lasts."""
    return patience is not None and state.step - state.best_step >= patience * judge_every


def _compared(
    state: _State,
    gradient: Callable[[Any, Sequence[Any], np.ndarray], tuple[Any, float, np.ndarray]],
    parts: Sequence[Any],
    by_task: np.ndarray,
    balanced: balance.Balance,
    tasks: Sequence[str],
    tables: _Tables,
) -> _State:
    """Measure the gradients of single tasks, and move GradNorm's weights."""

    def slope(weights: np.ndarray) -> Any:
        return gradient(state.trained, parts, weights)[0][0]

    norms, cosines = balance.measure(slope, tasks)
    weights = state.task_weights * np.exp(-np.asarray(state.trained[1], dtype=float))
    tables.measured += balance.rows(state.step, tasks, norms, cosines, weights)
    if balanced.kind != "gradnorm":
        return state
    first = np.where(np.isnan(state.first), by_task, state.first)
    moved = balance.rebalanced(state.task_weights, norms, by_task, first)
    return replace(state, task_weights=moved, first=first)


def _steppers(
    objective: Objective,
    optimiser: optax.GradientTransformation,
    fixed: tuple[Any, ...],
    trained: bool,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The gradient for given task weights, and the step downhill.

    Two programs, so that the first serves the measurement of single tasks as well.

    Args:
        trained: whether the log variances of the tasks are.
    """

    @jax.jit
    def with_fixed(
        weights: tuple[Any, jax.Array], batch: Any, task_weights: jax.Array, *fixed: Any
    ) -> tuple[Any, jax.Array, jax.Array]:
        def total(weights: tuple[Any, jax.Array]) -> tuple[jax.Array, jax.Array]:
            penalty, parts = objective(weights[0], batch, *fixed)
            spread = weights[1] if trained else jax.lax.stop_gradient(weights[1])
            by_user = jnp.asarray(task_weights, dtype=parts.dtype)
            return balance.weighted(parts, spread, by_user) + penalty, parts

        (loss, parts), slope = jax.value_and_grad(total, has_aux=True)(weights)
        return slope, loss, parts

    # A recurrence keeps little more than one core busy.
    side_by_side = ThreadPoolExecutor(max_workers=2)

    def gradient(
        weights: Any, parts: Sequence[Any], task_weights: np.ndarray
    ) -> tuple[Any, float, np.ndarray]:
        def of(part: Any) -> tuple[Any, jax.Array, jax.Array]:
            found = with_fixed(weights, part, task_weights, *fixed)
            return jax.block_until_ready(found)

        slopes, losses, rows = zip(*side_by_side.map(of, parts), strict=True)
        return _mean(slopes), float(np.mean(losses)), np.concatenate(rows)

    @jax.jit
    def advance(slope: Any, state: Any, weights: Any) -> tuple[Any, Any]:
        updates, state = optimiser.update(slope, state, weights)
        return optax.apply_updates(weights, updates), state

    return gradient, advance


@jax.jit
def _mean(trees: tuple[Any, ...]) -> Any:
    return jax.tree.map(lambda *parts: sum(parts) / len(parts), *trees)


def _judged(state: _State, judge: Judge) -> _State:
    loss = judge(state.trained[0])
    if not loss < state.best_loss:
        return state
    return replace(state, best=state.trained[0], best_loss=loss, best_step=state.step)


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


def _keep(folder: Path | None, state: _State, tables: _Tables, fingerprint: str) -> None:
    if folder is None:
        return
    tables.cut(state.step)
    # For eyes; a training goes on from what the checkpoint holds.
    for name, table in (("history", tables.history()), ("balance", tables.balance())):
        write_atomic(folder / f"{name}.csv", table.to_csv(index=False))
    header = {
        "step": state.step,
        "best_loss": state.best_loss,
        "best_step": state.best_step,
        "fingerprint": fingerprint,
        "balance": tables.measured,
    }
    rows = np.asarray(tables.rows, dtype=float).reshape(state.step, len(tables.columns))
    store.write_tree(folder / "checkpoint.eqx", header, (state.arrays(), rows))


def _resume(folder: Path, fresh: _State, tables: _Tables, fingerprint: str) -> _State:
    path = folder / "checkpoint.eqx"
    header = store.read_header(path)
    if header.get("fingerprint") != fingerprint:
        raise RunError(
            f"{path} belongs to another training (other settings, towers or data); "
            "delete the folder or choose a new one"
        )
    try:
        step, measured = int(header["step"]), header["balance"]
        best_loss, best_step = float(header["best_loss"]), int(header["best_step"])
        rows = np.zeros((step, len(tables.columns)))
        arrays, rows = store.read_tree(path, (fresh.arrays(), rows))
        tables.recall(rows, measured)
    except (KeyError, TypeError, ValueError) as error:
        raise DamageError(f"{path}: no checkpoint ({error}); delete it and train again") from error
    trained, optimised, weights, first, best = arrays
    return _State(
        step,
        trained,
        optimised,
        weights,
        first,
        best,
        best_loss,
        best_step,
    )


def as_device(values: np.ndarray) -> jax.Array:
    """float32 on the device, whatever the host array was."""
    return jnp.asarray(values, dtype=jnp.float32)
