"""A program as a land model: what it is given, what is read, and what becomes of bad runs."""

import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import toy_bucket
from mdpl.config_model import ExecutableConfig
from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.executable.model import open_adapter
from mdpl.lsm.executable.process import Stopped
from mdpl.lsm.offers import failures
from mdpl.lsm.opening import open_model

HERE = Path(__file__).parent
ADAPTER = {
    "name": "stand-in",
    "command": [sys.executable, "stand_in.py"],
    "template": "template",
    "timeout": 30,
    "parameters": {
        "share": {"lower": 0.0, "upper": 1.0, "default": {"ENF": 0.4, "other": 0.5}},
    },
    "text": ["settings.txt"],
    "forcing": {
        "form": "table",
        "file": "met.csv",
        "separator": ",",
        "time": ["%Y-%m-%dT%H:%M"],
        "variables": {"SW": "SWdown", "T": {"from": "Tair", "offset": -273.15}},
    },
    "outputs": {
        "form": "table",
        "file": "out.csv",
        "separator": ",",
        "time": "time",
        "variables": {"Qle": "LE", "Qh": "H"},
    },
}


@pytest.fixture
def described(tmp_path):
    """Write the adapter, changed, and open it."""

    def write(settings="share {{share}}\nmood well\n", **changes):
        adapter = {**ADAPTER, **changes}
        template = tmp_path / "template"
        template.mkdir(exist_ok=True)
        (template / "stand_in.py").write_text((HERE / "stand_in.py").read_text())
        (template / "settings.txt").write_text(settings)
        path = tmp_path / "adapter.yaml"
        path.write_text(yaml.safe_dump(adapter))
        return open_adapter(path, tmp_path / "work")

    return write


@pytest.fixture
def site():
    return toy_bucket.site(days=3)


def test_runs_with_the_parameters_given_and_leaves_nothing_behind(described, site, tmp_path):
    model = described()
    values = np.array([[0.25], [0.75]])
    run = model.simulate(site, values)
    sun = site.forcing["SWdown"].values
    np.testing.assert_allclose(run["Qle"], values * sun, atol=1e-4)
    np.testing.assert_allclose(run["Qh"], (1 - values) * sun, atol=1e-4)
    left = [p.name for p in (tmp_path / "work").iterdir()]
    assert len(left) == 1 and left[0].startswith("forcing-XX-Toy")


def test_the_default_is_that_of_the_towers_class(described, site):
    run = described().simulate(site)
    sun = site.forcing["SWdown"].values
    np.testing.assert_allclose(run["Qle"].values[0], 0.4 * sun, atol=1e-4)


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("crash", r"exit code 3; it said: .*floating point exception in subroutine STOMATA"),
        ("kill", r"killed by signal SIGKILL; it said: stand-in begins"),
        ("nan", r"Qle is not finite at 1 steps, the first of them 7"),
        ("half", r"out.csv holds 21 steps after the 0 skipped, not 72; it said"),
    ],
)
def test_a_bad_run_is_a_failed_member_with_its_reason_and_folder(described, site, mood, reason):
    model = described(settings=f"share {{{{share}}}}\nmood {mood}\n")
    run = model.simulate(site, np.array([[0.5]]))
    assert np.isnan(run["Qle"]).all() and np.isnan(run["Qh"]).all()
    (told,) = failures(run)
    assert re.match(reason, told), told
    if mood != "nan":
        folder = Path(told.split("its folder: ")[1])
        assert (folder / "run/settings.txt").read_text() == f"share 0.5\nmood {mood}\n"
        assert (folder / "run/met.csv").is_symlink()  # linked, for it is all towers' runs' own


def test_outputs_left_in_the_template_are_nobodys(described, site, tmp_path):
    """Through a link, runs side by side would write into one file and read each other's fluxes."""
    model = described()
    before = model.sources
    (tmp_path / "template/out.csv").write_text("time,LE,H\n" + "2001,1,1\n" * 99)
    model = described()
    assert model.sources == before
    values = np.linspace(0.1, 0.9, 16)[:, None]
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda row: model.simulate(site, row[None]), values))
    for row, run in zip(values, runs, strict=True):
        np.testing.assert_allclose(run["Qle"][0], row * site.forcing["SWdown"], atol=1e-4)
    silent = described(settings="share {{share}}\nmood silent\n")
    (told,) = failures(silent.simulate(site, np.array([[0.5]])))
    assert "out.csv" in told


def test_programs_are_linked_and_can_be_started_at_once(described, site, tmp_path):
    """A copied program would at times be busy: another thread's child holds it open to write."""
    described()
    program = tmp_path / "template/model"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} stand_in.py\n")
    program.chmod(0o755)
    model = described(command=["model"])
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: model.simulate(site, np.array([[0.5]])), range(24)))
    assert not any(any(failures(run)) for run in runs)
    (told,) = failures(
        described(settings="share {{share}}\nmood crash\n", command=["model"]).simulate(site)
    )
    assert (Path(told.split("its folder: ")[1]) / "run/model").is_symlink()


def test_a_program_gets_the_forcing_of_now(described, site, tmp_path):
    """What was written for the same tower before, with other weather, is not taken."""
    model = described()
    model.simulate(site)
    sun = site.forcing["SWdown"]
    brighter = replace(site, forcing=site.forcing.assign(SWdown=2 * sun))
    run = model.simulate(brighter, np.array([[0.5]]))
    np.testing.assert_allclose(run["Qle"].values[0], sun, atol=1e-4)


