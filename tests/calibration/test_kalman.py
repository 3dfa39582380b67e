"""ES-MDA against Bayes' theorem, its prior against the distribution it is drawn from."""

from typing import get_args

import numpy as np
import pytest
import toy_linear as toy
from scipy import stats

from mdpl.calibration import kalman
from mdpl.calibration.objective import Ledger
from mdpl.config import Config
from mdpl.errors import ModelError
from mdpl.sites.virtual import TOWER_NOISE


@pytest.mark.parametrize("iterations", [1, 4])
def test_posterior_of_a_linear_model_is_that_of_bayes(iterations):
    rng = np.random.default_rng(0)
    response = rng.normal(size=(12, 3))
    error = rng.uniform(0.5, 3.0, 12)
    observed = response @ np.array([1.0, -0.5, 0.3]) + error * rng.normal(size=12)
    precision = np.eye(3) + (response / error[:, None] ** 2).T @ response
    covariance = np.linalg.inv(precision)
    mean = covariance @ (response.T @ (observed / error**2))
    first = rng.standard_normal((4000, 3))
    found = kalman.smooth(lambda x: x @ response.T, first, observed, error, iterations, seed=1)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.mean(axis=0), mean, atol=0.06 * sd.max())
    np.testing.assert_allclose(np.cov(found.T) / np.outer(sd, sd), covariance / np.outer(sd, sd),
                               atol=0.08)  # fmt: skip


def test_prior_is_a_normal_cut_off_at_the_bounds():
    default, widths = np.array([0.5, 0.0, 0.95]), np.array([0.1, 0.3, 0.3])
    normal = np.random.default_rng(0).standard_normal((4000, 3))
    drawn = kalman.Prior(default, widths).unit(normal)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    for column, mode, sd in zip(drawn.T, default, widths, strict=True):
        expected = stats.truncnorm(-mode / sd, (1 - mode) / sd, mode, sd)
        assert stats.kstest(column, expected.cdf).pvalue > 0.01
    assert (np.diff(drawn[np.argsort(normal[:, 0]), 0]) >= 0).all()


def test_daily_means_and_their_random_error():
    target = toy.objective(noise=2.0)
    own = np.full(target.observed.shape, np.nan)
    own[0] = 7.0
    seen = kalman.days(target.tasks, target.observed, toy.TIME, own)
    first = np.isfinite(target.observed[0, :24])
    np.testing.assert_allclose(seen.observed[0], target.observed[0, :24][first].mean())
    np.testing.assert_allclose(seen.random[0], 7.0 / np.sqrt(first.sum()))
    heat = target.observed[1, :24][np.isfinite(target.observed[1, :24])]
    n = (seen.task == 0).sum()
    np.testing.assert_allclose(
        seen.random[n], np.sqrt((TOWER_NOISE["Qh"].sd(heat) ** 2).sum()) / heat.size
    )
    series = toy.fluxes(np.array([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]]))
    means = seen.means(series)
    assert means.shape == (2, len(seen.observed))
    np.testing.assert_allclose(means[1, 0], series[1, 0, :24][first].mean())
    few = kalman.days(target.tasks, target.observed, toy.TIME, own, day_share=0.9)
    assert 0 < len(few.observed) < len(seen.observed)
    none = kalman.days(target.tasks, target.observed, toy.TIME, own, day_share=1.01)
    assert none.means(series).shape == (2, 0)
    with pytest.raises(ModelError, match="day_share"):
        kalman.es_mda(Ledger(toy.asker(target), target, 501), none, seed=0)


def posterior(noise, structural, truth=toy.TRUTH, shift=0.0):
    target = toy.objective(noise=noise, truth=truth)
    target.observed[:] = target.observed + shift
    seen = kalman.days(
        target.tasks, target.observed, toy.TIME, np.full(target.observed.shape, noise)
    )

    def ask(unit):
        series = toy.fluxes(unit)
        return {"objective": target(unit, series), "calibration": seen.means(series)}

    return kalman.es_mda(Ledger(ask, target, 501), seen, seed=0, structural=structural)


