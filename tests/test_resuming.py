"""A changed configuration or file redoes what depends on it, and nothing is lost unasked."""

import json
import os
import shutil

import netCDF4
import numpy as np
import pytest

from mdpl import pipeline, resuming, runs
from mdpl.config import Config
from mdpl.ensemble.store import DONE, PENDING, EnsembleStore
from mdpl.errors import RunError
from mdpl.job import open_job
from mdpl.keys import keys_of
from mdpl.progress import SilentProgress
from mdpl.resuming import check, take_up
from mdpl.runs import open_run

STAGES = ("ensemble", "surrogate", "calibrate", "refine", "evaluate", "report")


class Said:
    """A progress that keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def reported(small_whole, tmp_path_factory):
    folder = shutil.copytree(small_whole, tmp_path_factory.mktemp("reported") / "run")
    pipeline.run_stage("report", folder, SilentProgress())
    return folder


@pytest.fixture
def folder(reported, tmp_path):
    return shutil.copytree(reported, tmp_path / "run")


def changed(config, section, **values):
    part = getattr(config, section).model_copy(update=values)
    return config.model_copy(update={section: part})


def done(path):
    return {stage for stage in STAGES if open_run(path).done(stage)}


CASES = [
    ("generator", {"steps": 9}, 2, "generator.steps: 8 there, 9 here"),
    ("generator", {"prior_widths": {"uptake": 0.1}}, 2, "generator.prior_widths"),
    ("refine", {"steps": 5}, 3, "refine.steps: 4 there, 5 here"),
    ("evaluation", {"month_days": 5}, 4, "evaluation.month_days: 7 there, 5 here"),
    ("surrogate", {"seed": 4}, 1, "surrogate.seed"),
    ("ensemble", {"unseen": 0.25}, 1, "ensemble.unseen"),
]

LOOSE = [
    ("ensemble", {"most_failures": 0.7}, set(STAGES[1:5])),
    ("ensemble", {"failures": "abort"}, set(STAGES[1:5])),
    ("refine", {"rounds": 3}, set(STAGES[:3])),
    ("refine", {"tolerance": 0.2}, set(STAGES[:3])),
]


@pytest.mark.parametrize("section, values, still", LOOSE)
def test_what_a_failed_run_is_told_to_change_costs_no_run(
    folder, small_config, section, values, still
):
    take_up(folder, open_job(changed(small_config, section, **values)), Said())
    assert done(folder) == still
    assert (folder / "rounds/1/ensemble.zarr").exists() and (folder / "rounds/1/surrogate").exists()
    assert (EnsembleStore(folder / "ensemble.zarr").site("VT-01").status == DONE).all()


@pytest.mark.parametrize("section, values, kept, why", CASES)
def test_what_depends_on_a_change_is_removed_and_said(
    folder, small_config, section, values, kept, why
):
    said, config = Said(), changed(small_config, section, **values)
    take_up(folder, open_job(config), said)
    assert done(folder) == set(STAGES[:kept])
    (line,) = said.lines
    assert line.startswith(why)
    assert line.endswith(f"keeps {', '.join(STAGES[:kept])}; redoes {', '.join(STAGES[kept:])}")
    there = [
        (folder / name).exists()
        for name in ("surrogate", "observations", "rounds/1", "simulations/mdpl", "report.html")
    ]
    assert there == [n < kept for n in (1, 2, 3, 4, 5)]
    assert (EnsembleStore(folder / "ensemble.zarr").site("VT-01").status == DONE).all()
    assert open_run(folder).config == config
    again = Said()
    take_up(folder, open_job(config), again)
    assert again.lines == []


def test_land_model_runs_are_thrown_away_only_when_told(folder, small_config):
    job = open_job(changed(small_config, "ensemble", members=16))
    with pytest.raises(
        RunError, match=r"members: 8 there, 16 here.* VT-01, VT-02, VT-03; .*--redo"
    ):
        take_up(folder, job, Said())
    assert done(folder) == set(STAGES)
    take_up(folder, job, Said(), redo=True)
    assert done(folder) == set()
    assert not list(folder.glob("ensemble.zarr/VT*"))


def test_other_fluxes_at_a_tower_keep_its_runs_and_other_weather_does_not(
    folder, small_config, tmp_path
):
    towers = shutil.copytree(small_config.sites.folder, tmp_path / "towers")
    config = changed(small_config, "sites", folder=towers)
    said = Said()
    take_up(folder, open_job(config), said)
    assert done(folder) == set(STAGES[:5])  # another path, the same files
    with netCDF4.Dataset(next(towers.glob("VT-01*_Flux.nc")), "a") as file:
        file["Qle"][5] = 1.0
    with pytest.raises(RunError, match=r"files of tower VT-01 .*mdpl run"):
        pipeline.run_stage("report", folder, Said())
    take_up(folder, open_job(config), said)
    assert done(folder) == {"ensemble", "surrogate"}
    assert "files of tower VT-01 changed: keeps ensemble, surrogate; redoes" in said.lines[-1]
    with netCDF4.Dataset(next(towers.glob("VT-01*_Met.nc")), "a") as file:
        file["Tair"][5] += 1.0
    with pytest.raises(RunError, match=r"runs of VT-01;"):
        take_up(folder, open_job(config), said)
    take_up(folder, open_job(config), said, redo=True)
    assert "redoes ensemble (of VT-01), surrogate" in said.lines[-1]
    assert sorted(p.name for p in folder.glob("ensemble.zarr/VT*")) == ["VT-03"]


def test_experiments_are_not_thrown_away_unasked(folder, small_config):
    (folder / "experiments/transfer").mkdir(parents=True)
    job = open_job(changed(small_config, "refine", steps=5))
    with pytest.raises(RunError, match=r"throw away experiments/; .*--redo"):
        take_up(folder, job, Said())
    take_up(folder, job, Said(), redo=True)
    assert not (folder / "experiments").exists()


@pytest.mark.parametrize("cut", range(9))
def test_a_removal_cut_anywhere_leaves_no_mixture(folder, small_config, monkeypatch, cut):
    """Killed between any two writes, and taken up with either configuration."""
    job = open_job(changed(small_config, "generator", steps=9))
    calls = 0

    def falter(original):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == cut + 1:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("remove", "create"):
            patch.setattr(f"mdpl.resuming.{name}", falter(getattr(resuming, name)))
        patch.setattr("mdpl.runs.write_sealed", falter(runs.write_sealed))
        with pytest.raises(KeyboardInterrupt):
            take_up(folder, job, Said())
    for config in (job.config, small_config):
        other = shutil.copytree(folder, folder.with_name(f"other-{config.generator.steps}"))
        take_up(other, open_job(config), Said())
        if done(other) != set(STAGES):
            assert done(other) == {"ensemble", "surrogate"}
            assert not (other / "rounds/0").exists() and not (other / "scores.csv").exists()
        keys = json.loads((other / "stages.json").read_text())
        assert {s: keys[s]["key"] for s in STAGES} == keys_of(open_job(config)).stages


@pytest.mark.parametrize("cut", range(6))
def test_a_beginning_cut_anywhere_is_taken_up(small_config, tmp_path, monkeypatch, cut):
    folder, job = tmp_path / "run", open_job(small_config)
    calls = iter(range(100))

    def replace(*args):
        if next(calls) == cut:
            raise KeyboardInterrupt
        return rename(*args)

    rename = os.replace
    runs.claim(folder)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", replace)
        with pytest.raises(KeyboardInterrupt):
            take_up(folder, job, Said())
    runs.claim(folder)
    take_up(folder, job, Said())
    assert done(folder) == set() and open_run(folder).config == small_config


def test_a_folder_of_an_earlier_version_is_trusted_while_nothing_changed(folder, small_config):
    (folder / "stages.json").write_text(json.dumps(dict.fromkeys(STAGES[:4], True)))
    (folder / ".stages.json.sha256").unlink()
    other = shutil.copytree(folder, folder.with_name("other"))
    take_up(folder, open_job(small_config), Said())
    assert done(folder) == set(STAGES[:4])
    with pytest.raises(RunError, match="--redo"):
        take_up(other, open_job(changed(small_config, "generator", steps=9)), Said())


def test_an_edited_configuration_is_noticed_by_single_stages(folder, small_config):
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace("month_days: 7", "month_days: 8"))
    with pytest.raises(RunError, match="stage 'evaluate' was made with another configuration"):
        check(open_run(folder), open_job(open_run(folder).config))


def flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 8
    path.write_bytes(raw)


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("damage", [flip, cut_short, lambda p: p.unlink()])
@pytest.mark.parametrize(
    "name, stage",
    [
        ("simulations/default/VT-02.nc", 0),
        ("surrogate/surrogate.eqx", 1),
        ("observations/VT-03.nc", 2),
        ("rounds/0/promised.csv", 2),
        ("parameters.csv", 3),
        ("rounds/1/surrogate/surrogate.eqx", 3),
        ("scores.csv", 4),
        ("report.html", 5),
    ],
)
def test_damage_is_named_and_redone(folder, small_config, name, stage, damage):
    damage(folder / name)
    said = Said()
    take_up(folder, open_job(small_config), said)
    assert any(line.startswith(f"{folder / name}: damaged") for line in said.lines)
    assert done(folder) == set(STAGES[:stage])
    assert not (folder / name).exists()


def test_a_damaged_chunk_is_named_and_its_members_are_pending(folder, small_config):
    chunk = folder / "ensemble.zarr/VT-01/Qh/c/0/0"
    flip(chunk)
    store = EnsembleStore(folder / "ensemble.zarr")
    with pytest.raises(RunError, match=r"VT-01/Qh/c/0/0: damaged .*mdpl ensemble"):
        store.site("VT-01").read("Qh", [0])
    said = Said()
    take_up(folder, open_job(small_config), said)
    assert said.lines == [] and done(folder) == set(STAGES)  # nothing is left that reads it
    take_up(folder, open_job(changed(small_config, "surrogate", seed=1)), said)
    assert str(chunk) in said.lines[-1]
    assert (store.site("VT-01").status == PENDING).all()
    assert (store.site("VT-03").status == DONE).all()


@pytest.mark.parametrize("name", ["zarr.json", "Qle/zarr.json", "unit/c/0/0", "status/c/0"])
def test_damaged_descriptions_of_an_ensemble_are_mended(folder, small_config, name):
    store = EnsembleStore(folder / "ensemble.zarr")
    before = store.site("VT-01")
    runs = before.read("Qle", range(8))
    flip(folder / "ensemble.zarr/VT-01" / name)
    job = open_job(small_config)
    made = store.create_site("VT-01", job.space.names, before.unit, runs.shape[1], job.outputs, 64)
    np.testing.assert_array_equal(made.unit, before.unit)
    assert (made.status == (PENDING if name == "status/c/0" else DONE)).all()
    np.testing.assert_array_equal(made.read("Qle", range(8)), runs)


def test_damaged_costs_are_told(folder, small_config):
    flip(folder / "timings.json")
    with pytest.raises(RunError, match=r"timings.json: damaged"):
        open_run(folder).read_json("timings.json")
    said = Said()
    take_up(folder, open_job(small_config), said)
    assert "timings.json" in said.lines[-1]


@pytest.mark.parametrize("name", ["stages.json", "manifest.json", "config.yaml"])
def test_damaged_records_are_told_and_nothing_is_lost(folder, small_config, name):
    flip(folder / name)
    said = Said()
    take_up(folder, open_job(small_config), said)
    assert any(str(folder / name) in line for line in said.lines)
    store = EnsembleStore(folder / "ensemble.zarr")
    assert (store.site("VT-01").status == DONE).all()
    assert (folder / "surrogate/surrogate.eqx").exists()
    assert isinstance(open_run(folder).config, Config)
