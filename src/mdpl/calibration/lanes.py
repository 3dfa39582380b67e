"""Searches that ask for one point at a time, side by side, so that their points are run together.

A library's search calls a function and waits for its value. Here several of them run in threads,
lanes, each until it asks; then all that are asked are answered at once. Only one lane moves at a
time, in fixed order, so that nothing depends on how threads are scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from threading import Semaphore, Thread, current_thread
from typing import Any

import numpy as np


def ask(point: np.ndarray) -> Any:
    """The answer at a point; to be called from within `side_by_side`."""
    lane = current_thread()
    assert isinstance(lane, _Lane)
    return lane.ask(point)


def side_by_side(
    work: Callable[[Any], Any],
    jobs: Sequence[Any],
    answer: Callable[[np.ndarray], Iterable[Any]],
) -> list[Any]:
    """Do several jobs at once.

    Args:
        work: does one job; calls `ask` for every value it needs.
        answer: from the points asked for, (lane, dimension), to an answer for each. What it
            raises ends all jobs.

    Returns:
        what ``work`` gives for each job.
    """
    lanes = [_Lane(work, job) for job in jobs]
    try:
        for lane in lanes:
            lane.move(None)
        while asking := {lane: lane.question for lane in lanes if lane.question is not None}:
            answers = answer(np.stack(list(asking.values())))
            for lane, found in zip(asking, answers, strict=True):
                lane.move(found)
    finally:
        for lane in lanes:
            lane.cancel()
    return [lane.result for lane in lanes]


class _Cancelled(BaseException):
    """Ends a lane that nobody waits for any more."""


class _Lane(Thread):
    """One job: moves on until it asks, and waits."""

    def __init__(self, work: Callable[[Any], Any], job: Any):
        super().__init__(daemon=True)
        self.question: np.ndarray | None = None
        self.result: Any = None
        self._work, self._job = work, job
        self._error: BaseException | None = None
        self._answer: Any = None
        self._cancelled = False
        self._mine, self._theirs = Semaphore(0), Semaphore(0)

    def run(self) -> None:
        self._mine.acquire()
        try:
            self.result = self._work(self._job)
        except BaseException as error:
            self._error = error
        finally:
            self.question = None
            self._theirs.release()

    def ask(self, point: np.ndarray) -> Any:
        """Hand the turn back with a question; goes on when it is answered."""
        self.question = point
        self._theirs.release()
        self._mine.acquire()
        if self._cancelled:
            raise _Cancelled
        return self._answer

    def move(self, answer: Any) -> None:
        """Let the lane go on, at first from its start, to its next question or its end."""
        if self.ident is None:
            self.start()
        self._answer = answer
        self._mine.release()
        self._theirs.acquire()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        if self.question is not None:
            self._cancelled = True
            self._mine.release()
            self.join()
