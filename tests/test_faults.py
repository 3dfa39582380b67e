"""Killed, out of disk, damaged, out of time, twice at once: what is taken up equals what was not.

The slice that always runs injects a fault of each kind; the whole (``-m full``) twenty of each, at
random points.
"""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mdpl import pipeline
from mdpl.config import dump
from mdpl.ensemble.store import DONE, EnsembleStore
from mdpl.errors import RunError
from mdpl.files import remove
from mdpl.progress import SilentProgress
from mdpl.runs import open_run
from small_run import STUDY

SCRIPT = Path(__file__).with_name("killed_run.py")
WRITES = {
    "start": 27,
    "ensemble": 84,
    "surrogate": 42,
    "calibrate": 84,
    "refine": 132,
    "evaluate": 54,
}
"""Renames and fsyncs of each stage, about; a point beyond the last lets the stage finish."""
LEARNT_FROM = [code for code in STUDY.codes if code not in STUDY.held_out]
TIMES = 20


def same(folder, whole):
    """Every result of a run equals that of the uninterrupted one, bit for bit."""
    for name in (
        "parameters.csv", "scores.csv", "gains.csv", "promised.csv", "rounds.csv", "sites.json",
        "surrogate/fidelity.csv", "surrogate/surrogate.eqx", "rounds/1/surrogate/surrogate.eqx",
    ):  # fmt: skip
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("ensemble.zarr", "rounds/1/ensemble.zarr"):
        for code in LEARNT_FROM:
            a, b = (EnsembleStore(f / name).site(code) for f in (folder, whole))
            np.testing.assert_array_equal(a.status, b.status)
            for output in a.outputs:
                np.testing.assert_array_equal(a.read(output, a.usable), b.read(output, b.usable))
    costs = [
        {stage: (own["lsm_runs"], own["models_trained"]) for stage, own in told.items()}
        for told in (open_run(f).read_json("timings.json") for f in (folder, whole))
    ]
    assert costs[0] == costs[1]


def finished(folder):
    """Batches whose runs are all stored: (stage, tower)."""
    stores = {"ensemble": "ensemble.zarr", "refine": "rounds/1/ensemble.zarr"}
    found = set()
    for stage, name in stores.items():
        for code in LEARNT_FROM:
            try:
                runs = EnsembleStore(folder / name).site(code)
            except RunError:
                continue
            if (runs.status == DONE).all():
                found.add((stage, code))
    return found


@pytest.fixture(scope="session")
def stored(small_config, tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "config.yaml"
    path.write_text(dump(small_config))
    return path


def start(config, folder, *point):
    ledger = folder.with_suffix(".ledger")
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(config), str(folder), str(ledger), *map(str, point)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def go(config, folder, *point):
    """One process; how it ended, and that it ran nothing that was finished."""
    before, ledger = finished(folder), folder.with_suffix(".ledger")
    ledger.write_text("")
    process = start(config, folder, *point)
    _, err = process.communicate(timeout=600)
    ran = [tuple(line.split()[:2]) for line in ledger.read_text().splitlines()]
    assert not before & set(ran), (before, ran)
    assert max(Counter(ran).values(), default=1) == 1
    assert process.returncode in (0, -signal.SIGKILL), err
    assert "Traceback" not in err
    return process.returncode


def killed_everywhere(config, folder, stages, seed):
    rng = random.Random(seed)
    killed = 0
    for stage in stages:
        killed += go(config, folder, stage, rng.randint(1, WRITES[stage])) != 0
    assert go(config, folder) == 0
    return killed


@pytest.mark.slow
def test_killed_by_the_system_and_taken_up(stored, small_whole, tmp_path):
    folder = shutil.copytree(small_whole, tmp_path / "run")
    again = ["refine", "evaluate"]
    open_run(folder).reopen(again)
    costs = open_run(folder).read_json("timings.json")
    open_run(folder).write(
        "timings.json", json.dumps({k: costs[k] for k in costs if k not in again})
    )
    for path in (*folder.glob("rounds/1"), *folder.glob("simulations/mdpl")):
        remove(path)
    assert killed_everywhere(stored, folder, ("refine", "evaluate"), seed=0) == 2
    same(folder, small_whole)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, TIMES + 1))
def test_killed_in_every_stage_and_taken_up(stored, small_whole, tmp_path, seed):
    assert killed_everywhere(stored, tmp_path / "run", WRITES, seed) >= 3
    same(tmp_path / "run", small_whole)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(TIMES))
