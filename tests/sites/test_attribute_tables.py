"""Attributes from tables in two forms, and what towers get that are not in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.attribute_tables import read_attributes, with_attributes
from mdpl.sites.attributes import GENERATOR_ATTRIBUTES, numeric
from mdpl.sites.site import Site

SHARED = Path(__file__).resolve().parents[3] / "shared" / "attributes"

LONG = (
    "\ufeffsite,variable,value,source\nXX-One,sand,60,a paper\nXX-One,clay,10,\nXX-One,pft4,75,\n"
    "XX-One,tex_depth,2-50cm,\nXX-Two,sand,20,\nXX-Two,clay,30,\nXX-Two,canopy height,0.7,\n"
)
WIDE = "\ufeffsite,soc,bd,source\nXX-One,,1.6,paper\nXX-One,,0-30cm,\nXX-Two,2.3,1.3,\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    (tmp_path / "info.csv").write_text(LONG)
    (tmp_path / "soil.csv").write_text(WIDE)
    return tmp_path


def test_both_forms_are_read_and_texts_passed_over(tables: Path) -> None:
    assert read_attributes(tables) == {
        "XX-One": {"sand": 60, "clay": 10, "pft_4": 75, "bulk_density": 1.6},
        "XX-Two": {
            "sand": 20,
            "clay": 30,
            "canopy_height": 0.7,
            "soil_carbon": 2.3,
            "bulk_density": 1.3,
        },
    }


def test_what_is_missing_is_imputed_and_said(tables: Path, make_site: Callable[..., Site]) -> None:
    sites = [make_site(code=f"XX-{name}") for name in ("One", "Two", "Not")]
    sites[1] = replace(sites[1], attributes={**sites[1].attributes, "igbp": "ENF"})
    one, two, other = with_attributes(sites, read_attributes(tables))
    assert one.attributes["sand"] == 60 and two.attributes["clay"] == 30
    assert one.attributes["imputed"] == "soil_carbon"
    assert other.attributes["sand"] == 60, "the median of its class, which is XX-One"
    assert other.attributes["soil_carbon"] == 2.3, "of all, as its class has none"
    assert "sand" in str(other.attributes["imputed"])
    assert other.attributes["canopy_height"] == 0.4, "heights are not imputed"
    assert [set(numeric(s)) for s in (one, two, other)] == [
        {*GENERATOR_ATTRIBUTES, "sand", "clay", "pft_4", "bulk_density", "soil_carbon"}
    ] * 3


def test_heights_of_the_files_come_first(tables: Path, make_site: Callable[..., Site]) -> None:
    site = make_site(code="XX-Two")
    told = {**site.attributes, "canopy_height_source": "typical of the IGBP class"}
    kept, taken = with_attributes([site, replace(site, attributes=told)], read_attributes(tables))
    assert kept.attributes["canopy_height"] == 0.4
    assert taken.attributes["canopy_height"] == 0.7
    assert taken.attributes["canopy_height_source"] == "table"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("site,sand\nXX-One,160\n", "XX-One: sand: expected 0 to 100, found 160"),
        ("place,sand\nXX-One,60\n", "expected columns site and some of"),
        ("", "cannot be read as a table"),
    ],
)
def test_tables_that_say_nothing_are_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(SiteError, match=words):
        read_attributes(tmp_path / "a.csv")


@pytest.mark.real
@pytest.mark.skipif(not SHARED.is_dir(), reason="attribute tables are not here")
def test_the_tables_of_ninety_towers() -> None:
    found = read_attributes(SHARED / "soil_lai_90_sites")
    with_sand = {c: t for c, t in found.items() if "sand" in t}
    assert len(with_sand) > 60
    for code, table in with_sand.items():
        assert table["sand"] + table["silt"] + table["clay"] == pytest.approx(100, abs=5), code
    totals = [sum(v for n, v in t.items() if n.startswith("pft_")) for t in with_sand.values()]
    assert np.median(totals) == pytest.approx(100, abs=0.1)
    assert found["AT-Neu"]["sand"] == 58 and found["AT-Neu"]["pft_13"] == 100
    assert len(read_attributes(SHARED / "plumber2_170_sites.csv")) == 170
