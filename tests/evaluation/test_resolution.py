"""Daily and monthly means from measured steps."""

import numpy as np
import pandas as pd
import pytest

from mdpl.errors import ConfigError, ModelError
from mdpl.evaluation.resolution import Coverage, sample, steps_per_day


def axis(start="2010-01-01", days=59, step="30min"):
    return pd.date_range(
        start, periods=days * int(pd.Timedelta("1D") / pd.Timedelta(step)), freq=step
    ).values


def test_daily_and_monthly_means_equal_pandas_when_all_is_measured():
    time = axis(days=90)
    x = np.random.default_rng(0).normal(size=time.size)
    everything = np.ones(time.size, dtype=bool)
    series = pd.Series(x, index=time)
    daily = sample(time, {"x": x}, everything, "daily")
    np.testing.assert_allclose(daily["x"], series.resample("D").mean().values)
    monthly = sample(time, {"x": x}, everything, "monthly")
    np.testing.assert_allclose(monthly["x"], series.resample("MS").mean().values)
    assert list(monthly.time.astype("datetime64[M]").astype(str)) == [
        "2010-01",
        "2010-02",
        "2010-03",
    ]


def test_the_model_is_sampled_at_measured_steps_only():
    time = axis(days=2)
    hour = (time - time.astype("datetime64[D]")) / np.timedelta64(1, "h")
    daylight = (hour >= 6) & (hour < 18)
    model = np.where(daylight, 100.0, -1000.0)
    daily = sample(time, {"model": model, "observed": model}, daylight, "daily")
    np.testing.assert_allclose(daily["model"], [100.0, 100.0])


def test_nan_outside_the_measured_steps_does_not_spread():
    time = axis(days=3)
    x = np.ones(time.size)
    x[5] = np.nan
    daily = sample(time, {"x": x}, np.isfinite(x), "daily")
    np.testing.assert_array_equal(daily["x"], [1.0, 1.0, 1.0])


@pytest.mark.parametrize("step, full", [("30min", 48), ("60min", 24)])
def test_a_day_needs_its_share_of_a_full_day(step, full):
    time = axis(days=2, step=step)
    keep = np.ones(time.size, dtype=bool)
    keep[full // 2 - 1 : full] = False
    assert steps_per_day(time) == full
    assert len(sample(time, {"x": np.ones(time.size)}, keep, "daily")) == 1
    keep[full // 2 - 1] = True
    assert len(sample(time, {"x": np.ones(time.size)}, keep, "daily")) == 2
    assert len(sample(time, {"x": np.ones(time.size)}, keep, "daily", Coverage(day_share=0.6))) == 1


def test_a_month_needs_its_days_and_weighs_them_equally():
    time = axis(days=31)
    day = (time.astype("datetime64[D]") - time[0].astype("datetime64[D]")).astype(int)
    step = np.arange(time.size) % 48
    keep = (day < 7) & ((day > 0) | (step < 24))
    monthly = sample(time, {"x": day.astype(float)}, keep, "monthly")
    np.testing.assert_allclose(monthly["x"], [3.0])
    assert len(sample(time, {"x": day * 1.0}, keep & (day < 6), "monthly")) == 0
    assert len(sample(time, {"x": day * 1.0}, keep, "monthly", Coverage(month_days=8))) == 0


@pytest.mark.parametrize("resolution", ["native", "daily", "monthly"])
def test_nothing_measured_is_empty(resolution):
    time = axis(days=2)
    none = np.zeros(time.size, dtype=bool)
    assert len(sample(time, {"x": np.ones(time.size)}, none, resolution)) == 0


def test_wrong_shapes_names_and_limits_are_refused():
    time = axis(days=1)
    keep = np.ones(48, dtype=bool)
    with pytest.raises(ModelError, match="'x'"):
        sample(time, {"x": np.ones(47)}, keep, "daily")
    with pytest.raises(ModelError, match="weekly"):
        sample(time, {"x": np.ones(48)}, keep, "weekly")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="day_share"):
        Coverage(day_share=0.0)
    with pytest.raises(ConfigError, match="month_days"):
        Coverage(month_days=40)
