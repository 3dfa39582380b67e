"""Opening towers by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.catalogue import EMBEDDED, open_sites
from mdpl.sites.qc import measured_share
from mdpl.sites.site import Site


@pytest.fixture(scope="module")
def embedded() -> dict[str, Site]:
    return {site.code: site for site in open_sites()}


def test_two_towers_come_with_the_package(embedded: dict[str, Site]) -> None:
    assert {code: site.pft for code, site in embedded.items()} == {"FR-Hes": "DBF", "US-Tw3": "CRO"}
    for site in embedded.values():
        assert site.attributes["years"] == pytest.approx(1.0, abs=0.003)
        assert site.step_seconds == 1800


def test_embedded_time_zones_agree_with_the_sun(embedded: dict[str, Site]) -> None:
    from mdpl.sites.solar import detect_utc_offset

    for site in embedded.values():
        place = (float(site.attributes["latitude"]), float(site.attributes["longitude"]))
        shortwave = site.forcing["SWdown"].values
        found = detect_utc_offset(*place, site.time, site.step_seconds, shortwave)
        assert found == site.attributes["utc_offset"]


def test_embedded_fluxes_are_measured_or_missing(embedded: dict[str, Site]) -> None:
    for site in embedded.values():
        for flux in ("Qle", "Qh"):
            share = float(np.isfinite(site.fluxes[flux]).mean())
            assert measured_share(site, flux) == share
            assert 0.3 < share < 0.99


def test_embedded_files_are_small_and_licensed() -> None:
    sizes = [path.stat().st_size for path in EMBEDDED.glob("*.nc")]
    assert len(sizes) == 4 and sum(sizes) < 2e6
    notice = (EMBEDDED / "NOTICE.md").read_text()
    for text in ("hesseflux", "MIT License", "BSD 3-Clause License", "10.17190/AMF/1246149"):
        assert text in notice


def test_towers_come_in_the_order_asked_for() -> None:
    assert [site.code for site in open_sites(None, ["US-Tw3", "FR-Hes"])] == ["US-Tw3", "FR-Hes"]


def test_an_unknown_code_is_refused_with_those_available(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"no tower 'XX-Not' in .*; available: FR-Hes, US-Tw3"):
        open_sites(None, ["FR-Hes", "XX-Not"])


@pytest.mark.parametrize("codes", [[], ["FR-Hes", "FR-Hes"]])
def test_no_code_and_a_code_twice_are_refused(codes: list[str]) -> None:
    with pytest.raises(SiteError, match="asked for"):
        open_sites(None, codes)
