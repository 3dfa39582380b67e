"""The paired bootstrap: exact sums, and intervals that hold the truth as often as they say."""

import numpy as np
import pandas as pd
import pytest

from mdpl.errors import ModelError
from mdpl.evaluation import metrics
from mdpl.evaluation.paired import Days, block_weights, compare, day_errors


def pair(rng, days=60, per_day=24, error=(10.0, 12.0), memory=0.0):
    """Observation and two models with normal errors; ``memory`` ties days to those before."""
    time = pd.date_range("2010-01-01", periods=days * per_day, freq=f"{24 // per_day}h").values
    o = 100 * rng.random(time.size)
    daily = rng.normal(size=days)
    for i in range(1, days):
        daily[i] = memory * daily[i - 1] + np.sqrt(1 - memory**2) * daily[i]
    shared = np.repeat(daily, per_day)
    models = [o + s * (shared + rng.normal(size=time.size)) / np.sqrt(2) for s in error]
    return time, o, *models


def test_without_resampling_it_is_the_metric():
    rng = np.random.default_rng(0)
    time, o, m, r = pair(rng)
    counts = rng.random(time.size) < 0.6
    days = day_errors(time, o, m, r, counts)
    for name in ("rmse", "nme"):
        expected = [metrics.METRICS[name](x[counts], o[counts]) for x in (m, r)]
        assert days.statistic(name, np.ones(days.n.size)) == pytest.approx(expected, rel=1e-12)
        found = compare({"A": days}, name, replicates=10)
        assert found.difference == pytest.approx(expected[0] - expected[1], rel=1e-9)


@pytest.mark.parametrize(("days", "block"), [(70, 1), (70, 3), (70, 7), (70, 50), (20, 50)])
def test_blocks_are_runs_of_days(days, block):
    drawn = block_weights(days, block, 300, np.random.default_rng(1))
    assert drawn.shape == (300, days)
    assert (drawn.sum(axis=1) == days).all()
    assert drawn.mean() == pytest.approx(1.0)
    neighbours = np.corrcoef(drawn[:, 5], drawn[:, 6])[0, 1]
    assert (neighbours > 0.3) == (block > 1)


@pytest.mark.parametrize("days", [3, 8, 10, 19])
def test_a_short_record_has_an_interval(days):
    """Of blocks as long as the record every draw would be the record."""
    drawn = block_weights(days, 10, 300, np.random.default_rng(1))
    assert drawn.std(axis=0).min() > 0.5
    assert coverage(1, max(days, 10), 0.0, 10, trials=60) > 0.75


def coverage(towers, days, memory, block, error=(10.0, 12.0), trials=200):
    """Share of 95 % intervals that hold the true difference of RMSE, of normal errors."""
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(trials):
        made = {}
        for tower in range(towers):
            time, *series = pair(rng, days, 6, error, memory)
            made[str(tower)] = day_errors(time, *series, np.ones(time.size, dtype=bool))
        found = compare(made, replicates=300, block_days=block, seed=trial)
        held += found.low <= error[0] - error[1] <= found.high
    return held / trials


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    assert 0.90 <= coverage(towers=1, days=120, memory=0.0, block=2) <= 0.985
    assert 0.90 <= coverage(towers=25, days=15, memory=0.0, block=2) <= 0.995


def test_blocks_hold_the_truth_where_errors_last_and_single_days_do_not():
    blocks, single = (coverage(1, 700, 0.8, block, (4.0, 12.0)) for block in (20, 1))
    assert 0.87 <= blocks <= 0.985
    assert single < 0.80


def test_single_days_are_too_sure_where_errors_last():
    """With errors that last for a week, intervals from blocks are wider."""
    time, *series = pair(np.random.default_rng(3), 300, 24, (8.0, 12.0), 0.9)
    days = day_errors(time, *series, np.ones(time.size, dtype=bool))
    widths = [(d := compare({"A": days}, block_days=block)).high - d.low for block in (1, 20)]
    assert widths[1] > 1.5 * widths[0]


def test_towers_that_differ_widen_the_interval():
    rng = np.random.default_rng(5)
    alike, unlike = {}, {}
    for i in range(12):
        for where, error in ((alike, (10.0, 12.0)), (unlike, (10.0, 12.0 + 8 * (i % 2)))):
            time, *series = pair(rng, 60, 24, error)
            where[str(i)] = day_errors(time, *series, np.ones(time.size, dtype=bool))
    narrow, wide = compare(alike), compare(unlike)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)
    assert narrow.clear and narrow.share == 1.0


def test_equal_models_do_not_differ():
    time, o, m, _ = pair(np.random.default_rng(0))
    days = day_errors(time, o, m, m, np.ones(time.size, dtype=bool))
    found = compare({"A": days, "B": days})
    assert (found.difference, found.low, found.high, found.clear) == (0.0, 0.0, 0.0, False)


def test_what_cannot_be_compared_is_refused():
    time, o, m, r = pair(np.random.default_rng(0))
    everywhere = np.ones(time.size, dtype=bool)
    with pytest.raises(ModelError, match="1 without a value of the model"):
        day_errors(time, o, np.where(np.arange(time.size) == 9, np.nan, m), r, everywhere)
    with pytest.raises(ModelError, match="found 0 steps"):
        day_errors(time, o, m, r, ~everywhere)
    with pytest.raises(ModelError, match="reference"):
        day_errors(time, o, m, r[1:], everywhere)
    with pytest.raises(ModelError, match="0 towers"):
        compare({})
    empty = Days(*(np.zeros(s) for s in ((1,), (1, 2), (1, 2), (1,))))
    with pytest.raises(ModelError, match="blocks of 0 days"):
        compare({"A": empty}, block_days=0)
