"""The sun's height and the time zone found from it."""

from __future__ import annotations

import numpy as np
import pytest

from mdpl.sites.solar import cos_zenith, declination_and_equation_of_time, detect_utc_offset


def axis(start: str, steps: int, step: int) -> np.ndarray:
    return np.datetime64(start, "ns") + np.arange(steps) * np.timedelta64(step, "s")


def test_declination_at_solstices_and_equinoxes_of_2020() -> None:
    """Instants published for 2020: 20 Mar 03:50, 20 Jun 21:44, 22 Sep 13:31, 21 Dec 10:02 UTC."""
    instants = np.array(
        ["2020-03-20T03:50", "2020-06-20T21:44", "2020-09-22T13:31", "2020-12-21T10:02"],
        dtype="datetime64[ns]",
    )
    declination, _ = declination_and_equation_of_time(instants)
    np.testing.assert_allclose(np.rad2deg(declination), [0, 23.437, 0, -23.437], atol=0.01)


def test_equation_of_time_at_its_extremes() -> None:
    days = np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]")
    minutes = np.rad2deg(declination_and_equation_of_time(days)[1]) * 4
    assert minutes.max() == pytest.approx(16.4, abs=0.1)
    assert minutes.min() == pytest.approx(-14.2, abs=0.1)
    assert str(days[minutes.argmax()])[5:7] == "11"
    assert str(days[minutes.argmin()])[5:7] == "02"


def test_noon_at_the_equator_at_the_equinox_is_overhead() -> None:
    noon = cos_zenith(0.0, 0.0, 0.0, axis("2020-03-20T12:00", 8, 300), 300)
    assert noon.max() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("latitude", [-33.6, 0.0, 48.7, 60.0])
def test_mean_of_an_equinox_day_is_cosine_of_latitude_over_pi(latitude: float) -> None:
    found = cos_zenith(latitude, 0.0, 0.0, axis("2020-03-20", 48, 1800), 1800).mean()
    assert found == pytest.approx(np.cos(np.deg2rad(latitude)) / np.pi, rel=0.01)


@pytest.mark.parametrize("step", [1800, 3600])
@pytest.mark.parametrize(("latitude", "longitude", "zone"), [(48.7, 7.1, 1.0), (-70.0, 170.0, 12)])
def test_interval_mean_equals_the_mean_of_many_instants(
    step: int, latitude: float, longitude: float, zone: float
) -> None:
    coarse = axis("2021-11-03", 86400 // step, step)
    fine = axis("2021-11-03", 86400 // 10, 10)
    mean = cos_zenith(latitude, longitude, zone, coarse, step)
    reference = cos_zenith(latitude, longitude, zone, fine, 10).reshape(coarse.size, -1).mean(1)
    np.testing.assert_allclose(mean, reference, atol=1e-4)


def test_polar_day_and_night() -> None:
    assert cos_zenith(80.0, 20.0, 1.0, axis("2020-12-21", 48, 1800), 1800).max() == 0.0
    assert cos_zenith(80.0, 20.0, 1.0, axis("2020-06-21", 48, 1800), 1800).min() > 0.0
    assert cos_zenith(-90.0, 0.0, 0.0, axis("2020-12-21", 48, 1800), 1800).min() > 0.39


def test_the_local_clock_moves_the_sun_by_the_zone() -> None:
    utc = cos_zenith(40.0, -105.0, 0.0, axis("2020-05-01", 96, 1800), 1800)
    local = cos_zenith(40.0, -105.0, -7.0, axis("2020-05-01", 96, 1800), 1800)
    np.testing.assert_allclose(local[:82], utc[14:], atol=1e-12)


@pytest.mark.parametrize(
    ("longitude", "zone"), [(7.1, 1.0), (7.1, 0.0), (131.0, 9.5), (-110.0, -7.0), (150.7, 10.0)]
)
def test_zone_is_found_under_broken_clouds(longitude: float, zone: float) -> None:
    time = axis("2019-01-01", 17520, 1800)
    sun = 1000 * cos_zenith(-30.0, longitude, zone, time, 1800)
    clouds = np.random.default_rng(1).uniform(0.3, 1.0, time.size)
    assert detect_utc_offset(-30.0, longitude, time, 1800, sun * clouds) == zone


def test_zone_of_the_meridian_without_any_sun() -> None:
    time = axis("2019-12-15", 480, 1800)
    assert detect_utc_offset(80.0, 20.0, time, 1800, np.zeros(480)) == 1.0
