"""Flags and checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.qc import check_forcing, check_unit, measured, measured_share
from mdpl.sites.site import Site


def test_only_finite_values_with_flag_zero_are_measured(site: Site) -> None:
    fluxes = site.fluxes.copy(deep=True)
    fluxes["Qle"][0], fluxes["Qle_qc"][0] = np.nan, 0.0
    fluxes["Qle_qc"][1] = np.nan
    fluxes["Qle_qc"][2] = 101.0
    fluxes["Qle_qc"][3] = 0.0
    good = measured(replace(site, fluxes=fluxes), "Qle")
    assert good[:4].tolist() == [False, False, False, True]
    assert good.dtype == bool and good.shape == site.time.shape


def test_without_flags_finite_values_count(site: Site) -> None:
    fluxes = site.fluxes.copy(deep=True)
    fluxes["Rnet"][10:20] = np.nan
    changed = replace(site, fluxes=fluxes)
    assert np.flatnonzero(~measured(changed, "Rnet")).tolist() == list(range(10, 20))
    assert measured_share(changed, "Rnet") == 1 - 10 / site.time.size


def test_an_absent_flux_is_refused_with_those_there(site: Site) -> None:
    with pytest.raises(SiteError, match=r"XX-Tst: no observed GPP; this tower has: Qle, Qh, Rnet$"):
        measured(site, "GPP")


def test_a_corrected_flux_has_the_unit_of_the_flux() -> None:
    check_unit("Qle_cor", "W/m2", "f.nc")
    with pytest.raises(SiteError, match=r"f.nc: variable Qle_cor"):
        check_unit("Qle_cor", "W/m", "f.nc")


@pytest.mark.parametrize(("name", "unit"), [("Wind", "m s"), ("SWdown", "W m2"), ("Psurf", "Pa s")])
def test_units_that_only_look_alike_are_refused(name: str, unit: str) -> None:
    with pytest.raises(SiteError, match="expected unit"):
        check_unit(name, unit, "f.nc")


def test_one_impossible_value_among_good_ones_gets_no_unit_advice() -> None:
    time = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "h")
    with pytest.raises(SiteError, match=r"1 of 4 .*2020-01-01 02:00:00 \(20\); mend"):
        check_forcing("Tair", np.array([280.0, 281.0, 20.0, 282.0]), time, "f.nc")


def test_real_weather_in_kelvin_passes_at_both_ends() -> None:
    time = np.datetime64("2020-01-01", "ns") + np.arange(2) * np.timedelta64(1, "h")
    check_forcing("Tair", np.array([205.0, 327.0]), time, "f.nc")
    check_forcing("Psurf", np.array([50000.0, 108000.0]), time, "f.nc")
