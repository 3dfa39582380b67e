"""Configurations and run folders that nobody meant: an answer in words, whatever they hold.

The slice that always runs makes hundreds of examples; the whole (``-m full``) ten thousand.
"""

import contextlib
import shutil
import warnings
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mdpl.check import examine
from mdpl.config import load, template
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import MdplError
from mdpl.files import load_dataset, read_json, read_table
from mdpl.generator.network import load_generator
from mdpl.job import open_job, tensors
from mdpl.report.contents import read, read_series
from mdpl.resuming import check, take_up
from mdpl.runs import open_run
from mdpl.surrogate.store import load_surrogate
from mutations import RAW, examples, mutated


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return tmp_path_factory.mktemp("desk")


def read_configuration(desk, text):
    """`load` and, where it can be read, `examine`: an answer, and nothing written."""
    path = desk / "config.yaml"
    with contextlib.suppress(UnicodeEncodeError):  # a lone surrogate is no text
        path.write_text(text, encoding="utf-8")
    try:
        config = load(path)
    except MdplError as error:
        assert str(error).startswith(str(path)) and len(str(error)) < 100_000
    else:
        examine(config)
    assert listing(desk) == ["config.yaml"]


@examples(80)
@given(text=mutated(template()))
def test_any_configuration_is_read_or_refused_in_words(desk, text):
    read_configuration(desk, text)


@pytest.mark.full
@examples(10_000)
@given(text=mutated(template()))
def test_ten_thousand_configurations(desk, text):
    read_configuration(desk, text)


@pytest.mark.parametrize("text", RAW)
def test_every_nasty_text_is_refused(desk, text):
    read_configuration(desk, text)


class Quiet:
    def say(self, text):
        pass


@pytest.fixture(scope="module")
def victim(small_whole, tmp_path_factory):
    return shutil.copytree(small_whole, tmp_path_factory.mktemp("victim") / "run")


FILES = [
    "config.yaml", "manifest.json", "stages.json", "timings.json", "sites.json", "parameters.csv",
    "scores.csv", "gains.csv", "promised.csv", "rounds.csv", "surrogate/surrogate.eqx",
    "surrogate/fidelity.csv", "surrogate/checkpoint.eqx", "rounds/0/generator/generator.eqx",
    "rounds/1/gaps.csv", "observations/VT-01.nc", "simulations/default/VT-03.nc",
    "simulations/mdpl/VT-01.nc", "ensemble.zarr/VT-01/zarr.json", "ensemble.zarr/VT-01/Qle/c/0/0",
    "ensemble.zarr/VT-01/status/c/0", "ensemble.zarr/VT-03/unit/c/0/0",
    "ensemble.zarr/VT-03/Qh/zarr.json",
]  # fmt: skip


@st.composite
def damages(draw):
    """A file, how it is damaged, and whether its seal is still there to tell."""
    name = draw(st.sampled_from(FILES))
    how = draw(st.sampled_from(["cut", "flip", "folder", "gone", "noise", "empty"]))
    return name, how, draw(st.floats(0, 0.999)), draw(st.integers(0, 7)), draw(st.booleans())


def inflict(folder, damage):
    name, how, where, bit, sealed = damage
    path = folder / name
    raw = path.read_bytes()
    seal = path.with_name(f".{path.name}.sha256")
    kept = seal.read_bytes() if seal.exists() else None
    if not sealed:
        seal.unlink(missing_ok=True)
    if how in ("folder", "gone"):
        path.unlink()
        if how == "folder":
            path.mkdir()
    else:
        at = int(where * len(raw))
        flipped = raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :]
        new = {"cut": raw[:at], "flip": flipped, "noise": raw[::-1], "empty": b""}[how]
        path.write_bytes(new)

    def mend():
        if path.is_dir():
            path.rmdir()
        path.write_bytes(raw)
        if kept is not None:
            seal.write_bytes(kept)

    return mend


READERS = {
    "report": lambda run: [read_series(read(run.path), c) for c in ("VT-01", "VT-02")],
    "job": lambda run: check(run, open_job(run.config)),
    "tensors": lambda run: tensors(open_job(run.config), run),
    "surrogate": lambda run: load_surrogate(run / "surrogate/surrogate.eqx"),
    "generator": lambda run: load_generator(run / "rounds/0/generator/generator.eqx"),
    "ensemble": lambda run: [
        runs.read(name, runs.usable)
        for code in ("VT-01", "VT-03")
        for runs in [EnsembleStore(run / "ensemble.zarr").site(code)]
        for name in runs.outputs
    ],
    "files": lambda run: [
        {".nc": load_dataset, ".json": read_json, ".csv": read_table}.get(
            Path(name).suffix, lambda path: None
        )(run / name)
        for name in FILES
        if not name.startswith("ensemble")
    ],
}


def read_damaged(folder, damage, reader):
    """A reader answers or refuses in words; nothing is written anywhere."""
    mend = inflict(folder, damage)
    before = listing(folder.parent)
    try:
        with contextlib.suppress(MdplError):
            READERS[reader](open_run(folder))
    finally:
        assert listing(folder.parent) == before
        mend()


@examples(150)
@given(damage=damages(), reader=st.sampled_from(sorted(READERS)))
@example(damage=("scores.csv", "flip", 0.5546875, 0, False), reader="report")
def test_any_damage_is_read_past_or_told_in_words(victim, damage, reader):
    read_damaged(victim, damage, reader)


@pytest.mark.full
@examples(10_000)
@given(damage=damages(), reader=st.sampled_from(sorted(READERS)))
def test_ten_thousand_damages(victim, damage, reader):
    read_damaged(victim, damage, reader)


def taken_up(small_whole, place, config, damage):
    folder = place / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(small_whole, folder)
    inflict(folder, damage)
    with warnings.catch_warnings(), contextlib.suppress(MdplError):
        take_up(folder, open_job(config), Quiet())
        for runs in (EnsembleStore(folder / "ensemble.zarr"),):
            assert (runs.path / "VT-01").is_dir()  # what is costly is never thrown away
    assert listing(place)[0] == "run" and len(list(place.iterdir())) == 1


@examples(40)
@given(damage=damages())
def test_any_damaged_folder_is_taken_up_or_refused(small_whole, small_config, desk, damage):
    place = desk.parent / "taken"
    place.mkdir(exist_ok=True)
    taken_up(small_whole, place, small_config, damage)


@pytest.mark.full
@examples(2_000)
@given(damage=damages())
def test_two_thousand_damaged_folders_are_taken_up(small_whole, small_config, desk, damage):
    place = desk.parent / "taken"
    place.mkdir(exist_ok=True)
    taken_up(small_whole, place, small_config, damage)
