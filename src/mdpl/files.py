"""Files of a run folder: written whole or not at all, and known again by their checksums.

A table, a JSON text or a NetCDF file ``x`` has a *seal* beside it, ``.x.sha256``, that says what
was written. It is written first and names the file before as well, so that a process killed
between the two leaves a file that is known. A file without a seal is read as it is.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from mdpl.errors import DamageError, RunError

NETCDF = threading.RLock()
"""Held wherever a NetCDF file may be touched while land models run: the library behind them bears
one thread at a time."""


def write_atomic(path: Path, data: bytes | str, named: bool = True) -> None:
    """Replace a file whole or not at all.

    Args:
        named: have the file's name on the disk too before going on; not needed where a file that
            is lost with the power is noticed and made again.

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
        if named:
            sync(path.parent)


def write_sealed(path: Path, data: bytes | str) -> None:
    """Replace a file whole or not at all, and seal it.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    raw = data.encode() if isinstance(data, str) else data
    _seal(path, hashlib.sha256(raw).hexdigest())
    write_atomic(path, raw)


def save_dataset(dataset: xr.Dataset, path: Path) -> None:
    """Write a NetCDF file whole or not at all, its variables compressed, and seal it.

    Raises:
        RunError: the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    compressed = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars}
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with NETCDF:
                dataset.to_netcdf(temporary, encoding=compressed)
            sync(temporary)
            _seal(path, checksum(temporary))
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        sync(path.parent)


def ready(folder: Path) -> Path:
    """A folder made where there is none, before long work that writes into it.

    Raises:
        RunError: nothing can be written there.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk itself before going on."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says against writing into words a user can act on."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "the disk is full; free some space and give the same command again",
            errno.EDQUOT: "your quota is used up; free some space and give the same command again",
            errno.EFBIG: "the file would be larger than this system allows; choose another --out",
            errno.EACCES: "no permission to write there; choose another --out",
            errno.EROFS: "the file system is read-only; choose another --out",
            errno.ENOTDIR: "a file is in the way of a folder; choose another --out",
            errno.EEXIST: "a file is in the way of a folder; choose another --out",
            errno.EISDIR: "a folder is in the way of a file; choose another --out",
            errno.ENAMETOOLONG: "the name is too long for this system; choose another --out",
        }
        other = f"{error.strerror or error}; choose another --out"
        reason = reasons.get(error.errno or 0, other)
        raise RunError(f"{error.filename or path}: cannot be written: {reason}") from error


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(places: Iterable[Path]) -> list[Path]:
    """Places that are missing, and sealed files there and below that are not what was written."""
    found = []
    for place in places:
        if not place.exists():
            found.append(place)
        seals = place.rglob(".*.sha256") if place.is_dir() else [_seal_of(place)]
        for seal in sorted(seals):
            path = seal.with_name(seal.name[1:].removesuffix(".sha256"))
            if seal.exists() and not _is_sound(path):
                found.append(path)
    return list(dict.fromkeys(found))


def remove(path: Path) -> None:
    """Remove a file and its seal, or a folder; nothing where there is nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    _seal_of(path).unlink(missing_ok=True)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no file.

    Raises:
        DamageError: it is something else, or not what was written.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(read_sealed(path))
    except (ValueError, RecursionError) as error:
        raise DamageError(_damage(path, f"not JSON: {error}")) from error
    if not isinstance(content, dict):
        raise DamageError(_damage(path, f"expected a JSON object, found {type(content).__name__}"))
    return content


def read_table(
    path: Path, columns: Iterable[str] = (), again: str = "", numbers: Iterable[str] = ()
) -> pd.DataFrame:
    """A table (CSV) of a run folder.

    Args:
        columns: what it must have.
        numbers: columns that must hold numbers where the table has them.
        again: command that makes it again; otherwise the one that read it.

    Raises:
        RunError: it is missing, or lacks a column.
        DamageError: it is no table, not what was written, or has text for a number.
    """
    if not path.exists():
        raise RunError(f"{path}: cannot be read: missing; {_remedy(again)}")
    try:
        # A tower or a PFT may be called NA.
        table = pd.read_csv(
            io.BytesIO(read_sealed(path, again)),
            keep_default_na=False,
            na_values=["", "nan", "NaN"],
        )
    except (ValueError, OverflowError) as error:
        raise DamageError(f"{path}: cannot be read ({error}); {_remedy(again)}") from error
    absent = [name for name in columns if name not in table]
    if absent:
        raise RunError(
            f"{path}: expected columns {', '.join(columns)}; missing {', '.join(absent)}; "
            f"{_remedy(again)}"
        )
    for name in set(numbers) & set(table):
        if len(table) and not pd.api.types.is_numeric_dtype(table[name]):
            raise DamageError(
                f"{path}: column {name}: expected numbers, found text; {_remedy(again)}"
            )
    return table


def load_dataset(path: Path) -> xr.Dataset:
    """Read a NetCDF file of a run.

    Raises:
        RunError: there is none.
        DamageError: it is not what was written.
    """
    if not path.exists():
        raise RunError(f"{path}: missing; run the stage that makes it again")
    if not _is_sound(path):
        raise DamageError(_damage(path, "its checksum differs"))
    try:
        times = xr.coders.CFDatetimeCoder(use_cftime=False)  # raises where dates are absurd
        with NETCDF, xr.open_dataset(path, engine="netcdf4", decode_times=times) as dataset:
            return dataset.load()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise DamageError(_damage(path, str(error))) from error


def read_sealed(path: Path, again: str = "") -> bytes:
    """The bytes of a file.

    Args:
        again: command that makes it again; otherwise the one that read it.

    Raises:
        DamageError: it cannot be read, or is not what was written.
    """
    try:
        raw = path.read_bytes()
        known = _known(path)
    except OSError as error:
        raise DamageError(_damage(path, str(error), again)) from error
    if known and hashlib.sha256(raw).hexdigest() not in known:
        raise DamageError(_damage(path, "its checksum differs", again))
    return raw


def _damage(path: Path, what: str, again: str = "") -> str:
    command = f"'{again}'" if again else "the same command"
    return f"{path}: damaged ({what}); delete it and give {command} again"


def _remedy(again: str) -> str:
    return f"give '{again}' again" if again else "run the stage that makes it again"


def _seal_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")


def _seal(path: Path, new: str) -> None:
    with writing(path):
        before = [checksum(path)] if path.is_file() else []
    write_atomic(_seal_of(path), "\n".join([new, *before]) + "\n")


def _known(path: Path) -> list[str]:
    seal = _seal_of(path)
    return seal.read_text(encoding="utf-8", errors="replace").split() if seal.is_file() else []


def _is_sound(path: Path) -> bool:
    try:
        known = _known(path)
        return not known or checksum(path) in known
    except OSError:
        return False
