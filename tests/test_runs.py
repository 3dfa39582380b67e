"""Run folders: written whole or not at all, held by one process, honest about their state."""

import json
import subprocess
import sys

import pytest

from mdpl.config import Config
from mdpl.errors import RunError
from mdpl.files import write_atomic
from mdpl.runs import RunFolder, claim, create, locked, open_run


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomic(path, "old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(RunError, match="disk is full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_only_a_run_folder_or_an_empty_one_is_claimed(tmp_path):
    config = Config(title="Ärger: ünïcode")
    create(tmp_path / "run", config)
    claim(tmp_path / "run")
    assert open_run(tmp_path / "run").config == config
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").touch()
    with pytest.raises(RunError, match="not a run folder"):
        claim(tmp_path / "other")


def test_stages_and_timings_add_up(tmp_path):
    folder = RunFolder(tmp_path, Config())
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
    folder = RunFolder(tmp_path, Config())
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
