import numpy as np
import pytest

import toy_bucket as toy
from mdpl.surrogate import audit
from mdpl.surrogate.train import train


@pytest.fixture(scope="module")
def tower():
    return toy.runs(40, 12)


@pytest.fixture(scope="module")
def surrogate(tower):
    return train([tower], toy.NAMES, toy.tiny(steps=40, learning_rate=0.04))[0]


def test_a_surrogate_that_is_the_land_model_is_perfect_and_half_the_truth_is_not(
    tower, surrogate, monkeypatch
):
    truth = np.stack([tower.targets[t] for t in ("Qle", "Qh")], axis=-1).astype(np.float32)
    monkeypatch.setattr(type(surrogate), "predict", lambda self, tensors, unit: truth)
    scores = audit.fidelity(surrogate, [tower]).set_index(["task", "metric"])["value"]
    assert scores["Qle", "r2"] == pytest.approx(1) and scores["Qh", "kge"] == pytest.approx(1)
    monkeypatch.setattr(type(surrogate), "predict", lambda self, tensors, unit: 0.5 * truth)
    scores = audit.fidelity(surrogate, [tower]).set_index(["task", "metric"])["value"]
    assert scores["Qle", "kge"] == pytest.approx(1 - np.sqrt(0.5), abs=1e-4)


def test_the_response_is_what_members_differ_from_the_default_run(tower, surrogate, monkeypatch):
    reference = np.moveaxis(
        tower.tensors.unfold(np.moveaxis(tower.tensors.reference, -1, 0)), 0, -1
    )
    truth = np.stack([tower.targets[t] for t in ("Qle", "Qh")], axis=-1)
    found = {}
    for name, share in (("default", 0.0), ("half", 0.5), ("whole", 1.0)):
        guess = (reference + share * (truth - reference)).astype(np.float32)
        monkeypatch.setattr(type(surrogate), "predict", lambda *_, guess=guess: guess)
        table = audit.fidelity(surrogate, [tower]).set_index(["task", "metric"])["value"]
        found[name] = table["Qle", "r2_response"]
        assert set(table.index.get_level_values(1)) == set(audit.MEASURES)
    assert found["default"] == pytest.approx(0, abs=1e-6)
    assert found["half"] == pytest.approx(0.75, abs=1e-4)
    assert found["whole"] == pytest.approx(1, abs=1e-6)


def test_a_failed_member_of_a_stencil_costs_its_own_slope_alone():
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(40, 2))
    observed[:, 1] = 3.0  # a flux of one value tells no misfit
    unit = np.array([0.4, 0.6, 0.5])
    points = audit.stencil(unit)
    fluxes = observed + points.sum(axis=1)[:, None, None]
    sound = audit.slope(points, audit.misfit(fluxes, observed))
    fluxes[3] = np.nan
    found = audit.misfit(fluxes, observed)
    assert found.shape == (6,) and np.isnan(found[3]) and np.isfinite(found).sum() == 5
    slope = audit.slope(points, found)
    np.testing.assert_array_equal(np.isnan(slope), [False, True, False])
    assert audit.cosine(slope, sound) == pytest.approx(1.0)


def test_only_steps_inside_count(tower, surrogate):
    n = tower.tensors.n_time
    late = np.arange(n) >= n // 2
    spoilt = {k: np.where(late, v, 1e4) for k, v in tower.targets.items()}
    other = type(tower)(tower.tensors, tower.unit, spoilt)
    inside = {tower.tensors.code: late}
    a, b = (audit.fidelity(surrogate, [t], inside) for t in (tower, other))
    np.testing.assert_allclose(a.value, b.value)


def test_where_finds_the_hour_the_month_and_the_third_that_are_wrong(tower, surrogate, monkeypatch):
    truth = np.stack([tower.targets[t] for t in ("Qle", "Qh")], axis=-1).astype(np.float32)
    wrong = truth.copy()
    time = toy.site(tower.tensors.code, 40).time
    noon = time.astype("datetime64[h]").astype(int) % 24 == 12
    april = time.astype("datetime64[M]").astype(int) % 12 == 3
    high = np.flatnonzero(tower.unit[:, 1] > 2 / 3)
    wrong[np.ix_(high, np.flatnonzero(noon & april))] += 50
    monkeypatch.setattr(type(surrogate), "predict", lambda self, tensors, unit: wrong)
    found = audit.where(surrogate, [tower], toy.NAMES, {tower.tensors.code: time})
    found = found[found.task == "Qh"].set_index(["by", "part"])["rmse_over_sd"]
    assert found["hour", "12"] > 0 and found.drop([("hour", "12")])["hour"].max() == 0
    assert found["month", "4"] > 0 and found["month", "3"] == 0
    assert found["capacity", "high"] > 0 and found["capacity", "low"] == 0


def test_slopes_of_a_known_misfit_are_found_also_at_the_bounds():
    rng = np.random.default_rng(0)
    centre, middle = np.array([0.0, 0.3, 0.7, 1.0]), rng.random(4)
    points = audit.stencil(centre)
    assert points.shape == (8, 4) and points.min() >= 0 and points.max() <= 1
    found = audit.slope(points, ((points - middle) ** 2).sum(axis=1))
    inside = [1, 2]
    np.testing.assert_allclose(found[inside], 2 * (centre - middle)[inside], atol=1e-12)
    np.testing.assert_allclose(found, 2 * (centre - middle), atol=2 * audit.STEP)


def test_the_misfit_is_eq_2_and_leaves_out_what_is_not_measured():
    rng = np.random.default_rng(1)
    observed, fluxes = rng.normal(size=(50, 3)), rng.normal(size=(2, 50, 3))
    observed[:10, 0] = np.nan
    observed[:, 2] = np.nan
    parts = [
        ((fluxes[:, :, k] - observed[:, k])[:, keep] ** 2).mean(1) / observed[keep, k].var()
        for k, keep in ((0, slice(10, None)), (1, slice(None)))
    ]
    np.testing.assert_allclose(audit.misfit(fluxes, observed), np.mean(parts, axis=0))


def test_cosine_and_cloud():
    assert audit.cosine(np.array([1.0, 0]), np.array([2.0, 0])) == pytest.approx(1)
    assert audit.cosine(np.array([1.0, 0]), np.array([0, -3.0])) == pytest.approx(0)
    assert np.isnan(audit.cosine(np.zeros(2), np.ones(2)))
    members = np.random.default_rng(2).random((60, 3)) * 0.5 + 0.25
    inside, far = audit.cloud(members.mean(0), members), audit.cloud(np.full(3, 0.999), members)
    assert inside["nearest"] < 2 and inside["outside"] == 0 and inside["at_bound"] == 0
    assert far["nearest"] > 3 and far["outside"] == 3 and far["at_bound"] == 3
