"""Ensembles on disk: one zarr group a tower, written batch by batch, every chunk with its CRC."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from mdpl.ensemble import chunks
from mdpl.errors import DamageError, RunError
from mdpl.files import sync, write_atomic, writing

PENDING, DONE, FAILED = 0, 1, 2

UNREADABLE = (ValueError, RuntimeError, OSError, KeyError, TypeError)
"""What reading a damaged store raises: checksums, decompression, JSON, files that are folders."""


@dataclass(frozen=True)
class SiteEnsemble:
    """The runs of one tower.

    Attributes:
        names: parameters perturbed.
        unit: their points in the unit cube, (member, parameter), as run.
        design: their points as planned; they differ where failed members were drawn anew.
        status: `PENDING`, `DONE` or `FAILED` by member.
        outputs: name -> zarr array (member, time), float32.
        path: where they lie.
    """

    code: str
    names: tuple[str, ...]
    unit: np.ndarray
    design: np.ndarray
    status: np.ndarray
    outputs: Mapping[str, zarr.Array]
    path: Path

    @property
    def usable(self) -> np.ndarray:
        """Members that ran and did not fail."""
        return np.flatnonzero(self.status == DONE)

    def read(self, output: str, members: Sequence[int] | np.ndarray) -> np.ndarray:
        """One output of some members, (member, time), float32.

        Raises:
            DamageError: a stored chunk is damaged; the message names its file.
        """
        try:
            return np.asarray(self.outputs[output].oindex[np.asarray(members)])
        except UNREADABLE as error:
            bad = [file for _, files in self.damaged() for file in files]
            raise DamageError(
                f"{', '.join(map(str, bad)) or self.path / output}: damaged ({error}); give "
                "'mdpl ensemble' and the folder of the run: it runs these members again"
            ) from error

    def batches(self) -> Iterator[tuple[slice, int]]:
        """Members that are stored together, and the number of their chunk."""
        size = next(iter(self.outputs.values())).chunks[0]
        for number, first in enumerate(range(0, len(self.status), size)):
            yield slice(first, min(first + size, len(self.status))), number

    def damaged(self) -> list[tuple[slice, list[Path]]]:
        """Batches that cannot be read or are not finite where finished, and their files."""
        found = []
        for members, number in self.batches():
            done = self.status[members] == DONE
            bad = [
                file
                for name, array in self.outputs.items()
                for file in [chunks.file_of(self.path / name, array, number)]
                if not _is_sound(array, file, members, done)
            ]
            if bad:
                found.append((members, bad))
        return found


@dataclass(frozen=True)
class EnsembleStore:
    """All ensembles of a run, over (site, member, time); records may differ in length."""

    path: Path

    def create_site(
        self,
        code: str,
        names: Sequence[str],
        unit: np.ndarray,
        steps: int,
        outputs: Sequence[str],
        batch: int,
    ) -> SiteEnsemble:
        """Open a tower's ensemble to add runs, making it first where it does not exist.

        Damaged runs are pending again, damaged descriptions are written anew.

        Raises:
            RunError: another design is stored under this tower.
        """
        if self._is_described(code, steps):
            found = self.site(code)
            same = found.names == tuple(names) and np.array_equal(found.design, unit)
            if not same or any(o not in found.outputs for o in outputs):
                raise RunError(
                    f"{self.path}: tower {code} holds runs of another design; expected "
                    f"{len(unit)} members of {', '.join(names)}; delete the folder or use another"
                )
        else:
            self._describe(code, names, unit, steps, outputs, batch)
        self.mend(code)
        return self.site(code)

    def site(self, code: str) -> SiteEnsemble:
        """A tower's ensemble as it stands on disk.

        Raises:
            RunError: there is none.
            DamageError: its description is damaged.
        """
        place = self.path / code
        if not (place / "zarr.json").exists():
            raise RunError(f"{self.path}: no ensemble of tower {code}; run the ensemble stage")
        try:
            group: Any = zarr.open_group(place, mode="r")
            return SiteEnsemble(
                code,
                tuple(group.attrs["parameters"]),
                np.asarray(group["unit"]),
                np.asarray(group["design" if "design" in group else "unit"]),
                _read_status(group["status"]),
                {name: group[name] for name in group.attrs["outputs"]},
                place,
            )
        except UNREADABLE as error:
            raise DamageError(
                f"{place}: the description of this ensemble is damaged ({error}); give "
                "'mdpl ensemble' and the folder of the run: it mends what can be mended"
            ) from error

    def finished(self, codes: Sequence[str]) -> int:
        """Members run so far, failed ones included; towers not begun count as none."""
        total = 0
        for code in codes:
            try:
                total += int((self.site(code).status != PENDING).sum())
            except RunError:
                continue
        return total

    def write(
        self,
        code: str,
        members: np.ndarray,
        data: Mapping[str, np.ndarray],
        status: np.ndarray,
        reasons: Mapping[int, str] | None = None,
    ) -> None:
        """Store finished members; their status is written last, so a cut leaves them pending.

        Args:
            reasons: member -> why it failed.

        Raises:
            RunError: the disk is full or the folder cannot be written.
        """
        with writing(self.path / code):
            place = self.path / code
            arrays = _arrays(place)
            for name, array in data.items():
                chunks.put(place / name, arrays[name], members, array)
            if reasons:
                lines = {str(member): reason for member, reason in reasons.items()}
                write_atomic(self._failed(code) / f"{members[0]:07d}.json", json.dumps(lines))
            chunks.put(place / "status", arrays["status"], members, status)

    def replace(self, code: str, members: np.ndarray, points: np.ndarray) -> None:
        """Give members other points of the unit cube, (member, parameter), still to be run."""
        with writing(self.path / code):
            group: Any = zarr.open_group(self.path / code, mode="r+")
            group["status"].oindex[members] = np.full(len(members), PENDING, dtype="int8")
            group["unit"].oindex[members] = points

    def reasons(self, code: str) -> dict[int, str]:
        """Why members failed, also those run again with another point since."""
        found: dict[int, str] = {}
        for path in sorted(self._failed(code).glob("*.json")):
            try:
                told = json.loads(path.read_text(encoding="utf-8"))
                found |= {int(member): str(reason) for member, reason in told.items()}
            except (OSError, ValueError, AttributeError) as error:
                raise DamageError(f"{path}: damaged ({error}); delete it") from error
        return found

    def _failed(self, code: str) -> Path:
        return self.path.with_suffix(".failures") / code

    def mend(self, code: str) -> list[Path]:
        """Make members pending whose stored runs are damaged; the files that were."""
        runs = self.site(code)
        group: Any = zarr.open_group(runs.path, mode="r+")
        mended = []
        status = group["status"]
        for members, number in runs.batches():
            file = chunks.file_of(runs.path / "status", status, number)
            if not _is_sound(status, file, members, runs.status[members] != PENDING):
                mended.append(file)
        # A chunk is read before a part of it is replaced, so damaged ones must go.
        for members, files in runs.damaged():
            status[members] = PENDING
            mended += files
        for file in mended:
            _unlink(file)
        return mended

    def _is_described(self, code: str, steps: int) -> bool:
        try:
            found = self.site(code)
        except RunError:
            return False
        return all(
            array.shape == (len(found.unit), steps) and array.dtype == np.float32
            for array in found.outputs.values()
        ) and len(found.status) == len(found.unit)

    def _describe(
        self,
        code: str,
        names: Sequence[str],
        unit: np.ndarray,
        steps: int,
        outputs: Sequence[str],
        batch: int,
    ) -> None:
        """Lay a tower's ensemble out; where there is one, only its description is replaced."""
        with writing(self.path):
            new = self.path / ".new"
            shutil.rmtree(new, ignore_errors=True)
            _lay_out(new, names, unit, steps, outputs, batch)
            place = self.path / code
            if not place.is_dir():
                place.unlink(missing_ok=True)
                new.rename(place)
            else:
                for file in sorted(new.rglob("*")):
                    there = place / file.relative_to(new)
                    if file.is_file():
                        there.parent.mkdir(parents=True, exist_ok=True)
                        _unlink(there)
                        file.replace(there)
                shutil.rmtree(new)
            sync(self.path)


