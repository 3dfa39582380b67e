"""CalLMIP files: their form against the protocol and its template, their content by hand."""

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from callmip_form import BEFORE
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation.published import read_output
from mdpl.exports.callmip import export, scenario_of
from mdpl.exports.opened import open_finished
from mdpl.exports.variables import VARIABLES, daily
from mdpl.files import load_dataset, save_dataset
from mdpl.progress import SilentProgress

pytestmark = pytest.mark.slow  # the run they share

TEMPLATE = Path(__file__).parents[3] / "shared/callmip/CLASSIC.v2_Phase1b_Scen1_DK-Sor_Cal_Prior.nc"
UNITS = {
    "nep": "kgC m-2 s-1", "gpp": "kgC m-2 s-1", "reco": "kgC m-2 s-1", "hfls": "W m-2",
    "hfss": "W m-2", "hfg": "W m-2", "tran": "kg m-2 s-1", "evspsblsoi": "kg m-2 s-1", "ts": "K",
    "mrso": "kg m-2", "mrsos": "kg m-2", "lai": "m2 m-2",
}  # fmt: skip


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("callmip")
    return export(finished[0], out, SilentProgress(), model="MATSIRO.v0")


def open_of(written, stage: str, code: str = "VT-01") -> netCDF4.Dataset:
    found = [p for p in written.files if code in p.name and stage in p.name]
    assert len(found) == 1
    return netCDF4.Dataset(found[0])


def test_names_and_attributes_are_those_of_the_protocol(written):
    assert sorted(p.name for p in written.files) == [
        "MATSIRO.v0_Phase1b_Scen1_VT-01_Cal_Posterior.nc",
        "MATSIRO.v0_Phase1b_Scen1_VT-01_Cal_Prior.nc",
        "MATSIRO.v0_Phase1b_Scen1_VT-02_Val_Posterior.nc",
        "MATSIRO.v0_Phase1b_Scen1_VT-02_Val_Prior.nc",
    ]
    with open_of(written, "Posterior", "VT-02") as file:
        told = {k: file.getncattr(k) for k in file.ncattrs()}
    assert told["Model"] == "MATSIRO.v0"
    assert told["CalLMIP_Phase"] == "Phase1b"
    assert told["Calibration_Scenario"] == "Scen1"
    assert told["Calibration_stage"] == "Posterior"
    assert told["Cal_Val"] == "Validation"
    assert told["flux_choice"] == "raw"


def test_days_are_those_of_the_observations_and_what_is_not_simulated_is_missing(written, finished):
    with open_of(written, "Prior") as file:
        time = file["time"]
        assert time.units.startswith("days since ") and time.units.endswith("-01-01 00:00:00")
        steps = np.asarray(time[:])
        assert steps.size == 24 + BEFORE and (np.diff(steps) == 1).all() and steps[0] % 1 == 0.5
        for name, units in UNITS.items():
            assert file[name].units == units
            values = file[name][:]
            assert values.shape == (24 + BEFORE, 1, 1)
            assert values.mask[:BEFORE].all() and not values.mask[BEFORE:].any(), name
        assert f"{BEFORE} of {24 + BEFORE}: the forcing record covers only" in file.missing_days
        assert file["lat"].shape == file["lon"].shape == ()
    assert any(f"VT-01: days missing: {BEFORE} of" in note for note in written.notes)


def test_values_signs_and_units_are_those_of_the_simulations(written, finished):
    run = finished[0]
    with open_of(written, "Posterior") as file:
        got = {name: np.asarray(file[name][BEFORE:, 0, 0]) for name in UNITS}
        parameters = json.loads(file.parameters)
    simulated = load_dataset(run / "simulations/mdpl/VT-01.nc").coarsen(time=48).mean()
    for name, alma in (("hfls", "Qle"), ("hfss", "Qh"), ("hfg", "Qg"), ("ts", "AvgSurfT")):
        np.testing.assert_allclose(got[name], simulated[alma], rtol=1e-9)
    np.testing.assert_allclose(got["nep"], -12.011e-9 * simulated["NEE"], rtol=1e-9)
    np.testing.assert_allclose(got["gpp"] - got["reco"], got["nep"], atol=1e-15)
    water = simulated["SoilMoist"]
    np.testing.assert_allclose(got["mrso"], water.sum("layer"), rtol=1e-9)
    # 5 cm of the first layer, and 5 of the 20 cm of the second
    top = water.isel(layer=0) + 0.25 * water.isel(layer=1)
    np.testing.assert_allclose(got["mrsos"], top, rtol=1e-9)
    site = open_finished(run).job.sites[0]
    leaves = site.forcing["LAI"].coarsen(time=48).mean() * parameters["lai_scale"]
    np.testing.assert_allclose(got["lai"], leaves, rtol=1e-9)


