"""The run folder: what it holds, what it was made from, and how it survives a cut."""

from __future__ import annotations

import errno
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

import xarray as xr

from mdpl import __version__
from mdpl.config import Config, dump, load
from mdpl.errors import RunError
from mdpl.sites.site import Site

OURS = frozenset({".lock", "towers", "truth", "truth.csv", "virtual", "recovery.csv", "excess.csv"})
"""What may lie in a folder before a run begins there: the demonstration puts it."""

LIBRARIES = ("numpy", "scipy", "xarray", "zarr", "jax", "jaxlib", "equinox", "optax")


def write_atomic(path: Path, data: bytes | str) -> None:
    """Replace a file whole or not at all.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing into words a user can act on."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space and give the same command again",
            errno.EACCES: "no permission to write there; choose another --out",
            errno.EROFS: "the file system is read-only; choose another --out",
            errno.ENOTDIR: "a file is in the way of a folder; choose another --out",
            errno.EEXIST: "a file is in the way of a folder; choose another --out",
        }
        reason = reasons.get(error.errno or 0)
        if reason is None:
            raise
        raise RunError(f"{path}: cannot be written: {reason}") from error


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
        write_atomic(self.path / name, data)

    def read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise RunError(
                f"{path}: damaged ({error}); delete it and give the same command again"
            ) from error

    def done(self, stage: str) -> bool:
        """Whether a stage was finished with this configuration and these data."""
        return stage in self.read_json("stages.json")

    def finish(self, stage: str) -> None:
        self._update("stages.json", {stage: True})

    def reopen(self, stages: Sequence[str]) -> None:
        """Forget that stages were finished, so that they are done again."""
        kept = {k: v for k, v in self.read_json("stages.json").items() if k not in stages}
        self.write("stages.json", json.dumps(kept, indent=2))

    def note_manifest(self, sites: Sequence[Site]) -> None:
        """Record versions, seeds and data; refuse data that changed since the run began.

        Raises:
            RunError: a tower's file is not the one this folder was made from.
        """
        old = self.read_json("manifest.json")
        data = {site.code: dict(site.sources) for site in sites}
        before = old.get("data", data)
        for code in sorted(set(before) | set(data)):
            if before.get(code) != data.get(code):
                raise RunError(
                    f"{self.path}: the files of tower {code} are not those this run was made "
                    "from (checksums differ); use another --out, or delete the folder"
                )
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
            "created": old.get("created", time.strftime("%Y-%m-%dT%H:%M:%S%z")),
            "data": data,
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

    def _update(self, name: str, entries: Mapping[str, Any]) -> None:
        self.write(name, json.dumps({**self.read_json(name), **entries}, indent=2))


def create(path: Path, config: Config) -> RunFolder:
    """Make a run folder, or take up one made with the same configuration.

    Raises:
        RunError: the folder cannot be written, is something else, or holds another run.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    stored = path / "config.yaml"
    if stored.exists():
        old = load(stored)
        if old != config:
            raise RunError(
                f"{path}: holds a run with another configuration ({_difference(old, config)}); "
                "use another --out, or delete the folder to start anew"
            )
    elif any(path.iterdir()) and not _only_ours(path):
        raise RunError(f"{path}: not empty and not a run folder; use another --out")
    else:
        write_atomic(stored, dump(config))
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


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a NetCDF file whole or not at all, its variables compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    compressed = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars}
    dataset.to_netcdf(temporary, encoding=compressed)
    temporary.replace(path)


def load_dataset(path: Path) -> xr.Dataset:
    """Read a NetCDF file of a run.

    Raises:
        RunError: there is none, or it is damaged.
    """
    try:
        with xr.open_dataset(path) as dataset:
            return dataset.load()
    except FileNotFoundError as error:
        raise RunError(f"{path}: missing; run the stage that makes it again") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({error}); delete it and run its stage again") from error


def _only_ours(path: Path) -> bool:
    return all(p.name in OURS for p in path.iterdir())


def _difference(old: Config, new: Config) -> str:
    a, b = _flat(old.model_dump(mode="json")), _flat(new.model_dump(mode="json"))
    keys = [k for k in a if a[k] != b.get(k)]
    return ", ".join(f"{k}: {a[k]!r} there, {b.get(k)!r} here" for k in keys[:5])


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{name}.")
        else:
            flat[name] = value
    return flat
