"""The run folder: what it holds, what it was made from, and how it survives a cut."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mdpl import __version__
from mdpl.config import Config, dump, load
from mdpl.errors import DamageError, RunError
from mdpl.files import read_json, write_atomic, write_sealed, writing
from mdpl.sites.site import Site

OURS = frozenset({".lock", "towers", "truth", "truth.csv", "virtual", "recovery.csv", "excess.csv"})
"""What may lie in a folder before a run begins there: the demonstration puts it."""

LIBRARIES = ("numpy", "scipy", "xarray", "zarr", "jax", "jaxlib", "equinox", "optax")


@dataclass(frozen=True)
class RunFolder:
    """A run on disk.

    ``config.yaml``, ``manifest.json``, ``timings.json`` and ``stages.json`` are kept here; what
    the stages write is theirs.
    """

    path: Path
    config: Config

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def write(self, name: str, data: bytes | str) -> None:
        write_sealed(self.path / name, data)

    def read_json(self, name: str) -> dict[str, Any]:
        return read_json(self.path / name)

    def done(self, stage: str) -> bool:
        """Whether a stage was finished."""
        found = self.read_json("stages.json").get(stage, False)
        return bool(found.get("done")) if isinstance(found, dict) else bool(found)

    def finish(self, stage: str) -> None:
        found = self.read_json("stages.json").get(stage)
        done = {**found, "done": True} if isinstance(found, dict) else True
        self._update("stages.json", {stage: done})

    def reopen(self, stages: Sequence[str]) -> None:
        """Have stages done again, from what there is of them."""
        every = self.read_json("stages.json")
        for stage in stages:
            if isinstance(every.get(stage), dict):
                every[stage]["done"] = False
            else:
                every.pop(stage, None)
        self.write("stages.json", json.dumps(every, indent=2))

    def changed_data(self, sites: Sequence[Site]) -> list[str]:
        """Towers whose files are not those this folder was made from."""
        now = {site.code: dict(site.sources) for site in sites}
        before = self.read_json("manifest.json").get("data", now)
        return [
            code for code in sorted(set(before) | set(now)) if before.get(code) != now.get(code)
        ]

    def note_manifest(self, sites: Sequence[Site]) -> None:
        """Record versions, seeds and data."""
        try:
            created = self.read_json("manifest.json").get("created")
        except DamageError:
            created = None
        manifest = {
            "title": self.config.title,
            "mdpl": __version__,
            "python": platform.python_version(),
            "libraries": {name: version(name) for name in LIBRARIES},
            "seeds": {
                "ensemble": self.config.ensemble.seed,
                "surrogate": self.config.surrogate.seed,
                "generator": self.config.generator.seed,
            },
            "created": created or time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "data": {site.code: dict(site.sources) for site in sites},
        }
        self.write("manifest.json", json.dumps(manifest, indent=2))

    @contextmanager
    def timed(self, stage: str, name: str = "timings.json") -> Iterator[dict[str, int]]:
        """Add a stage's seconds, and the runs and models counted in the yielded dict."""
        begin = time.monotonic()
        counts = {"lsm_runs": 0, "models_trained": 0}
        try:
            yield counts
        finally:
            old = self.read_json(name).get(stage, {})
            seconds = old.get("seconds", 0.0) + time.monotonic() - begin
            total = {k: old.get(k, 0) + v for k, v in counts.items()}
            self._update(name, {stage: {"seconds": round(seconds, 2), **total}})

    def count_at_least(self, stage: str, made: Mapping[str, int]) -> None:
        """Count what a process made that was killed before it could."""
        known = self.read_json("timings.json").get(stage, {})
        total = {key: max(known.get(key, 0), number) for key, number in made.items()}
        self._update("timings.json", {stage: {**known, **total}})

    def _update(self, name: str, entries: Mapping[str, Any]) -> None:
        self.write(name, json.dumps({**self.read_json(name), **entries}, indent=2))


def claim(path: Path) -> None:
    """Make a run folder, or see that it is one.

    Raises:
        RunError: the folder cannot be written, or is something else.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        known = any((path / name).exists() for name in ("config.yaml", "stages.json"))
        ours = known or all(p.name in OURS or p.name.startswith(".") for p in path.iterdir())
    if not ours:
        raise RunError(f"{path}: not empty and not a run folder; use another --out")


def create(path: Path, config: Config) -> RunFolder:
    """Make a run folder of a configuration, or give one another.

    Raises:
        RunError: the folder cannot be written, or is something else.
    """
    claim(path)
    write_atomic(path / "config.yaml", dump(config))
    return RunFolder(path, config)


def open_run(path: Path) -> RunFolder:
    """Open an existing run folder.

    Raises:
        RunError: there is none.
    """
    if not (path / "config.yaml").is_file():
        raise RunError(f"{path}: not a run folder (no config.yaml); make one with 'mdpl run'")
    return RunFolder(path, load(path / "config.yaml"))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a run folder for this process; the lock falls with the process, however it ends.

    Raises:
        RunError: another process holds it.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        file = open(path / ".lock", "a+", encoding="utf-8")  # noqa: SIM115
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise RunError(
                f"{path}: process {file.read().strip() or '?'} is at work in this folder; "
                "wait for it, or use another --out"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def difference(old: Config, new: Config) -> str:
    """Settings that differ, in words; empty if none does."""
    a, b = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    keys = [k for k in {**a, **b} if a.get(k) != b.get(k)]
    return ", ".join(f"{k}: {a.get(k)!r} there, {b.get(k)!r} here" for k in keys[:5])


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{name}.")
        else:
            flat[name] = value
    return flat
