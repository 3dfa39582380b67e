"""The thirteen development towers."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2 import find_pairs, read_pair
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.qc import measured, measured_share
from mdpl.sites.site import FORCING, Site
from mdpl.sites.solar import cos_zenith

SITES = Path(__file__).resolve().parents[3] / "shared" / "sites"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not SITES.is_dir(), reason="tower records are not here"),
]

ZONES = {"AU-Cum": 10, "CN-Cng": 8, "DE-Tha": 1, "DK-Fou": 1, "DK-Sor": 1, "FR-Hes": 1}
ZONES |= {"FR-Pue": 1, "US-Bi1": -8, "US-Me2": -8, "US-SRM": -7, "US-Tw3": -8, "US-Whs": -7}
ZONES |= {"US-Wi7": -6}


@pytest.fixture(scope="module")
def towers() -> dict[str, Site]:
    return {site.code: site for site in open_sites(SITES)}


def test_all_thirteen_load(towers: dict[str, Site]) -> None:
    assert sorted(towers) == sorted(ZONES)
    for site in towers.values():
        assert set(site.forcing.data_vars) == set(FORCING)
        assert all(site.forcing[name].dtype == np.float64 for name in FORCING)
        assert site.time.dtype == np.dtype("datetime64[ns]")


def test_reference_tower_is_unchanged_to_the_last_digit(towers: dict[str, Site]) -> None:
    site = towers["DK-Fou"]
    met, flux = find_pairs(SITES, ["DK-Fou"])["DK-Fou"]
    for path, dataset in ((met, site.forcing), (flux, site.fluxes)):
        with netCDF4.Dataset(path) as nc:
            nc.set_auto_mask(False)
            for name in dataset.data_vars:
                stored = nc[str(name)][:, 0, 0]
                expected = np.where(stored == -9999, np.nan, stored.astype(np.float64))
                found = dataset[name].values
                assert np.array_equal(found.view("u8"), expected.view("u8")), name
    assert site.time[0] == np.datetime64("2005-01-01T00:00")
    assert site.time[-1] == np.datetime64("2005-12-31T23:30")


def test_reference_tower_survives_writing_in_single_precision(
    tmp_path: Path, towers: dict[str, Site]
) -> None:
    site = towers["DK-Fou"]
    again = read_pair(*write_pair(site, tmp_path, dtype="f4"))
    for name in site.forcing:
        assert np.array_equal(again.forcing[name], site.forcing[name]), name
    for name in site.fluxes:
        assert np.array_equal(again.fluxes[name], site.fluxes[name], equal_nan=True), name
    assert again.attributes["aridity"] == site.attributes["aridity"]


def test_time_zones_agree_with_the_sun(towers: dict[str, Site]) -> None:
    for code, site in towers.items():
        where = site.attributes
        assert where["utc_offset"] == ZONES[code], code
        sun = cos_zenith(
            float(where["latitude"]),
            float(where["longitude"]),
            float(where["utc_offset"]),
            site.time,
            site.step_seconds,
        )
        assert np.corrcoef(sun, site.forcing["SWdown"])[0, 1] > 0.8, code


def test_what_is_missing_is_missing(towers: dict[str, Site]) -> None:
    assert "Qg" not in towers["US-Wi7"].fluxes
    assert "Qle_cor" not in towers["US-Wi7"].fluxes
    assert measured_share(towers["US-Wi7"], "Qle") == pytest.approx(0.35, abs=0.02)
    hesse = towers["FR-Hes"].fluxes["Qle"].values
    assert np.isnan(hesse).mean() == pytest.approx(0.41, abs=0.005)
    assert np.isfinite(hesse[measured(towers["FR-Hes"], "Qle")]).all()


def test_records_that_are_no_calendar_years_keep_their_stamps(towers: dict[str, Site]) -> None:
    assert towers["US-Me2"].time[0] == np.datetime64("2019-07-01T00:00")
    assert towers["US-Tw3"].time.size == 18672
    assert np.datetime64("2016-02-29T12:00") in towers["US-SRM"].time


def test_attributes_are_plausible(towers: dict[str, Site]) -> None:
    """Tharandt is wet, Santa Rita dry, Metolius has snow, Changling hot and cold months."""
    number = {code: site.attributes for code, site in towers.items()}
    assert number["DE-Tha"]["aridity"] < 1 < number["US-SRM"]["aridity"]
    assert number["US-Me2"]["snow_fraction"] > number["FR-Pue"]["snow_fraction"]
    assert number["CN-Cng"]["Tair_range"] > number["DK-Sor"]["Tair_range"]
    assert number["DE-Tha"]["land_cover"] == 4 and number["US-SRM"]["land_cover"] == 6


@pytest.mark.parametrize("code", ["FR-Hes", "US-Tw3"])
def test_embedded_towers_agree_with_an_independent_conversion(
    towers: dict[str, Site], code: str
) -> None:
    ours, theirs = open_sites(None, [code])[0], towers[code]
    common = np.intersect1d(ours.time, theirs.time)
    assert common.size == ours.time.size
    other = theirs.forcing.sel(time=common)
    path = next(SITES.glob(f"{code}_*_Met.nc"))
    with netCDF4.Dataset(path) as nc:
        start = int(np.flatnonzero(theirs.time == common[0])[0])
        kept = slice(start, start + common.size)
        for name in FORCING:
            if name == "LAI":
                continue
            good = np.ma.filled(nc[f"{name}_qc"][kept, 0, 0], 1) == 0
            a, b = ours.forcing[name].values[good], other[name].values[good]
            assert np.corrcoef(a, b)[0, 1] > 0.999, name
            # Saturation vapour pressure differs by formula: 0.4 % of Qair.
            assert np.median(np.abs(a - b)) <= (0.02 * b.std() if name == "Qair" else 0.0), name
    for name in ("Qle", "Qh", "Rnet", "Qg", "NEE"):
        good = measured(ours, name)
        a = ours.fluxes[name].values[good]
        b = theirs.fluxes[name].sel(time=common).values[good]
        assert np.corrcoef(a, b)[0, 1] > 0.999, name
        assert np.median(np.abs(a - b)) == 0.0, name
