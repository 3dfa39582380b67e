"""Many towers examined and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from mdpl.report.processes import in_order
from mdpl.report.site_figures import draw_page
from mdpl.sites.catalogue import Tower
from mdpl.sites.checks.examine import Examination, examine_tower


def examine_towers(towers: Sequence[Tower], pages: Path | None) -> Iterator[Examination]:
    """Examine towers, as many at a time as there are cores, in their order.

    Args:
        pages: folder for a page a tower; None draws none.

    Returns:
        examinations without their records.

    Raises:
        RunError: the folder cannot be written.
    """
    return in_order(_examine, pages, towers)


def _examine(pages: Path | None, tower: Tower) -> Examination:
    found = examine_tower(tower)
    if pages is not None:
        draw_page(found, pages)
    return found.without_record()
