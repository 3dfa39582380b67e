"""Virtual towers and their observations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mdpl.errors import SiteError
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.plumber2 import read_pair
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.qc import check_forcing, measured
from mdpl.sites.site import FORCING, Site
from mdpl.sites.virtual import (
    TOWER_NOISE,
    FluxNoise,
    VirtualClimate,
    draw_climates,
    noise_floor,
    observe,
    virtual_forcing,
)

WARM = VirtualClimate("ENF", 20.0, 2.0, 5.0, delta_Tair=4.0, Precip_factor=0.5, CO2air=420.0)


def relative_humidity(site: Site) -> np.ndarray:
    f = site.forcing
    return vapour_pressure(f["Qair"].values, f["Psurf"].values) / saturation_vapour_pressure(
        f["Tair"].values
    )


def simulation(site: Site, scale: float = 1.0) -> xr.Dataset:
    flux = scale * site.forcing["SWdown"].values
    return xr.Dataset(
        {"Qle": ("time", 0.4 * flux), "Qh": ("time", 0.3 * flux - 20)}, coords={"time": site.time}
    )


def test_no_shift_changes_nothing_but_the_canopy(site: Site) -> None:
    same = VirtualClimate("GRA", 0.4, 1.0, 2.0, CO2air=410.0)
    found = virtual_forcing(site, "VT-0", same)
    for name in FORCING:
        np.testing.assert_allclose(found.forcing[name], site.forcing[name], rtol=1e-14)


def test_warming_keeps_relative_humidity_and_raises_longwave(site: Site) -> None:
    warm = virtual_forcing(site, "VT-1", WARM)
    np.testing.assert_allclose(warm.forcing["Tair"], site.forcing["Tair"] + 4.0)
    np.testing.assert_allclose(relative_humidity(warm), relative_humidity(site), rtol=1e-10)
    growth = (warm.forcing["LWdown"] / site.forcing["LWdown"]).values
    assert growth.min() > 1.06 and growth.max() < 1.12


def test_attributes_are_those_of_the_new_climate(site: Site) -> None:
    warm = virtual_forcing(site, "VT-1", WARM)
    assert warm.land_cover == 4 and warm.pft == "ENF"
    rain = float(site.attributes["Precip_annual"])
    assert warm.attributes["Precip_annual"] == pytest.approx(rain / 2)
    assert warm.attributes["LAI_max"] == pytest.approx(5.0)
    assert warm.attributes["LAI_min"] == pytest.approx(2.0)
    assert float(warm.attributes["reference_height"]) > 20.0
    assert warm.forcing["CO2air"].values.mean() == pytest.approx(420.0)


def test_no_flux_is_observed_before_it_is_simulated(site: Site) -> None:
    warm = virtual_forcing(site, "VT-1", WARM)
    assert not measured(warm, "Qle").any() and not measured(warm, "Qh").any()
    with pytest.raises(SiteError, match="call observe first"):
        noise_floor(warm, simulation(warm))


def test_a_slice_keeps_the_days_and_the_seasonal_course(site: Site) -> None:
    part = virtual_forcing(site, "VT-2", WARM, first_day=3, days=4)
    assert part.time[0] == site.time[0] + np.timedelta64(3, "D")
    assert part.time.size == 4 * 48
    whole = virtual_forcing(site, "VT-2", WARM)
    assert np.array_equal(part.forcing["LAI"], whole.forcing["LAI"][3 * 48 : 7 * 48])


@pytest.mark.parametrize(("first_day", "days"), [(-1, 2), (0, 13), (12, None), (11, 2), (0, 0)])
def test_days_outside_the_record_are_refused(site: Site, first_day: int, days: int | None) -> None:
    with pytest.raises(SiteError, match="record of 12 days"):
        virtual_forcing(site, "VT-2", WARM, first_day, days)


def test_a_code_that_breaks_file_names_is_refused(site: Site) -> None:
    with pytest.raises(SiteError, match="without underscore"):
        virtual_forcing(site, "VT_1", WARM)


def test_drawn_climates_repeat_and_spread_over_classes() -> None:
    drawn = draw_climates(20, seed=3)
    assert drawn == draw_climates(20, seed=3) != draw_climates(20, seed=4)
    counts = Counter(climate.igbp for climate in drawn)
    assert len(counts) == 8 and max(counts.values()) - min(counts.values()) <= 1
    shifts = np.array([climate.delta_Tair for climate in drawn])
    assert shifts.min() < -5 and shifts.max() > 5


def test_unknown_classes_are_refused() -> None:
    with pytest.raises(SiteError, match="found URB"):
        draw_climates(3, seed=0, classes=("ENF", "URB"))


def test_every_drawn_climate_passes_the_readers_checks(site: Site) -> None:
    for k, climate in enumerate(draw_climates(24, seed=0)):
        found = virtual_forcing(site, f"VT-{k}", climate)
        for name in FORCING:
            check_forcing(name, found.forcing[name].values, found.time, found.code)


def test_an_observed_virtual_tower_survives_the_disk(tmp_path: Path, site: Site) -> None:
    seen = virtual_forcing(site, "VT-1", WARM)
    seen = observe(seen, simulation(seen), noise_seed=1)
    again = read_pair(*write_pair(seen, tmp_path))
    xr.testing.assert_identical(
        again.forcing.drop_attrs(deep=True), seen.forcing.drop_attrs(deep=True)
    )
    for name in seen.fluxes:
        assert np.array_equal(again.fluxes[name], seen.fluxes[name], equal_nan=True), name


def test_noise_has_the_stated_size_and_no_bias(make_site: Callable[..., Site]) -> None:
    site = make_site(days=365)
    truth = simulation(site)
    seen = observe(site, truth, noise_seed=0, missing_share=0.0)
    for name, noise in TOWER_NOISE.items():
        scaled = (seen.fluxes[name] - truth[name]).values / noise.sd(truth[name].values)
        assert scaled.std() == pytest.approx(1.0, abs=0.03)
        assert scaled.mean() == pytest.approx(0.0, abs=0.03)
        assert np.abs(scaled).mean() == pytest.approx(1 / np.sqrt(2), abs=0.02)


def test_gaps_are_exact_in_share_come_in_blocks_and_hit_both_fluxes(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(days=200)
    seen = observe(site, simulation(site), noise_seed=0, missing_share=0.3)
    gap = ~measured(seen, "Qle")
    assert gap.sum() == round(0.3 * gap.size)
    assert np.array_equal(gap, ~measured(seen, "Qh"))
    runs = np.count_nonzero(np.diff(gap.astype(int)) == 1)
    assert gap.sum() / runs > 12


def test_noise_floor_is_the_rmse_of_the_truth(site: Site) -> None:
    truth = simulation(site)
    quiet = observe(
        site, truth, noise_seed=0, noise={"Qle": FluxNoise(0, 0), "Qh": FluxNoise(5, 0)}
    )
    floor = noise_floor(quiet, truth)
    assert floor["Qle"] == 0.0
    assert floor["Qh"] == pytest.approx(5.0, rel=0.2)


def test_the_same_seed_observes_the_same(site: Site) -> None:
    first, second, other = (observe(site, simulation(site), noise_seed=s) for s in (1, 1, 2))
    xr.testing.assert_identical(first.fluxes, second.fluxes)
    assert not first.fluxes.equals(other.fluxes)


def test_a_simulation_that_does_not_fit_is_refused(site: Site) -> None:
    truth = simulation(site)
    with pytest.raises(SiteError, match="expected Qh"):
        observe(site, truth.drop_vars("Qh"), noise_seed=0)
    with pytest.raises(SiteError, match="576 time steps"):
        observe(site, truth.isel(time=slice(5)), noise_seed=0)
    with pytest.raises(SiteError, match="not finite"):
        observe(site, truth.where(truth.Qle > 0), noise_seed=0)
    with pytest.raises(SiteError, match="missing_share"):
        observe(site, truth, noise_seed=0, missing_share=1.0)
