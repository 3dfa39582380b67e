"""Gains from sums by day are the gains of the metrics, and their intervals mean something."""

import numpy as np
import pytest

from mdpl.errors import ModelError
from mdpl.evaluation import metrics
from mdpl.evaluation.gain_intervals import day_sums, intervals

DAYS = 120
TIME = np.arange("2010-01-01", "2010-05-01", np.timedelta64(30, "m"), dtype="datetime64[m]")
TIME = TIME.astype("datetime64[ns]")[: DAYS * 48]


def series(seed, noise=(20.0, 10.0)):
    rng = np.random.default_rng(seed)
    observed = 150 + 100 * np.sin(np.arange(TIME.size) / 48 * 2 * np.pi)
    default = 0.8 * observed + 30 + rng.normal(0, noise[0], TIME.size)
    learnt = observed + rng.normal(0, noise[1], TIME.size)
    return observed, default, learnt, rng.random(TIME.size) < 0.7


def test_values_are_those_of_the_metrics():
    o, d, m, counts = series(0)
    table = intervals({"A": day_sums(TIME, o, d, m, counts)}, replicates=50).set_index("gain")
    before, after = (metrics.rmse(x[counts], o[counts]) for x in (d, m))
    assert table.loc["dRMSE", "value"] == pytest.approx((before - after) / before)
    r0, r1 = (metrics.r(x[counts], o[counts]) for x in (d, m))
    assert table.loc["dR", "value"] == pytest.approx((r1 - r0) / abs(r0))
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()
    assert table["days"].eq(DAYS).all()


def test_equal_runs_have_no_gain_and_an_interval_about_zero():
    inside = 0
    for seed in range(40):
        o, d, m, counts = series(seed, noise=(15.0, 15.0))
        same = 0.8 * o + 30 + (m - o)
        found = intervals({"A": day_sums(TIME, o, d, same, counts)}, replicates=200, seed=seed)
        low, high = found.query("gain == 'dRMSE'")[["low", "high"]].to_numpy()[0]
        inside += low <= 0 <= high
    assert inside >= 33  # 38 expected of 95 % intervals


def test_the_median_over_towers_is_wider_where_towers_differ():
    def towers(noises):
        return {
            f"T{i}": day_sums(TIME, *series(i, noise=(20.0, noise)))
            for i, noise in enumerate(noises)
        }

    alike = intervals(towers([10.0] * 5)).query("site == 'all' and gain == 'dRMSE'").iloc[0]
    apart = intervals(towers([2.0, 8, 14, 20, 26])).query("site == 'all' and gain == 'dRMSE'")
    assert alike["towers"] == 5
    assert apart.iloc[0]["high"] - apart.iloc[0]["low"] > 5 * (alike["high"] - alike["low"])


def test_a_constant_has_no_correlation_to_gain():
    o, d, _, counts = series(1)
    found = day_sums(TIME, o, d, np.full(o.size, 100.0), counts).gains(np.ones((1, DAYS)))
    assert np.isfinite(found[0, 0])
    assert not np.isfinite(found[0, 1])


def test_a_gap_in_a_run_is_refused():
    o, d, m, counts = series(2)
    m[np.flatnonzero(counts)[3]] = np.nan
    with pytest.raises(ModelError, match="finite"):
        day_sums(TIME, o, d, m, counts)
