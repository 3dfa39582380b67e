"""Land models that are not MdPL's own go through the whole job: a program, runs made by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from mdpl import pipeline
from mdpl.cli import app
from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig, dump
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.config_model import ExecutableConfig, RecordedConfig
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import ConfigError
from mdpl.experiments import virtual_study
from mdpl.lsm.hard_weather import HARD
from mdpl.lsm.opening import open_model
from mdpl.lsm.recorded import NotRunYet
from mdpl.progress import SilentProgress
from mdpl.sites.catalogue import open_sites

BUCKET = Path(__file__).parents[1] / "examples/bucket/adapter.yaml"
QUICK = {"steps": 60, "days_per_batch": 20, "checkpoint_every": 100}
LEARNING = {
    "surrogate": DayBlockConfig(hidden=8, width=16, tower=8, **QUICK),
    "generator": GeneratorConfig(kind="free", **QUICK),
    "refine": RefineConfig(rounds=1, members=4, steps=30, tolerance=1e-6),
}


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    study = virtual_study.Study(trained=2, unseen=0, days=40, seed=3)
    virtual_study.make(folder, study, SilentProgress())
    return folder / "towers"


@pytest.fixture(scope="module")
def by_program(towers, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    config = Config(
        sites=SitesConfig(folder=towers),
        model=ExecutableConfig(adapter=BUCKET, work=folder / "work"),
        ensemble=EnsembleConfig(members=16),
        **LEARNING,
    )
    pipeline.run(config, folder / "run", SilentProgress())
    return folder / "run", config


def test_a_program_is_calibrated_by_its_description_alone(by_program):
    folder, _ = by_program
    scores = pd.read_csv(folder / "scores.csv")
    kept = scores[(scores["metric"] == "rmse") & (scores["resolution"] == "native")]
    kept = kept[(kept["period"] == "calibration") & kept["flux"].isin(["Qle", "Qh"])]
    rmse = kept.pivot_table(index=["site", "flux"], columns="model", values="value")
    assert rmse["mdpl"].mean() < rmse["default"].mean()
    learnt = pd.read_csv(folder / "parameters.csv")
    assert set(learnt["parameter"]) == {"conductance", "capacity", "albedo", "roughness"}
    assert (folder / "report.html").exists()


def test_what_the_run_keeps_is_what_the_program_gives(by_program, towers, tmp_path):
    folder, _ = by_program
    learnt = pd.read_csv(folder / "parameters.csv")
    site = open_sites(towers)[0]
    own = learnt[learnt["site"] == site.code].set_index("parameter")["value"]
    model = open_model(ExecutableConfig(adapter=BUCKET, work=tmp_path))
    again = model.simulate(site, own[list(model.parameters.names)].to_numpy()[None])
    with xr.open_dataset(folder / f"simulations/mdpl/{site.code}.nc") as kept:
        np.testing.assert_allclose(kept["Qle"], again["Qle"].isel(member=0), rtol=1e-6)


def test_a_member_can_be_repeated(by_program):
    folder, _ = by_program
    run = CliRunner()
    told = run.invoke(app, ["ensemble", "rerun", str(folder), "--member", "3", "--verbose"])
    assert told.exit_code == 0 and "then: it ran; now: it runs" in told.output
    stored = EnsembleStore(folder / "ensemble.zarr")
    first = sorted((folder / "simulations/mdpl").glob("*.nc"))[0].stem
    mean = float(stored.site(first).read("Qle", [3]).mean())
    shown = float(told.output.split("mean Qle: ")[1].split()[0])
    assert shown == pytest.approx(mean, rel=1e-5)


def test_a_member_that_is_not_there_is_an_error(by_program):
    folder, _ = by_program
    with pytest.raises(ConfigError, match="no member 99; there are 16, from 0"):
        CliRunner().invoke(
            app, ["ensemble", "rerun", str(folder), "--member", "99"], catch_exceptions=False
        )


def play_user(folder, towers):
    """Run what is asked for with the bucket, and put the outputs where they are looked for."""
    (folder / "runs").mkdir(exist_ok=True)
    model = open_model(ExecutableConfig(adapter=BUCKET, work=folder / "work"))
    asked = pd.concat([pd.read_csv(p) for p in sorted((folder / "designs").glob("*.csv"))])
    for site in open_sites(towers):
        own = asked[asked["site"] == site.code]
        missing = [n for n in own["run"] if not (folder / f"runs/{site.code}_{n}.nc").exists()]
        rows = own.set_index("run").loc[missing, list(model.parameters.names)].to_numpy()
        if len(rows):
            made = model.simulate(site, rows)
            for i, number in enumerate(missing):
                made.isel(member=i).to_netcdf(folder / f"runs/{site.code}_{number}.nc")


def test_runs_made_by_hand_give_what_runs_of_the_program_give(by_program, towers, tmp_path):
    hand = tmp_path / "hand"
    hand.mkdir()
    space = open_model(ExecutableConfig(adapter=BUCKET, work=tmp_path)).parameters
    sites = open_sites(towers)
    table = pd.DataFrame(
        {
            "name": space.names,
            "lower": space.lower,
            "upper": space.upper,
            "default": space.defaults(sites[0].attributes),
            "scale": ["log" if log else "linear" for log in space.is_log],
            **{f"default_{site.pft}": space.defaults(site.attributes) for site in sites},
        }
    )
    table.to_csv(hand / "parameters.csv", index=False)
    folder, config = by_program
    same = config.model_copy(update={"model": RecordedConfig(folder=hand)})
    times = 0
    while True:
        try:
            pipeline.run(same, tmp_path / "run", SilentProgress())
            break
        except NotRunYet as error:
            assert "give the same command again" in str(error)
            times += 1
            play_user(hand, towers)
    # The ensemble with the defaults, a round, and the parameters found.
    assert times == 3
    ours = pd.read_csv(folder / "parameters.csv")
    theirs = pd.read_csv(tmp_path / "run/parameters.csv")
    np.testing.assert_allclose(theirs["value"], ours["value"], rtol=1e-5)


def test_the_command_line_checks_and_runs_a_described_program(towers, tmp_path):
    config = Config(
        sites=SitesConfig(folder=towers),
        model=ExecutableConfig(adapter=BUCKET),
        ensemble=EnsembleConfig(members=4),
    )
    path = tmp_path / "c.yaml"
    path.write_text(dump(config))
    told = CliRunner().invoke(app, ["check", str(path)])
    assert told.exit_code == 0 and "would run at most" in told.output
    checked = CliRunner().invoke(
        app,
        ["model", "check", str(BUCKET), "--sites", str(towers), "--days", "20", "--hard-weather"],
    )
    assert checked.exit_code == 0, checked.output
    assert "every parameter moves an output" in checked.output
    assert all(f"ok   {name}: Qle" in checked.output for name in HARD)
