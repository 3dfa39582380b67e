"""Which steps are learnt from and which are judged."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdpl.errors import SiteError
from mdpl.evaluation.periods import split


def axis(start, end, step="30min"):
    return pd.date_range(start, end, freq=step, inclusive="left").values


@pytest.mark.parametrize(
    "start, end, held_out_from, days",
    [
        ("2008-01-01", "2010-01-01", "2009-01-01", 365),
        ("2014-01-01", "2017-01-01", "2016-01-01", 366),
        ("2018-04-01", "2021-07-15", "2020-07-15", 365),
        ("2014-01-01 05:00", "2016-01-01 05:00", "2015-01-02", 365),
    ],
)
def test_two_years_or_more_hold_out_the_last_one(start, end, held_out_from, days):
    time = axis(start, end)
    periods = split(time)
    assert time[periods.validation][0] == np.datetime64(held_out_from)
    assert periods.validation[-1]
    assert abs(periods.validation.sum() / 48 - days) < 1
    assert held_out_from in periods.rule


def test_a_record_of_two_years_cut_by_hours_still_holds_out_a_year():
    periods = split(axis("2013-01-01", "2014-12-31 14:00"))
    assert "last year" in periods.rule


def test_one_year_alternates_ten_days():
    time = axis("2010-01-01", "2011-01-01")
    periods = split(time)
    day = np.arange(time.size) // 48
    assert periods.calibration[day < 10].all()
    assert periods.validation[(day >= 10) & (day < 20)].all()
    assert periods.calibration[(day >= 20) & (day < 30)].all()
    assert "10 days" in periods.rule
    seasons = pd.DatetimeIndex(time[periods.validation]).month
    assert set(seasons) == set(range(1, 13))


def test_blocks_change_at_midnight_when_the_record_starts_at_noon():
    time = axis("2010-03-05 12:00", "2010-06-01")
    first = time[split(time).validation][0]
    assert first == np.datetime64("2010-03-15")


@settings(max_examples=25, deadline=None)
@given(
    st.datetimes(pd.Timestamp("1995-01-01"), pd.Timestamp("2020-01-01")).map(
        lambda t: t.replace(minute=0, second=0, microsecond=0)
    ),
    st.integers(12, 1500),
)
def test_every_step_has_exactly_one_period(start, days):
    periods = split(axis(start, start + pd.Timedelta(days=days), "60min"))
    assert (periods.calibration ^ periods.validation).all()
    assert periods.all.all()
    assert list(periods.masks()) == ["calibration", "validation", "all"]
    assert periods.validation.any()
    assert periods.calibration.any()


def test_too_short_a_record_is_refused():
    with pytest.raises(SiteError, match="10 days"):
        split(axis("2010-01-01", "2010-01-10"))
