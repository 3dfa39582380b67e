"""What the column is driven by: light, rain and snow, heights (MATSIRO.md 2.2)."""

from dataclasses import replace

import numpy as np
import pytest

from mdpl.lsm.matsiro.constants import CP_AIR, GRAVITY, LAI_FLOOR, WIND_FLOOR
from mdpl.lsm.matsiro.forcing import (
    LOWEST_COS_ZENITH,
    VISIBLE_DIFFUSE,
    VISIBLE_DIRECT,
    diffuse_fraction,
    prepare,
    snow_share,
)
from mdpl.sites.catalogue import open_sites
from mdpl.sites.solar import cos_zenith

HEIGHT = 30.0


@pytest.fixture(scope="module")
def site():
    return open_sites(None, ["FR-Hes"])[0].first_days(20)


@pytest.fixture(scope="module")
def made(site):
    return prepare(site, HEIGHT)


def test_diffuse_share_falls_from_overcast_to_clear_without_a_step():
    """Erbs et al. (1982): 1 under thick cloud, 0.165 under a clear sky."""
    np.testing.assert_allclose(diffuse_fraction(np.array([0.0, 0.9, 1.5])), [1.0, 0.165, 0.165])
    np.testing.assert_allclose(diffuse_fraction(np.array([0.5])), 0.6592, atol=1e-4)
    for edge in (0.22, 0.80):
        below, above = diffuse_fraction(np.array([edge - 1e-9, edge + 1e-9]))
        assert abs(below - above) < 2e-3
    assert np.all(np.diff(diffuse_fraction(np.linspace(0, 0.75, 50))) < 0)


def test_streams_of_light_are_the_global_radiation(site, made):
    direct = made.direct_visible + made.direct_infrared
    diffuse = made.diffuse_visible + made.diffuse_infrared
    sun = np.maximum(site.forcing["SWdown"].values, 0.0)[:, None]
    np.testing.assert_allclose(direct + diffuse, sun, atol=1e-12)
    bright = sun > 300
    assert bright.any() and (direct[bright] > 0).all()
    np.testing.assert_allclose(made.direct_visible, VISIBLE_DIRECT * direct)
    np.testing.assert_allclose(made.diffuse_visible, VISIBLE_DIFFUSE * diffuse)


def test_there_is_no_direct_light_below_the_horizon(site, made):
    place = (float(site.attributes[k]) for k in ("latitude", "longitude", "utc_offset"))
    zenith = cos_zenith(*place, site.time, site.step_seconds)
    assert not made.direct_visible[zenith < 0.02].any()
    assert made.sec_zenith.max() == pytest.approx(1 / LOWEST_COS_ZENITH)
    high = zenith > 0.2
    np.testing.assert_allclose(made.sec_zenith[high, 0], 1 / zenith[high])


def test_rain_turns_to_snow_within_two_kelvin(site):
    np.testing.assert_allclose(
        snow_share(np.array([270.0, 273.15, 274.15, 275.15, 280.0])), [1, 1, 0.5, 0, 0]
    )
    precipitation = np.full(len(site.time), 1e-4)
    cold = replace(
        site,
        forcing=site.forcing.assign(
            Precip=("time", precipitation), Tair=("time", 274.15 + 0 * precipitation)
        ),
    )
    made = prepare(cold, HEIGHT)
    np.testing.assert_allclose(made.rain, 5e-5)
    np.testing.assert_allclose(made.snowfall, 5e-5)


def test_potential_temperature_is_that_of_the_dry_adiabat(site, made):
    """By the reference height z the air cooled by g z / c_p, to first order."""
    warmer = made.theta[:, 0] - site.forcing["Tair"].values
    np.testing.assert_allclose(warmer, GRAVITY * HEIGHT / CP_AIR, rtol=2e-3)


def test_what_cannot_be_is_floored(site):
    wrong = site.forcing.copy(deep=True)
    for name in ("SWdown", "Precip", "Wind", "LAI"):
        wrong[name][:] = -1.0
    made = prepare(replace(site, forcing=wrong), HEIGHT)
    for stream in ("direct_visible", "direct_infrared", "diffuse_visible", "rain", "snowfall"):
        assert not getattr(made, stream).any()
    assert (made.Wind == WIND_FLOOR).all() and (made.LAI == LAI_FLOOR).all()
