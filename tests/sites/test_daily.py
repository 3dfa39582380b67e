from pathlib import Path

import netCDF4
import numpy as np
import pytest

from callmip_form import write_daily
from mdpl.errors import SiteError
from mdpl.evaluation.full_day import daily_means
from mdpl.sites.catalogue import open_sites
from mdpl.sites.daily import find_daily, read_daily

SHARED = Path(__file__).parents[3] / "shared"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")


def test_values_come_back_in_the_units_of_towers_and_uncertain_ones_do_not_count(tmp_path):
    nee = np.array([-2.0, 1.0, np.nan, 4.0])
    sd = np.array([0.1, np.nan, 0.3, 0.0])
    write_daily(tmp_path, "XX-Abc", "2003-02-27", NEE=(nee, sd), Qle=(nee * 10, sd * 0 + 5))
    found = read_daily(find_daily(tmp_path, "XX-Abc"), "XX-Abc")
    np.testing.assert_allclose(found.values["NEE"], [-2.0, np.nan, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(found.sd["NEE"], [0.1, np.nan, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(found.values["Qle"][[0, 3]], [-20.0, 40.0])
    assert list(found.days.astype(str)) == ["2003-02-27", "2003-02-28", "2003-03-01", "2003-03-02"]
    other = found.on(np.arange("2003-02-26", "2003-03-01", dtype="datetime64[D]"))
    np.testing.assert_allclose(other.values["NEE"], [np.nan, -2.0, np.nan], rtol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f["Qle_daily"].setncattr("units", "MJ"), "Qle_daily: expected unit W m-2"),
        (lambda f: f.setncattr("site_code", "YY-Xyz"), "expected observations of XX-Abc"),
        (lambda f: f["time"].__setitem__(2, 9e6), "expected consecutive days"),
        (lambda f: f.renameVariable("Qle_uc_daily", "sd"), "expected Qle_uc_daily"),
        (lambda f: f.renameVariable("Qle_daily", "LE"), "found none of them"),
    ],
)
def test_a_file_of_another_form_is_refused_in_words(tmp_path, spoil, message):
    one = np.ones(4)
    path = write_daily(tmp_path, "XX-Abc", "2003-01-01", Qle=(one, one))
    with netCDF4.Dataset(path, "a") as file:
        spoil(file)
    with pytest.raises(SiteError, match=message):
        read_daily(path, "XX-Abc")


def test_a_tower_without_its_file_is_named(tmp_path):
    with pytest.raises(SiteError, match=r"XX-Abc_daily_aggregated_\*\.nc, found none"):
        find_daily(tmp_path, "XX-Abc")
    (tmp_path / "XX-Abc_daily_aggregated_1.nc").write_text("no")
    with pytest.raises(SiteError, match="expected a NetCDF file"):
        read_daily(find_daily(tmp_path, "XX-Abc"), "XX-Abc")


@real
@pytest.mark.real
@pytest.mark.parametrize("code", ["DK-Sor", "DE-Tha"])
def test_callmips_days_are_those_of_our_half_hours(code):
    """The same towers from two sources: daily means agree in unit, sign, day and time zone."""
    site = open_sites(SHARED / "sites", [code])[0]
    own = daily_means(site.fluxes, ("Qle", "Qh", "NEE"))
    theirs = read_daily(find_daily(SHARED / "callmip/observations", code), code)
    theirs = theirs.on(own["time"].values.astype("datetime64[D]"))
    for flux in ("Qle", "Qh", "NEE"):
        both = np.isfinite(theirs.values[flux]) & np.isfinite(own[flux].values)
        a, b = theirs.values[flux][both], own[flux].values[both]
        assert both.sum() > 90
        assert np.corrcoef(a, b)[0, 1] > 0.99, flux
        assert np.polyfit(b, a, 1)[0] == pytest.approx(1.0, abs=0.05), flux
