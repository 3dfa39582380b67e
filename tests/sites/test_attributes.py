"""What is known of a tower's place."""

from __future__ import annotations

import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.attributes import (
    GENERATOR_ATTRIBUTES,
    LAND_COVER,
    aridity,
    climate,
    describe,
    land_cover,
    numeric,
    saturation_vapour_pressure,
    specific_humidity,
    vapour_pressure,
    vapour_pressure_deficit,
)
from mdpl.sites.site import Site


def test_classes_as_the_column_expects_them() -> None:
    expected = {"ENF": 4, "EBF": 1, "DNF": 5, "DBF": 2, "MF": 3, "CSH": 7, "OSH": 7}
    expected |= {"WSA": 6, "SAV": 6, "GRA": 9, "CRO": 9, "WET": 9, "BSV": 7}
    assert {igbp: land_cover(igbp) for igbp in expected} == expected
    assert set(LAND_COVER.values()) <= set(range(1, 10))


def test_a_city_is_refused() -> None:
    with pytest.raises(SiteError, match=r"'URB'.*expected one of"):
        land_cover("URB")


def test_saturation_vapour_pressure_at_known_points() -> None:
    found = saturation_vapour_pressure(np.array([273.15, 293.15, 303.15]))
    np.testing.assert_allclose(found, [6.112, 23.37, 42.43], rtol=2e-3)


def test_humidity_conversions_are_inverse() -> None:
    q, p = np.array([1e-4, 0.01, 0.03]), np.array([1e5, 9e4, 7e4])
    np.testing.assert_allclose(specific_humidity(vapour_pressure(q, p), p), q, rtol=1e-12)


def test_saturated_air_has_no_deficit(site: Site) -> None:
    f = site.forcing
    e = saturation_vapour_pressure(f["Tair"].values)
    wet = f.assign(Qair=("time", specific_humidity(1.01 * e, f["Psurf"].values)))
    assert vapour_pressure_deficit(wet).max() == 0.0
    assert vapour_pressure_deficit(f).min() > 0.0


def test_annual_precipitation_of_a_steady_drizzle(site: Site) -> None:
    drizzle = site.forcing.assign(Precip=("time", np.full(site.time.size, 1e-5)))
    assert climate(drizzle)["Precip_annual"] == pytest.approx(315.57, rel=1e-4)


def test_snow_fraction_is_by_amount(site: Site) -> None:
    rain, air = np.zeros(site.time.size), np.full(site.time.size, 280.0)
    rain[:3], air[:1] = (3e-3, 1e-3, 2e-3), 270.0
    f = site.forcing.assign(Precip=("time", rain), Tair=("time", air))
    assert climate(f)["snow_fraction"] == pytest.approx(0.5)


def test_a_rainless_record_is_as_arid_as_can_be(site: Site) -> None:
    dry = climate(site.forcing.assign(Precip=("time", np.zeros(site.time.size))))
    assert dry["aridity"] == 10.0 and dry["snow_fraction"] == 0.0


def test_aridity_halves_when_rain_doubles(site: Site) -> None:
    wet = site.forcing.assign(Precip=20 * site.forcing["Precip"])
    wetter = site.forcing.assign(Precip=40 * site.forcing["Precip"])
    assert aridity(wetter) == pytest.approx(aridity(wet) / 2)


def test_temperature_range_is_between_months(site: Site) -> None:
    month = site.time.astype("datetime64[M]")
    air = np.where(month == np.datetime64("2020-02"), 270.0, 285.0)
    assert climate(site.forcing.assign(Tair=("time", air)))["Tair_range"] == 15.0


def test_generator_sees_finite_numbers_in_fixed_order(site: Site) -> None:
    found = numeric(site)
    assert tuple(found) == GENERATOR_ATTRIBUTES
    assert np.isfinite(list(found.values())).all()


def test_missing_heights_are_filled_above_the_canopy(site: Site) -> None:
    bare = {k: site.attributes[k] for k in ("latitude", "longitude", "elevation", "utc_offset")}
    for igbp in LAND_COVER:
        found = describe(site.forcing, {**bare, "igbp": igbp})
        assert found["reference_height"] > found["canopy_height"] > 0
        assert found["canopy_height_source"] != "file"
