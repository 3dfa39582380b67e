"""The main job on small virtual towers: whole, cut at every stage, and refused."""

import shutil

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from interruption import Cut
from mdpl import pipeline
from mdpl.check import examine
from mdpl.config_model import MatsiroConfig
from mdpl.ensemble.store import DONE, EnsembleStore
from mdpl.errors import ConfigError, RunError, SiteError
from mdpl.evaluation.periods import split
from mdpl.experiments import rivals, virtual_study
from mdpl.job import open_job
from mdpl.progress import SilentProgress
from mdpl.rounds import learnt_units
from mdpl.runs import open_run
from small_run import STUDY, config_of, correct, make_towers, measure_gpp


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The small run with the built-in column, short spin-up."""
    folder = tmp_path_factory.mktemp("column")
    virtual_study.make(folder, STUDY, SilentProgress())
    return config_of(folder / "towers", MatsiroConfig(default_cycles=1, member_cycles=0))


@pytest.fixture(scope="module")
def whole(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    pipeline.run(config, folder, SilentProgress(), report=False)
    assert not (folder / "report.html").exists()
    pipeline.run_stage("report", folder, SilentProgress())
    return folder


def test_a_run_leaves_what_was_promised(whole, config):
    scores = pd.read_csv(whole / "scores.csv")
    assert list(scores.columns) == [
        "site", "pft", "model", "flux", "resolution", "period", "metric", "value", "n", "variant",
    ]  # fmt: skip
    assert set(scores["model"]) == {"default", "mdpl"}
    assert set(scores["site"]) == set(STUDY.codes)
    assert set(scores["variant"]) == {"raw"}
    for model in ("default", "mdpl"):
        with xr.open_dataset(whole / f"simulations/{model}/VT-01.nc") as run:
            assert run.attrs["flux_choice"] == "raw"
    parameters = pd.read_csv(whole / "parameters.csv")
    assert len(parameters) == 15 * len(STUDY.codes)
    assert (parameters["value"] >= parameters["lower"]).all()
    assert (parameters["value"] <= parameters["upper"]).all()
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert all(code in page for code in STUDY.codes)
    assert "VT-02" in STUDY.held_out
    promised = pd.read_csv(whole / "promised.csv")
    assert list(promised) == ["site", "flux", "period", "rmse"]
    assert set(promised["site"]) == set(STUDY.codes)
    findings = examine(config)
    timings = pd.read_json(whole / "timings.json").T
    assert findings.lsm_runs == timings["lsm_runs"].sum() == 2 * 8 + 3 + 2 * 4 + 3
    assert findings.models == timings["models_trained"].sum() == 4
    assert findings.problems == []


def test_rounds_say_what_was_promised_and_what_came_of_it(whole):
    rounds = pd.read_csv(whole / "rounds.csv")
    assert set(rounds["round"]) == {0, 1}
    assert (whole / "parameters.csv").read_text() == (whole / "rounds/1/parameters.csv").read_text()
    scores = pd.read_csv(whole / "scores.csv").query(
        "model == 'mdpl' and metric == 'rmse' and resolution == 'native'"
    )
    last = rounds[rounds["round"] == 1].merge(scores, on=["site", "flux", "period"])
    assert len(last) == 3 * 2 * 3
    np.testing.assert_allclose(last["delivered"], last["value"])
    first = EnsembleStore(whole / "rounds/1/ensemble.zarr").site("VT-01")
    again = pd.read_csv(whole / "rounds/0/parameters.csv").query("site == 'VT-01'")
    assert first.unit.shape == (4, len(again))


@pytest.mark.parametrize("asked_at_once", [False, True])
def test_a_kept_promise_takes_one_run_a_tower(
    small_whole, small_config, tmp_path, monkeypatch, asked_at_once
):
    monkeypatch.setattr("mdpl.rounds.by_hand", lambda model: asked_at_once)
    folder = shutil.copytree(small_whole, tmp_path / "run")
    # Other steps, so that the round that is there is none of this run's.
    easy = small_config.refine.model_copy(update={"tolerance": 1e3, "steps": 3})
    pipeline.run(
        small_config.model_copy(update={"refine": easy}), folder, SilentProgress(), report=False
    )
    towers = len(set(STUDY.codes) - set(STUDY.held_out))
    told = open_run(folder).read_json("timings.json")["refine"]
    assert told["lsm_runs"] == towers * (easy.members if asked_at_once else 1)
    assert told["models_trained"] == 0
    made = EnsembleStore(folder / "rounds/1/ensemble.zarr").site("VT-01")
    assert (made.status == DONE).sum() == (easy.members if asked_at_once else 1)
    assert made.status[0] == DONE
    assert (folder / "parameters.csv").read_text() == (
        folder / "rounds/0/parameters.csv"
    ).read_text()
    assert set(pd.read_csv(folder / "rounds.csv")["round"]) == {0}


@pytest.mark.slow
def test_cut_in_every_stage_and_taken_up_equals_uncut(small_whole, small_config, tmp_path):
    folder = tmp_path / "run"
    for piece in (
        "default runs",
        "land-model runs",
        "surrogate",
        "generator",
        "land model at the learnt parameters",
    ):
        progress = Cut(piece)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(small_config, folder, progress)
        assert progress.fell
    pipeline.run(small_config, folder, SilentProgress(), report=False)
    for name in ("parameters.csv", "scores.csv", "promised.csv", "surrogate/fidelity.csv"):
        assert (folder / name).read_text() == (small_whole / name).read_text(), name
    both = folder, small_whole
    made = [pd.read_json(f / "timings.json").T[["lsm_runs", "models_trained"]] for f in both]
    pd.testing.assert_frame_equal(*made)
    for code in set(STUDY.codes) - set(STUDY.held_out):
        a, b = (EnsembleStore(f / "ensemble.zarr").site(code) for f in both)
        np.testing.assert_array_equal(a.read("Qle", a.usable), b.read("Qle", b.usable))


def test_a_stage_alone_needs_those_before_it(small_whole, tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        pipeline.run_stage("evaluate", tmp_path / "run", SilentProgress())
    folder = shutil.copytree(small_whole, tmp_path / "copy")
    open_run(folder).reopen(["refine", "evaluate"])
    with pytest.raises(RunError, match=r"stage 'evaluate' needs 'refine'.*mdpl refine"):
        pipeline.run_stage("evaluate", folder, SilentProgress())


def test_what_cannot_be_learnt_from_is_refused_before_any_work(config):
    every = config.sites.model_copy(update={"held_out": STUDY.codes})
    with pytest.raises(ConfigError, match="every tower is held out"):
        open_job(config.model_copy(update={"sites": every}))
    wrong = config.sites.model_copy(update={"held_out": ("XX-Nix",)})
    assert "XX-Nix" in examine(config.model_copy(update={"sites": wrong})).problems[0]
    knowing = config.generator.model_copy(update={"prior_widths": {"vmx": 0.1}})
    with pytest.raises(ConfigError, match=r"prior_widths: vmx is not calibrated; .* are: vmax"):
        open_job(config.model_copy(update={"generator": knowing}))
    greedy = config.model_copy(update={"tasks": ("Qle", "Qh", "GPP")})
    with pytest.raises(ConfigError, match="no measured GPP to learn from"):
        open_job(greedy)


def test_a_tower_measured_in_its_validation_period_alone_is_refused(tmp_path):
    make_towers(tmp_path / "towers")
    config = config_of(tmp_path / "towers")
    site = open_job(config).training[0]
    late = split(site.time).validation
    with netCDF4.Dataset(next((tmp_path / "towers").glob(f"{site.code}*_Flux.nc")), "a") as file:
        for flux in ("Qle", "Qh"):
            values = file[flux][:]
            values[~late] = np.nan
            file[flux][:] = values
    with pytest.raises(
        ConfigError, match=r"no measured Qle or Qh to learn from in the calibration period"
    ):
        open_job(config)


def test_a_default_outside_the_ranges_is_told_with_its_tower(config):
    narrow = config.model.model_copy(update={"ranges": {"vmax": (190.0, 199.0)}})
    with pytest.raises(ConfigError, match=r"VT-\d+: a default .* vmax.*; widen model.ranges"):
        open_job(config.model_copy(update={"model": narrow}))


def test_a_tower_is_learnt_from_for_the_tasks_it_measures(tmp_path):
    make_towers(tmp_path / "towers")
    measure_gpp(tmp_path / "towers", "VT-01")
    config = config_of(tmp_path / "towers").model_copy(update={"tasks": ("Qle", "Qh", "GPP")})
    assert "VT-03: no measured GPP; the other tasks are learnt from" in examine(config).notes
    folder = tmp_path / "run"
    pipeline.run(config, folder, SilentProgress())
    tables = [pd.read_csv(folder / f"{name}.csv") for name in ("scores", "rounds")]
    for table in tables:
        assert set(table.loc[table["flux"] == "GPP", "site"]) == {"VT-01"}
        assert {"VT-01", "VT-03"} <= set(table.loc[table["flux"] == "Qh", "site"])
    job = open_job(config)
    blind = rivals.objective(job, open_run(folder), job.training[1])
    assert blind.code == "VT-03" and np.isnan(blind.observed[2]).all()
    assert np.isfinite(blind.observed[:2]).any(axis=1).all()
    only = config.model_copy(update={"tasks": ("GPP",)})
    with pytest.raises(ConfigError, match=r"VT-03: no measured GPP to learn from in the .*; leave"):
        open_job(only)


def test_a_held_out_tower_without_the_fluxes_chosen_is_told_before_any_work(tmp_path):
    make_towers(tmp_path / "towers")
    for code in ("VT-01", "VT-03"):
        correct(tmp_path / "towers", code)
    config = config_of(tmp_path / "towers")
    sites = config.sites.model_copy(update={"flux": "corrected"})
    with pytest.raises(SiteError, match="VT-02"):
        open_job(config.model_copy(update={"sites": sites}))


@pytest.mark.parametrize("text", ["", "site,parameter", "site,parameter,value\nVT-09,vmax,1"])
def test_damaged_parameters_are_named(whole, config, tmp_path, text):
    (tmp_path / "parameters.csv").write_text(text)
    with pytest.raises(RunError, match=r"parameters\.csv: .*give 'mdpl calibrate' again"):
        learnt_units(open_job(config), tmp_path)
