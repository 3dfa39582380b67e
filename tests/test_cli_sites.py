"""``mdpl sites``: what a user sees, and the files left behind."""

import json

import netCDF4
import numpy as np
import pandas as pd
import pytest

from command import mdpl
from mdpl.sites.catalogue import EMBEDDED


@pytest.fixture
def folder(tmp_path):
    """FR-Hes as it is, US-Tw3 in degrees Celsius, and a tower cut short."""
    folder = tmp_path / "towers"
    folder.mkdir()
    for path in EMBEDDED.glob("*.nc"):
        (folder / path.name).write_bytes(path.read_bytes())
        if path.name.startswith("FR-Hes"):
            short = path.name.replace("FR-Hes", "XX-Cut")
            (folder / short).write_bytes(path.read_bytes()[:5000])
    with netCDF4.Dataset(next(folder.glob("US-Tw3*_Met.nc")), "a") as nc:
        nc["Tair"][:] = nc["Tair"][:] - 273.15
    return folder


def test_check_writes_tables_and_a_page_a_tower(folder, tmp_path):
    out = tmp_path / "checked"
    answer = mdpl("sites", "check", "--sites", folder, "--out", out)
    assert answer.returncode == 0, answer.stderr
    assert "degrees Celsius: add 273.15" in answer.stdout
    towers = pd.read_csv(out / "towers.csv", index_col="site")
    assert towers["verdict"].to_dict() == {
        "FR-Hes": "good",
        "US-Tw3": "unusable",
        "XX-Cut": "unusable",
    }
    assert towers.loc["FR-Hes", "Qle_measured"] == pytest.approx(0.59, abs=0.01)
    tree = json.loads((out / "sites.json").read_text())
    assert tree["US-Tw3"]["reasons"].startswith("range (Tair)")
    assert {f["check"] for f in tree["FR-Hes"]["findings"]} <= {"synthesised"}
    assert tree["XX-Cut"]["findings"][0]["check"] == "reading"
    shares = pd.read_csv(out / "completeness.csv")
    chosen = shares.query("site == 'FR-Hes' and variable == 'Qle'").set_index("season")
    assert set(chosen.index) == {"all", "DJF", "MAM", "JJA", "SON"}
    assert np.average(chosen["measured"].iloc[1:]) == pytest.approx(
        chosen.loc["all", "measured"], abs=0.01
    )
    assert set(pd.read_csv(out / "findings.csv")["site"]) == set(towers.index)
    for code in towers.index:
        assert (out / f"{code}.png").stat().st_size > 10_000
        assert (out / f"{code}.svg").read_text().startswith("<?xml")


def test_check_of_one_tower_without_pages(tmp_path):
    answer = mdpl("sites", "check", "--site", "FR-Hes", "--no-figures", "--out", tmp_path / "c")
    assert answer.returncode == 0, answer.stderr
    assert not list((tmp_path / "c").glob("*.png"))


def test_mistakes_end_in_one_message(tmp_path):
    for arguments in (
        ("check", "--sites", tmp_path / "not", "--out", tmp_path / "c"),
        ("check", "--site", "XX-Not", "--out", tmp_path / "c"),
        ("fetch", "DK-Fou", "--server", "http://127.0.0.1:9", "--out", tmp_path / "p"),
    ):
        answer = mdpl("sites", *arguments)
        assert answer.returncode == 1 and answer.stderr.count("error:") == 1
        assert "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_any_tower_is_read(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from mdpl.cli_sites import app
    from mdpl.errors import RunError
    from mdpl.report import site_pages

    monkeypatch.setattr(site_pages, "examine_towers", lambda *given: pytest.fail("read a tower"))
    (tmp_path / "file").write_text("")
    answer = CliRunner().invoke(app, ["check", "--out", str(tmp_path / "file" / "out")])
    assert isinstance(answer.exception, RunError) and "in the way" in str(answer.exception)


def test_an_interrupted_check_says_what_is_left(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from mdpl.cli_sites import app
    from mdpl.report import site_pages

    def cut(towers, pages):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(site_pages, "examine_towers", cut)
    answer = CliRunner().invoke(app, ["check", "--out", str(tmp_path / "out")])
    assert answer.exit_code == 130
    assert "interrupted" in answer.output and "tables" in answer.output
    assert not list(tmp_path.rglob("*.csv"))
