"""Energy shares come from sums, in the right months and hours."""

import numpy as np
import pytest

from mdpl.evaluation.partition import partition

TIME = np.arange("2011-01-01", "2012-01-01", np.timedelta64(60, "m"), dtype="datetime64[m]")
TIME = TIME.astype("datetime64[ns]")
MONTH = TIME.astype("datetime64[M]").astype(int) % 12 + 1
HOUR = TIME.astype("datetime64[h]").astype(int) % 24


def found(qle, qh, counts=None):
    counts = np.ones(TIME.size, bool) if counts is None else counts
    return partition(TIME, {"observed": (qle, qh)}, counts).set_index(["by", "part"])


def test_a_season_is_its_months_at_midday():
    winter = np.isin(MONTH, (12, 1, 2))
    night = (HOUR < 9) | (HOUR >= 15)
    qle = np.where(night, 1e6, np.where(winter, 30.0, 120.0))
    qh = np.where(night, -1e6, np.where(winter, 90.0, 40.0))
    table = found(qle, qh)
    assert table.loc[("season", "DJF"), "evaporative_fraction"] == pytest.approx(0.25)
    assert table.loc[("season", "DJF"), "bowen_ratio"] == pytest.approx(3.0)
    for season in ("MAM", "JJA", "SON"):
        assert table.loc[("season", season), "evaporative_fraction"] == pytest.approx(0.75)
    assert table.loc[("season", "DJF"), "n"] == (31 + 31 + 28) * 6


def test_ratios_are_of_sums_not_means_of_ratios():
    rng = np.random.default_rng(0)
    qle, qh = rng.normal(100, 80, TIME.size), rng.normal(60, 80, TIME.size)
    table = found(qle, qh)
    here = HOUR == 12
    expected = qle[here].sum() / (qle[here] + qh[here]).sum()
    assert table.loc[("hour", "12"), "evaporative_fraction"] == pytest.approx(expected)


def test_too_little_to_share_and_too_few_steps_say_nothing():
    assert found(np.full(TIME.size, 4.0), np.full(TIME.size, 5.0))["bowen_ratio"].isna().all()
    counts = MONTH == 7
    counts[counts] = np.arange(counts.sum()) < 30
    assert found(np.full(TIME.size, 90.0), np.full(TIME.size, 90.0), counts).empty