def test_spread_covers_the_truth_and_grows_with_the_error():
    exact, rough = (posterior(noise, False) for noise in (2.0, 20.0))
    for found in (exact, rough):
        assert found.members.shape == found.prior.shape == (100, 3)
        z = (found.members.mean(axis=0) - toy.TRUTH) / found.members.std(axis=0)
        assert (np.abs(z) < 3.5).all()
        assert (found.members.std(axis=0) < found.prior.std(axis=0)).all()
    assert (rough.members.std(axis=0) > 2 * exact.members.std(axis=0)).all()


def test_a_model_that_cannot_be_right_is_not_certain():
    blind, open_ = (posterior(2.0, structural, shift=15.0) for structural in (False, True))
    assert blind.structural == {"Qle": 0.0, "Qh": 0.0}
    assert all(8 < left < 25 for left in open_.structural.values())
    assert (open_.members.std(axis=0) > 3 * blind.members.std(axis=0)).all()


def test_interval_adds_the_spread_of_members_and_both_errors():
    members = np.random.default_rng(0).standard_normal((4000, 2))
    unused = np.zeros(2)
    seen = kalman.Days(unused, np.array([2.0, 0.5]), np.array([0, 1]), unused, unused)
    low, high = kalman.interval(members, seen, [1.0, 3.0])
    expected = 1.645 * np.sqrt(1 + np.array([2.0, 0.5]) ** 2 + np.array([1.0, 3.0]) ** 2)
    np.testing.assert_allclose(high, expected, rtol=0.03)
    np.testing.assert_allclose(low, -expected, rtol=0.03)


def test_where_the_model_fails_there_is_no_posterior():
    """It fails where the prior has its mean; the truth lies in what is left."""
    target = toy.objective(noise=3.0)
    seen = kalman.days(
        target.tasks, target.observed, toy.TIME, np.full(target.observed.shape, np.nan)
    )

    def ask(unit):
        series = toy.fluxes(unit)
        series[unit[:, 0] > 0.5] = np.nan
        return {"objective": target(unit, series), "calibration": seen.means(series)}

    found = kalman.es_mda(Ledger(ask, target, 501), seen, seed=3)
    assert (found.members[:, 0] <= 0.5).all() and (found.prior[:, 0] <= 0.5).all()
    assert np.isfinite(found.calibration.objective)
    assert all(np.isfinite(left) for left in found.structural.values())

    def fails(unit):
        series = np.full_like(toy.fluxes(unit), np.nan)
        return {"objective": target(unit, series), "calibration": seen.means(series)}

    with pytest.raises(ModelError, match=r"failed at 100 of 100"):
        kalman.es_mda(Ledger(fails, target, 501), seen, seed=0)


def test_every_task_a_run_may_have_has_an_error():
    (tasks,) = get_args(Config.model_fields["tasks"].annotation)[:1]
    assert set(get_args(tasks)) <= set(kalman.NOISE)


def test_failed_members_do_not_stop_the_rest_but_too_many_do():
    target = toy.objective(noise=3.0)
    seen = kalman.days(
        target.tasks, target.observed, toy.TIME, np.full(target.observed.shape, np.nan)
    )

    def ask(unit, share=0.2):
        series = toy.fluxes(unit)
        series[np.arange(len(unit))[::-1] < share * (len(unit) - 1)] = np.nan
        return {"objective": target(unit, series), "calibration": seen.means(series)}

    ledger = Ledger(ask, target, 501)
    found = kalman.es_mda(ledger, seen, seed=0)
    # 20 of 100 are left out at once, 16 of the 80 others fail each time.
    assert ledger.failed == 20 + 4 * 16
    assert found.prior.shape == (80, 3) and found.members.shape == (64, 3)
    assert np.isfinite(found.answers["calibration"]).all()
    np.testing.assert_allclose(found.members.mean(axis=0), toy.TRUTH, atol=0.1)
    with pytest.raises(ModelError, match="failed at 60 of 100"):
        kalman.es_mda(Ledger(lambda u: ask(u, 0.6), target, 501), seen, seed=0)
