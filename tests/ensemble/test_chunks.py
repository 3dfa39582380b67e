"""Chunks written here are, byte for byte, those that zarr would write."""

import numpy as np
import pytest
import zarr

from mdpl.ensemble import chunks

MEMBERS, SIZE, STEPS = 10, 4, 48


def make(place, kind):
    shape, parts = ((MEMBERS, STEPS), (SIZE, STEPS)) if kind == "float32" else ((MEMBERS,), (SIZE,))
    return zarr.create_array(
        place, shape=shape, chunks=parts, dtype=kind, compressors=chunks.CODECS,
        fill_value=np.nan if kind == "float32" else 0,
    )  # fmt: skip


def drawn(kind, rows):
    rng = np.random.default_rng(len(rows))
    if kind == "int8":
        return rng.integers(1, 3, len(rows)).astype(kind)
    return rng.normal(size=(len(rows), STEPS)).astype(kind)


def files(place):
    return {p.relative_to(place): p.read_bytes() for p in place.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize(
    "writes",
    [
        pytest.param([range(4), range(4, 8), range(8, 10)], id="whole chunks, the last one cut"),
        pytest.param([range(2, 9)], id="over chunks, parts of the outer ones"),
        pytest.param([[3], [1, 0], [9, 2]], id="rows in any order, into what is there"),
    ],
)
def test_bytes_are_those_of_zarr(tmp_path, kind, writes):
    ours, theirs = make(tmp_path / "ours", kind), make(tmp_path / "theirs", kind)
    for write in writes:
        rows = np.asarray(write)
        values = drawn(kind, rows)
        chunks.put(tmp_path / "ours", ours, rows, values)
        theirs.oindex[rows] = values
    assert files(tmp_path / "ours") == files(tmp_path / "theirs")
    assert len(files(tmp_path / "ours")) == 1 + len({r // SIZE for w in writes for r in w})
    np.testing.assert_array_equal(ours[:], theirs[:])


def test_a_flipped_bit_in_a_chunk_is_noticed(tmp_path):
    array = make(tmp_path, "float32")
    chunks.put(tmp_path, array, np.arange(4), drawn("float32", range(4)))
    file = chunks.file_of(tmp_path, array, 0)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    with pytest.raises(ValueError, match="checksum"):
        array[:4]
