"""Taking up a run folder: what of it still holds, what is redone, what is damaged.

`stages.json` says of every stage what it was begun from (its key, see `mdpl.keys`) and whether it
is done. A stage of another key is forgotten there first, then what it made is removed, then the
new configuration is written, then the new keys: a process killed anywhere between finds a stage
without a key, whose files belong to nothing and go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mdpl.config import load
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import DamageError, MdplError, RunError
from mdpl.files import damaged, remove, writing
from mdpl.job import Job, simulation_path
from mdpl.keys import Keys, keys_of
from mdpl.progress import Progress
from mdpl.runs import RunFolder, create, difference

MADE = {
    "ensemble": ("simulations/default",),
    "surrogate": ("surrogate", "surrogate/surrogate.eqx"),
    "calibrate": ("observations", "sites.json", "selection*.csv", "rounds/0"),
    "refine": ("rounds/[1-9]*", "parameters.csv", "promised.csv"),
    "evaluate": ("simulations/mdpl", "scores.csv", "gains.csv", "rounds.csv"),
    "report": ("report.html", "figures", "drivers"),
}
"""Stage -> what it makes; the ensembles themselves know their damage."""

FROM_RUN = ("experiments", "audit", "rivals")
"""What is made from a finished run."""


def take_up(path: Path, job: Job, progress: Progress, *, redo: bool = False) -> RunFolder:
    """Make a run folder ready for a configuration, keeping what does not depend on any change.

    Args:
        redo: land-model runs and experiments may be thrown away.

    Raises:
        RunError: they would have to be, and ``redo`` is not given.
    """
    folder, wanted = RunFolder(path, job.config), keys_of(job)
    changes = _changes(folder, job, progress)
    found = _state(folder, wanted, changes, progress)
    towers = dict(found.get("towers", {}))
    stale = [code for code, key in wanted.towers.items() if towers.get(code) != key]
    kept = {
        stage: found[stage]
        for stage, key in wanted.stages.items()
        if found.get(stage, {}).get("key") == key
    }
    gone = [stage for stage in wanted.stages if stage not in kept]
    _protect(folder, stale, gone, changes, redo)
    if any(stage in found for stage in gone):
        progress.say(_words(wanted, stale, kept, gone, changes))
    trusted = {code: key for code, key in towers.items() if code not in stale}
    if gone or stale:
        _write(folder, {"towers": trusted, **kept})
        with writing(path):
            for place in _removed(folder, stale, gone):
                remove(place)
        _forget_timings(folder, gone, wholly=not trusted)
    if changes is None or changes:
        create(path, job.config)
    folder.note_manifest(job.sites)
    fresh = {stage: {"key": wanted.stages[stage], "done": False} for stage in gone}
    stages = {**kept, **fresh}
    if stages["refine"].setdefault("ends", wanted.ends) != wanted.ends:
        stages["refine"] |= {"ends": wanted.ends, "done": False}
    _write(folder, {"towers": {**trusted, **wanted.towers}, **stages})
    _mend(folder, job, progress)
    return folder


def check(folder: RunFolder, job: Job) -> None:
    """See that a folder was made from its configuration and the towers' files as they are.

    Raises:
        RunError: it was not.
    """
    again = f"give 'mdpl run {folder / 'config.yaml'} --out {folder.path}' to redo what depends on"
    changed = folder.changed_data(job.sites)
    if changed:
        raise RunError(
            f"{folder.path}: the files of tower {', '.join(changed)} are not those this run was "
            f"made from (checksums differ); {again} them"
        )
    found = folder.read_json("stages.json")
    for stage, key in keys_of(job).stages.items():
        entry = found.get(stage)
        if stage != "report" and isinstance(entry, dict) and entry.get("key") != key:
            raise RunError(
                f"{folder.path}: stage '{stage}' was made with another configuration or from "
                f"other files than are there now; {again} these"
            )


def _changes(folder: RunFolder, job: Job, progress: Progress) -> str | None:
    """What differs from the run before, in words; None if that cannot be told or there is none."""
    if not (folder / "config.yaml").exists():
        return None
    try:
        settings = difference(load(folder / "config.yaml"), job.config)
        changed = folder.changed_data(job.sites)
    except MdplError as error:
        progress.say(f"{error} (written anew)")
        return None
    data = f"files of tower {', '.join(changed)} changed" if changed else ""
    return "; ".join(part for part in (settings, data) if part)


def _state(
    folder: RunFolder, wanted: Keys, changes: str | None, progress: Progress
) -> dict[str, Any]:
    """What ``stages.json`` says.

    One that is lost, or of a version that kept no keys, is trusted if nothing changed; what was
    not finished is then done again from the files that are there.
    """
    try:
        found = folder.read_json("stages.json")
    except DamageError as error:
        progress.say(f"{error} (done: what is there is gone through again)")
        remove(folder / "stages.json")
        found = {}
    if all(isinstance(entry, dict) for entry in found.values()) and (
        found or (folder / "stages.json").exists()
    ):
        return found
    if changes != "":
        return {}
    stages = {
        stage: {"key": key, "done": found.get(stage) is True}
        for stage, key in wanted.stages.items()
    }
    return {"towers": dict(wanted.towers), **stages}


def _write(folder: RunFolder, state: dict[str, Any]) -> None:
    folder.write("stages.json", json.dumps(state, indent=2))


def _protect(
    folder: RunFolder, stale: Sequence[str], gone: Sequence[str], changes: str | None, redo: bool
) -> None:
    costly = sorted({place.stem for place in _runs(folder, stale)})
    others = [name for name in FROM_RUN if "evaluate" in gone and (folder / name).exists()]
    if redo or not (costly or others):
        return
    lost = [f"land-model runs of {', '.join(costly)}"] if costly else []
    lost += [f"{name}/" for name in others]
    raise RunError(
        f"{folder.path}: holds a run with another configuration or of other data "
        f"({changes or 'it cannot be told which'}), and going on would throw away "
        f"{' and '.join(lost)}; use another --out, or add --redo to make them again"
    )


def _runs(folder: RunFolder, codes: Sequence[str]) -> Iterator[Path]:
    """Land-model runs of towers, as far as there are any."""
    for code in codes:
        for place in (simulation_path(folder, "default", code), folder / f"ensemble.zarr/{code}"):
            if place.exists():
                yield place


def _removed(folder: RunFolder, stale: Sequence[str], gone: Sequence[str]) -> Iterator[Path]:
    yield from _runs(folder, stale)
    yield from (folder / f"ensemble.failures/{code}" for code in stale)
    yield from _made(folder, [stage for stage in gone if stage != "ensemble"])
    if "evaluate" in gone:
        yield from (folder / name for name in FROM_RUN)


def _made(folder: RunFolder, stages: Sequence[str]) -> Iterator[Path]:
    """What stages made or, as far as that has fixed names, should have made."""
    for stage in stages:
        for name in MADE[stage]:
            yield from folder.path.glob(name) if "*" in name else [folder / name]


def _forget_timings(folder: RunFolder, gone: Sequence[str], wholly: bool) -> None:
    """Costs of what was removed; those of an ensemble stay as long as some of it does."""
    try:
        costs = folder.read_json("timings.json")
    except DamageError:
        costs = {}
    left = {k: v for k, v in costs.items() if k not in gone or (k == "ensemble" and not wholly)}
    folder.write("timings.json", json.dumps(left, indent=2))


def _words(
    wanted: Keys, stale: Sequence[str], kept: dict[str, Any], gone: Sequence[str], why: str | None
) -> str:
    of = f" (of {', '.join(stale) or 'no tower'})" if len(stale) < len(wanted.towers) else ""
    redone = ", ".join(stage + of * (stage == "ensemble") for stage in gone)
    keeps = f"keeps {', '.join(kept)}; " if kept else ""
    return f"{why or 'made by another version of MdPL'}: {keeps}redoes {redone}"


def _mend(folder: RunFolder, job: Job, progress: Progress) -> None:
    """Go again through stages with damaged files and those after them, without these files."""
    for path in damaged([folder / "timings.json"]):
        progress.say(f"{path}: damaged or missing; the costs so far are forgotten")
        remove(path)
    order = list(MADE)
    for stage in order:
        done = folder.done(stage)
        bad = [
            path
            for path in damaged(_made(folder, [stage]))
            if (done or path.exists()) and path.name != "checkpoint.eqx"
        ]
        if stage == "ensemble" and done:
            bad += _damaged_runs(folder, job)
        for path in bad:
            progress.say(f"{path}: damaged or missing; it is made again")
            remove(path)
        if bad:
            folder.reopen(order[order.index(stage) :])


def _damaged_runs(folder: RunFolder, job: Job) -> list[Path]:
    """Damage among the runs of an ensemble that stages will read; its members are pending then."""
    bad = [
        path
        for path in (simulation_path(folder, "default", site.code) for site in job.sites)
        if not path.exists()
    ]
    if folder.done("surrogate") and folder.done("refine"):
        return bad
    store = EnsembleStore(folder / "ensemble.zarr")
    for site in job.training:
        try:
            bad += store.mend(site.code)
        except DamageError:
            bad.append(store.path / site.code / "zarr.json")
        except RunError:
            bad.append(store.path / site.code)
    return bad
