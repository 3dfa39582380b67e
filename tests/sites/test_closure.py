"""Closing the energy balance, and the random error of a flux."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from mdpl.errors import SiteError
from mdpl.sites.catalogue import open_sites
from mdpl.sites.closure import bowen_ratio_factor, choose
from mdpl.sites.qc import measured
from mdpl.sites.site import Site, dataset_of
from mdpl.sites.uncertainty import estimate, random_uncertainty
from mdpl.sites.virtual import FluxNoise, observe


@pytest.fixture(scope="module")
def hesse() -> Site:
    return open_sites(None, ["FR-Hes"])[0]


def lossy(site: Site, lost: np.ndarray) -> Site:
    """A balance of which a known part of the turbulent fluxes is lost."""
    sun = site.forcing["SWdown"].values
    rnet, qg = 0.7 * sun - 40, 0.05 * sun - 2
    latent, sensible = 0.6 * (rnet - qg), 0.4 * (rnet - qg)
    series = {"Qle": latent * (1 - lost), "Qh": sensible * (1 - lost), "Rnet": rnet, "Qg": qg}
    return replace(site, fluxes=dataset_of(series, site.time))


def test_bowen_ratio_closure_gives_back_what_was_lost(hesse: Site) -> None:
    day = np.arange(hesse.time.size) / 48
    lost = 0.2 + 0.1 * (day > 180)
    site = lossy(hesse, lost)
    truth = 0.6 * (site.fluxes["Rnet"] - site.fluxes["Qg"]).values
    closed = choose(site, "Qle", "bowen_ratio")
    far = (np.abs(day - 180) > 16) & np.isfinite(closed)
    assert far.mean() > 0.75
    np.testing.assert_allclose(closed[far], truth[far], rtol=1e-6)
    ratio = choose(site, "Qh", "bowen_ratio")[far] / closed[far]
    np.testing.assert_allclose(ratio, 2 / 3)


def test_residual_puts_all_into_latent_heat(hesse: Site) -> None:
    site = lossy(hesse, np.full(hesse.time.size, 0.3))
    latent, sensible = choose(site, "Qle", "residual"), choose(site, "Qh", "residual")
    np.testing.assert_allclose(latent + sensible, site.fluxes["Rnet"] - site.fluxes["Qg"])
    assert np.array_equal(sensible, site.fluxes["Qh"].values)


def test_other_fluxes_and_raw_are_left_alone(hesse: Site) -> None:
    for choice in ("raw", "bowen_ratio", "residual", "corrected"):
        assert np.array_equal(
            choose(hesse, "NEE", choice), hesse.fluxes["NEE"].values, equal_nan=True
        )


@pytest.mark.parametrize("choice", ["corrected", "residual", "bowen_ratio"])
def test_what_a_choice_lacks_is_said(hesse: Site, choice) -> None:
    bare = replace(hesse, fluxes=hesse.fluxes[["Qle", "Qh", "Qle_qc", "Qh_qc"]])
    with pytest.raises(SiteError, match=r"expected|no observed"):
        choose(bare, "Qle", choice)


def test_the_factor_at_a_real_tower_is_that_of_its_closure(hesse: Site) -> None:
    factor = bowen_ratio_factor(hesse)
    assert 1.1 < np.nanmedian(factor) < 2.0
    assert np.isfinite(factor).mean() > 0.5


@pytest.mark.parametrize(("a", "b"), [(10.0, 0.18), (20.0, 0.05)])
def test_random_error_of_a_virtual_tower_is_recovered(hesse: Site, a: float, b: float) -> None:
    """Similar days have similar fluxes, but not the same: the estimate is rather too large."""
    truth = 0.4 * hesse.forcing["SWdown"]
    noise = {"Qle": FluxNoise(a, b)}
    site = observe(hesse, xr.Dataset({"Qle": truth}), noise_seed=1, noise=noise)
    found = estimate(site, "Qle")
    for flux in (0.0, 50.0, 200.0):
        assert found.sd(np.array(flux)) == pytest.approx(a + b * flux, rel=0.25)


def test_stated_uncertainty_comes_first(hesse: Site) -> None:
    estimated, source = random_uncertainty(hesse, "Qh")
    assert source == "differences between similar days"
    seen = measured(hesse, "Qh")
    assert 10 < np.median(estimated[seen]) < 60
    stated = np.where(np.arange(hesse.time.size) % 2, 7.0, np.nan)
    with_file = replace(hesse, fluxes=hesse.fluxes.assign(Qh_uc=("time", stated)))
    mixed, source = random_uncertainty(with_file, "Qh")
    assert source.startswith("file") and (mixed[1::2] == 7.0).all()
    np.testing.assert_array_equal(mixed[::2], estimated[::2])