def _arrays(place: Path) -> Mapping[str, zarr.Array]:
    """Arrays of a tower to write into; opened once for as long as its description is the same."""
    return _opened(place, (place / "zarr.json").stat().st_ino)


@lru_cache(maxsize=256)
def _opened(place: Path, _description: int) -> Mapping[str, zarr.Array]:
    group: Any = zarr.open_group(place, mode="r+")
    return {name: group[name] for name in (*group.attrs["outputs"], "status")}


def _lay_out(
    place: Path,
    names: Sequence[str],
    unit: np.ndarray,
    steps: int,
    outputs: Sequence[str],
    batch: int,
) -> None:
    group = zarr.open_group(place, mode="w")
    members = len(unit)
    size = min(batch, members)
    for name in outputs:
        group.create_array(
            name,
            shape=(members, steps),
            chunks=(size, steps),
            dtype="float32",
            fill_value=np.nan,
            compressors=chunks.CODECS,
        )
    for name in ("unit", "design"):
        stored = group.create_array(
            name, shape=unit.shape, chunks=unit.shape, dtype="float64", compressors=chunks.CODECS
        )
        stored[...] = unit
    # In the chunks of the outputs, so that writers of other batches never touch the same file.
    group.create_array(
        "status", shape=(members,), chunks=(size,), dtype="int8", compressors=chunks.CODECS
    )
    group.attrs.update({"parameters": list(names), "outputs": list(outputs)})


def _read_status(array: zarr.Array) -> np.ndarray:
    """Status by member; `PENDING` where it cannot be read."""
    with suppress(*UNREADABLE):
        return np.asarray(array)
    status = np.full(array.shape, PENDING, dtype="int8")
    for first in range(0, len(status), array.chunks[0]):
        members = slice(first, first + array.chunks[0])
        with suppress(*UNREADABLE):
            status[members] = array[members]
    return status


def _is_sound(array: zarr.Array, file: Path, members: slice, done: np.ndarray) -> bool:
    """Whether a chunk, in its file, can be read and has finite values of the finished members."""
    if not file.exists():
        return not done.any()
    try:
        return bool(np.isfinite(np.asarray(array[members])[done]).all())
    except UNREADABLE:
        return False


def _unlink(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
