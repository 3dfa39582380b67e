"""Rivals at the towers of a run: what they write, that they go on, and what is compared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mdpl import cli, pipeline
from mdpl.calibration.calibration import Calibration
from mdpl.config import Config, EnsembleConfig, SitesConfig
from mdpl.config_model import MatsiroConfig
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation import scores as scoring
from mdpl.experiments import rivals, rivals_table, virtual_study
from mdpl.files import save_dataset
from mdpl.job import open_job, score
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.progress import SilentProgress
from mdpl.runs import open_run
from small_run import begun

STUDY = virtual_study.Study(trained=3, unseen=1, days=24, seed=3)
FIRST, SECOND, THIRD = (c for c in STUDY.codes if c not in STUDY.held_out)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder as a finished run leaves it, as far as rivals read it."""
    place = tmp_path_factory.mktemp("rivals")
    virtual_study.make(place, STUDY, SilentProgress())
    config = Config(
        sites=SitesConfig(folder=place / "towers", held_out=STUDY.held_out),
        model=MatsiroConfig(parameters=("vmax", "leaf_nir"), default_cycles=1, member_cycles=0),
        ensemble=EnsembleConfig(members=16),
    )
    folder = begun(place / "run", config)
    job = open_job(config)
    folder.note_manifest(job.sites)
    tables, learnt = [], {}
    for site in job.sites:
        observed = scoring.observations(site, ("Qle", "Qh"))
        save_dataset(observed, folder / f"observations/{site.code}.nc")
        default = job.model.simulate(site, None, ("Qle", "Qh")).isel(member=0)
        for name in ("default", "mdpl"):
            save_dataset(default, folder / f"simulations/{name}/{site.code}.nc")
            tables.append(score(job, site, name, default))
        learnt[site.code] = job.space.defaults(site.attributes)
    unit = {code: job.space.to_unit(values) for code, values in learnt.items()}
    found = Calibration("mdpl", job.space, unit, learnt)
    folder.write("parameters.csv", found.table().to_csv(index=False))
    folder.write("sites.json", pipeline._describe_sites(job))
    folder.write("scores.csv", pd.concat(tables).to_csv(index=False))
    for stage, runs in (("ensemble", 16 * 3 + 4), ("surrogate", 0), ("calibrate", 0)):
        with folder.timed(stage) as counts:
            counts["lsm_runs"] += runs
    for stage in ("ensemble", "surrogate", "calibrate", "refine", "evaluate"):
        folder.finish(stage)
    return folder.path


def calibrate(run, method, runs, codes=None, seed=0):
    rivals.calibrate(run, method, SilentProgress(), codes=codes, lsm_runs=runs, seed=seed)
    place = run / "rivals" / method
    return {path.stem: pd.read_csv(path) for path in place.glob("*.csv")}


def test_a_search_writes_what_a_run_does_and_keeps_other_towers(run, monkeypatch):
    one = calibrate(run, "cma-es", 32, [SECOND])
    assert set(one["parameters"]["site"]) == {SECOND}
    made = []
    simulate = Matsiro.simulate

    def counted(self, site, values=None, outputs=None):
        made.append((site.code, 1 if values is None else len(np.atleast_2d(values))))
        return simulate(self, site, values, outputs)

    monkeypatch.setattr(Matsiro, "simulate", counted)
    two = calibrate(run, "cma-es", 32, [FIRST])
    assert made == [(FIRST, 16), (FIRST, 16)]
    assert two["cost"]["site"].tolist() == [FIRST, SECOND]
    assert (two["cost"]["lsm_runs"] == 32).all()
    for name, table in one.items():
        kept = two[name][two[name]["site"] == SECOND].reset_index(drop=True)
        pd.testing.assert_frame_equal(kept, table)
    assert list(two["scores"].columns) == list(scoring.COLUMNS)
    assert set(two["scores"]["model"]) == {"cma-es"}
    found = two["parameters"]
    assert ((found["value"] >= found["lower"]) & (found["value"] <= found["upper"])).all()
    history = two["history"].query("site == @FIRST")
    assert history["lsm_runs"].tolist() == [16, 32]
    assert history["objective"].iloc[-1] == two["cost"].query("site == @FIRST")["objective"].item()
    made.clear()
    again = calibrate(run, "cma-es", 32)
    assert {code for code, _ in made} == {THIRD}
    pd.testing.assert_frame_equal(
        again["scores"][again["scores"]["site"] != THIRD].reset_index(drop=True), two["scores"]
    )


