"""Towers examined in processes of their own."""

from dataclasses import replace

import pytest

from mdpl.errors import RunError
from mdpl.report import processes
from mdpl.report.site_pages import examine_towers
from mdpl.sites.catalogue import find_towers
from mdpl.sites.checks.examine import examine_tower


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setattr(processes, "_ALLOWED", True)


def test_side_by_side_they_are_found_to_be_as_one_by_one(tmp_path):
    towers = find_towers()
    towers.append(replace(towers[0], code="XX-Bad", paths=(tmp_path / "a.nc", tmp_path / "b.nc")))
    found = list(examine_towers(towers, None))
    assert found == [examine_tower(tower).without_record() for tower in towers]
    assert [e.code for e in found][-1] == "XX-Bad" and found[-1].verdict == "unusable"


@pytest.mark.parametrize("number", [1, 2])
def test_pages_that_cannot_be_written_are_an_error(tmp_path, number):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(RunError, match="taken"):
        list(examine_towers(find_towers()[:number], tmp_path / "taken"))
