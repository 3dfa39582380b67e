"""Checks find the faults planted into a real record, and nothing in the record itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.catalogue import open_sites
from mdpl.sites.checks.energy import closure
from mdpl.sites.checks.examine import examine, examine_tower
from mdpl.sites.checks.finding import Finding, verdict
from mdpl.sites.checks.water import water_year
from mdpl.sites.clock import clock_course, legal_offset
from mdpl.sites.filling import fill
from mdpl.sites.record import Record, from_site, on_axis, regular_axis

from .faults import FAULTS, can_have, shifted


@pytest.fixture(scope="module")
def hesse() -> Record:
    """The embedded tower with gaps of Qle filled and flagged, corrected fluxes and VPD."""
    record = from_site(open_sites(None, ["FR-Hes"])[0])
    latent, flag = fill(record.series["Qle"], record.steps_per_day, interpolate=True)
    t, q, p = (record.series[n] for n in ("Tair", "Qair", "Psurf"))
    more = {
        "Qle": latent,
        "Qle_cor": 1.3 * latent,
        "Qh_cor": 1.3 * record.series["Qh"],
        "VPD": np.maximum(saturation_vapour_pressure(t) - vapour_pressure(q, p), 0.0),
    }
    return replace(record, series={**record.series, **more}, flags={**record.flags, "Qle": flag})


@pytest.fixture(scope="module")
def clean(hesse: Record) -> list[Finding]:
    return list(examine(hesse).findings)


def test_at_least_twenty_five_faults_are_planted(hesse: Record) -> None:
    assert sum(can_have(hesse, fault) for fault in FAULTS.values()) >= 25


def test_nothing_but_remarks_on_the_clean_record(clean: list[Finding]) -> None:
    assert [f for f in clean if f.severity != "remark"] == []
    assert verdict(clean) == "good"


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(name: str, hesse: Record, clean: list[Finding]) -> None:
    fault = FAULTS[name]
    assert can_have(hesse, fault)
    before = {(f.check, f.variable, f.severity) for f in clean}
    found = [f for f in examine(fault.plant(hesse)).findings if f.check == fault.check]
    new = [f for f in found if (f.check, f.variable, f.severity) not in before]
    assert new, f"{name}: expected a finding {fault.check!r}"
    assert verdict(new) != "good"


@pytest.mark.parametrize("minutes", [-90, -60, -30, 30, 60, 90, 300])
def test_the_clock_is_found_to_a_few_minutes(hesse: Record, minutes: int) -> None:
    before = clock_course(hesse).typical
    after = clock_course(shifted(minutes)(hesse)).typical
    assert 60 * (after - before) == pytest.approx(minutes, abs=6)


@pytest.mark.parametrize(
    ("latitude", "longitude", "offset"),
    [
        (48.67, 7.07, 1),
        (43.74, 3.6, 1),
        (-12.49, 131.15, 9.5),
        (31.82, -110.87, -7),
        (39.32, -86.41, -5),
        (44.59, 123.51, 8),
        (27.7, 85.3, 5.75),
    ],
)
def test_standard_time_is_that_of_the_law(latitude: float, longitude: float, offset: float) -> None:
    """Hesse, Puechabon, Howard Springs, Santa Rita, Morgan Monroe, Changling, Kathmandu."""
    assert legal_offset(latitude, longitude) == offset


def test_closure_of_a_balance_that_closes_by_construction(hesse: Record) -> None:
    series = {**hesse.series, "Rnet": 100 + (hesse.series["Qle"] + hesse.series["Qh"]) / 0.8}
    series["Qg"] = np.full(hesse.time.size, 100.0)
    found = closure(replace(hesse, series=series))
    assert found["all"].slope == pytest.approx(0.8)
    assert found["all"].ratio == pytest.approx(0.8)
    assert found["all"].r2 == pytest.approx(1.0)
    assert set(found) == {"all", "DJF", "MAM", "JJA", "SON"}


def test_water_year_of_constant_fluxes(hesse: Record) -> None:
    n = hesse.time.size
    latent = np.full(n, 24.5)
    latent[::5] = np.nan
    series = {**hesse.series, "Qle": latent, "Precip": np.full(n, 2e-5)}
    year = water_year(replace(hesse, series=series))
    assert year is not None and year.months == 12
    assert year.ratio == pytest.approx(0.5)
    assert year.precipitation == pytest.approx(2e-5 * 365.2425 * 86400)


def test_stamps_in_any_order_come_onto_a_regular_axis() -> None:
    start = np.datetime64("2020-02-28T22:00", "ns")
    ticks = np.array([0, 1, 2, 3, 6, 7, 7, 5])
    stamps = start + ticks * np.timedelta64(30, "m")
    time, step = regular_axis(stamps, "here")
    assert step == 1800 and time.size == 8
    placed = on_axis(stamps, np.arange(8.0), time)
    np.testing.assert_array_equal(placed, [0, 1, 2, 3, np.nan, 7, 4, 5])


@pytest.mark.parametrize(
    ("minutes", "words"), [([0, 10, 20, 30], "600 s"), ([0, 30, 60, 75, 90, 120], "off the axis")]
)
def test_other_steps_are_refused(minutes: list[int], words: str) -> None:
    stamps = np.datetime64("2020-01-01", "ns") + np.array(minutes) * np.timedelta64(1, "m")
    with pytest.raises(SiteError, match=words):
        regular_axis(stamps, "here")


def test_a_leap_day_dropped_without_a_gap_is_found(hesse: Record) -> None:
    """The record then ends a day early."""
    n = hesse.steps_per_day
    short = replace(
        hesse,
        stamps=hesse.stamps[:-n],
        time=hesse.time[:-n],
        series={k: np.delete(v, slice(59 * n, 60 * n)) for k, v in hesse.series.items()},
        flags={k: np.delete(v, slice(59 * n, 60 * n)) for k, v in hesse.flags.items()},
    )
    assert "calendar" in {f.check for f in examine(short).findings}


def test_files_nobody_can_read_are_a_finding(tmp_path) -> None:
    from mdpl.sites.catalogue import Tower

    (tmp_path / "XX-Bad_Met.nc").write_bytes(b"no NetCDF")
    tower = Tower("XX-Bad", "PLUMBER2", (tmp_path / "XX-Bad_Met.nc", tmp_path / "XX-Bad_Flux.nc"))
    found = examine_tower(tower)
    assert found.verdict == "unusable" and found.grounds == ["reading"]
    assert "cannot be read" in found.findings[0].text
