"""Chunks of a zarr array as files of our own: whole or not at all, and quick to write.

zarr writes a chunk through five hand-overs between threads, which for a short run costs more than
the run; what is written here is byte for byte what zarr writes, and zarr reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.zstd import Zstd
from zarr.codecs import Crc32cCodec, ZstdCodec

from mdpl.files import write_atomic

LEVEL = 0
"""Effort of compression."""

CODECS: Any = (ZstdCodec(level=LEVEL), Crc32cCodec())
"""What arrays are made with whose chunks are written here."""


def file_of(place: Path, array: zarr.Array, number: int) -> Path:
    """The file of a chunk; arrays are divided along their first dimension only.

    Args:
        place: folder of the array.
    """
    return place.joinpath("c", str(number), *["0"] * (array.ndim - 1))


def put(place: Path, array: zarr.Array, rows: np.ndarray, values: np.ndarray) -> None:
    """Replace rows of an array, each chunk whole or not at all.

    Args:
        place: folder of the array.
        rows: where, (row,).
        values: what, (row, ...).

    Raises:
        OSError, RunError: the disk is full or the folder cannot be written.
    """
    size = array.chunks[0]
    for number in np.unique(rows // size):
        first, here = number * size, rows // size == number
        chunk = np.full(array.chunks, array.fill_value, dtype=array.dtype)
        if here.sum() < min(size, array.shape[0] - first):
            there = np.asarray(array[first : first + size])
            chunk[: len(there)] = there
        chunk[rows[here] - first] = values[here]
        write_atomic(file_of(place, array, number), _encoded(chunk), named=False)


def _encoded(chunk: np.ndarray) -> bytes:
    little = np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("<"))
    packed = bytes(Zstd(LEVEL).encode(little))
    return packed + google_crc32c.value(packed).to_bytes(4, "little")
