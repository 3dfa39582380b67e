"""Run folders: written whole or not at all, held by one process, honest about their state."""

import json
import subprocess
import sys

import pytest

from mdpl.config import Config, EnsembleConfig
from mdpl.errors import RunError
from mdpl.runs import create, locked, open_run, write_atomic


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomic(path, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(RunError, match="disk is full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_taken_up_with_its_own_configuration_only(tmp_path):
    config = Config(title="Ärger: ünïcode")
    create(tmp_path / "run", config)
    assert open_run(tmp_path / "run").config == config
    create(tmp_path / "run", config)
    with pytest.raises(RunError, match=r"ensemble.members: 128 there, 64 here"):
        create(tmp_path / "run", config.model_copy(update={"ensemble": EnsembleConfig(members=64)}))


def test_stages_and_timings_add_up(tmp_path):
    folder = create(tmp_path, Config())
    for runs in (3, 4):
        with folder.timed("ensemble") as counts:
            counts["lsm_runs"] += runs
    folder.finish("ensemble")
    folder.finish("surrogate")
    assert folder.read_json("timings.json")["ensemble"]["lsm_runs"] == 7
    folder.reopen(["surrogate"])
    assert folder.done("ensemble")
    assert not folder.done("surrogate")


def test_damaged_state_is_told(tmp_path):
    folder = create(tmp_path, Config())
    (tmp_path / "stages.json").write_text(json.dumps({"ensemble": True})[:-4])
    with pytest.raises(RunError, match=r"stages.json: damaged"):
        folder.done("ensemble")


HOLD = """
import sys
from pathlib import Path
from mdpl.runs import locked
with locked(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_named(tmp_path):
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with other:
        assert other.stdout.readline() == "holding\n"
        with pytest.raises(RunError, match=f"process {other.pid} is at work"), locked(tmp_path):
            pass
        other.stdin.close()
        assert other.wait(20) == 0
        other.stdin = None
    with locked(tmp_path):
        pass
