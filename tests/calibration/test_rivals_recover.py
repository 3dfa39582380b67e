"""Every rival finds known parameters, within bounds and budget, and the same again."""

import contextlib
import io
import sys

import numpy as np
import pytest
import toy_linear as toy

from mdpl.calibration import direct, kalman, search
from mdpl.calibration.objective import Ledger
from mdpl.errors import ConfigError, ModelError

BUDGET = {"cma-es": 400, "sce-ua": 500, "direct": 1800, "es-mda": 501}


def gradient(target, bend=1.0, broken=lambda unit: False):
    def ask(unit):
        series = toy.fluxes(unit, bend)
        by_flux = target.by_series(np.nan_to_num(series))
        by_unit = 40 * bend * unit ** (bend - 1)
        slope = by_unit * np.einsum("mkt,pkt->mp", by_flux, toy.responses())
        slope = slope + target.by_unit(unit)
        slope[[broken(u) for u in unit]] = np.nan
        return {"objective": target(unit, series), "gradient": slope}

    return ask


def run(method, target, seed=0, path=None, budget=None, bend=1.0, ask=None):
    """(calibration, ledger) of a rival at the toy tower."""
    runs = budget or BUDGET[method]
    if method == "direct":
        each = direct.GRADIENT_RUNS
        ledger = Ledger(ask or gradient(target, bend), target, runs, runs_each=each, path=path)
        return direct.descend(ledger, seed=seed, starts=4), ledger
    if method == "es-mda":
        seen = kalman.days(
            target.tasks, target.observed, toy.TIME, np.full(target.observed.shape, np.nan)
        )

        def answers(unit):
            series = toy.fluxes(unit, bend)
            return {"objective": target(unit, series), "calibration": seen.means(series)}

        ledger = Ledger(ask or answers, target, runs, path=path)
        return kalman.es_mda(ledger, seen, seed=seed).calibration, ledger
    ledger = Ledger(ask or toy.asker(target, bend), target, runs, path=path)
    rule = {"cma-es": search.cma_es, "sce-ua": search.sce_ua}[method]
    return rule(ledger, seed=seed), ledger


@pytest.mark.parametrize("method", BUDGET)
def test_known_parameters_come_back(method):
    target = toy.objective(noise=3.0, bend=1.5)
    found, ledger = run(method, target, bend=1.5)
    np.testing.assert_allclose(found.unit["XX-Toy"], toy.TRUTH, atol=0.03)
    assert found.objective < target(toy.DEFAULT[None], toy.fluxes(toy.DEFAULT, 1.5)) / 5
    assert found.method == method
    assert (np.diff(ledger.history["objective"]) <= 0).all()


@pytest.mark.parametrize("method", BUDGET)
def test_runs_are_counted_where_they_are_made_and_the_budget_holds(method):
    target = toy.objective()
    made = []
    if method == "direct":
        inner = gradient(target)
    else:
        seen = kalman.days(
            target.tasks, target.observed, toy.TIME, np.full(target.observed.shape, np.nan)
        )

        def inner(unit):
            series = toy.fluxes(unit)
            return {"objective": target(unit, series), "calibration": seen.means(series)}

    def ask(unit):
        made.append(len(unit))
        assert ((unit >= 0) & (unit <= 1)).all()
        return inner(unit)

    found, ledger = run(method, target, budget=260, ask=ask)
    each = direct.GRADIENT_RUNS if method == "direct" else 1
    assert found.lsm_runs == each * sum(made) <= 260
    assert found.lsm_runs == ledger.history["lsm_runs"].iloc[-1]
    assert found.lsm_runs >= 220
    assert ((found.unit["XX-Toy"] >= 0) & (found.unit["XX-Toy"] <= 1)).all()