def test_killed_at_any_time_and_taken_up(stored, small_whole, tmp_path, seed):
    rng, folder = random.Random(seed), tmp_path / "run"
    for _ in range(5):
        process = start(stored, folder)
        try:
            process.wait(rng.uniform(4, 30))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
    assert go(stored, folder) == 0
    same(folder, small_whole)


def full_disk(monkeypatch, at):
    """The disk is full from the given write on, for renames and fsyncs alike."""
    calls = 0

    def failing(call):
        def write(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls >= at:
                raise OSError(errno.ENOSPC, "No space left on device")
            return call(*args, **kwargs)

        return write

    monkeypatch.setattr("os.replace", failing(os.replace))
    monkeypatch.setattr("os.fsync", failing(os.fsync))


def fill_up(monkeypatch, config, folder, at):
    with monkeypatch.context() as patch:
        full_disk(patch, at)
        with pytest.raises(RunError, match="disk is full"):
            pipeline.run(config, folder, SilentProgress(), report=False)


@pytest.mark.slow
def test_a_full_disk_is_told_and_nothing_is_lost(small_config, small_whole, tmp_path, monkeypatch):
    for at in (60, 150, 200):
        fill_up(monkeypatch, small_config, tmp_path / "run", at)
    pipeline.run(small_config, tmp_path / "run", SilentProgress(), report=False)
    same(tmp_path / "run", small_whole)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(TIMES))
def test_a_full_disk_anywhere(small_config, small_whole, tmp_path, monkeypatch, seed):
    rng = random.Random(seed)
    for _ in range(4):
        fill_up(monkeypatch, small_config, tmp_path / "run", rng.randint(1, 110))
    pipeline.run(small_config, tmp_path / "run", SilentProgress(), report=False)
    same(tmp_path / "run", small_whole)


def flip(path, rng):
    raw = bytearray(path.read_bytes())
    for _ in range(3):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def cut_short(path, rng):
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


DAMAGED = (
    "ensemble.zarr/VT-01/Qle/c/0/0",
    "rounds/1/ensemble.zarr/VT-03/Qh/c/0/0",
    "surrogate/checkpoint.eqx",
    "rounds/0/generator/checkpoint.eqx",
    "manifest.json",
    "stages.json",
)


def damage(folder, names, rng):
    for name in names:
        rng.choice((flip, cut_short))(folder / name, rng)
    state = open_run(folder).path / "stages.json"
    if "stages.json" not in names:
        open_run(folder).reopen(["surrogate", "calibrate", "refine", "evaluate"])
    assert state.exists()


@pytest.mark.slow
def test_damaged_files_are_made_again(small_config, small_whole, tmp_path):
    folder = shutil.copytree(small_whole, tmp_path / "run")
    damage(folder, DAMAGED[:5], random.Random(0))
    pipeline.run(small_config, folder, SilentProgress(), report=False)
    results_equal(folder, small_whole)


def results_equal(folder, whole):
    """As `same`, but for the costs, which count what was made again."""
    costs = (whole / "timings.json").read_bytes()
    open_run(folder).write("timings.json", costs)
    same(folder, whole)


@pytest.mark.full
@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("seed", range(TIMES))
def test_any_damage_is_made_again(small_config, small_whole, tmp_path, name, seed):
    folder = shutil.copytree(small_whole, tmp_path / "run")
    damage(folder, [name], random.Random(seed))
    pipeline.run(small_config, folder, SilentProgress(), report=False)
    results_equal(folder, small_whole)


def test_a_clock_that_jumps_backwards_changes_nothing(
    small_config, small_whole, tmp_path, monkeypatch
):
    folder = shutil.copytree(small_whole, tmp_path / "run")
    for path in folder.rglob("*"):
        os.utime(path, (2e9, 2e9) if path.suffix == ".eqx" else (1e8, 1e8))
    open_run(folder).reopen(["evaluate"])
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: now - 1e6 * random.random())
        pipeline.run(small_config, folder, SilentProgress(), report=False)
    same(folder, small_whole)


@pytest.mark.slow
def test_of_two_runs_at_once_one_is_refused(stored, small_whole, tmp_path):
    folder = shutil.copytree(small_whole, tmp_path / "run")
    open_run(folder).reopen(["evaluate"])
    (folder / ".lock").write_text("")
    first = start(stored, folder)
    while (folder / ".lock").read_text() != str(first.pid):
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.send_signal(signal.SIGSTOP)  # in the middle of its work
    second = start(stored, folder)
    _, said = second.communicate(timeout=600)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1, said
    assert f"process {first.pid} is at work in this folder" in said
    _, said = first.communicate(timeout=600)
    assert first.returncode == 0, said
    same(folder, small_whole)
