"""E1, E2, E4, E5, A and the choice of flux: counted, resumable, blind to the tower left out."""

import json
import shutil
from dataclasses import replace

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import small_run
from interruption import Cut
from mdpl import pipeline
from mdpl.cli import app
from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.ensemble.store import EnsembleStore
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation import metrics
from mdpl.experiments import (
    calibrate,
    flux_choice,
    single_task,
    transfer,
    transfer_share,
    unseen_sets,
    untargeted,
    virtual_study,
)
from mdpl.experiments.learning import open_experiment
from mdpl.experiments.likeness import surroundings
from mdpl.files import load_dataset, save_dataset
from mdpl.generator.known import describe
from mdpl.learnt import read_parameters
from mdpl.progress import SilentProgress
from mdpl.runs import open_run
from mdpl.surrogate.store import load_surrogate

STUDY = virtual_study.Study(trained=3, unseen=0, days=24, seed=3)
FIRST, SECOND, LAST = STUDY.codes
QUICK = {"steps": 6, "days_per_batch": 10, "checkpoint_every": 2}
OPTIONS = untargeted.Options(weights=(1.0,), priors=())


def of_class(towers, code, igbp):
    """Give a tower another kind of vegetation."""
    for kind in ("Met", "Flux"):
        with netCDF4.Dataset(next(towers.glob(f"{code}*_{kind}.nc")), "a") as file:
            file["IGBP_veg_short"][...] = igbp


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three towers, the first and the last of one class; the last does not measure GPP."""
    folder = tmp_path_factory.mktemp("study")
    small_run.make_towers(folder / "towers", STUDY)
    for code in (FIRST, SECOND):
        small_run.measure_gpp(folder / "towers", code)
    small_run.correct(folder / "towers", FIRST)
    for code, igbp in ((FIRST, "GRA"), (SECOND, "ENF"), (LAST, "GRA")):
        of_class(folder / "towers", code, igbp)
    config = Config(
        sites=SitesConfig(folder=folder / "towers"),
        model=small_run.MODEL,
        ensemble=EnsembleConfig(members=8),
        surrogate=DayBlockConfig(hidden=6, width=8, tower=4, **QUICK),
        generator=GeneratorConfig(evaluate_every=3, **QUICK),
        refine=RefineConfig(rounds=1, members=4, steps=4, tolerance=1e-6),
    )
    pipeline.run(config, folder / "run", SilentProgress(), report=False)
    return folder / "run"


def cost(path, name):
    stages = json.loads((path / f"experiments/{name}/cost.json").read_text()).values()
    return tuple(sum(s[what] for s in stages) for what in ("models_trained", "lsm_runs"))


@pytest.fixture(scope="module")
def single(run):
    experiment = single_task.prepare(run)
    said = single_task.plan(experiment).left()
    single_task.run(experiment, SilentProgress())
    assert cost(run, "single-task") == said == (4, 3 * 3)
    assert single_task.plan(experiment).left() == (0, 0)
    return experiment


@pytest.fixture(scope="module")
def transferred(run, single):
    experiment = transfer.prepare(run)
    lessons = transfer.lessons(experiment)
    assert [one.site.code for one in lessons if one.scope == "class"] == [FIRST, LAST]
    said = transfer.plan(experiment).left()
    transfer.run(experiment, SilentProgress())
    # The runs at the first parameters are there: the experiment before made them. Across, one
    # shift for all three is tried beside one by attributes.
    assert cost(run, "transfer") == said == (len(lessons) + 3, len(lessons))
    return experiment


@pytest.fixture(scope="module")
def reverse(run):
    experiment = untargeted.prepare(run, OPTIONS)
    said = untargeted.plan(experiment, OPTIONS).left()
    untargeted.run(experiment, OPTIONS, SilentProgress())
    assert cost(run, "untargeted") == said == (1 + 2, 2 * 3)
    return experiment


@pytest.fixture(scope="module")
def seeded(run):
    config = open_run(run).config
    plan = calibrate.plan(config, run, 2)
    calibrate.run(config, run, 2, SilentProgress())
    return plan


@pytest.fixture(scope="module")
def unseen(run):
    experiment = unseen_sets.prepare(run)
    towers = unseen_sets.choose(experiment)
    said = unseen_sets.words(experiment, towers, 4)
    unseen_sets.run(experiment, towers, SilentProgress(), 4)
    assert "make 8 land-model runs" in said
    assert cost(run, "fidelity") == (0, 8)
    return experiment, towers


def test_a_seed_shares_the_ensemble_and_learns_anew(run, seeded):
    other = calibrate.place(run, 1)
    # At most two surrogates and generators; a round of four members, and the scored runs.
    assert seeded.runs == {run: (0, 0), other: (4, 3 * 4 + 3)}
    spent = json.loads((run / "experiments/calibrate/cost.json").read_text())["seed-1"]
    assert spent["models_trained"] <= 4 and spent["lsm_runs"] <= 15
    assert (other / "ensemble.zarr").is_symlink()
    for name in ("surrogate/surrogate.eqx", "parameters.csv"):
        assert (other / name).read_bytes() != (run / name).read_bytes()
    settings = open_run(other).config
    assert (settings.surrogate.seed, settings.generator.seed, settings.ensemble.seed) == (1, 1, 0)


def test_the_spread_is_over_the_gains_of_all_seeds(run, seeded):
    gains = [pd.read_csv(calibrate.place(run, seed) / "gains.csv") for seed in (0, 1)]
    medians = [
        g.query("flux == 'Qh' and resolution == 'native' and period == 'validation'")["dRMSE"]
        .dropna()
        .median()
        for g in gains
    ]
    table = pd.read_csv(run / "experiments/calibrate/spread.csv")
    row = table.query("flux == 'Qh' and resolution == 'native'").iloc[0]
    assert row["least"] == pytest.approx(min(medians))
    assert row["mean"] == pytest.approx(np.mean(medians))
    assert row["sd"] == pytest.approx(np.std(medians, ddof=1))
    towers = pd.read_csv(run / "experiments/calibrate/towers.csv")
    assert (towers["seeds"] == 2).all() and (towers["least"] < towers["most"]).all()


def test_a_seed_that_is_there_is_not_made_again(run, seeded):
    config, before = open_run(run).config, calibrate.place(run, 1) / "parameters.csv"
    stamp = before.stat().st_mtime_ns
    assert calibrate.plan(config, run, 2).words().endswith("2 of 2 runs are there already")
    calibrate.run(config, run, 2, SilentProgress())
    assert before.stat().st_mtime_ns == stamp
    with pytest.raises(ConfigError, match="one seed or more"):
        calibrate.plan(config, run, 0)


def test_unseen_sets_are_no_members_and_one_tower_a_pft(run, unseen):
    experiment, towers = unseen
    assert [site.pft for site in towers] == ["ENF", "GRA"]
    members, made = (
        EnsembleStore(path) for path in (run / "ensemble.zarr", experiment.place / "sets-4.zarr")
    )
    for site in towers:
        ours, theirs = (store.site(site.code).unit for store in (made, members))
        assert np.linalg.norm(ours[:, None] - theirs, axis=-1).min() > 0.01
    assert "make 0 land-model runs" in unseen_sets.words(experiment, towers, 4)
    with pytest.raises(ConfigError, match="no tower XX-Xxx that the run learnt from"):
        unseen_sets.choose(experiment, ["XX-Xxx"])


def test_errors_of_unseen_sets_are_those_of_surrogate_and_land_model(unseen):
    experiment, towers = unseen
    table = pd.read_csv(experiment.place / "sets.csv")
    whole = pd.read_csv(experiment.place / "fidelity.csv").set_index(["site", "task", "metric"])
    for site in towers:
        own = table.query("site == @site.code and task == 'Qle'")
        assert len(own) == 4
        pooled = np.sqrt((own["rmse"] ** 2).mean())
        assert whole.loc[(site.code, "Qle", "rmse"), "value"] == pytest.approx(pooled, rel=1e-3)
    land = EnsembleStore(experiment.place / "sets-4.zarr").site(towers[0].code)
    series = land.read("Qle", [2])[0].astype(float)
    row = table.query("site == @towers[0].code and task == 'Qle' and set == 2").iloc[0]
    assert row["mean_lsm"] == pytest.approx(series.mean(), rel=1e-4)
    assert row["sd_lsm"] == pytest.approx(metrics.std_obs(series, series), rel=1e-4)


def test_a_single_task_model_knows_one_task_and_had_the_same_budget(run, single):
    multi = load_surrogate(run / "surrogate/surrogate.eqx")
    for task in ("Qle", "Qh"):
        alone = load_surrogate(single.surrogate(single_task.label(task)))
        assert alone.tasks == (task,)
        assert set(alone.dynamic_names) == set(multi.dynamic_names)
        for what in ("surrogate", "generator"):
            own = pd.read_csv(single.place / f"dpl-{task}/{what}/history.csv")
            where = run / ("surrogate" if what == "surrogate" else "rounds/0/generator")
            assert len(own) == len(pd.read_csv(where / "history.csv"))
            assert ({"Qle", "Qh"} & set(own.columns)) == {task}
    assert (run / "rounds/0/parameters.csv").read_text() != (run / "parameters.csv").read_text()


def test_the_multi_task_model_is_that_of_the_first_learning(run, single):
    table = pd.read_csv(run / "rounds/0/parameters.csv").query("site == @FIRST")
    told = xr.open_dataset(single.first(FIRST)).attrs["parameters"]
    expected = table.set_index("parameter")["value"].to_dict()
    assert json.loads(told) == pytest.approx(expected)
    rounds = pd.read_csv(run / "rounds.csv")
    rounds = rounds[(rounds["round"] == 0) & (rounds["site"] == FIRST)]
    scores = pd.read_csv(single.place / "scores.csv").query(
        "model == 'multi-task' and metric == 'rmse' and resolution == 'native'"
    )
    both = rounds.merge(scores, on=["site", "flux", "period"])
    assert len(both) == 6
    np.testing.assert_allclose(both["delivered"], both["value"], rtol=1e-4)


def test_paired_differences_are_those_of_the_scores(single):
    paired = pd.read_csv(single.place / "paired.csv")
    assert {"native", "daily"} <= set(paired["resolution"])
    scores = pd.read_csv(single.place / "scores.csv").query(
        "metric == 'rmse' and period == 'validation' and n > 0"
    )
    keys = ["flux", "resolution", "site"]
    wide = scores.pivot(index=keys, columns="model", values="value")
    for row in paired[paired["site"] != "all"].to_dict("records"):
        own = wide.loc[tuple(row[k] for k in keys)]
        assert row["value"] == pytest.approx(own["multi-task"])
        assert row["difference"] == pytest.approx(own["multi-task"] - own[row["reference"]])
    assert (paired["low"] <= paired["high"]).all()


def test_the_tower_left_out_does_not_tell_its_own_parameters(run, transferred, tmp_path):
    """Spoil its observations: what it is given stays bit for bit, what it teaches moves."""
    spoilt = tmp_path / "run"
    shutil.copytree(run, spoilt)
    shutil.rmtree(spoilt / "experiments/transfer")
    path = spoilt / f"observations/{FIRST}.nc"
    observed = xr.load_dataset(path)
    observed["Qle"] = 3.0 * observed["Qle"] + 50.0
    save_dataset(observed, path)
    again = transfer.prepare(spoilt)
    transfer.run(again, SilentProgress())
    for one in transfer.lessons(again):
        before, after = (e.parameters(one.label).read_text() for e in (transferred, again))
        taught = FIRST in {s.code for s in one.teachers}
        assert (before == after) == (not taught), one.label
    warned = [(e.place / "warnings.csv").read_text() for e in (transferred, again)]
    assert warned[0] == warned[1]


def test_the_way_of_a_tower_is_that_which_promises_most_at_the_others(transferred):
    table = pd.read_csv(transferred.place / "shares.csv")
    across = table[table["scope"] == "across"]
    assert set(across["kind"]) == {"attributes", "common"}
    assert set(table.loc[table["scope"] == "class", "kind"]) == {"attributes"}
    assert set(table["share"]) == set(transfer_share.SHARES)
    known = {site.code: describe(site) for site in transferred.job.training}
    apart = {}
    for code in known:
        others = [other for other in known if other != code]
        found = surroundings(code, others, known, "attributes").distance
        apart[code] = pd.Series(found, index=others)
    for row in across.to_dict("records"):
        same = across[(across["share"] == row["share"]) & (across["kind"] == row["kind"])]
        told = same.set_index("site")["promised"].drop(row["site"])
        near = np.exp(-0.5 * (apart[row["site"]] / apart[row["site"]].min()) ** 2)
        assert row["elsewhere"] == pytest.approx((near * told).sum() / near.sum())
    best = across.loc[across.groupby("site")["elsewhere"].idxmin()].set_index("site")
    assert across["chosen"].sum() == len(best)
    for one in (one for one in transfer.lessons(transferred) if one.scope == "across"):
        code = one.site.code
        way = best.loc[code]
        path = transferred.parameters(transfer.label(transferred, one, way["kind"]))
        learnt = read_parameters(path).set_index("parameter")
        space = transferred.job.space
        default, there = (space.to_unit(learnt[c].to_numpy()) for c in ("default", "value"))
        told = json.loads(load_dataset(transferred.simulation("across", code)).attrs["parameters"])
        here = space.to_unit(np.array([told[name] for name in learnt.index]))
        np.testing.assert_allclose(here, default + way["share"] * (there - default), atol=1e-6)


def test_a_towers_own_promise_does_not_choose_its_way_and_those_alike_choose_most():
    near, far = transfer_share.Way("common", 0.5), transfer_share.Way("attributes", 1.0)
    promised = {
        "A": {far: 0.2, near: 0.9},
        "B": {far: 1.4, near: 0.8},
        "C": {far: 1.3, near: 0.9},
    }
    even = {a: {b: 0.5 for b in promised if b != a} for a in promised}
    table = transfer_share.choose(promised, far, even)
    assert transfer_share.chosen_ways(table) == {"A": near, "B": far, "C": far}
    even["B"] = {"A": 0.1, "C": 0.9}
    table = transfer_share.choose(promised, far, even)
    assert transfer_share.chosen_ways(table) == {"A": near, "B": near, "C": far}
    alone = transfer_share.choose({"A": {far: 0.2, near: 0.1}}, far, {})
    assert transfer_share.chosen_ways(alone) == {"A": far}


def test_a_tower_beyond_the_others_is_foreseen(transferred):
    foreseen = transfer.foresee(transferred)
    job = transferred.job
    wet = {s.code: float(s.attributes["aridity"]) for s in job.training}
    driest = max(wet, key=wet.get)
    row = foreseen.query("scope == 'across' and site == @driest").iloc[0]
    spread = np.log([wet[c] for c in wet if c != driest])
    beyond = (np.log(wet[driest]) - spread.max()) / spread.std()
    assert ("aridity" in row["outside"]) == (beyond > transfer.MARGIN)
    assert foreseen["trusted"].equals(foreseen["outside"] == "")
    assert any(f"{driest}: outside" in line for line in transfer.warnings(foreseen))
    verdicts = pd.read_csv(transferred.place / "verdicts.csv")
    assert (verdicts["right"] == (verdicts["good"] == verdicts["trusted"])).all()


def test_what_is_kept_is_the_ratio_of_the_gains():
    rows = [
        ("A", "ENF", model, "Qle", "native", "validation", metric, value, 9)
        for model, rmse in (("default", 40.0), ("own", 30.0), ("across", 35.0), ("class", 44.0))
        for metric, value in (("rmse", rmse), ("r", 0.5), ("kge", rmse / 100))
    ]
    columns = ["site", "pft", "model", "flux", "resolution", "period", "metric", "value", "n"]
    table = transfer.compare(pd.DataFrame(rows, columns=columns)).set_index("scope")
    assert table["kept"].to_dict() == pytest.approx({"across": 0.5, "class": -0.4})
    assert table.loc["across", "kge_transferred"] == 0.35
    shares = transfer.by_pft(table.reset_index()).set_index(["pft", "scope"])
    assert shares.loc[("ENF", "class"), "worse"] == 1
    foreseen = pd.DataFrame(
        {"site": "A", "scope": ["across", "class"], "trusted": [True, True], "outside": ""}
    )
    verdicts = transfer.verdicts(foreseen, table.reset_index())
    assert list(verdicts["good"]) == [True, False] and list(verdicts["right"]) == [True, False]


def test_gpp_is_learnt_where_it_is_measured_and_every_tower_is_judged(run, reverse):
    found = pd.read_csv(reverse.place / "front.csv")
    assert list(found["model"].unique()) == ["gpp-0-prior-0.02", "gpp-1-prior-0.02"]
    assert found.groupby("flux")["towers"].max().to_dict() == {"GPP": 2, "Qh": 3, "Qle": 3}
    assert load_surrogate(reverse.surrogate(untargeted.SURROGATE)).tasks == ("Qle", "Qh", "GPP")
    assert (found.loc[found["weight"] == 0, "loss"] == 0).all()
    with_gpp = pd.read_csv(reverse.parameters("gpp-1-prior-0.02"))
    without = pd.read_csv(reverse.parameters("gpp-0-prior-0.02"))
    assert not np.allclose(with_gpp["value"], without["value"])


def test_the_grid_has_every_weight_at_the_prior_of_the_run_and_every_prior_without_gpp():
    points = untargeted.Options((0.3, 0.0), (0.02, 0.5)).points(GeneratorConfig())
    assert [(p.weight, p.prior) for p in points] == [(0.0, 0.02), (0.3, 0.02), (0.0, 0.5)]
    config = points[1].config(GeneratorConfig(task_weights={"Qle": 2}, balance="uncertainty"))
    assert config.task_weights == {"Qle": 2, "GPP": 0.3} and config.balance == "fixed"


def test_the_front_is_what_nothing_else_beats():
    goals = np.array([[0.0, 3.0], [1.0, 2.0], [1.0, 1.0], [2.0, 0.0], [2.0, 0.0], [-1.0, 3.0]])
    found = untargeted.undominated(goals)
    assert list(found) == [True, True, False, True, True, False]


def test_cut_and_taken_up_equals_uncut(run, reverse, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    shutil.rmtree(folder / "experiments/untargeted")
    for piece, at in (
        ("surrogate", 4),
        ("generator", 5),
        ("land model at the learnt parameters", 3),
    ):
        with pytest.raises(KeyboardInterrupt):
            untargeted.run(untargeted.prepare(folder, OPTIONS), OPTIONS, Cut(piece, at))
    untargeted.run(untargeted.prepare(folder, OPTIONS), OPTIONS, SilentProgress())
    for name in ("front.csv", "scores.csv", "gpp-1-prior-0.02/parameters.csv"):
        whole, cut = (p / f"experiments/untargeted/{name}" for p in (run, folder))
        assert whole.read_text() == cut.read_text(), name
    assert cost(folder, "untargeted") == cost(run, "untargeted")


def test_free_parameters_of_a_flux_nobody_measured_are_refused_before_any_work(run, monkeypatch):
    experiment = open_experiment(run, "single-task")
    config = experiment.job.config.model_copy(
        update={"tasks": ("Qle", "GPP"), "generator": GeneratorConfig(kind="free")}
    )
    free = replace(experiment, job=replace(experiment.job, config=config))
    monkeypatch.setattr(single_task, "open_experiment", lambda path, name: free)
    with pytest.raises(ConfigError, match=f"measured GPP at {LAST}; use"):
        single_task.prepare(run)


def test_runs_that_cannot_serve_are_refused(run, tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        single_task.prepare(tmp_path)
    with pytest.raises(ConfigError, match="zero or more"):
        untargeted.prepare(run, untargeted.Options(weights=(-1.0,)))
    folder = tmp_path / "run"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("experiments"))
    place = folder / "experiments/transfer"
    place.mkdir(parents=True)
    (place / "made_from").write_text("another learning")
    with pytest.raises(RunError, match="before this run learnt anew"):
        open_experiment(folder, "transfer")


def test_commands_speak_and_the_page_shows_what_was_made(
    run, single, transferred, reverse, seeded, unseen, monkeypatch
):
    again = {
        "train at most 0 models": [
            "calibrate",
            f"{run}/config.yaml",
            "--out",
            f"{run}",
            "--seeds=2",
        ],
        "make 0 land-model runs": ["fidelity", f"{run}", "--sets=4"],
    }
    with monkeypatch.context() as without_page:
        without_page.setattr("mdpl.cli_experiments._report", lambda *_: None)
        for words, command in again.items():
            answer = CliRunner().invoke(app, ["experiment", *command])
            assert answer.exit_code == 0, answer.output
            assert words in answer.output
    answer = CliRunner().invoke(app, ["experiment", "transfer", str(run)])
    assert answer.exit_code == 0, answer.output
    assert "will train 0 models and make 0 land-model runs" in answer.output
    assert "share kept" in answer.output
    assert "across: taken of what was learnt" in answer.output
    text = (run / "report.html").read_text()
    for name in ("single-task", "transfer", "untargeted", "seeds"):
        assert f'id="{name}"' in text and f'href="#{name}"' in text
    assert 'id="figure-unseen_sets_Qh"' in text


def test_fluxes_of_another_choice_judge_and_teach_where_a_tower_has_them(run):
    opened = flux_choice.prepare(run, relearn=True)
    assert [s.code for s in opened.towers["raw"]] == list(STUDY.codes)
    assert [s.code for s in opened.towers["corrected"]] == [FIRST]
    why = {(code, choice): words for code, choice, words in opened.left_out}
    assert "expected Qle_cor" in why[SECOND, "corrected"]
    assert "expected Rnet" in why[FIRST, "residual"] and "residual" not in opened.towers
    said = flux_choice.plan(opened).left()
    gains = flux_choice.run(opened, SilentProgress())
    assert cost(run, "flux-choice") == said == (1, 3)
    assert flux_choice.plan(opened).left() == (0, 0)
    assert set(zip(gains["choice"], gains["model"], strict=True)) == {
        (choice, model) for choice in ("raw", "corrected") for model in ("mdpl", "mdpl-corrected")
    }
    scores = pd.read_csv(run / "experiments/flux-choice/scores.csv").query(
        "metric == 'rmse' and resolution == 'native' and period == 'all' and flux == 'Qle'"
    )
    with xr.open_dataset(run / f"observations/{FIRST}.nc") as file:
        observed = file["Qle"].values[file["Qle_measured"].values == 1]
        counts = file["Qle_measured"].values == 1
    with xr.open_dataset(run / f"simulations/mdpl/{FIRST}.nc") as file:
        modelled = file["Qle"].values[counts]
    own = scores.query("model == 'mdpl' and site == @FIRST").set_index("choice")["value"]
    for choice, factor in (("raw", 1.0), ("corrected", 1.2)):
        error = np.sqrt(np.mean((modelled - factor * observed) ** 2))
        assert own[choice] == pytest.approx(error)
    usual = pd.read_csv(run / "parameters.csv").set_index(["site", "parameter"])["value"]
    path = run / "experiments/flux-choice/corrected/parameters.csv"
    other = pd.read_csv(path).set_index(["site", "parameter"])["value"]
    assert (usual - other).abs().max() > 0
    with xr.open_dataset(
        run / f"experiments/flux-choice/simulations/mdpl-corrected/{FIRST}.nc"
    ) as file:
        assert file.attrs["flux_choice"] == "corrected"
