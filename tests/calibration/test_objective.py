"""The objective is the generator's, its slopes are those of differences; the ledger keeps count."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import toy_linear as toy

import toy_bucket as bucket
from mdpl.calibration.objective import Ledger, Objective, Spent
from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ModelError, RunError, SiteError
from mdpl.generator.train import TowerObservations, _pool, full_loss
from mdpl.lsm.model import Parameter, ParameterSpace


def test_objective_is_that_of_the_generator_at_one_tower():
    site = bucket.site("XX-000", 40)
    tensors = bucket.tensors(site)
    truth = bucket.simulate(site, np.array([0.2, 0.5, 0.8, 0.5])).isel(member=0)
    observed = {task: truth[task].values for task in ("Qle", "Qh")}
    counts = {t: np.random.default_rng(i).random(960) < 0.6 for i, t in enumerate(observed)}
    tower = TowerObservations(tensors, {}, observed, counts)
    config = GeneratorConfig(
        prior_width=0.3,
        prior_widths={bucket.NAMES[1]: 0.1},
        prior_weight=0.5,
        task_weights={"Qle": 3},
    )
    unit = np.array([0.1, 0.9, 0.4, 0.6])
    # full_loss asks no more of a generator and of a surrogate than this.
    generator = SimpleNamespace(parameters=lambda code, known, default: unit)
    response = np.random.default_rng(5).normal(size=(4, 960, 2))
    surrogate = SimpleNamespace(
        predict=lambda tensors, unit: 100 * np.tensordot(unit, response, axes=1),
        scalers=SimpleNamespace(task_scale=np.array([30.0, 20.0])),
        tasks=("Qle", "Qh"),
        parameter_names=bucket.NAMES,
    )
    theirs = full_loss(generator, surrogate, [tower], [_pool(surrogate, tower)], config)
    space = ParameterSpace(tuple(Parameter(n, "1", "", 0, 1, 0.5, "test") for n in bucket.NAMES))
    rows = np.stack([np.where(counts[t], observed[t], np.nan) for t in observed])
    weights, widths = np.array([1.5, 0.5]), np.array([0.3, 0.1, 0.3, 0.3])
    own = Objective(
        "XX-000", space, tensors.default_unit, ("Qle", "Qh"), rows, weights, widths, 0.5
    )
    series = surrogate.predict(tensors, unit).T[None]
    # The generator keeps its observations in half precision.
    np.testing.assert_allclose(own(unit[None], series), theirs, rtol=2e-3)


def test_slopes_agree_with_differences():
    target = toy.objective(noise=5.0, prior_weight=0.3)
    unit = np.array([[0.2, 0.4, 0.6]])
    series = toy.fluxes(unit)
    way = np.random.default_rng(0).normal(size=series.shape)
    step = 1e-4
    ahead, behind = (target(unit, series + s * way) for s in (step, -step))
    np.testing.assert_allclose(
        (ahead - behind) / (2 * step), (target.by_series(series) * way).sum(), rtol=1e-6
    )
    moved = [target(unit + s * np.eye(3), np.repeat(series, 3, 0)) for s in (step, -step)]
    np.testing.assert_allclose(
        (moved[0] - moved[1]) / (2 * step), target.by_unit(unit)[0], rtol=1e-6
    )
    ahead, behind = (toy.SPACE.from_unit(unit + s * np.eye(3)) for s in (step, -step))
    differences = np.diag(ahead - behind) / (2 * step)
    np.testing.assert_allclose(toy.SPACE.slope(unit)[0], differences, rtol=1e-6)


def test_a_failed_run_is_infinitely_bad_and_nothing_to_learn_from_is_refused():
    target = toy.objective()
    failed = np.array([[1.0, 1.0, 0.5]])
    assert np.isinf(target(failed, toy.fluxes(failed)))
    with pytest.raises(SiteError, match="no measured step of Qle, Qh"):
        replace(target, observed=np.full((2, 9), np.nan))
    with pytest.raises(ModelError, match="expected fluxes of shape"):
        target(failed, np.zeros((1, 2, 5)))


def test_the_ledger_counts_runs_and_keeps_the_best():
    target = toy.objective()
    ledger = Ledger(toy.asker(target), target, 25, runs_each=6)
    unit = np.array([[0.3, 0.7, 0.8], [0.3, 0.7, 0.1], [0.99, 0.99, 0.5]])
    answers = ledger(unit)
    assert (ledger.runs, ledger.left, ledger.failed) == (18, 1, 1)
    np.testing.assert_array_equal(ledger.best_unit, unit[0])
    assert ledger.best == answers["objective"][0]
    ledger(unit[1:2])
    assert ledger.history["lsm_runs"].tolist() == [18, 24]
    assert ledger.history["objective"].tolist() == [ledger.best] * 2
    found = ledger.calibration("toy")
    assert (found.lsm_runs, found.objective) == (24, ledger.best)
    with pytest.raises(Spent):
        ledger(unit[:1])


def test_known_answers_are_not_asked_again_unless_the_question_differs(tmp_path):
    target, path = toy.objective(), tmp_path / "answers.jsonl"
    asked = []

    def ask(unit):
        asked.append(len(unit))
        return toy.asker(target)(unit)

    points = np.random.default_rng(0).random((3, 4, 3))
    first = Ledger(ask, target, 100, path=path)
    told = [first(p)["objective"] for p in points]
    with open(path, "a") as file:
        file.write('{"unit": [[0.1, 0.')
    again = Ledger(ask, target, 100, path=path)
    np.testing.assert_array_equal(told, [again(p)["objective"] for p in points])
    assert asked == [4, 4, 4]
    assert again.seconds == first.seconds
    again(points[0])
    assert asked == [4, 4, 4, 4]
    other = Ledger(ask, target, 100, path=path)
    other(points[0])
    other(points[2])
    assert asked == [4, 4, 4, 4, 4]
    assert len(path.read_text().splitlines()) == 1 + 2
    with pytest.raises(RunError, match="another objective"):
        Ledger(ask, toy.objective(prior_weight=0.1), 100, path=path)
