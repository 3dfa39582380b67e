"""E3 on a small finished run: complete, resumable, blind to the judged tower, clear in words."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from mdpl.cli import app
from mdpl.config import Config, EvaluationConfig, SitesConfig
from mdpl.errors import ConfigError, ModelError, RunError
from mdpl.evaluation import lessons, lstm
from mdpl.evaluation.scores import gains, score
from mdpl.experiments import benchmark
from mdpl.experiments.benchmark import Options
from mdpl.files import save_dataset
from mdpl.progress import SilentProgress
from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.virtual import draw_climates, virtual_forcing
from small_run import begun

QUICK = lstm.LstmSettings(
    hidden=4, window_days=3, warmup_days=1, batch=4, steps=6, judge_every=3, checkpoint_every=2
)
OPTIONS = Options(out_of_sample=QUICK, in_site=replace(QUICK, attributes=True), folds=2)
EMPIRICAL = {"1lin", "2lin", "3km27", "6km729"}


def make_run(folder):
    """Five towers whose fluxes follow the sun, and a run that is said to be finished."""
    towers = folder / "towers"
    towers.mkdir(parents=True)
    base = open_sites(None, None)[0]
    rng = np.random.default_rng(0)
    for i, climate in enumerate(draw_climates(5, 1)):
        site = virtual_forcing(base, f"VT-0{i}", climate, 100, 24)
        sun = site.forcing["SWdown"].values
        fluxes = {
            flux: ("time", share * sun + rng.normal(0, 10, sun.size))
            for flux, share in (("Qle", 0.25 + 0.02 * i), ("Qh", 0.3))
        }
        write_pair(replace(site, fluxes=xr.Dataset(fluxes, {"time": site.time})), towers)
    config = Config(sites=SitesConfig(folder=towers), evaluation=EvaluationConfig(day_share=0.4))
    run = begun(folder / "run", config)
    tables = []
    for site in open_sites(towers):
        for name, gain in (("default", 1.4), ("mdpl", 1.05)):
            simulated = gain * site.fluxes[["Qle", "Qh"]].fillna(0.0)
            save_dataset(simulated, run / f"simulations/{name}/{site.code}.nc")
            tables.append(score(site, name, simulated))
    scores = pd.concat(tables)
    run.write("scores.csv", scores.to_csv(index=False))
    run.write("gains.csv", gains(scores).to_csv(index=False))
    run.finish("evaluate")
    return run.path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = make_run(tmp_path_factory.mktemp("benchmark"))
    benchmark.run(benchmark.prepare(path, OPTIONS), SilentProgress())
    return path


def table(path, name):
    return pd.read_csv(path / benchmark.PLACE / name)


def test_every_model_is_scored_at_every_tower(made):
    scores = table(made, "scores.csv")
    models = {"default", "mdpl", "lstm", "lstm_in_site", *EMPIRICAL}
    assert set(scores["model"]) == models
    assert (scores.groupby("model")["site"].nunique() == 5).all()
    assert scores["same_record"].all()
    own = pd.read_csv(made / "scores.csv")
    keys = ["site", "model", "flux", "resolution", "period", "metric"]
    both = scores.merge(own, on=keys, suffixes=("", "_run"))
    native = both[both["resolution"] == "native"]
    assert len(native) == len(own[own["resolution"] == "native"])
    np.testing.assert_allclose(native["value"], native["value_run"], rtol=1e-12)


def test_the_better_model_ranks_better_and_is_told_so(made):
    ranked = table(made, "mean_ranks.csv").query("flux == 'Qle' and resolution == 'native'")
    best = ranked[ranked["set"] == "all"].set_index("model")["rank"]
    assert best["mdpl"] < best["default"]
    assert set(table(made, "ranks.csv")["models"]) == {8}
    paired = table(made, "paired.csv").query("reference == 'default' and site == 'all'")
    assert paired["clear"].all() and (paired["high"] < 0).all()
    assert set(paired["statistic"]) == {"rmse", "nme"} and set(paired["towers"]) == {5}


def test_cost_is_what_was_announced(made):
    cost = json.loads((made / benchmark.PLACE / "cost.json").read_text())
    assert cost["empirical"]["models_trained"] == 4 * 5
    assert cost["lstm"]["models_trained"] == (2 + 3) + 1
    assert all(stage["lsm_runs"] == 0 for stage in cost.values())
    words = " ".join(benchmark.prepare(made, OPTIONS).words)
    assert "20 regressions" in words and "6 LSTMs" in words and "no land-model" in words


def test_out_of_sample_is_out_of_sample(made):
    """Spoil one tower's fluxes: what is expected there stays, what is expected elsewhere moves."""
    config = benchmark.prepare(made, OPTIONS).job
    spoilt = list(config.sites)
    spoilt[2] = replace(spoilt[2], fluxes=spoilt[2].fluxes * 3.0)
    bench = benchmark.prepare(made, OPTIONS)
    before = {
        (model, code): (made / benchmark.PLACE / f"simulations/{model}/{code}.nc")
        for model in ("3km27", "lstm")
        for code in ("VT-02", "VT-04")
    }
    for (model, code), path in before.items():
        with xr.open_dataset(path) as file:
            old = file["Qle"].values
        site = next(s for s in spoilt if s.code == code)
        if model == "lstm":
            group = next(g for g in bench.folds if code in g)
            seen = [s for s in spoilt if s.code not in group]
            networks = [lstm.train(taught, QUICK) for taught in lessons.rotations(seen)]
            new = np.mean([lstm.predict(n, site)["Qle"].values for n in networks], axis=0)
            touched = "VT-02" not in group
        else:
            chosen = next(b for b in benchmark.EMPIRICAL if b.name == model)
            others = [s for s in spoilt if s is not site]
            new = benchmark.simulate(benchmark.fit(chosen, others), site)["Qle"].values
            touched = code != "VT-02"
        assert np.allclose(new, old, rtol=1e-4, atol=1e-3) == (not touched), (model, code)