def test_more_steps_than_the_record_are_refused_unless_times_tell_them(described, site):
    longer = {"settings": "share {{share}}\nmood longer\n"}
    untimed = {k: v for k, v in ADAPTER["outputs"].items() if k != "time"}
    (told,) = failures(described(**longer, outputs=untimed).simulate(site))
    assert re.match(r"out.csv holds 73 steps after the 0 skipped, not 72; set outputs.skip", told)
    skipped = described(**longer, outputs={**untimed, "skip": 1}).simulate(site, np.array([[0.5]]))
    np.testing.assert_allclose(skipped["Qle"].values[0], 0.5 * site.forcing["SWdown"], atol=1e-4)
    (told,) = failures(described(**longer).simulate(site))
    assert told.startswith("out.csv: step 0 is of 2000-12-31T23:00:00")


def test_writing_into_a_file_all_runs_share_is_a_failure(described, site, tmp_path):
    """Large files are linked; what a program writes into one, every other run would read."""
    described()
    (tmp_path / "template/large.dat").write_bytes(b"x" * (2 << 20))
    model = described(settings="share {{share}}\nmood careless\n")
    (told,) = failures(model.simulate(site, np.array([[0.5]])))
    assert re.match(r"wrote into .*large.dat, a file of the template that all runs share", told)
    fine = described().simulate(site, np.array([[0.5]]))
    assert not any(failures(fine)) and np.isfinite(fine["Qle"]).all()


def test_a_program_that_hangs_is_ended_in_time(described, site):
    model = described(settings="share {{share}}\nmood hang\n", timeout=0.7)
    begin = time.monotonic()
    (told,) = failures(model.simulate(site, np.array([[0.5]])))
    assert told.startswith("did not end within 0.7 s; it said: stand-in begins")
    assert time.monotonic() - begin < 20


def test_an_interrupt_ends_the_programs(described, site):
    model = described(settings="share {{share}}\nmood hang\n")
    seen = []

    def go():
        try:
            model.simulate(site, np.array([[0.5]]))
        except Stopped:
            seen.append("stopped")

    thread = threading.Thread(target=go)
    thread.start()
    while not model._processes._live:
        time.sleep(0.01)
    model.stop()
    thread.join(timeout=20)
    assert seen == ["stopped"]
    assert [p.name for p in model.work.iterdir() if not p.name.startswith("forcing")] == []


def test_spins_up_from_the_state_each_cycle_leaves(described, site):
    spinup = {"cycles": 3, "restart": "end.txt", "start": "start.txt"}
    run = described(spinup=spinup).simulate(site, np.array([[0.5]]))
    sun = site.forcing["SWdown"].values
    np.testing.assert_allclose(run["Qle"].values[0], 0.5 * sun + 3.0, atol=1e-4)


def test_a_missing_output_is_a_reason(described, site):
    outputs = {**ADAPTER["outputs"], "file": "flux*.csv"}
    (told,) = failures(described(outputs=outputs).simulate(site))
    assert told.startswith("wrote no flux*.csv")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"command": ["no-such-program"]}, "no program 'no-such-program'"),
        ({"template": "elsewhere"}, "no folder .*elsewhere"),
        ({"template": "../template/x"}, "no folder"),
        ({"text": ["absent.txt"]}, "no absent.txt in"),
        ({"text": ["../escape.txt"]}, "expected a file inside the run folder"),
        ({"outputs": {"file": "/etc/passwd", "variables": {"Qle": 0, "Qh": 1}}}, "inside the run"),
        ({"outputs": {"file": "o", "variables": {"Qle": 0}}}, "Qh is missing"),
        ({"outputs": {"file": "o", "variables": {"Qle": 0, "Qh": 1, "Z": 2}}}, "no output 'Z'"),
        (
            {"forcing": {"form": "table", "file": "f", "variables": {"a": "Sun"}}},
            "no forcing 'Sun'",
        ),
        ({"parameters": {"share": {"lower": 0, "upper": 1, "default": 3}}}, "defaults within"),
        ({"parameters": {"share": {"lower": 1, "upper": 0, "default": 0.5}}}, "lower < upper"),
        ({"parameters": {"other": {"lower": 0, "upper": 1, "default": 0.5}}}, "is put nowhere"),
        ({"shell": "rm -rf /"}, "shell: Extra inputs"),
        ({"timeout": -1}, "timeout: Input should be greater than 0"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(described, change, said):
    with pytest.raises((ConfigError, ModelError), match=said):
        described(**change)


def test_a_description_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone.yaml: no such file; expected the description"):
        open_adapter(tmp_path / "gone.yaml")


def test_a_hole_nobody_fills_is_named(described, site):
    model = described(settings="share {{share}}\nmood {{humour}}\n")
    with pytest.raises(ModelError, match=r"settings.txt: nothing fills \{\{humour\}\}; known"):
        model.simulate(site)


def test_the_example_is_at_most_sixty_lines_and_keeps_to_the_contract(tmp_path):
    from mdpl.lsm.examine import examine

    path = Path(__file__).parents[3] / "examples/bucket/adapter.yaml"
    assert len(path.read_text().splitlines()) <= 60
    model = open_model(ExecutableConfig(adapter=path, work=tmp_path))
    answers = list(examine(model, toy_bucket.site(days=20, steps=48)))
    assert [a for a in answers if a.passed is False] == []
    assert len(answers) == 8
