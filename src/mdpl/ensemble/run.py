"""Runs the land model with perturbed parameters at every tower."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from mdpl.ensemble import design
from mdpl.ensemble.store import DONE, FAILED, PENDING, EnsembleStore
from mdpl.errors import ModelError
from mdpl.lsm.model import LandModel, ParameterSpace
from mdpl.progress import Progress
from mdpl.sites.site import Site

BATCH = 64
"""Members run, and stored, together."""

ABSURD = 2e4
"""W m-2 or umol m-2 s-1 beyond which a run counts as failed."""


@dataclass(frozen=True)
class Plan:
    """An ensemble to be made.

    Attributes:
        space: parameters perturbed and their bounds; the others keep their defaults.
        outputs: what to store of each run.
        points: tower -> points of the unit cube to run, (member, parameter); without them the
            whole cube is filled by a design of this ``kind``.
    """

    space: ParameterSpace
    members: int
    kind: design.Kind
    seed: int
    outputs: tuple[str, ...]
    points: Mapping[str, np.ndarray] | None = None

    def unit(self, code: str) -> np.ndarray:
        """The design of one tower in the unit cube of ``space``, (member, parameter)."""
        if self.points is not None:
            return self.points[code]
        seed = design.site_seed(self.seed, code)
        return design.draw(self.members, len(self.space), self.kind, seed)


def run_ensemble(
    model: LandModel,
    sites: Sequence[Site],
    plan: Plan,
    store: EnsembleStore,
    progress: Progress,
    workers: int | None = None,
) -> int:
    """Run what is pending and store it as it comes; safe to interrupt and to repeat.

    Returns:
        how many land-model runs were made now.

    Raises:
        ModelError: every member of a tower failed.
    """
    todo: list[tuple[Site, np.ndarray, np.ndarray]] = []
    for site in sites:
        unit = plan.unit(site.code)
        names = plan.space.names
        made = store.create_site(site.code, names, unit, len(site.time), plan.outputs, BATCH)
        for first in range(0, plan.members, BATCH):
            members = np.arange(first, min(first + BATCH, plan.members))
            if (made.status[members] == PENDING).any():
                physical = plan.space.from_unit(unit[members])
                values = model.parameters.complete(names, physical, site.attributes)
                todo.append((site, members, values))
    ran = _run_batches(model, todo, plan, store, progress, workers or os.cpu_count() or 1)
    for site in sites:
        if not len(store.site(site.code).usable):
            raise ModelError(
                f"{site.code}: all {plan.members} members of the ensemble failed; "
                "narrow the parameter ranges or check the forcing"
            )
    return ran


def _run_batches(
    model: LandModel,
    todo: Sequence[tuple[Site, np.ndarray, np.ndarray]],
    plan: Plan,
    store: EnsembleStore,
    progress: Progress,
    workers: int,
) -> int:
    # The land model leaves the interpreter lock while it computes, so threads use all cores.
    total = sum(len(members) for _, members, _ in todo)
    if not total:
        return 0
    pool = ThreadPoolExecutor(max_workers=workers)
    running: dict[Future, tuple[Site, np.ndarray]] = {}
    queue = list(todo)
    try:
        with progress.task("land-model runs", total) as task:
            while queue or running:
                while queue and len(running) < workers:
                    site, members, values = queue.pop(0)
                    future = pool.submit(model.simulate, site, values, plan.outputs)
                    running[future] = (site, members)
                finished, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in finished:
                    site, members = running.pop(future)
                    result = future.result()
                    data = {name: result[name].values for name in plan.outputs}
                    store.write(site.code, members, data, _status(data))
                    task.advance(len(members))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return total


def _status(data: dict[str, np.ndarray]) -> np.ndarray:
    sound = np.all(
        [(np.isfinite(a) & (np.abs(a) < ABSURD)).all(axis=1) for a in data.values()], axis=0
    )
    return np.where(sound, DONE, FAILED).astype("int8")
