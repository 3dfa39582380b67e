"""A land model that is a program, behind the `LandModel` contract."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.callable import collect
from mdpl.lsm.executable import placing
from mdpl.lsm.executable.adapter import OUTPUT_UNITS, Adapter, read_adapter
from mdpl.lsm.executable.forcing import write_forcing, write_made
from mdpl.lsm.executable.outputs import read_outputs
from mdpl.lsm.executable.process import Processes, tail
from mdpl.lsm.executable.settings import clock, resolve
from mdpl.lsm.model import ParameterSpace
from mdpl.sites.site import Site

Series = dict[str, np.ndarray]
Mark = tuple[int, int]

_SMALL = 1 << 20  # bytes; what is not larger is copied for every run


@dataclass(frozen=True)
class ExecutableModel:
    """A program run in a folder of its own for every parameter set.

    A run's folder is made of the template's files, of which programs and large ones that no value
    is put into are links, and of links to the tower's forcing. What an earlier run left in the
    template where the program writes its outputs is not taken along. The folder is removed when
    the run has succeeded and kept when it failed; the reason of the failure names it.

    Attributes:
        template: folder every run starts from.
        shared: its files that are linked -> what they were, to tell a program that writes into one.
        work: where folders of runs are made.
        sources: files it is made of -> sha256.
        keep: keep the folders of all runs.
    """

    adapter: Adapter
    template: Path
    work: Path
    sources: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[Path, Mark] = field(default_factory=dict)
    keep: bool = False
    batch: int = 1
    _processes: Processes = field(default_factory=Processes, repr=False, compare=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in {"_processes", "_lock"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _processes=Processes(), _lock=threading.Lock())

    @property
    def name(self) -> str:
        return self.adapter.name

    @property
    def parameters(self) -> ParameterSpace:
        return self.adapter.space()

    @property
    def outputs(self) -> Mapping[str, str]:
        return {name: OUTPUT_UNITS[name] for name in self.adapter.outputs.variables}

    @property
    def recommended(self) -> tuple[str, ...]:
        return self.adapter.recommended or self.parameters.names

    def simulate(
        self, site: Site, values: np.ndarray | None = None, outputs: Sequence[str] | None = None
    ) -> xr.Dataset:
        """Run the program for each parameter set (see `LandModel.simulate`)."""
        space = self.parameters
        rows = space.defaults(site.attributes)[None] if values is None else np.atleast_2d(values)
        space.check(rows)
        names = tuple(self.outputs) if outputs is None else tuple(outputs)
        runs = [self._run(site, dict(zip(space.names, row, strict=True)), names) for row in rows]
        return collect(site, runs, {name: self.outputs[name] for name in names})

    def stop(self) -> None:
        """End the programs running now."""
        self._processes.stop()

    def keeping(self, folder: Path) -> ExecutableModel:
        """The same model, all of whose runs stay in a folder."""
        return replace(self, work=folder, keep=True)

    def _run(
        self, site: Site, parameters: Mapping[str, float], names: Sequence[str]
    ) -> Series | str:
        """Series of one run, or why there are none."""
        folder = Path(tempfile.mkdtemp(prefix=f"{_safe(site.code)}-", dir=self._made_work()))
        failed = False  # an interrupted run has not failed, and leaves nothing
        try:
            found = self._in(folder, site, parameters, names)
            failed = isinstance(found, str)
            return f"{found}; its folder: {folder}" if failed else found
        finally:
            if not (failed or self.keep):
                shutil.rmtree(folder, ignore_errors=True)

    def _in(
        self, folder: Path, site: Site, parameters: Mapping[str, float], names: Sequence[str]
    ) -> Series | str:
        whole, spinup = len(site.time), self.adapter.spinup
        year = min(whole, 365 * site.steps_per_day)
        stages = [year] * (spinup.cycles if spinup else 0) + [whole]
        start: Path | None = None
        for number, length in enumerate(stages):
            place = folder / f"cycle-{number}" if number < len(stages) - 1 else folder / "run"
            self._furnish(place, site, length, parameters, start)
            failed = self._processes.run(self._command(place), place, self.adapter.timeout)
            spoilt = [path for path, mark in self.shared.items() if _mark(path) != mark]
            if spoilt:
                return (
                    f"wrote into {spoilt[0]}, a file of the template that all runs share; name it "
                    "under 'text', or have the program write elsewhere"
                )
            if failed:
                return failed
            if spinup and number < len(stages) - 1:
                left = sorted(place.glob(spinup.restart))
                if not left:
                    return f"left no {spinup.restart} in cycle {number + 1}{tail(place)}"
                start = left[-1]
        place, time = folder / "run", clock(self.adapter, site)
        beyond = self.adapter.forcing.after
        found = read_outputs(self.adapter.outputs, place, time, site.step_seconds, names, beyond)
        return f"{found}{tail(place)}" if isinstance(found, str) else found

    def _furnish(
        self,
        place: Path,
        site: Site,
        length: int,
        parameters: Mapping[str, float],
        start: Path | None,
    ) -> None:
        """Make a folder ready to run in."""
        adapter = self.adapter
        _copy_tree(self.template, place, adapter)
        _link_whole(self._forcing(site, length), place)
        values = resolve(adapter, site, length)
        if start is not None and adapter.spinup is not None:
            target = place / adapter.spinup.start
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            os.symlink(start, target)
            values |= adapter.spinup.settings
        write_made(adapter.made, values, place)
        placing.put_all(adapter, place, {**values, **parameters})

    def _command(self, place: Path) -> list[str]:
        first, *rest = self.adapter.command
        own = place / first
        return [str(own) if own.is_file() else first, *rest]

    def _forcing(self, site: Site, length: int) -> Path:
        """Folder of a tower's forcing in the program's form, made once for all runs."""
        told = f"{site.fingerprint} {self.adapter.utc} {length}"
        told += self.adapter.forcing.model_dump_json()
        digest = hashlib.sha256(told.encode()).hexdigest()[:12]
        folder = self._made_work() / f"forcing-{_safe(site.code)}-{digest}"
        with self._lock:
            if not folder.exists():
                new = Path(tempfile.mkdtemp(prefix="forcing-", dir=self._made_work()))
                write_forcing(self.adapter, site, length, new)
                try:
                    new.rename(folder)
                except OSError:  # another process was quicker
                    shutil.rmtree(new, ignore_errors=True)
        return folder

    def _made_work(self) -> Path:
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(f"{self.work}: no folder for runs can be made ({error})") from error
        return self.work


def open_adapter(path: Path, work: Path | None = None) -> ExecutableModel:
    """The land model that an adapter file describes.

    Args:
        work: where folders of runs are made; None means the system's temporary place.

    Raises:
        ConfigError, ModelError: the file does not describe one, or its program or a file that
            values are put into is not there.
    """
    adapter = read_adapter(path)
    template = (path.parent / adapter.template).resolve()
    program = adapter.command[0]
    if not (template / program).is_file() and shutil.which(program) is None:
        raise ConfigError(
            f"{path}: command: no program {program!r} in {template} and none on the PATH; build "
            "it, or give its whole path"
        )
    _check_texts(path, adapter, template)
    own = _files(template, adapter)
    files = [path, *own]
    sources = {
        str(p.relative_to(path.parent.resolve()) if p != path else p.name): _digest(p)
        for p in files
        if p == path or p.is_relative_to(path.parent.resolve())
    }
    place = work or Path(tempfile.gettempdir()) / f"mdpl-{os.getuid()}" / _safe(adapter.name)
    put = {template / name for name in placing.touched(adapter)}
    shared = {p: _mark(p) for p in own if p not in put and _is_shared(p)}
    return ExecutableModel(adapter, template, place, sources, shared)


def _check_texts(path: Path, adapter: Adapter, template: Path) -> None:
    made = set(adapter.made)
    absent = [n for n in placing.touched(adapter) - made if not (template / n).is_file()]
    if absent:
        raise ConfigError(f"{path}: no {absent[0]} in {template} to put values into")
    texts = [(template / name).read_text(encoding="utf-8") for name in adapter.text]
    filled = placing.holes(texts)
    for name, entry in adapter.parameters.items():
        if not entry.put and name not in filled:
            raise ConfigError(
                f"{path}: parameter {name} is put nowhere; give it a 'put', or write "
                f"{{{{{name}}}}} in a file named under 'text'"
            )


def _files(template: Path, adapter: Adapter) -> list[Path]:
    """Files of a template but for outputs and states that an earlier run left there."""
    spinup, needed = adapter.spinup, placing.touched(adapter)
    left = set(template.glob(adapter.outputs.file))
    if spinup is not None:
        left |= set(template.glob(spinup.restart))
        needed = needed | {spinup.start}
    left -= {template / name for name in needed}
    return [p for p in sorted(template.rglob("*")) if p.is_file() and p not in left]


def _copy_tree(template: Path, target: Path, adapter: Adapter) -> None:
    """Its folders and files in another; those that may be shared as links."""
    own = placing.touched(adapter)
    for path in template.rglob("*"):
        if path.is_dir():
            (target / path.relative_to(template)).mkdir(parents=True, exist_ok=True)
    for path in _files(template, adapter):
        name = path.relative_to(template)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if str(name) in own or not _is_shared(path):
            shutil.copy(path, target / name)
        else:
            os.symlink(path, target / name)


def _is_shared(path: Path) -> bool:
    """Large files, and programs: one that is being written cannot be started, and another
    thread's child may hold it open for a moment longer than the copying takes."""
    return path.stat().st_size > _SMALL or os.access(path, os.X_OK)


def _mark(path: Path) -> Mark:
    about = path.stat()
    return about.st_mtime_ns, about.st_size


def _link_whole(source: Path, target: Path) -> None:
    """Links to the entries of a folder that no program writes into, folders as one where it can."""
    for path in source.iterdir():
        there = target / path.name
        if path.is_dir() and there.is_dir():
            _link_whole(path, there)
        else:
            there.unlink(missing_ok=True)
            os.symlink(path, there)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
