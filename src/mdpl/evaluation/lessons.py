"""What a benchmark that learns may see: steps to learn from, and others that say when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mdpl.evaluation.periods import BLOCK_DAYS
from mdpl.evaluation.scores import Variant, counting, masks, observations
from mdpl.sites.site import Site

TASKS = ("Qle", "Qh")

EVERY = 4
"""One of so many towers, or of ten-day blocks of the calibration period, says when to stop."""


@dataclass(frozen=True)
class Lesson:
    """What may be learnt at one tower.

    Attributes:
        fluxes: in `UNITS`, NaN where missing, shape (time, task).
        counts: steps that are learnt from, shape (time, task).
        judges: steps that say when to stop, shape (time, task).
    """

    site: Site
    fluxes: np.ndarray
    counts: np.ndarray
    judges: np.ndarray


def rotations(
    towers: Sequence[Site],
    tasks: Sequence[str] = TASKS,
    variant: Variant = "raw",
    seed: int = 0,
) -> list[list[Lesson]]:
    """Lessons for several networks: each of the towers says when to stop in one of them, and is
    learnt from in the others. Their mean has learnt from all."""
    codes = [site.code for site in towers]
    return [others(towers, apart, tasks, variant) for apart in folds(codes, EVERY, seed)]


def others(
    towers: Sequence[Site],
    apart: Sequence[str],
    tasks: Sequence[str] = TASKS,
    variant: Variant = "raw",
) -> list[Lesson]:
    """All measured steps of some towers; those named in ``apart`` only say when to stop."""
    made = []
    for site in towers:
        fluxes, counts, _ = _targets(site, tasks, variant)
        none = np.zeros_like(counts)
        judging = site.code in apart
        made.append(Lesson(site, fluxes, none if judging else counts, counts if judging else none))
    return made


def in_site(
    towers: Sequence[Site], tasks: Sequence[str] = TASKS, variant: Variant = "raw"
) -> list[Lesson]:
    """The calibration period of each tower; every fourth ten-day block of it says when to stop."""
    made = []
    for site in towers:
        fluxes, counts, calibration = _targets(site, tasks, variant)
        counts &= calibration[:, None]
        days = site.time.astype("datetime64[D]").astype(int)
        blocks = np.unique(days[calibration] // BLOCK_DAYS)
        apart = np.isin(days // BLOCK_DAYS, blocks[EVERY // 2 :: EVERY])[:, None]
        made.append(Lesson(site, fluxes, counts & ~apart, counts & apart))
    return made


def folds(codes: Sequence[str], number: int, seed: int = 0) -> list[tuple[str, ...]]:
    """Towers in groups of about equal size; each group is judged by a network that saw no other
    tower of it. As many groups as towers leaves one out at a time."""
    order = np.random.default_rng(seed).permutation(len(codes))
    groups = np.array_split(order, min(number, len(codes)))
    return [tuple(codes[i] for i in sorted(group)) for group in groups]


def _targets(
    site: Site, tasks: Sequence[str], variant: Variant
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fluxes and where they were measured, shape (time, task); the calibration period."""
    observed = observations(site, tasks, variant)
    fluxes = counting(observed, tasks, np.ones(len(site.time), dtype=bool))
    return fluxes, np.isfinite(fluxes), masks(observed)["calibration"]
