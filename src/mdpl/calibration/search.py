"""Searches that need nothing of a land model but runs: CMA-ES and SCE-UA.

Both are those of their libraries; here they are made to ask for many runs at a time, because a
batched land model costs hardly more for many parameter sets than for one.
"""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from mdpl.calibration.calibration import Calibration
from mdpl.calibration.lanes import ask, side_by_side
from mdpl.calibration.objective import FAILED, Ledger, Spent
from mdpl.calibration.optional import library
from mdpl.errors import ConfigError

BATCH = 64
"""Most parameter sets asked for at a time."""


def cma_es(ledger: Ledger, *, seed: int, population: int = 16, sigma: float = 0.25) -> Calibration:
    """Covariance matrix adaptation evolution strategy (Hansen 2016, arXiv:1604.00772).

    Starts at the tower's defaults. Bounds are kept by the library's transformation of the
    coordinates. Ends with the ledger's budget, or where the library finds no more to gain.

    Args:
        population: parameter sets a generation.
        sigma: first standard deviation, unit cube.

    Raises:
        ConfigError: the library ``cma`` is missing, or the budget allows no generation.
    """
    cma = library("cma")
    _check_budget("cma-es", ledger, population)
    start = np.clip(ledger.objective.default, 0.02, 0.98)
    options = {"bounds": [0.0, 1.0], "popsize": population, "seed": np.nan, "verbose": -9}
    with _alone(seed):
        search = cma.CMAEvolutionStrategy(start, sigma, options)
        while population <= ledger.left and not search.stop():
            asked = search.ask()
            search.tell(asked, _values(ledger, np.array(asked)))
    return ledger.calibration("cma-es")


def sce_ua(ledger: Ledger, *, seed: int, complexes: int = 4) -> Calibration:
    """Shuffled complex evolution (Duan et al. 1994, doi:10.1016/0022-1694(94)90057-4).

    spotpy asks for one run at a time. Its complexes, however, evolve independently between two
    shuffles: each runs here in a lane of its own until it needs a run, and then all lanes get
    theirs in one batch (`mdpl.calibration.lanes`). The budget may end with fewer runs left than
    there are lanes asking.

    Args:
        complexes: number of them; the first population has ``complexes * (2 n + 1)`` sets.

    Raises:
        ConfigError: the library ``spotpy`` is missing, or the budget is smaller than the first
            population.
    """
    spotpy = library("spotpy")
    first = complexes * (2 * len(ledger.objective.space) + 1)
    _check_budget("sce-ua", ledger, first)

    # spotpy draws from the global generators and talks to the standard output.
    with _alone(seed), contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Spent):
        setup = _setup(spotpy, len(ledger.objective.space))
        search = spotpy.algorithms.sceua(setup, dbformat="ram", save_sim=False, random_state=seed)
        search.repeat = _SideBySide(search.simulate, partial(_values, ledger))
        search.sample(10**9, ngs=complexes)
    return ledger.calibration("sce-ua")


def _check_budget(method: str, ledger: Ledger, least: int) -> None:
    if ledger.left < least:
        raise ConfigError(
            f"{method}: expected at least {least} land-model runs, found {ledger.left}; "
            "raise --lsm-runs"
        )


def _values(ledger: Ledger, points: np.ndarray) -> np.ndarray:
    values = ledger(np.clip(points, 0.0, 1.0))["objective"]
    return np.where(np.isfinite(values), values, FAILED)


@contextlib.contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Seed the global generators for a library that uses them, and put them back afterwards."""
    before, before_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002


def _setup(spotpy: Any, dimensions: int) -> Any:
    """What spotpy wants to know of a model."""
    axes = [spotpy.parameter.Uniform(f"u{i}", 0.0, 1.0) for i in range(dimensions)]

    class Setup:
        def parameters(self) -> Any:
            return spotpy.parameter.generate(axes)

        def simulation(self, point: Sequence[float]) -> list[float]:
            return [float(ask(np.array(point)))]

        def evaluation(self) -> list[float]:
            return [0.0]

        def objectivefunction(self, simulation: list[float], **_: object) -> float:
            return simulation[0]

    return Setup()


class _SideBySide:
    """In place of spotpy's repeater: the jobs side by side instead of one after the other."""

    def __init__(self, work: Callable[[Any], Any], answer: Callable[[np.ndarray], np.ndarray]):
        self.phase: str | None = None
        self._work, self._answer = work, answer

    def start(self) -> None: ...

    def terminate(self) -> None: ...

    def setphase(self, name: str) -> None:
        self.phase = name

    def __call__(self, jobs: Iterator[Any]) -> Iterator[Any]:
        return self._population(list(jobs)) if self.phase is None else self._complexes(list(jobs))

    def _population(self, jobs: list[tuple[int, np.ndarray]]) -> Iterator[Any]:
        for begin in range(0, len(jobs), BATCH):
            some = jobs[begin : begin + BATCH]
            values = self._answer(np.stack([point for _, point in some]))
            for (number, point), value in zip(some, values, strict=True):
                yield number, point, [float(value)]

    def _complexes(self, jobs: list[Any]) -> Iterator[Any]:
        # A job holds two arrays that spotpy's complexes share as scratch: each gets its own.
        own = [(i, x, xf, cx.copy(), cf.copy(), about) for i, x, xf, cx, cf, about in jobs]
        yield from side_by_side(self._work, own, self._answer)