@pytest.mark.parametrize("method", BUDGET)
def test_a_truth_on_the_bounds_is_reached_and_not_overshot(method):
    truth = np.array([0.0, 1.0, 0.5])
    found, _ = run(method, toy.objective(noise=3.0, truth=truth))
    unit = found.unit["XX-Toy"]
    # The mean of a spread that a bound cuts off lies inside it.
    np.testing.assert_allclose(unit, truth, atol=0.08 if method == "es-mda" else 0.03)
    assert ((unit >= 0) & (unit <= 1)).all()


class Cut(Exception):
    pass


@pytest.mark.parametrize("method", BUDGET)
def test_same_seed_same_answer_also_when_cut_and_taken_up(method, tmp_path):
    target = toy.objective(noise=3.0)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    whole, _ = run(method, target, seed=7)
    again, _ = run(method, target, seed=7)
    np.testing.assert_array_equal(whole.unit["XX-Toy"], again.unit["XX-Toy"])
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    other, _ = run(method, target, seed=8)
    assert not np.array_equal(whole.unit["XX-Toy"], other.unit["XX-Toy"])
    path = tmp_path / "answers.jsonl"
    calls = 0
    if method == "direct":
        inner = gradient(target)
    else:
        seen = kalman.days(
            target.tasks, target.observed, toy.TIME, np.full(target.observed.shape, np.nan)
        )

        def inner(unit):
            series = toy.fluxes(unit)
            return {"objective": target(unit, series), "calibration": seen.means(series)}

    def ask(unit):
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Cut
        return inner(unit)

    with pytest.raises(Cut):
        run(method, target, seed=7, path=path, ask=ask)
    resumed, _ = run(method, target, seed=7, path=path, ask=ask)
    np.testing.assert_array_equal(whole.unit["XX-Toy"], resumed.unit["XX-Toy"])
    assert resumed.lsm_runs == whole.lsm_runs


def test_side_by_side_complexes_are_those_one_by_one():
    """Batching changes when a run is made, not what a complex does with it: with one complex
    spotpy alone, asking one run at a time, goes the same way."""
    spotpy = pytest.importorskip("spotpy")
    target = toy.objective(noise=3.0)
    seen = []
    axes = [spotpy.parameter.Uniform(f"u{i}", 0.0, 1.0) for i in range(3)]

    class Setup:
        def parameters(self):
            return spotpy.parameter.generate(axes)

        def simulation(self, point):
            seen.append(np.array(point))
            return [float(target(np.array(point)[None], toy.fluxes(np.array(point)))[0])]

        def evaluation(self):
            return [0.0]

        def objectivefunction(self, simulation, evaluation, params=None):
            return simulation[0]

    with contextlib.redirect_stdout(io.StringIO()), search._alone(5):
        alone = spotpy.algorithms.sceua(Setup(), dbformat="ram", save_sim=False, random_state=5)
        alone.sample(120, ngs=1)
    ours = []

    def ask(unit):
        ours.extend(unit)
        return toy.asker(target)(unit)

    ledger = Ledger(ask, target, 60)
    search.sce_ua(ledger, seed=5, complexes=1)
    np.testing.assert_allclose(np.array(ours), np.array(seen)[: len(ours)])
    assert len(ours) == 60


def test_a_broken_gradient_turns_the_descent_and_is_counted():
    target = toy.objective(noise=3.0)
    ask = gradient(target, broken=lambda u: u[2] <= 0.5)
    found, ledger = run("direct", target, ask=ask)
    assert ledger.failed > 0
    np.testing.assert_allclose(found.unit["XX-Toy"], toy.TRUTH, atol=0.03)

    def hopeless(unit):
        return {"objective": np.full(len(unit), np.inf), "gradient": np.full(unit.shape, np.nan)}

    with pytest.raises(ModelError, match="failed wherever it was asked"):
        run("direct", target, ask=hopeless)


@pytest.mark.parametrize("method", BUDGET)
def test_a_budget_too_small_is_refused_in_words(method):
    with pytest.raises(ConfigError, match=r"raise --lsm-runs"):
        run(method, toy.objective(), budget=15)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(ConfigError, match=r"library cma.*mdpl\[rivals\]"):
        run("cma-es", toy.objective())