def test_given_again_it_trains_nothing_and_cut_it_goes_on(made, tmp_path, monkeypatch):
    scores = (made / benchmark.PLACE / "scores.csv").read_text()
    cost = made / benchmark.PLACE / "cost.json"
    before = json.loads(cost.read_text())
    lost = made / benchmark.PLACE / "simulations/2lin/VT-03.nc"
    lost.unlink()
    trained = []
    monkeypatch.setattr(benchmark.lstm, "train", lambda *a, **k: trained.append(a))
    benchmark.run(benchmark.prepare(made, OPTIONS), SilentProgress())
    after = json.loads(cost.read_text())
    assert not trained and lost.exists()
    assert after["empirical"]["models_trained"] == before["empirical"]["models_trained"] + 1
    assert after["lstm"]["models_trained"] == before["lstm"]["models_trained"]
    assert (made / benchmark.PLACE / "scores.csv").read_text() == scores


def test_other_models_and_tables_take_part(tmp_path):
    path = make_run(tmp_path)
    sites = open_sites(tmp_path / "towers")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for site in sites[:2]:
        data = site.fluxes[["Qle", "Qh"]].fillna(0.0) * 0.9
        for name in data:
            data[name].attrs["units"] = "W m-2"
        data.to_netcdf(theirs / f"{site.code}.nc", encoding={n: {"_FillValue": -1e9} for n in data})
    days = pd.date_range("2000-01-01", "2030-12-31").values
    daily = xr.Dataset({"hfls": ("time", np.full(days.size, 60.0), {"units": "W m-2"})})
    daily = daily.assign_coords(time=days).assign_attrs(Model="SLOW")
    (tmp_path / "daily").mkdir()
    daily.to_netcdf(tmp_path / f"daily/{sites[0].code}.nc")
    own = pd.read_csv(path / "scores.csv").query(
        "site == 'VT-01' and flux == 'Qle' and model == 'default' and period == 'all' "
        "and resolution == 'native'"
    )
    spread = own.set_index("metric")["value"]["std_obs"]
    row = {"site": "VT-01", "period": "2017", "variable": "Qle", "n": own["n"].iloc[0]}
    row |= {"bias": 1.0, "rmse": 5.0, "r": 0.9, "nme": 0.1, "std_obs": spread, "std_mod": spread}
    pd.DataFrame([row]).to_csv(tmp_path / "JUDGE_metrics.csv", index=False)
    options = Options(
        published=(tmp_path / "JUDGE_metrics.csv",),
        outputs=(f"OTHER={theirs}", str(tmp_path / "daily")),
        networks=False,
    )
    for taken in ("mdpl", "OTHER"):
        (tmp_path / f"{taken}_metrics.csv").write_bytes(
            (tmp_path / "JUDGE_metrics.csv").read_bytes()
        )
        clash = replace(options, published=(tmp_path / f"{taken}_metrics.csv",))
        with pytest.raises(ConfigError, match=f"two models are called {taken}"):
            benchmark.prepare(path, clash)
    benchmark.run(benchmark.prepare(path, options), SilentProgress())
    scores = table(path, "scores.csv")
    assert set(scores[scores["model"] == "OTHER"]["site"]) == {"VT-00", "VT-01"}
    full = scores[scores["resolution"] == "full_day"]
    assert set(full["site"]) == {"VT-00"}
    assert {"SLOW", "default", "mdpl", "1lin", "OTHER"} <= set(full["model"])
    judge = scores[scores["model"] == "JUDGE"]
    assert judge["same_record"].all() and set(judge["period"]) == {"all"}
    ranked = table(path, "mean_ranks.csv").set_index("comparison")
    assert "JUDGE" in set(ranked.loc["published", "model"])
    assert "OTHER" not in set(ranked.loc["validation", "model"])
    assert set(ranked.loc["validation", "towers"]) == {5}
    assert {"OTHER", "mdpl"} <= set(ranked.loc["towers of OTHER", "model"])
    assert set(ranked.loc["towers of OTHER", "towers"]) == {2}
    assert "SLOW" in set(ranked.loc["daily models", "model"])
    assert set(table(path, "paired.csv")["reference"]) >= {"OTHER", "1lin"}


def test_what_cannot_be_compared_is_said_beforehand(made, tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        benchmark.prepare(tmp_path, OPTIONS)
    unfinished = begun(tmp_path / "new", Config())
    with pytest.raises(RunError, match="not a finished run"):
        benchmark.prepare(unfinished.path, OPTIONS)
    with pytest.raises(ConfigError, match=r"no file whose name has the code.*VT-00"):
        benchmark.prepare(made, replace(OPTIONS, outputs=(str(tmp_path),)))
    with pytest.raises(ModelError, match=r"absent.csv"):
        benchmark.prepare(made, replace(OPTIONS, published=(tmp_path / "absent.csv",)))


def test_the_command_says_what_it_will_do_and_what_is_wrong(made, tmp_path, monkeypatch):
    shown = CliRunner().invoke(app, ["experiment", "benchmark", "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and "--model-output" in shown.output
    wrong = CliRunner().invoke(app, ["experiment", "benchmark", str(tmp_path)])
    assert isinstance(wrong.exception, RunError)