def test_what_is_promised_is_what_the_land_model_delivers(run):
    """Objective and scores come from one simulation, that of the values in the table."""
    found = calibrate(run, "cma-es", 32)
    job = open_job(Config.model_validate(open_run(run).config.model_dump()))
    site = next(s for s in job.sites if s.code == FIRST)
    values = found["parameters"].query("site == @FIRST")["value"].to_numpy()
    full = job.model.parameters.complete(job.space.names, values, site.attributes)
    simulated = job.model.simulate(site, full).isel(member=0)
    target = rivals.objective(job, open_run(run), site)
    series = np.stack([simulated[t].values for t in target.tasks])[None]
    objective = target(job.space.to_unit(values)[None], series)[0]
    cost = found["cost"].query("site == @FIRST")
    np.testing.assert_allclose(cost["objective"], objective, rtol=1e-6)
    scores = (
        found["scores"]
        .set_index(["site", "period", "metric", "resolution", "flux"])["value"]
        .sort_index()
    )
    rmse = scores[FIRST, "calibration", "rmse", "native"]
    variance = [np.nanvar(row) for row in target.observed]
    misfit = np.mean([rmse[t] ** 2 / v for t, v in zip(target.tasks, variance, strict=True)])
    prior = 0.02 * (((job.space.to_unit(values) - target.default) / 0.5) ** 2).mean()
    np.testing.assert_allclose(misfit + prior, objective, rtol=1e-6)


def test_the_smoother_leaves_its_ensemble_and_learns_from_the_data(run):
    found = calibrate(run, "es-mda", 81, [FIRST])
    posterior, spread = found["posterior"], found["spread"].set_index("parameter")
    assert len(posterior) == 16 * 2
    assert found["cost"]["lsm_runs"].tolist() == [81]
    value = found["parameters"].set_index("parameter")
    assert (spread["sd_unit"] < spread["prior_sd_unit"]).all()
    assert (spread["q05"] <= value["value"]).all()
    assert (value["value"] <= spread["q95"]).all()
    coverage = found["coverage"]
    assert set(coverage["period"]) == {"calibration", "validation"}
    # The truth is a run of this model: only the size of the assumed errors can be wrong.
    assert coverage["coverage"].between(0.6, 1.0).all()
    mean = posterior.groupby("parameter")["value"].mean()
    np.testing.assert_allclose(mean["leaf_nir"], value["value"]["leaf_nir"], rtol=1e-9)


def test_the_table_compares_over_towers_all_methods_have(run):
    calibrate(run, "cma-es", 32)
    calibrate(run, "es-mda", 81, [FIRST])
    table = rivals_table.collect(run)
    assert set(table["method"]) == {"default", "mdpl", "cma-es", "es-mda"}
    assert not table.duplicated(["site", "method", "flux"]).any()
    mdpl = table[(table["method"] == "mdpl") & (table["site"] == FIRST)]
    assert mdpl["lsm_runs"].tolist() == [16, 16]
    objective = table.drop_duplicates(["site", "method"]).set_index(["site", "method"])["objective"]
    assert objective[FIRST, "cma-es"] < objective[FIRST, "mdpl"] == objective[FIRST, "default"]
    assert np.isnan(objective[STUDY.held_out[0], "default"])
    shown, towers = rivals_table.summary(table)
    assert towers == (FIRST,)
    assert shown.index.tolist() == ["default", "mdpl", "cma-es", "es-mda"]
    assert shown["lsm_runs"].tolist() == [0, 16, 32, 81]
    scores = pd.read_csv(run / "rivals/cma-es/scores.csv").query(
        "site == @FIRST and period == 'validation' and metric == 'rmse' and resolution == 'native'"
    )
    assert shown.loc["cma-es", "Qle"] == scores.query("flux == 'Qle'")["value"].item()


def test_a_towers_own_error_is_taken_where_it_has_one(run):
    job = open_job(open_run(run).config)
    site = job.training[0]
    assert np.isnan(rivals._own_error(job, site)).all()
    own = site.fluxes.assign(Qh_uc=("time", np.full(len(site.time), 4.0)))
    error = rivals._own_error(job, replace(site, fluxes=own))
    assert (error[job.config.tasks.index("Qh")] == 4.0).all()
    assert np.isnan(error[job.config.tasks.index("Qle")]).all()


def test_the_command_goes_on_and_prints_the_table(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    calibrate(run, "cma-es", 32)
    order = ["rivals", str(run), "--method", "cma-es", "--lsm-runs", "32", "--site", FIRST]
    answer = CliRunner().invoke(cli.app, order)
    assert answer.exit_code == 0, answer.output
    assert 'id="rivals"' in (run / "report.html").read_text(encoding="utf-8")
    table = rivals_table.collect(run)
    pd.testing.assert_frame_equal(pd.read_csv(run / "rivals/methods.csv"), table)
    shown, _ = rivals_table.summary(table)
    for method, row in shown.iterrows():
        line = next(line for line in answer.stdout.splitlines() if f" {method} " in line)
        assert f"{row['Qle']:.2f}" in line
        assert f"{row['objective']:.4f}" in line


def test_mistakes_are_answered_in_words(run, tmp_path):
    with pytest.raises(ConfigError, match="no method 'genetic'; there are direct, sce-ua"):
        calibrate(run, "genetic", 10)
    with pytest.raises(ConfigError, match=f"no tower XX-Nix among .*{FIRST}"):
        calibrate(run, "cma-es", 32, ["XX-Nix"])
    with pytest.raises(ConfigError, match="raise --lsm-runs"):
        calibrate(run, "sce-ua", 12, [FIRST])
    begun(tmp_path / "new", open_run(run).config)
    with pytest.raises(RunError, match="not finished"):
        calibrate(tmp_path / "new", "cma-es", 32)
