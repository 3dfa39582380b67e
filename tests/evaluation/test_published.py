"""Published tables and files of model output, in every form they come in and in none they must."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import ModelError
from mdpl.evaluation.published import (
    PUBLISHED_COLUMNS,
    find_output,
    read_output,
    read_table,
)
from mdpl.evaluation.scores import score
from mdpl.sites.catalogue import open_sites
from mdpl.sites.site import FORCING, Site

SHARED = Path(__file__).parents[3] / "shared"


def tower(days=24, code="XX-Pub"):
    time = pd.date_range("2010-02-26", periods=days * 48, freq="30min").values
    rng = np.random.default_rng(0)
    fluxes = {k: 50 + 30 * rng.normal(size=time.size) for k in ("Qle", "Qh")}
    fluxes["GPP"] = 5 + rng.normal(size=time.size)
    forcing = xr.Dataset({k: ("time", np.ones(time.size)) for k in FORCING}, {"time": time})
    data = xr.Dataset({k: ("time", v) for k, v in fluxes.items()}, {"time": time})
    return Site(code, forcing, data, {"igbp": "GRA", "land_cover": 9}, {})


def our_scores(site):
    return score(site, "default", site.fluxes[["Qle", "Qh"]] + 3.0)


def metrics_row(site, flux, **change):
    observed = site.fluxes[flux].values
    row = {
        "site": site.code, "period": "2010-2010", "variable": flux, "n": observed.size,
        "bias": -2.0, "rmse": 30.0, "r": 0.8, "nme": 0.5, "std_obs": round(observed.std(), 4),
        "std_mod": round(observed.std() / 2, 4), "pct_measured": 90.0,
    }  # fmt: skip
    return row | change


def write_table(path, rows):
    if path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
        return path
    sites = {}
    for row in rows:
        place = {"site": row["site"], "period": row["period"], "metrics": {}}
        kept = {k: v for k, v in row.items() if k not in ("site", "period", "variable")}
        sites.setdefault(row["site"], place)["metrics"][row["variable"]] = kept
    path.write_text(json.dumps({"generated": "today", "sites": list(sites.values())}))
    return path


@pytest.mark.parametrize("name", ["ABC_metrics.csv", "ABC_data.json"])
def test_rows_are_ours_in_form_and_say_whether_the_record_is(tmp_path, name):
    site = tower()
    rows = [
        metrics_row(site, "Qle"),
        metrics_row(site, "Qh", n=99),
        metrics_row(site, "Qle") | {"site": "ZZ-Zzz"},
    ]
    found = read_table(write_table(tmp_path / name, rows), our_scores(site))
    assert tuple(found.columns) == PUBLISHED_COLUMNS
    assert set(found["model"]) == {"ABC"} and set(found["site"]) == {"XX-Pub"}
    same = found.groupby("flux")["same_record"].first()
    assert same["Qle"] and not same["Qh"]
    assert "indicative" in found[found["flux"] == "Qh"]["record"].iloc[0]
    ratio = found[(found["flux"] == "Qle") & (found["metric"] == "sd_ratio")]["value"].item()
    assert ratio == pytest.approx(0.5, rel=1e-4)
    assert set(found["period"]) == {"all"} and set(found["resolution"]) == {"native"}


def test_other_observations_of_the_same_number_are_another_record(tmp_path):
    site = tower()
    path = write_table(tmp_path / "a.csv", [metrics_row(site, "Qle", std_obs=31.0)])
    assert not read_table(path, our_scores(site))["same_record"].any()


def test_tables_of_another_form_are_refused(tmp_path):
    site, ours = tower(), our_scores(tower())
    row = metrics_row(site, "Qle")
    short = {k: v for k, v in row.items() if k not in ("nme", "r")}
    for rows, words in (
        ([short], "missing r, nme"),
        ([row | {"rmse": "good"}], "expected numbers"),
        ([row | {"site": "ZZ-Zzz"}], "none of them among its 1 towers"),
    ):
        with pytest.raises(ModelError, match=words):
            read_table(write_table(tmp_path / "t.csv", rows), ours)
    (tmp_path / "t.json").write_text('{"sites": [{"site": "A"}]}')
    with pytest.raises(ModelError, match=r"t.json: expected published metrics.*KeyError"):
        read_table(tmp_path / "t.json", ours)
    with pytest.raises(ModelError, match=r"absent\.csv"):
        read_table(tmp_path / "absent.csv", ours)


def write_output(path, time, variables, dims=("time", "y", "x"), **attributes):
    """variables: name -> (units, values)."""
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts(attributes)
        file.createDimension("time", len(time))
        for dim in dims[1:]:
            file.createDimension(dim, 1)
        axis = file.createVariable("time", "f8", ("time",))
        axis.units = "seconds since 2010-01-01 00:00:00"
        axis[:] = (time - np.datetime64("2010-01-01")) / np.timedelta64(1, "s")
        for name, (units, values) in variables.items():
            variable = file.createVariable(name, "f8", dims, fill_value=-9999.0)
            if units:
                variable.units = units
            variable[:] = np.ma.masked_invalid(values).reshape(len(values), *(1 for _ in dims[1:]))
    return path


def test_alma_output_is_cut_to_the_record_and_scored_like_any_model(tmp_path):
    site = tower()
    time = pd.date_range("2010-01-01", "2010-12-31 23:30", freq="30min").values
    inside = np.isin(time, site.time)
    qle, gpp = np.full((2, time.size), 1e6)
    qle[inside] = site.fluxes["Qle"].values + 4
    gpp[inside] = site.fluxes["GPP"].values * 12.011e-9
    path = write_output(
        tmp_path / f"out_{site.code}.nc", time, {"Qle": ("W/m2", qle), "GPP": ("kg/m2/s", gpp)}
    )
    output = read_output(path, site, ["Qle", "Qh", "GPP"])
    assert (output.model, output.daily, list(output.fluxes)) == (
        tmp_path.name,
        False,
        ["Qle", "GPP"],
    )
    np.testing.assert_allclose(output.fluxes["GPP"], site.fluxes["GPP"], rtol=1e-9)
    table = score(site, "theirs", output.fluxes, ("Qle",))
    bias = table.query("metric == 'bias' and resolution == 'native' and period == 'all'")
    assert bias["value"].item() == pytest.approx(4.0)


def test_stamps_in_the_middle_are_moved_and_those_at_the_end_refused(tmp_path):
    site, half = tower(), np.timedelta64(15, "m")
    values = {"Qle": ("W m-2", np.arange(site.time.size, dtype=float))}
    middle = write_output(tmp_path / "m.nc", site.time + half, values)
    found = read_output(middle, site, ["Qle"]).fluxes
    np.testing.assert_array_equal(found["time"], site.time)
    end = write_output(tmp_path / "e.nc", site.time + 2 * half, values)
    with pytest.raises(ModelError, match=r"without 2010-02-26T00:00.*stamps at the end"):
        read_output(end, site, ["Qle"])


def test_daily_output_in_calllmip_form(tmp_path):
    site = tower()
    days = np.arange("2010-01-01", "2011-01-01", dtype="datetime64[D]") + np.timedelta64(12, "h")
    n = np.full(days.size, 1.0)
    path = write_output(
        tmp_path / "LSM.v1_XX-Pub_Prior.nc",
        days,
        {"hfls": ("W m-2", 70 * n), "nep": ("kgC m-2 s-1", 12.011e-9 * n)},
        ("time", "lat", "lon"),
        Model="LSM.v1",
    )
    output = read_output(path, site, ["Qle", "NEE"])
    assert output.model == "LSM.v1" and output.daily
    assert set(np.unique(output.fluxes["Qle"])) == {70.0}
    np.testing.assert_allclose(output.fluxes["NEE"], -1.0, rtol=1e-9)
    assert output.fluxes["time"].values[0] == np.datetime64("2010-01-01")
    assert read_output(path, site, ["Qle"], "mine").model == "mine"


def test_a_missing_value_stays_missing(tmp_path):
    site = tower()
    values = site.fluxes["Qle"].values.copy()
    values[5] = np.nan
    path = write_output(tmp_path / "a.nc", site.time, {"Qle": ("W m-2", values)})
    output = read_output(path, site, ["Qle"])
    assert np.flatnonzero(np.isnan(output.fluxes["Qle"].values)).tolist() == [5]
    assert score(site, "x", output.fluxes, ("Qle",)).query("period == 'all'")["value"].isna().any()


def test_output_that_cannot_be_judged_is_refused(tmp_path):
    site = tower()
    n = np.ones(site.time.size)
    leap = site.time.astype("datetime64[D]") != np.datetime64("2010-02-28")
    cases = [
        (site.time, {"Qle": ("MJ m-2", n)}, r"Qle: expected unit W m-2, found 'MJ m-2'"),
        (site.time, {"Qle": (None, n)}, r"found None"),
        (site.time, {"LE": ("W m-2", n)}, r"names Qle, hfls.*none"),
        (site.time[leap], {"Qle": ("W m-2", n[leap])}, r"without 2010-02-28T00:00"),
        (site.time[::2], {"Qle": ("W m-2", n[::2])}, r"1800 s steps of XX-Pub.*3600 s"),
    ]
    for i, (time, variables, words) in enumerate(cases):
        path = write_output(tmp_path / f"{i}.nc", time, variables)
        with pytest.raises(ModelError, match=words):
            read_output(path, site, ["Qle"])
    (tmp_path / "text.nc").write_text("no")
    with pytest.raises(ModelError, match=r"text.nc: expected a NetCDF file"):
        read_output(tmp_path / "text.nc", site, ["Qle"])


def test_files_are_found_by_the_towers_code(tmp_path):
    (tmp_path / "a_XX-Pub_b.nc").touch()
    assert find_output(tmp_path, "XX-Pub").name == "a_XX-Pub_b.nc"
    assert find_output(tmp_path / "a_XX-Pub_b.nc", "XX-Pub") is not None
    assert find_output(tmp_path, "YY-Non") is None
    (tmp_path / "c_XX-Pub.nc").touch()
    with pytest.raises(ModelError, match=r"a_XX-Pub_b.nc, c_XX-Pub.nc"):
        find_output(tmp_path, "XX-Pub")
    with pytest.raises(ModelError, match="no such file or folder"):
        find_output(tmp_path / "nowhere", "XX-Pub")


@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "benchmarks").is_dir(), reason="no shared records")
def test_published_records_coincide_where_they_do():
    sites = open_sites(SHARED / "sites", ["DK-Fou", "CN-Cng", "DE-Tha"])
    ours = pd.concat([score(s, "x", s.fluxes[["Qle", "Qh"]]) for s in sites])
    tables = [
        read_table(SHARED / "benchmarks" / name, ours)
        for name in ("JULESGL9_metrics.csv", "JULESGL9_data.json")
    ]
    same = tables[0].groupby("site")["same_record"].agg(["min", "max"])
    assert same.loc[["DK-Fou", "CN-Cng"]].all(axis=None)
    assert not same.loc["DE-Tha"].any()
    pd.testing.assert_frame_equal(*(t.drop(columns="model") for t in tables))


@pytest.mark.real
@pytest.mark.skipif(not (SHARED / "callmip").is_dir(), reason="no shared records")
def test_the_daily_run_of_classic_is_read():
    site = open_sites(SHARED / "sites", ["DK-Sor"])[0]
    output = read_output(find_output(SHARED / "callmip", "DK-Sor"), site, ["Qle", "Qh", "GPP"])
    assert output.model == "CLASSIC.v2" and output.daily and output.fluxes.sizes["time"] == 6574
    summer = output.fluxes["GPP"].sel(time=slice("2010-06-15", "2010-07-15")).mean()
    assert 3 < float(summer) < 20
