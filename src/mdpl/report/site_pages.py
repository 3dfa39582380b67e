"""Many towers examined and drawn, as many at a time as there are cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

from mdpl.report.site_figures import draw_page
from mdpl.sites.catalogue import Tower
from mdpl.sites.checks.examine import Examination, examine_tower


def examine_towers(towers: Sequence[Tower], pages: Path | None) -> Iterator[Examination]:
    """Examine towers in processes of their own, in their order.

    Args:
        pages: folder for a page a tower; None draws none.

    Returns:
        examinations without their records.

    Raises:
        RunError: the folder cannot be written.
    """
    cores = min(os.cpu_count() or 1, len(towers))
    if cores < 2:
        yield from (_examine(tower, pages) for tower in towers)
        return
    # Forked processes would inherit locks that threads of this one hold.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, fresh, initializer=_leave_interrupts) as pool:
        yield from pool.map(_examine, towers, repeat(pages))


def _examine(tower: Tower, pages: Path | None) -> Examination:
    found = examine_tower(tower)
    if pages is not None:
        draw_page(found, pages)
    return found.without_record()


def _leave_interrupts() -> None:
    """An interrupt is the first process's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
