"""The same work on many things, as many at a time as there are cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

_TASK: list[Any] = []
_ALLOWED = False


def allow() -> None:
    """Let `in_order` start processes.

    A new process imports the program that starts it, so this is for programs that do nothing when
    imported, as the command line; a script that calls MdPL line by line would run again in each.
    """
    global _ALLOWED
    _ALLOWED = True


def in_order(
    work: Callable[[Any, Any], Any], shared: Any, items: Sequence[Any], fewest: int = 2
) -> Iterator[Any]:
    """``work(shared, item)`` of every item, in their order.

    Args:
        work: a function of a module, for processes of their own find it by its name.
        shared: what all of them need; goes to each process once.
        fewest: items for which processes are worth their start. Fewer, and all where processes
            were not allowed, are done in this one.
    """
    cores = min(os.cpu_count() or 1, len(items))
    if not _ALLOWED or cores < 2 or len(items) < fewest:
        yield from (work(shared, item) for item in items)
        return
    # Forked processes would inherit locks that threads of this one hold.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, fresh, initializer=_begin, initargs=(work, shared)) as pool:
        yield from pool.map(_do, items)


def _begin(work: Callable[[Any, Any], Any], shared: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the first process's to handle
    _TASK[:] = [work, shared]


def _do(item: Any) -> Any:
    work, shared = _TASK
    return work(shared, item)
