r"""What every way of learning one tower's parameters minimises, and the account of its cost.

The objective is Eq. 2 of `mdpl.generator.train` for a single tower s, with the land model's own
fluxes :math:`f_k` in place of the surrogate's:

.. math:: J(u) = \frac{1}{T} \sum_k a_k \frac{\overline{(f_k(u) - y_k)^2}}{\mathrm{var}(y_k)}
          + w \, \overline{\left(\frac{u - u_s}{b}\right)^2}

with u a point of the unit cube, T the number of fluxes, a their weights (one unless the user
says otherwise), the first bar over the steps that count and the second over parameters.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.calibration.calibration import Calibration
from mdpl.errors import ModelError, RunError, SiteError
from mdpl.files import write_atomic, writing
from mdpl.lsm.model import LandModel, ParameterSpace
from mdpl.progress import Task
from mdpl.sites.site import Site

Answers = dict[str, np.ndarray]
"""What a land model told of some parameter sets: ``objective`` (member,), and what else a method
needs, members first."""

FAILED = 1e6
"""Objective that searches are told of where the land model failed: worse than any real one."""


class Spent(Exception):
    """The budget of land-model runs does not allow what was asked."""


@dataclass(frozen=True)
class Objective:
    """Eq. 2 at one tower.

    Attributes:
        code: tower code.
        space: parameters that are free.
        default: the tower's defaults in the unit cube of ``space``, (parameter,).
        tasks: the fluxes learnt from.
        observed: (task, time), NaN at steps that do not count: those not measured, and those
            outside the calibration period.
        task_weights: a, (task,), mean one.
        prior_widths: b of each parameter, (parameter,).
        prior_weight: w.

    Raises:
        SiteError: no step counts.
    """

    code: str
    space: ParameterSpace
    default: np.ndarray
    tasks: tuple[str, ...]
    observed: np.ndarray
    task_weights: np.ndarray
    prior_widths: np.ndarray
    prior_weight: float

    def __post_init__(self) -> None:
        if not self._counts.any():
            raise SiteError(
                f"site {self.code}: no measured step of {', '.join(self.tasks)} in the "
                "calibration period; leave the tower out"
            )

    def __call__(self, unit: np.ndarray, series: np.ndarray) -> np.ndarray:
        """The objective of some parameter sets; infinite where the land model failed.

        Args:
            unit: (member, parameter).
            series: their fluxes, (member, task, time).

        Returns:
            shape (member,).
        """
        squared = self._error(series) ** 2
        misfit = (squared.sum(axis=-1) * self._weight).mean(axis=-1)
        far = (unit - self.default) / self.prior_widths
        total = misfit + self.prior_weight * (far**2).mean(axis=-1)
        return np.where(np.isfinite(total), total, np.inf)

    def by_series(self, series: np.ndarray) -> np.ndarray:
        """Slope of the objective by every flux value, shaped as ``series``."""
        return 2.0 * self._error(series) * self._weight[:, None] / len(self.tasks)

    def by_unit(self, unit: np.ndarray) -> np.ndarray:
        """Slope of the penalty by the parameters, shaped as ``unit``."""
        far = (unit - self.default) / self.prior_widths**2
        return 2.0 * self.prior_weight * far / len(self.space)

    @cached_property
    def fingerprint(self) -> str:
        """Tells this objective from any other."""
        about = (self.space.names, self.tasks, self.prior_weight)
        digest = hashlib.sha256(repr(about).encode())
        for array in (
            self.space.lower,
            self.space.upper,
            self.default,
            self.observed,
            self.task_weights,
            self.prior_widths,
        ):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    @cached_property
    def _counts(self) -> np.ndarray:
        return np.isfinite(self.observed)

    @cached_property
    def _weight(self) -> np.ndarray:
        """Weight over number and variance of what counts, by task; none where nothing does."""
        weights = []
        for row in self.observed:
            values = row[np.isfinite(row)]
            variance = np.var(values) if values.size else 0.0
            weights.append(1.0 / (values.size * variance) if variance > 0 else 0.0)
        return np.array(weights) * self.task_weights

    def _error(self, series: np.ndarray) -> np.ndarray:
        if series.shape[1:] != self.observed.shape:
            raise ModelError(
                f"site {self.code}: expected fluxes of shape (member, {len(self.tasks)}, "
                f"{self.observed.shape[1]}), found {series.shape}"
            )
        return np.where(self._counts, series - self.observed, 0.0)


def simulated(model: LandModel, site: Site, objective: Objective, unit: np.ndarray) -> np.ndarray:
    """The land model's fluxes at points of the unit cube.

    Args:
        unit: (member, parameter) of the objective's space; other parameters keep defaults.

    Returns:
        shape (member, task, time).
    """
    physical = objective.space.from_unit(unit)
    values = model.parameters.complete(objective.space.names, physical, site.attributes)
    run = model.simulate(site, values, objective.tasks)
    return np.stack([run[task].values for task in objective.tasks], axis=1)


class Ledger:
    """Asks for objectives, and keeps account: runs, seconds, the best, and every answer.

    Answers are kept in a file, one line a call. A method that is given its ledger again asks the
    same questions, as it has the same seed, and gets the answers already known from there: so it
    goes on where it was cut, to the last digit, and with a larger budget goes on further.

    Attributes:
        runs: land-model runs so far.
        seconds: that they took, those read from the file included.
        best: least objective so far, and ``best_unit`` where it was.
        failed: parameter sets at which an answer was not finite.
    """

    def __init__(
        self,
        ask: Callable[[np.ndarray], Answers],
        objective: Objective,
        budget: int,
        *,
        runs_each: int = 1,
        path: Path | None = None,
        task: Task | None = None,
    ):
        """Open an account.

        Args:
            ask: from points of the unit cube, (member, parameter), to `Answers`.
            budget: of land-model runs.
            runs_each: land-model runs that one parameter set costs.
            path: file of answers.
            task: told of every run.

        Raises:
            RunError: the file is of another objective.
        """
        self.objective = objective
        self.budget, self.runs_each = budget, runs_each
        self.runs, self.seconds, self.failed = 0, 0.0, 0
        self.best, self.best_unit = np.inf, objective.default
        self._ask, self._path, self._task = ask, path, task
        self._rows: list[tuple[int, float]] = []
        self._known, self._tidy = self._read(), False
        self._calls = 0

    @property
    def left(self) -> int:
        """Parameter sets that the budget still allows."""
        return (self.budget - self.runs) // self.runs_each

    @property
    def history(self) -> pd.DataFrame:
        """Least objective so far by land-model runs, one row a call: lsm_runs, objective."""
        return pd.DataFrame(self._rows, columns=["lsm_runs", "objective"])

    def __call__(self, unit: np.ndarray) -> Answers:
        """Objectives (and the rest) of some points of the unit cube, (member, parameter).

        Raises:
            Spent: they would cost more than is left of the budget.
        """
        if len(unit) > self.left:
            raise Spent
        line = self._known[self._calls] if self._calls < len(self._known) else None
        if line is None or not np.array_equal(line["unit"], unit):
            begin = time.monotonic()
            answers = {"unit": unit, **self._ask(unit)}
            line = {**answers, "seconds": np.array(time.monotonic() - begin)}
            self._write(line)
        self._calls += 1
        self.runs += self.runs_each * len(unit)
        self.seconds += float(line["seconds"])
        values = line["objective"]
        told = np.column_stack(
            [line[name].reshape(len(unit), -1) for name in line if name != "seconds"]
        )
        self.failed += int((~np.isfinite(told).all(axis=1)).sum())
        if values.min() < self.best:
            self.best, self.best_unit = float(values.min()), unit[values.argmin()].copy()
        self._rows.append((self.runs, self.best))
        if self._task is not None:
            self._task.advance(self.runs_each * len(unit))
            self._task.note(f"objective {self.best:.4f}")
        return line

    def calibration(
        self, method: str, unit: np.ndarray | None = None, objective: float | None = None
    ) -> Calibration:
        """What was found: the best point asked for, unless another and its objective are given.

        Raises:
            ModelError: the land model failed wherever it was asked.
        """
        own = self.objective
        if not np.isfinite(self.best):
            raise ModelError(
                f"site {own.code}: the land model failed wherever it was asked; narrow the bounds "
                "under model.ranges"
            )
        return Calibration(
            method,
            own.space,
            {own.code: self.best_unit if unit is None else unit},
            {own.code: own.space.from_unit(own.default)},
            lsm_runs=self.runs,
            seconds=self.seconds,
            objective=self.best if objective is None else objective,
        )

    def _read(self) -> list[Answers]:
        """What the file knows; a line cut short ends it."""
        if self._path is None or not self._path.exists():
            return []
        known = []
        head, *lines = self._path.read_text(encoding="utf-8").splitlines() or [""]
        if head != self.objective.fingerprint:
            raise RunError(
                f"{self._path}: holds runs towards another objective; delete the file to start anew"
            )
        for line in lines:
            try:
                known.append({k: np.array(v, dtype=float) for k, v in json.loads(line).items()})
            except ValueError:
                break
        return known

    def _write(self, line: Answers) -> None:
        """Append an answer, after forgetting those that belong to other questions."""
        if self._path is None:
            return
        if not self._tidy or self._calls < len(self._known):
            self._known, self._tidy = self._known[: self._calls], True
            lines = [self.objective.fingerprint, *map(_as_json, self._known)]
            write_atomic(self._path, "\n".join(lines) + "\n")
        self._known.append(line)
        with writing(self._path), open(self._path, "a", encoding="utf-8") as file:
            file.write(_as_json(line) + "\n")


def _as_json(line: Answers) -> str:
    return json.dumps({name: array.tolist() for name, array in line.items()})
