"""Tables of the networks give the tower they were written from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mdpl.errors import SiteError
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.catalogue import find_towers, open_sites
from mdpl.sites.filling import clear_sky_longwave, fill, global_co2
from mdpl.sites.leaf_area import class_climatology
from mdpl.sites.mapped import read_mapped
from mdpl.sites.qc import measured
from mdpl.sites.site import FORCING, Site

PLACES = (
    "site,lat,lon,elevation,IGBP_veg_short,z_canopy,z_obs\nXX-Tst,50.0,12.0,300.0,GRA,0.4,3.0\n"
)


def in_network_units(site: Site) -> dict[str, np.ndarray]:
    f = {str(n): v.values for n, v in site.forcing.items()}
    deficit = saturation_vapour_pressure(f["Tair"]) - vapour_pressure(f["Qair"], f["Psurf"])
    return {
        "SW_IN": f["SWdown"],
        "LW_IN": f["LWdown"],
        "TA": f["Tair"] - 273.15,
        "VPD": deficit,
        "PA": f["Psurf"] / 1000.0,
        "WS": f["Wind"],
        "P": f["Precip"] * site.step_seconds,
        "CO2": f["CO2air"],
        "LE": site.fluxes["Qle"].values,
        "H": site.fluxes["Qh"].values,
        "NETRAD": site.fluxes["Rnet"].values,
    }


def stamps(site: Site, ends: bool = False) -> list[str]:
    moved = site.time + (np.timedelta64(site.step_seconds, "s") if ends else 0)
    return pd.DatetimeIndex(moved).strftime("%Y%m%d%H%M").tolist()


def write(folder: Path, name: str, columns: dict, head: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "sites.csv").write_text(PLACES)
    text = pd.DataFrame(columns).fillna(-9999).to_csv(index=False, float_format="%.12g")
    (folder / name).write_text(head + text)
    return folder


def as_fluxnet(site: Site, folder: Path, step: str = "HH", subset: str = "FULLSET") -> Path:
    raw = in_network_units(site)
    mds = {"CO2", "LE", "H"}
    columns = {"TIMESTAMP_START": stamps(site), "TIMESTAMP_END": stamps(site, ends=True)}
    for name, values in raw.items():
        ending = "" if name == "NETRAD" else "_F_MDS" if name in mds else "_F"
        columns[f"{name}{ending}"] = values
        if ending:
            columns[f"{name}{ending}_QC"] = np.zeros(values.size)
    columns["LE_F_MDS_QC"] = site.fluxes["Qle_qc"].values
    columns["LE_CORR"], columns["H_CORR"] = 1.2 * raw["LE"], 1.2 * raw["H"]
    columns["LE_RANDUNC"] = 0.1 * np.abs(raw["LE"]) + 5
    return write(folder, f"FLX_XX-Tst_FLUXNET2015_{subset}_{step}_2020-2020_1-4.csv", columns)


def as_base(site: Site, folder: Path, ends: bool = False) -> Path:
    raw = in_network_units(site)
    columns: dict = {"TIMESTAMP_END": stamps(site, ends=True)}
    if not ends:
        columns = {"TIMESTAMP_START": stamps(site), **columns}
    columns["TA_1_2_1"] = np.full(site.time.size, 40.0)
    for name, values in raw.items():
        columns[f"{name}_1_1_1"] = values
    columns["G_1_1_1"], columns["G_2_1_1"] = np.full((2, site.time.size), [[2.0], [4.0]])
    if ends:
        columns["H_SSITC_TEST_1_1_1"] = np.where(np.arange(site.time.size) % 7 == 0, 2, 0)
        return write(folder, "XX-Tst_europe-fluxdata_2020.txt", columns)
    head = "# Site: XX-Tst\n# Version: 1-5\n"
    return write(folder, "AMF_XX-Tst_BASE_HH_1-5.csv", columns, head)


def as_mapped(site: Site, folder: Path) -> Path:
    raw = in_network_units(site)
    middle = site.time + np.timedelta64(site.step_seconds // 2, "s")
    columns = {"when": pd.DatetimeIndex(middle).strftime("%Y-%m-%d %H:%M:%S"), **raw}
    columns["PA"] = 10.0 * raw["PA"]
    columns["LE_flag"] = np.where(site.fluxes["Qle_qc"].values > 0, 9, 2)
    write(folder, "anything.csv", columns)
    (folder / "sites.csv").unlink()
    (folder / "tower.yaml").write_text(
        "site: XX-Tst\nfile: anything.csv\ntime: when\nstamp: middle\n"
        "place: {latitude: 50, longitude: 12, elevation: 300, igbp: GRA, canopy_height: 0.4,\n"
        "  reference_height: 3}\n"
        "columns:\n  SWdown: SW_IN\n  LWdown: LW_IN\n  Tair: {column: TA, unit: degC}\n"
        "  VPD: VPD\n  Psurf: {column: PA, unit: hPa}\n  Wind: WS\n  Precip: P\n  CO2air: CO2\n"
        "  Qle: {column: LE, qc: LE_flag, measured: [2]}\n  Qh: H\n  Rnet: NETRAD\n"
    )
    return folder


FORMS: dict[str, Callable[[Site, Path], Path]] = {
    "FLUXNET": as_fluxnet,
    "BASE": as_base,
    "European": lambda site, folder: as_base(site, folder, ends=True),
    "mapped": as_mapped,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_tower(
    tmp_path: Path, make_site: Callable[..., Site], form: str
) -> None:
    site = make_site(days=40)
    again = open_sites(FORMS[form](site, tmp_path / "records"))[0]
    assert again.code == site.code and (again.time == site.time).all()
    for name in FORCING:
        if name != "LAI":
            np.testing.assert_allclose(
                again.forcing[name], site.forcing[name], rtol=1e-7, err_msg=name
            )
            assert (again.forcing_qc[name] == 0).all()
    for name in ("Qle", "Qh", "Rnet"):
        found, there = again.fluxes[name].values, np.isfinite(again.fluxes[name].values)
        np.testing.assert_allclose(found[there], site.fluxes[name].values[there], rtol=1e-7)
    if form in ("FLUXNET", "mapped"):
        assert np.array_equal(measured(again, "Qle"), measured(site, "Qle"))
    if form == "European":
        assert np.flatnonzero(~measured(again, "Qh")).tolist() == list(range(0, site.time.size, 7))
    if form == "BASE":
        assert (again.fluxes["Qg"] == 3.0).all()
    for name in ("latitude", "elevation", "canopy_height", "reference_height", "utc_offset"):
        assert again.attributes[name] == site.attributes[name], name
    assert again.attributes["filling"] == "nothing"
    assert "climatology of class GRA" in again.attributes["LAI_source"]
    assert (again.forcing_qc["LAI"] == 101).all()


def test_hourly_subset_with_corrected_fluxes_and_uncertainty(
    tmp_path: Path, make_site: Callable[..., Site]
) -> None:
    site = make_site(step=3600, days=30)
    again = open_sites(as_fluxnet(site, tmp_path / "r", step="HR", subset="SUBSET"))[0]
    assert again.step_seconds == 3600
    np.testing.assert_allclose(again.forcing["Precip"], site.forcing["Precip"], rtol=1e-7)
    np.testing.assert_allclose(again.fluxes["Qle_cor"], 1.2 * site.fluxes["Qle"], rtol=1e-7)
    np.testing.assert_allclose(again.fluxes["Qle_uc"], 5 + 0.1 * abs(site.fluxes["Qle"]))


def test_reanalysis_of_fluxnet_is_flag_4(tmp_path: Path, site: Site) -> None:
    folder = as_fluxnet(site, tmp_path / "r")
    path = next(folder.glob("FLX*"))
    frame = pd.read_csv(path, dtype=str)
    frame.loc[:9, "TA_F_QC"], frame.loc[:9, "LE_F_MDS_QC"] = "2", "2"
    frame.to_csv(path, index=False)
    again = open_sites(folder)[0]
    assert (again.forcing_qc["Tair"][:10] == 4).all() and again.forcing_qc["Tair"][10:].sum() == 0
    assert (again.fluxes["Qle_qc"][:10] == 2).all()


def edited(folder: Path, edit: Callable[[pd.DataFrame], None]) -> Path:
    path = next(folder.glob("FLX*"))
    frame = pd.read_csv(path)
    edit(frame)
    frame.to_csv(path, index=False)
    return folder


def test_gaps_are_filled_flagged_and_counted(
    tmp_path: Path, make_site: Callable[..., Site]
) -> None:
    site = make_site(days=40)

    def gaps(frame: pd.DataFrame) -> None:
        frame.loc[100:102, "TA_F"] = -9999
        frame.loc[300:500, "WS_F"] = -9999
        frame["LW_IN_F"] = -9999
        frame["PA_F"] = -9999
        frame["CO2_F_MDS"] = -9999

    again = open_sites(edited(as_fluxnet(site, tmp_path / "r"), gaps))[0]
    assert (again.forcing_qc["Tair"][100:103] == 1).all()
    line = np.interp([1, 2, 3], [0, 4], site.forcing["Tair"].values[[99, 103]])
    np.testing.assert_allclose(again.forcing["Tair"][100:103], line)
    assert (again.forcing_qc["Wind"][300:501] == 5).all()
    assert again.forcing_qc["Wind"].sum() == 5 * 201
    for name in ("LWdown", "Psurf", "CO2air"):
        assert (again.forcing_qc[name] == 101).all()
    said = str(again.attributes["filling"])
    for words in ("LWdown 1e+02 % synthesised", "Wind 10 % mean", "Tair 0.16 % interpolated"):
        assert words in said
    assert again.forcing["Psurf"].mean() == pytest.approx(97700, abs=300)
    assert again.forcing["CO2air"].mean() == pytest.approx(413.4, abs=1.0)
    assert 200 < again.forcing["LWdown"].mean() < 400


def test_lines_below_the_names_are_left_out(tmp_path: Path) -> None:
    stamps = pd.date_range("2020-01-01", periods=96, freq="30min").strftime("%Y-%m-%d %H:%M:%S")
    rows = [f"{t},{i},{400 - i}" for i, t in enumerate(stamps)]
    (tmp_path / "t.csv").write_text("\n".join(["made by us,,", "T,LE,L", "s,W,W", "", *rows]))
    head = "site: XX-Tst\nfile: t.csv\ntime: T\ncolumns: {Qle: LE, LWdown: L}\n"
    (tmp_path / "m.yaml").write_text(head)
    with pytest.raises(SiteError, match="no column 'T'"):
        read_mapped(tmp_path / "m.yaml")
    (tmp_path / "t.csv").write_text("\n".join(["T,LE,L", "s,W,W", *rows]))
    with pytest.raises(SiteError, match="row 1: expected a number, found 'W'"):
        read_mapped(tmp_path / "m.yaml")
    (tmp_path / "m.yaml").write_text(head + "below_names: 1\n")
    record = read_mapped(tmp_path / "m.yaml")
    assert record.time[0] == np.datetime64("2020-01-01T00:00")
    np.testing.assert_array_equal(record.series["Qle"], np.arange(96))


def test_long_gaps_are_refused_with_their_dates(
    tmp_path: Path, make_site: Callable[..., Site]
) -> None:
    site = make_site(days=60)

    def gap(frame: pd.DataFrame) -> None:
        frame.loc[480 : 480 + 48 * 35, "WS_F"] = -9999

    folder = edited(as_fluxnet(site, tmp_path / "r"), gap)
    with pytest.raises(SiteError, match="Wind is missing for more than 30 days: 2020-03-06 to"):
        open_sites(folder)
    (folder / "sites.csv").write_text(
        PLACES.replace("z_obs", "z_obs,first,last").replace("3.0\n", "3.0,2020-02-25,2020-03-04\n")
    )
    assert open_sites(folder)[0].time[-1] == np.datetime64("2020-03-04T23:30")


def test_places_from_badm_and_leaf_area_from_a_table(tmp_path: Path, site: Site) -> None:
    folder = as_fluxnet(site, tmp_path / "r")
    (folder / "sites.csv").unlink()
    rows = {"LOCATION_LAT": 50, "LOCATION_LONG": 12, "LOCATION_ELEV": 300, "IGBP": "GRA"}
    pd.DataFrame(
        [{"SITE_ID": "XX-Tst", "VARIABLE": k, "DATAVALUE": v} for k, v in rows.items()]
    ).to_csv(folder / "FLX_AA-Flx_BIF_20200101.csv", index=False)
    (folder / "lai.csv").write_text("site,date,LAI\nXX-Tst,2020-02-25,1\nXX-Tst,2020-03-06,3\n")
    again = open_sites(folder)[0]
    assert again.pft == "GRA" and again.attributes["elevation"] == 300
    assert again.attributes["LAI_source"] == "table lai.csv"
    assert float(again.forcing["LAI"][240]) == pytest.approx(2.0)


@pytest.mark.parametrize("head", ["Site,date,LAI", " site , DATE,lai"])
def test_headings_of_leaf_area_are_read_whatever_their_case(tmp_path, site, head) -> None:
    folder = as_fluxnet(site, tmp_path / "r")
    (folder / "lai.csv").write_text(f"{head}\nXX-Tst,2020-02-25,1\nXX-Two,2020-03-01,9\n")
    assert (open_sites(folder)[0].forcing["LAI"] == 1.0).all()


@pytest.mark.parametrize("text", ["date,LAI\n2020-02-25,1\n", "tower,date,LAI\n", ""])
def test_leaf_area_of_no_tower_is_refused(tmp_path: Path, site: Site, text: str) -> None:
    folder = as_fluxnet(site, tmp_path / "r")
    (folder / "lai.csv").write_text(text)
    with pytest.raises(SiteError, match=r"lai.csv: (expected columns site, LAI|cannot be read)"):
        open_sites(folder)


def test_short_gaps_of_longwave_are_lines_and_long_ones_a_sky(tmp_path: Path, site: Site) -> None:
    def gaps(frame: pd.DataFrame) -> None:
        frame.loc[100:102, "LW_IN_F"] = -9999
        frame.loc[300:340, "LW_IN_F"] = -9999

    folder = edited(as_fluxnet(site, tmp_path / "r"), gaps)
    again = open_sites(folder)[0]
    found, truth = again.forcing["LWdown"].values, site.forcing["LWdown"].values
    line = np.interp([100, 101, 102], [99, 103], truth[[99, 103]])
    np.testing.assert_allclose(found[100:103], line, rtol=1e-6)
    assert (again.forcing_qc["LWdown"][100:103] == 1).all()
    assert (again.forcing_qc["LWdown"][300:341] == 101).all()
    there = np.setdiff1d(np.arange(truth.size), [*range(100, 103), *range(300, 341)])
    np.testing.assert_allclose(found[there], truth[there], rtol=1e-6)


def test_fluxes_that_cannot_be_are_missing_and_told(tmp_path: Path, site: Site) -> None:
    def spike(frame: pd.DataFrame) -> None:
        frame.loc[100, "LE_F_MDS"] = 9999.0

    again = open_sites(edited(as_fluxnet(site, tmp_path / "r"), spike))[0]
    assert not measured(again, "Qle")[100] and np.isnan(again.fluxes["Qle"][100])
    assert again.attributes["spikes"] == "Qle 1 beyond -500 to 1500 W m-2"
    assert "spikes" not in site.attributes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("50.0", "130.57"), r"latitude: expected -90 to 90, found 130.57"),
        (("GRA", "gra"), r"igbp: expected one of .*, found 'gra'"),
        (("GRA", "4"), r"igbp: expected one of .*, found '4'"),
    ],
)
def test_a_place_that_cannot_be_is_refused(tmp_path, site, change, said) -> None:
    folder = as_fluxnet(site, tmp_path / "r")
    (folder / "sites.csv").write_text(PLACES.replace(*change))
    with pytest.raises(SiteError, match=said):
        open_sites(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("latitude: 50,", "latitude: 50.96N,"), "latitude: expected a number, found '50.96N'"),
        (("elevation: 300,", "elevation: tall,"), "elevation: expected a number, found 'tall'"),
        (("elevation:", "elev:"), "place: elev is nothing we ask of a tower"),
        (("columns:", "column:"), "column"),
    ],
)
def test_mistakes_in_a_mapping_are_told(tmp_path: Path, site: Site, change, said) -> None:
    folder = as_mapped(site, tmp_path / "r")
    path = folder / "tower.yaml"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(SiteError, match=said):
        open_sites(folder)


def test_days_of_a_mapping_are_written_as_days(tmp_path: Path, site: Site) -> None:
    folder = as_mapped(site, tmp_path / "r")
    path = folder / "tower.yaml"
    path.write_text(path.read_text().replace("igbp: GRA,", "igbp: GRA, last: 2020-03-04,"))
    assert open_sites(folder)[0].time[-1] == np.datetime64("2020-03-04T23:30")


def test_forms_lie_side_by_side(tmp_path: Path, pair, site: Site) -> None:
    folder = pair[0].parent
    as_fluxnet(site, folder)
    with pytest.raises(SiteError, match="expected one record of XX-Tst"):
        find_towers(folder)
    table = next(folder.glob("FLX*"))
    table.rename(folder / table.name.replace("XX-Tst", "XX-Two"))
    assert [t.form for t in find_towers(folder)] == ["PLUMBER2", "FLUXNET"]
    with pytest.raises(SiteError, match="expected latitude, longitude, elevation, igbp"):
        open_sites(folder, ["XX-Two"])


def test_filling_keeps_what_is_there_and_repeats_the_course_of_the_day() -> None:
    time = np.arange(48 * 30)
    course = np.sin(2 * np.pi * time / 48) + 0.0 * time
    gappy = course.copy()
    gappy[480:700] = np.nan
    filled, flags = fill(gappy, 48, interpolate=True)
    np.testing.assert_allclose(filled, course, atol=1e-12)
    assert (flags[480:700] == 5).all() and flags.sum() == 5 * 220


def test_longwave_of_an_overcast_day_is_that_of_a_black_body() -> None:
    time = np.datetime64("2020-06-01", "ns") + np.arange(48) * np.timedelta64(30, "m")
    air = np.full(48, 290.0)
    forcing = {"Tair": air, "Qair": air * 0 + 0.008, "Psurf": air * 0 + 1e5, "SWdown": air * 0}
    place = {"latitude": 50.0, "longitude": 10.0, "utc_offset": 1.0}
    np.testing.assert_allclose(
        clear_sky_longwave(forcing, time, 1800, place), 5.670374e-8 * 290.0**4
    )


def test_climatologies_go_with_the_hemisphere() -> None:
    days = np.arange("2019-01-01", "2020-01-01", dtype="M8[D]").astype("M8[ns]")
    north, south = (class_climatology("DBF", latitude, days) for latitude in (50.0, -40.0))
    assert north[195] == north.max() == 5.1 and south[195] == south.min() == 0.8
    assert np.ptp(class_climatology("EBF", 0.0, days)) == 0
    assert global_co2(np.array(["2010-07-02"], "M8[ns]"))[0] == pytest.approx(390.1, abs=0.05)