def test_the_posterior_has_the_spread_of_its_generators_where_it_was_calibrated(written, finished):
    with open_of(written, "Posterior") as file:
        names = {n for n in file.variables if n.endswith("_post_unc")}
        assert names == {"nep_post_unc", "hfls_post_unc", "hfss_post_unc"}
        spread = np.asarray(file["hfls_post_unc"][BEFORE:, 0, 0])
        assert file["hfls_post_unc"].units == "W m-2"
        assert file.uncertainty == "standard deviation over 2 generators of different seeds"
    assert (spread >= 0).all() and spread.max() > 0
    with open_of(written, "Prior") as file:
        assert not [n for n in file.variables if n.endswith("_post_unc")]


def test_a_run_folder_that_holds_too_little_is_run_again(finished):
    run = open_finished(finished[0])
    site = run.job.sites[0]
    path = run.folder / f"simulations/default/{site.code}.nc"
    whole = load_dataset(path)
    try:
        save_dataset(whole[["Qle", "Qh"]], path)
        again = run.simulation(site, "default", ("Qle", "TVeg"))
        np.testing.assert_allclose(again["TVeg"], whole["TVeg"], rtol=1e-6, atol=1e-12)
    finally:
        save_dataset(whole, path)


def test_our_own_reader_of_other_models_takes_the_files(written, finished):
    site = open_finished(finished[0]).job.sites[0]
    path = next(p for p in written.files if "VT-01_Cal_Posterior" in p.name)
    found = read_output(path, site, ("Qle", "NEE"))
    assert found.daily and found.model == "MATSIRO.v0"
    simulated = load_dataset(finished[0] / "simulations/mdpl/VT-01.nc").coarsen(time=48).mean()
    own = found.fluxes["NEE"].sel(time=slice(site.time[0], None))
    np.testing.assert_allclose(own, simulated["NEE"], rtol=1e-9)


def test_a_day_cut_by_the_record_is_missing_and_leap_days_stay():
    time = np.arange("2004-02-28T06", "2004-03-02T00", dtype="datetime64[h]")
    run = xr.Dataset({"Qle": ("time", np.arange(time.size, dtype=float))}, {"time": time})
    days = np.arange("2004-02-28", "2004-03-02", dtype="datetime64[D]")
    means = daily(run, days)["hfls"]
    np.testing.assert_allclose(means, [np.nan, 18 + 11.5, 18 + 24 + 11.5])


def test_a_run_that_fits_no_scenario_is_told_so(finished, tmp_path):
    assert [scenario_of(t) for t in (("Qh", "Qle"), ("NEE",), ("NEE", "Qle"))] == [6, 2, 5]
    with pytest.raises(ConfigError, match="no scenario of CalLMIP"):
        scenario_of(("Qle", "Qh", "GPP"))
    with pytest.raises(ConfigError, match=r"NAME\.VERSION"):
        export(finished[0], tmp_path, SilentProgress(), model="my_model")
    with pytest.raises(RunError, match="not a run folder"):
        export(tmp_path, tmp_path, SilentProgress())


@pytest.mark.real
@pytest.mark.skipif(not TEMPLATE.is_file(), reason="needs ../shared")
def test_a_file_is_the_template_variable_by_variable(written):
    """Dimensions, kind of number, units, fill value and attributes, as CalLMIP's own file."""
    with netCDF4.Dataset(TEMPLATE) as template, open_of(written, "Prior") as ours:
        assert ours.data_model == template.data_model
        assert list(ours.dimensions) == list(template.dimensions)
        assert all(ours.dimensions[d].size == 1 for d in ("lat", "lon"))
        absent = set(template.variables) - set(ours.variables)
        assert absent == {"cSoil", "cLiveBioAbove"}  # the column has no carbon stores
        assert set(ours.variables) <= set(template.variables)
        for name, mine in ours.variables.items():
            theirs = template[name]
            assert mine.dimensions == theirs.dimensions, name
            assert mine.dtype.kind == theirs.dtype.kind, name
            needed = set(theirs.ncattrs()) - {"nameInCode", "cell_methods"}
            assert needed <= set(mine.ncattrs()), name
            for key in ("_FillValue", "coordinates", "calendar"):
                if key in theirs.ncattrs():
                    assert mine.getncattr(key) == theirs.getncattr(key), name
            if name != "time":
                assert getattr(mine, "units", "") == getattr(theirs, "units", ""), name
        for key in ("CalLMIP_Phase", "Calibration_Scenario", "Calibration_stage", "Cal_Val"):
            assert ours.getncattr(key) == template.getncattr(key)
    assert {v.name for v in VARIABLES} == set(UNITS)
