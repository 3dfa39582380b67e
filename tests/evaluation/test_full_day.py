"""Daily models are judged on whole days, and not on their sunny hours."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import ModelError
from mdpl.evaluation.full_day import daily_means, score_full_days
from mdpl.evaluation.scores import COLUMNS
from mdpl.sites.site import FORCING, Site

DAYS = 40


def tower():
    """Measured by day everywhere, by night on two days of three."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2010-03-01", periods=DAYS * 48, freq="30min").values
    hour = (np.arange(time.size) % 48) / 2
    light = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0)
    qle = 200 * light * np.repeat(rng.random(DAYS), 48) + 5
    night_off = (np.arange(time.size) // 48 % 3 == 0) & (light == 0)
    fluxes = {"Qle": qle, "Qle_qc": night_off.astype(float)}
    forcing = xr.Dataset({k: ("time", np.ones(time.size)) for k in FORCING}, {"time": time})
    data = xr.Dataset({k: ("time", v) for k, v in fluxes.items()}, {"time": time})
    return Site("XX-Day", forcing, data, {"igbp": "GRA", "land_cover": 9}, {})


def pick(table, metric, period="all"):
    return table[(table["metric"] == metric) & (table["period"] == period)].iloc[0]


def test_a_perfect_daily_model_scores_perfectly_on_days_measured_well():
    site = tower()
    daily = daily_means(site.fluxes[["Qle"]], ["Qle"])
    table = score_full_days(site, "daily", daily, ["Qle"])
    assert tuple(table.columns) == COLUMNS
    assert pick(table, "rmse")["value"] == pytest.approx(0.0, abs=1e-9)
    assert pick(table, "rmse")["n"] == DAYS - len(range(0, DAYS, 3))
    parts = [pick(table, "rmse", p)["n"] for p in ("calibration", "validation")]
    assert sum(parts) == pick(table, "rmse")["n"] and min(parts) > 0


def test_daily_means_are_of_whole_days_only():
    site = tower()
    cut = site.fluxes[["Qle"]].isel(time=slice(7, None))
    found = daily_means(cut, ["Qle", "Qh"])
    assert list(found) == ["Qle"]
    expected = site.fluxes["Qle"].values.reshape(DAYS, 48).mean(axis=1)[1:]
    np.testing.assert_allclose(found["Qle"], expected)
    assert found["time"].values[0] == np.datetime64("2010-03-02")


def test_a_longer_file_is_cut_and_a_shorter_one_refused():
    site = tower()
    daily = daily_means(site.fluxes[["Qle"]], ["Qle"])
    early = daily.assign_coords(time=daily["time"] - np.timedelta64(DAYS, "D")) + 50
    long = xr.concat([early, daily], "time")
    pd.testing.assert_frame_equal(
        score_full_days(site, "x", long, ["Qle"]), score_full_days(site, "x", daily, ["Qle"])
    )
    with pytest.raises(ModelError, match=r"XX-Day.*none on 1, the first 2010-03-03"):
        score_full_days(site, "x", daily.drop_isel(time=2), ["Qle"])
    with pytest.raises(ModelError, match="no daily Qh"):
        score_full_days(site, "x", daily, ["Qh"])


def test_a_flux_the_tower_lacks_has_rows_without_values():
    site = tower()
    daily = daily_means(site.fluxes[["Qle"]], ["Qle"]).rename(Qle="Qh")
    table = score_full_days(site, "x", daily, ["Qh"])
    assert set(table["n"]) == {0} and table["value"].isna().all()
