"""The tidy score table and the gains drawn from it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import ModelError, SiteError
from mdpl.evaluation import metrics
from mdpl.evaluation.periods import split
from mdpl.evaluation.scores import COLUMNS, GAIN_COLUMNS, gains, observations, score
from mdpl.sites.site import FORCING, Site


def tower(days=365, seed=0, **extra):
    rng = np.random.default_rng(seed)
    time = pd.date_range("2010-01-01", periods=days * 24, freq="60min").values
    hour = np.arange(time.size) % 24
    qle = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * 200 + rng.normal(0, 5, time.size)
    qc = (rng.random(time.size) < 0.2).astype(float)
    qle[50] = np.nan
    data = {"Qle": qle, "Qle_qc": qc, "Qh": 0.5 * qle + 3, **extra}
    fluxes = xr.Dataset({k: ("time", v) for k, v in data.items()}, coords={"time": time})
    forcing = xr.Dataset({k: ("time", np.ones(time.size)) for k in FORCING}, coords={"time": time})
    return Site("XX-Tst", forcing, fluxes, {"igbp": "ENF", "land_cover": 4}, {})


def simulate(site, error=10.0, names=("Qle", "Qh")):
    rng = np.random.default_rng(9)
    noise = rng.normal(0, error, site.time.size)
    return xr.Dataset(
        {k: ("time", np.nan_to_num(site.fluxes[k].values) + noise) for k in names},
        coords={"time": site.time},
    )


def pick(table, **where):
    for key, value in where.items():
        table = table[table[key] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_columns_and_every_combination_once():
    table = score(tower(), "default", simulate(tower()))
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * 3 * 3 * len(metrics.METRICS)
    assert not table.duplicated(list(COLUMNS[:-2])).any()
    assert set(table["period"]) == {"calibration", "validation", "all"}


def test_native_validation_score_counts_only_measured_steps_of_the_period():
    site = tower()
    simulation = simulate(site)
    keep = (
        split(site.time).validation
        & (site.fluxes["Qle_qc"].values == 0)
        & np.isfinite(site.fluxes["Qle"].values)
    )
    table = score(site, "default", simulation)
    row = pick(table, flux="Qle", resolution="native", period="validation", metric="rmse")
    error = (simulation["Qle"].values - site.fluxes["Qle"].values)[keep]
    assert row["n"] == keep.sum()
    assert row["value"] == pytest.approx(np.sqrt(np.mean(error**2)))


def test_daily_means_hold_only_days_of_the_period():
    table = score(tower(), "default", simulate(tower()))
    row = pick(table, flux="Qh", resolution="daily", period="validation", metric="r")
    assert row["n"] == 180
    row = pick(table, flux="Qh", resolution="monthly", period="all", metric="r")
    assert row["n"] == 12


def test_a_filled_value_however_wrong_does_not_count():
    site = tower()
    spoilt = site.fluxes.copy(deep=True)
    spoilt["Qle"].values[site.fluxes["Qle_qc"].values > 0] = 1e6
    other = Site(site.code, site.forcing, spoilt, site.attributes, {})
    simulation = simulate(site)
    pd.testing.assert_frame_equal(
        score(site, "m", simulation, ["Qle"]), score(other, "m", simulation, ["Qle"])
    )


def test_corrected_fluxes_use_the_flags_of_the_raw_flux():
    site = tower()
    with_cor = tower(Qle_cor=site.fluxes["Qle"].values + 20.0)
    raw = score(with_cor, "m", simulate(site), ["Qle"])
    corrected = score(with_cor, "m", simulate(site), ["Qle"], variant="corrected")
    assert (raw["n"] == corrected["n"]).all()
    where = {"resolution": "native", "period": "all", "metric": "bias"}
    shift = pick(raw, **where)["value"] - pick(corrected, **where)["value"]
    assert shift == pytest.approx(20.0)
    with pytest.raises(SiteError, match="Qle_cor"):
        score(site, "m", simulate(site), ["Qle"], variant="corrected")


def test_a_flux_the_tower_lacks_shows_as_zero_pairs():
    site = tower()
    simulation = simulate(site).assign(GPP=("time", np.ones(site.time.size)))
    table = score(site, "m", simulation, ["GPP"])
    assert (table["n"] == 0).all()
    assert table["value"].isna().all()


def test_wrong_simulations_are_refused():
    site = tower()
    with pytest.raises(ModelError, match="GPP"):
        score(site, "m", simulate(site), ["GPP"])
    with pytest.raises(ModelError, match="time steps"):
        score(site, "m", simulate(site).isel(time=slice(1, None)))
    with pytest.raises(ModelError, match="member"):
        score(site, "m", simulate(site).expand_dims(member=2))


def test_gains_are_positive_when_better_and_absolute_in_r():
    rows = [
        ("rmse", "default", 50.0),
        ("rmse", "mdpl", 40.0),
        ("r", "default", -0.2),
        ("r", "mdpl", 0.1),
    ]
    table = pd.DataFrame(
        [("XX", "ENF", m, "Qle", "native", "all", k, v, 9) for k, m, v in rows],
        columns=list(COLUMNS),
    )
    result = gains(table)
    assert tuple(result.columns) == GAIN_COLUMNS
    assert result.loc[0, "dRMSE"] == pytest.approx(0.2)
    assert result.loc[0, "dR"] == pytest.approx(1.5)
    assert list(result["model"]) == ["mdpl"]


def test_gains_are_nan_without_scores_and_need_the_reference():
    site = tower()
    simulation = simulate(site).assign(GPP=("time", np.ones(site.time.size)))
    both = pd.concat([score(site, m, simulation, ["GPP", "Qh"]) for m in ("default", "mdpl")])
    result = gains(both)
    assert result[result["flux"] == "GPP"][["dRMSE", "dR"]].isna().all().all()
    assert (result[result["flux"] == "Qh"][["dRMSE", "dR"]] == 0).all().all()
    with pytest.raises(ModelError, match="reference"):
        gains(both[both["model"] == "mdpl"])


def test_observations_stand_alone_and_round_trip(tmp_path):
    site = tower()
    observed = observations(site, ["Qle", "Qh", "GPP"])
    assert "GPP" not in observed
    assert observed.attrs["variant"] == "raw"
    observed.to_netcdf(tmp_path / "XX-Tst.nc")
    with xr.open_dataset(tmp_path / "XX-Tst.nc") as again:
        np.testing.assert_array_equal(again["period"], observed["period"])
        assert again["Qle_measured"].dtype == np.int8
