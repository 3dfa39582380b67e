"""Runs the land model with perturbed parameters at every tower."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mdpl.config import ClusterConfig
from mdpl.ensemble import design
from mdpl.ensemble.store import DONE, FAILED, PENDING, EnsembleStore
from mdpl.ensemble.workers import Workers, open_workers
from mdpl.errors import ModelError, RunError
from mdpl.lsm.model import LandModel, ParameterSpace
from mdpl.lsm.offers import BATCH, ask, failures, name_of, stop
from mdpl.progress import Progress, Task
from mdpl.sites.site import Site

RESAMPLINGS = 3
"""Times a failed member gets another point, where failures are resampled."""

HAND_OVER = 0.2
"""Seconds of work handed to a worker at a time where batches are shorter; a cluster's own toil for
a task is a few milliseconds."""


@dataclass(frozen=True)
class Failures:
    """What is done about members that fail.

    Attributes:
        policy: ``drop`` leaves them out, ``resample`` runs other points, drawn at random, in
            their place (given points are left out), ``abort`` stops at the first.
        most: largest share of a tower's members that may fail.
        absurd: magnitude of an output (W m-2, umol m-2 s-1) beyond which a run has failed.
    """

    policy: Literal["drop", "resample", "abort"] = "drop"
    most: float = 0.5
    absurd: float = 2e4


@dataclass(frozen=True)
class Plan:
    """An ensemble to be made.

    Attributes:
        space: parameters perturbed and their bounds; the others keep their defaults.
        outputs: what to store of each run.
        points: tower -> points of the unit cube to run, (member, parameter); without them the
            whole cube is filled by a design of this ``kind``.
        batch: members run, and stored, together.
        first: only so many members of each tower are run for now, and none judged; None runs all.
    """

    space: ParameterSpace
    members: int
    kind: design.Kind
    seed: int
    outputs: tuple[str, ...]
    points: Mapping[str, np.ndarray] | None = None
    batch: int = BATCH
    failures: Failures = Failures()
    first: int | None = None

    @property
    def resamples(self) -> bool:
        """Whether a failed member gets another point; nothing stands in for one that was given."""
        return self.failures.policy == "resample" and self.points is None

    def unit(self, code: str) -> np.ndarray:
        """The design of one tower in the unit cube of ``space``, (member, parameter)."""
        if self.points is not None:
            return self.points[code]
        seed = design.site_seed(self.seed, code)
        return design.draw(self.members, len(self.space), self.kind, seed)


@dataclass(frozen=True)
class Batch:
    """Members of a tower that run together, and their parameters (member, parameter)."""

    code: str
    members: np.ndarray
    values: np.ndarray


def run_ensemble(
    model: LandModel,
    sites: Sequence[Site],
    plan: Plan,
    store: EnsembleStore,
    progress: Progress,
    cluster: ClusterConfig | None = None,
) -> int:
    """Run what is pending and store it as it comes; safe to interrupt and to repeat.

    Returns:
        how many land-model runs were made now.

    Raises:
        ModelError: more members of a tower failed than the plan allows.
    """
    for site in sites:
        unit = plan.unit(site.code)
        store.create_site(
            site.code, plan.space.names, unit, len(site.time), plan.outputs, plan.batch
        )
    ran, place_of = 0, {site.code: site for site in sites}
    while True:
        todo = [batch for site in sites for batch in _pending(model, site, plan, store)]
        total = sum(len(batch.members) for batch in todo)
        if total:
            ask(model, [(place_of[batch.code], batch.values) for batch in todo])
            with (
                open_workers(cluster) as workers,
                progress.task("land-model runs", total) as task,
            ):
                _run_all(model, place_of, todo, plan, store, workers, task)
        ran += total
        if plan.first is not None:
            return ran
        if not (plan.resamples and [s for s in sites if _resample(s, plan, store)]):
            break
    for site in sites:
        _judge(model, site, plan, store)
    return ran


def planned(model: LandModel, sites: Sequence[Site], plan: Plan) -> list[tuple[Site, np.ndarray]]:
    """Every parameter set of a plan by tower, physical values (member, parameter)."""
    names = plan.space.names
    return [
        (s, model.parameters.complete(names, plan.space.from_unit(plan.unit(s.code)), s.attributes))
        for s in sites
    ]


def run_batch(
    model: LandModel, site: Site, batch: Batch, plan: Plan, store: EnsembleStore
) -> dict[int, str]:
    """Run and store one batch; members that failed, and why."""
    run = model.simulate(site, batch.values, plan.outputs)
    data = {name: run[name].values for name in plan.outputs}
    found = {}
    for i, (member, told) in enumerate(zip(batch.members, failures(run), strict=True)):
        reason = told or unsound({k: a[i] for k, a in data.items()}, plan.failures.absurd)
        if reason:
            found[int(member)] = reason
    status = np.array([FAILED if int(m) in found else DONE for m in batch.members], dtype="int8")
    store.write(site.code, batch.members, data, status, found)
    return found


def _pending(model: LandModel, site: Site, plan: Plan, store: EnsembleStore) -> Iterator[Batch]:
    made = store.site(site.code)
    values = model.parameters.complete(
        plan.space.names, plan.space.from_unit(made.unit), site.attributes
    )
    wanted = len(made.unit) if plan.first is None else min(plan.first, len(made.unit))
    for first in range(0, wanted, plan.batch):
        members = np.arange(first, min(first + plan.batch, wanted))
        members = members[made.status[members] == PENDING]
        if members.size:
            yield Batch(site.code, members, values[members])


def _run_all(
    model: LandModel,
    place_of: Mapping[str, Site],
    todo: Sequence[Batch],
    plan: Plan,
    store: EnsembleStore,
    workers: Workers,
    task: Task,
) -> None:
    shared_model, shared_place, code_shared = workers.share(model), None, ""
    running: dict[Future, list[Batch]] = {}
    queue, together = list(reversed(todo)), 1
    try:
        while queue or running:
            while queue and len(running) < workers.slots():
                fair = len(queue) // (2 * workers.slots()) + 1
                batches = _next(queue, min(together, fair))
                if batches[0].code != code_shared:
                    code_shared = batches[0].code
                    shared_place = workers.share(place_of[code_shared])
                running[
                    workers.submit(_run_batches, shared_model, shared_place, batches, plan, store)
                ] = batches
            finished, _ = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in finished:
                batches = running.pop(future)
                seconds = _told(future, batches, model, plan, workers)
                task.advance(sum(len(batch.members) for batch in batches))
                together = max(1, int(HAND_OVER * len(batches) / seconds))
    except BaseException:
        for future in running:
            future.cancel()
        stop(model)
        raise


def _next(queue: list[Batch], most: int) -> list[Batch]:
    """Take the last batches of a queue, all of one tower, in turn."""
    code = queue[-1].code
    found: list[Batch] = []
    while queue and queue[-1].code == code and len(found) < most:
        found.append(queue.pop())
    return found


def _told(
    future: Future, batches: Sequence[Batch], model: LandModel, plan: Plan, workers: Workers
) -> float:
    """Seconds that finished batches took; an error where they ended a run."""
    at = f"{name_of(model)} at {batches[0].code}"
    try:
        reasons, seconds = future.result()
    except workers.lost as error:
        raise RunError(
            f"{at}: the worker died each time members {batches[0].members[0]} to "
            f"{batches[-1].members[-1]} ran; look into its log: often it lacks memory. What is "
            "finished is kept"
        ) from error
    if reasons and plan.failures.policy == "abort":
        member, reason = next(iter(reasons.items()))
        raise ModelError(
            f"{at}: member {member} failed: {reason}; mend it, or set ensemble.failures to drop "
            "or resample"
        )
    return seconds


def _run_batches(
    model: LandModel, site: Site, batches: Sequence[Batch], plan: Plan, store: EnsembleStore
) -> tuple[dict[int, str], float]:
    """Members of some batches that failed and why, and the seconds that all took."""
    begin = time.perf_counter()
    found: dict[int, str] = {}
    for batch in batches:
        found |= run_batch(model, site, batch, plan, store)
        if found and plan.failures.policy == "abort":
            break
    return found, time.perf_counter() - begin


def _resample(site: Site, plan: Plan, store: EnsembleStore) -> bool:
    """Give failed members other points, each at most `RESAMPLINGS`; whether any got one.

    The points in turn are a member's own, so that a run cut short and one given again come to the
    ensemble of one that was not.
    """
    made = store.site(site.code)
    failed = np.flatnonzero(made.status == FAILED)
    if failed.size == len(made.status):
        return False
    members, points = [], []
    for member in failed:
        rng = np.random.default_rng([design.site_seed(plan.seed, site.code), int(member)])
        others = np.clip(rng.random((RESAMPLINGS, len(plan.space))), 1e-6, 1 - 1e-6)
        had = np.flatnonzero((np.abs(others - made.unit[member]) < 1e-12).all(axis=1))
        following = int(had[0]) + 1 if had.size else 0
        if following < RESAMPLINGS:
            members.append(int(member))
            points.append(others[following])
    if members:
        store.replace(site.code, np.array(members), np.array(points))
    return bool(members)


def _judge(model: LandModel, site: Site, plan: Plan, store: EnsembleStore) -> None:
    made = store.site(site.code)
    failed = int((made.status == FAILED).sum())
    if failed <= plan.failures.most * len(made.status) and len(made.usable):
        return
    reasons = store.reasons(site.code)
    first = next(iter(reasons.items()), None)
    told = f" (member {first[0]}: {first[1]})" if first else ""
    many = "all" if failed == len(made.status) else str(failed)
    raise ModelError(
        f"{name_of(model)} at {site.code}: {many} of {len(made.status)} members failed{told}; "
        "narrow the parameter ranges, check the forcing, or look at one with 'mdpl ensemble rerun'"
    )


def unsound(outputs: Mapping[str, np.ndarray], absurd: float) -> str:
    """What is wrong with a run's outputs, each (time,); empty text if nothing."""
    for name, values in outputs.items():
        lost = ~np.isfinite(values)
        if lost.any():
            return f"{name} is not finite from step {int(lost.argmax())}"
        wild = np.abs(values) >= absurd
        if wild.any():
            step = int(wild.argmax())
            return f"{name} is {values[step]:g} at step {step}, beyond {absurd:g}"
    return ""
