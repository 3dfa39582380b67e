"""Reading and writing PLUMBER2 pairs, and refusing bad ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.plumber2 import find_pairs, read_pair
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.site import FORCING, UNITS, Site

Break = Callable[..., tuple[Path, Path]]
Make = Callable[..., Site]


def test_written_pair_reads_back_unchanged(tmp_path: Path, site: Site) -> None:
    again = read_pair(*write_pair(site, tmp_path))
    assert again.code == site.code
    assert (again.time == site.time).all()
    for name in site.forcing:
        assert np.array_equal(again.forcing[name], site.forcing[name]), name
    for name in site.fluxes:
        assert np.array_equal(again.fluxes[name], site.fluxes[name]), name
    assert {k: again.attributes[k] for k in site.attributes} == dict(site.attributes)


def test_single_precision_is_the_only_loss_of_f4(tmp_path: Path, site: Site) -> None:
    again = read_pair(*write_pair(site, tmp_path, dtype="f4"))
    expected = site.forcing["Tair"].values.astype(np.float32).astype(np.float64)
    assert np.array_equal(again.forcing["Tair"], expected)


@pytest.mark.parametrize("step", [1800, 3600])
def test_hourly_and_half_hourly_over_a_leap_day(tmp_path: Path, make_site: Make, step: int) -> None:
    again = read_pair(*write_pair(make_site(step=step), tmp_path))
    assert again.step_seconds == step
    assert again.steps_per_day * step == 86400
    assert np.datetime64("2020-02-29T12:00") in again.time


def test_sources_are_checksums_of_the_files(pair: tuple[Path, Path]) -> None:
    site = read_pair(*pair)
    for path in pair:
        assert site.sources[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_missing_observations_become_nan(broken: Break) -> None:
    def gap(nc: netCDF4.Dataset) -> None:
        nc["Qle"][5] = -9999.0
        nc["Qh"][7] = np.nan

    site = read_pair(*broken(gap, "flux"))
    assert np.flatnonzero(np.isnan(site.fluxes["Qle"])).tolist() == [5]
    assert np.flatnonzero(np.isnan(site.fluxes["Qh"])).tolist() == [7]


def test_a_flag_without_its_flux_is_ignored(broken: Break) -> None:
    def lone_flag(nc: netCDF4.Dataset) -> None:
        nc.createVariable("Qg_qc", "f4", ("time", "y", "x"))[:] = 5

    site = read_pair(*broken(lone_flag, "flux"))
    assert "Qg" not in site.fluxes and "Qg_qc" not in site.fluxes


def test_rain_and_snow_add_up_to_precipitation(broken: Break, site: Site) -> None:
    def split(nc: netCDF4.Dataset) -> None:
        nc.renameVariable("Precip", "Rainf")
        snow = nc.createVariable("Snowf", "f8", ("time", "y", "x"))
        snow.units = "mm/s"
        snow[:] = 1e-4

    found = read_pair(*broken(split)).forcing["Precip"]
    np.testing.assert_allclose(found, site.forcing["Precip"] + 1e-4, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("SWdown", "W/m2"),
        ("SWdown", "W m^-2"),
        ("Qair", "kg/kg"),
        ("Precip", "kg/m2/s"),
        ("Precip", "mm/s"),
        ("CO2air", "umol/mol"),
        ("LAI", "-"),
    ],
)
def test_other_spellings_of_a_unit_pass(broken: Break, name: str, unit: str) -> None:
    assert read_pair(*broken(lambda nc: nc[name].setncattr("units", unit))).code == "XX-Tst"


def test_errors_of_fluxes_are_read_and_their_unit_checked(tmp_path: Path, make_site: Make) -> None:
    site = make_site()
    error = np.where(np.arange(len(site.time)) % 3 == 0, np.nan, 7.5)
    own = site.fluxes.assign(Qh_uc=("time", error))
    pair = write_pair(replace(site, fluxes=own), tmp_path)
    again = read_pair(*pair)
    np.testing.assert_array_equal(again.fluxes["Qh_uc"], error)
    assert again.fluxes["Qh_uc"].attrs["units"] == "W m-2"
    with netCDF4.Dataset(pair[1], "a") as nc:
        nc["Qh_uc"].units = "MJ m-2"
    with pytest.raises(SiteError, match=r"W m-2.*MJ m-2"):
        read_pair(*pair)


@pytest.mark.parametrize("units", ["minutes", "hours", "days"])
def test_time_in_other_units_is_exact(broken: Break, site: Site, units: str) -> None:
    divisor = {"minutes": 60, "hours": 3600, "days": 86400}[units]

    def rewrite(nc: netCDF4.Dataset) -> None:
        nc["time"].units = f"{units} since 2020-02-25"
        nc["time"][:] = nc["time"][:] / divisor

    pair = broken(rewrite)
    broken(rewrite, "flux")
    assert (read_pair(*pair).time == site.time).all()


def test_time_in_single_precision_is_rebuilt_exactly(tmp_path: Path, make_site: Make) -> None:
    site = make_site(days=400)
    pair = write_pair(site, tmp_path)
    for path in pair:
        with netCDF4.Dataset(path, "a") as nc:
            nc.renameVariable("time", "old")
            time = nc.createVariable("time", "f4", ("time",))
            time.units = "seconds since 2020-02-25 00:00:00"
            time[:] = nc["old"][:]
    assert (read_pair(*pair).time == site.time).all()


def test_a_longer_met_file_is_cut_to_the_fluxes(tmp_path: Path, make_site: Make) -> None:
    met, _ = write_pair(make_site(days=20), tmp_path)
    short = make_site(days=5, start="2020-03-01")
    _, flux = write_pair(short, tmp_path, network="other")
    site = read_pair(met, flux)
    assert (site.time == short.time).all()
    assert site.fluxes["Qle"].values[10] == short.fluxes["Qle"].values[10]


def test_overlapping_but_unequal_periods_are_refused(tmp_path: Path, make_site: Make) -> None:
    met, _ = write_pair(make_site(days=10), tmp_path)
    _, flux = write_pair(make_site(days=10, start="2020-03-01"), tmp_path, network="other")
    with pytest.raises(SiteError, match="expected the same period"):
        read_pair(met, flux)


def test_unequal_steps_are_refused(tmp_path: Path, make_site: Make) -> None:
    met, _ = write_pair(make_site(), tmp_path)
    _, flux = write_pair(make_site(step=3600), tmp_path, network="other")
    with pytest.raises(SiteError, match="1800 and 3600 s"):
        read_pair(met, flux)


def test_igbp_class_as_characters_or_attribute(broken: Break) -> None:
    def characters(nc: netCDF4.Dataset) -> None:
        nc.renameVariable("IGBP_veg_short", "gone")
        nc.createDimension("nchar", 6)
        letters = nc.createVariable("IGBP_veg_short", "S1", ("y", "x", "nchar"))
        letters[:] = netCDF4.stringtochar(np.array([["ENF   "]], dtype="S6"))

    def attribute(nc: netCDF4.Dataset) -> None:
        nc.renameVariable("IGBP_veg_short", "gone_too")
        nc.IGBP_veg_short = "DBF"

    assert read_pair(*broken(characters)).pft == "ENF"
    assert read_pair(*broken(attribute)).pft == "DBF"


def test_heights_that_cannot_be_are_replaced_and_said(broken: Break) -> None:
    def swap(nc: netCDF4.Dataset) -> None:
        nc["reference_height"][:] = 0.3
        nc["canopy_height"][:] = np.nan

    attributes = read_pair(*broken(swap)).attributes
    assert attributes["canopy_height"] == 0.5
    assert attributes["canopy_height_source"] == "typical of the IGBP class"
    assert float(attributes["reference_height"]) > 0.5
    assert "0.3 m" in str(attributes["reference_height_source"])


def set_value(name: str, value: float, at: slice | int = slice(None)) -> Callable:
    def edit(nc: netCDF4.Dataset) -> None:
        nc[name][at] = value

    return edit


def shift(name: str, factor: float, offset: float = 0.0) -> Callable:
    def edit(nc: netCDF4.Dataset) -> None:
        nc[name][:] = nc[name][:] * factor + offset

    return edit


def set_unit(name: str, unit: str) -> Callable:
    return lambda nc: nc[name].setncattr("units", unit)


def hole(nc: netCDF4.Dataset) -> None:
    nc["time"][9:] = nc["time"][9:] + 1800


BAD = {
    "forcing absent": (lambda nc: nc.renameVariable("Qair", "gone"), "met", "Qair in kg kg-1"),
    "rain absent": (lambda nc: nc.renameVariable("Precip", "gone"), "met", "Rainf"),
    "flux absent": (lambda nc: nc.renameVariable("Qh", "gone"), "flux", "flux Qh"),
    "no time": (lambda nc: nc.renameVariable("time", "gone"), "met", "variable time"),
    "NaN": (set_value("Wind", np.nan, 50), "met", r"Wind.*1 missing.*2020-02-26 01:00:00"),
    "fill value": (set_value("LWdown", -9999, 48), "met", r"LWdown.*2020-02-26 00:00:00"),
    "Celsius": (shift("Tair", 1, -273.15), "met", r"Tair.*Celsius: add 273.15"),
    "Celsius said": (set_unit("Tair", "degC"), "met", "found 'degC'; add 273.15"),
    "hPa": (shift("Psurf", 0.01), "met", r"Psurf.*hPa: multiply by 100"),
    "hPa said": (set_unit("Psurf", "hPa"), "met", "found 'hPa'; multiply by 100"),
    "kPa": (shift("Psurf", 0.001), "met", r"Psurf.*kPa: multiply by 1000"),
    "g/kg": (shift("Qair", 1000), "met", r"Qair.*divide by 1000"),
    "mm a step": (shift("Precip", 1800), "met", r"Precip.*mm a time step"),
    "mole fraction": (shift("CO2air", 1e-6), "met", r"CO2air.*multiply by 1e6"),
    "spike": (set_value("SWdown", 5000, 3), "met", r"SWdown.*2020-02-25 01:30:00 \(5000\)"),
    "flux unit": (set_unit("Qle", "MJ m-2 day-1"), "flux", "Qle.*expected unit 'W m-2'"),
    "duplicate": (set_value("time", 9000, 6), "met", "duplicate time stamp: 2020-02-25 02:30:00"),
    "backward": (set_value("time", 1800, 6), "flux", "backward: 2020-02-25 00:30:00"),
    "hole": (hole, "met", "1800 s throughout, found 3600 s between 2020-02-25 04:00:00"),
    "step": (shift("time", 0.5), "met", "1800 or 3600 s, found 900 s"),
    "time unit": (set_unit("time", "fortnights since 1066"), "met", "fortnights"),
    "time zone": (set_unit("time", "seconds since 2020-02-25 00:00:00 UTC"), "met", "local"),
    "no such date": (set_unit("time", "seconds since 2021-02-30"), "met", "no such date"),
    "calendar": (lambda nc: nc["time"].setncattr("calendar", "noleap"), "met", "noleap"),
    "no place": (lambda nc: nc.renameVariable("latitude", "gone"), "met", "latitude"),
    "place off the Earth": (
        set_value("latitude", 123),
        "met",
        r"latitude: expected -90 to 90, found 123",
    ),
    "no class": (lambda nc: nc.renameVariable("IGBP_veg_short", "gone"), "met", "IGBP_veg_short"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_refused_with_file_and_reason(broken: Break, case: str) -> None:
    edit, which, message = BAD[case]
    pair = broken(edit, which)
    with pytest.raises(SiteError, match=message) as caught:
        read_pair(*pair)
    assert pair[0 if which == "met" else 1].name in str(caught.value)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.95])
@pytest.mark.parametrize("which", [0, 1])
def test_truncated_file_is_refused(pair: tuple[Path, Path], keep: float, which: int) -> None:
    whole = pair[which].read_bytes()
    pair[which].write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(SiteError, match=r"truncated") as caught:
        read_pair(*pair)
    assert pair[which].name in str(caught.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="there is none"):
        read_pair(tmp_path / "A_Met.nc", tmp_path / "A_Flux.nc")


def test_pairs_are_found_by_code(tmp_path: Path, make_site: Make) -> None:
    for code in ("XX-B", "XX-A"):
        write_pair(make_site(code, days=2), tmp_path)
    (tmp_path / "README.md").write_text("not a tower")
    pairs = find_pairs(tmp_path)
    assert list(pairs) == ["XX-A", "XX-B"]
    assert pairs["XX-A"][1].name == "XX-A_2020-2020_MdPL_Flux.nc"


def test_half_a_pair_is_refused_by_the_name_of_what_lacks(pair: tuple[Path, Path]) -> None:
    for gone, stays in (pair, pair[::-1]):
        content = gone.read_bytes()
        gone.unlink()
        with pytest.raises(SiteError, match=gone.name) as caught:
            find_pairs(stays.parent)
        assert stays.name in str(caught.value)
        gone.write_bytes(content)


def test_trouble_with_one_tower_does_not_touch_another(tmp_path: Path, make_site: Make) -> None:
    write_pair(make_site("XX-A", days=2), tmp_path)
    _, flux = write_pair(make_site("XX-B", days=2), tmp_path)
    flux.unlink()
    assert list(find_pairs(tmp_path, ["XX-A"])) == ["XX-A"]
    with pytest.raises(SiteError, match="XX-B"):
        find_pairs(tmp_path)


def test_two_records_of_one_tower_are_refused(tmp_path: Path, site: Site) -> None:
    write_pair(site, tmp_path, network="ICOS")
    write_pair(site, tmp_path, network="OzFlux")
    with pytest.raises(SiteError, match=r"one record of XX-Tst, found 2.*ICOS.*OzFlux"):
        find_pairs(tmp_path)


def test_empty_and_absent_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="found none"):
        find_pairs(tmp_path)
    with pytest.raises(SiteError, match="there is none"):
        find_pairs(tmp_path / "nowhere")


def test_units_of_what_is_read_are_said(pair: tuple[Path, Path]) -> None:
    site = read_pair(*pair)
    assert {n: site.forcing[n].attrs["units"] for n in FORCING} == {n: UNITS[n] for n in FORCING}
