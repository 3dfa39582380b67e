"""The report on other ways of calibrating says what their tables say, where all were given."""

import shutil

import matplotlib
import numpy as np
import pandas as pd
import pytest

from mdpl.errors import DamageError, RunError
from mdpl.report import rivals_figures as rivals
from mdpl.report.contents import read
from mdpl.report.page import build
from mdpl.report.style import STYLE

A, B, C = "DE-Abc", "US-Xyz", "AU-Uvw"
RMSE = {"default": 50.0, "mdpl": 40.0, "cma-es": 30.0, "es-mda": 45.0}
RUNS = {"default": 0, "mdpl": 160, "cma-es": 1500, "es-mda": 321}
OBJECTIVE = {"default": 0.5, "mdpl": 0.3, "cma-es": 0.2, "es-mda": 0.4}
GIVEN = {"default": (A, B, C), "mdpl": (A, B, C), "cma-es": (A, B, C), "es-mda": (A, B)}


@pytest.fixture()
def folder(run_folder, tmp_path):
    """The invented run, and rivals at its towers: the smoother at two of three."""
    place = shutil.copytree(run_folder, tmp_path / "run")
    methods = [
        (code, "ENF", m, flux, RMSE[m] + (10 if code == B else 0), 0.8, RUNS[m], 60.0, OBJECTIVE[m])
        for m, codes in GIVEN.items()
        for code in codes
        for flux in ("Qle", "Qh")
    ]
    columns = ["site", "pft", "method", "flux", "rmse", "r", "lsm_runs", "seconds", "objective"]
    (place / "rivals").mkdir()
    pd.DataFrame(methods, columns=columns).to_csv(place / "rivals/methods.csv", index=False)
    history = {
        "cma-es": [(A, 16, 0.5), (A, 64, 0.2), (B, 16, 0.4), (B, 32, 0.3), (C, 16, 0.1)],
        "es-mda": [(A, 65, 0.45), (A, 321, 0.4), (B, 65, 0.4)],
    }
    for method, rows in history.items():
        (place / f"rivals/{method}").mkdir()
        table = pd.DataFrame(rows, columns=["site", "lsm_runs", "objective"])
        table.to_csv(place / f"rivals/{method}/history.csv", index=False)
    coverage = [
        (A, "Qle", "validation", 0.9, 0.8, 60.0, 100),
        (B, "Qle", "validation", 0.9, 0.9, 80.0, 50),
    ]
    names = ["site", "flux", "period", "level", "coverage", "width", "days"]
    pd.DataFrame(coverage, columns=names).to_csv(place / "rivals/es-mda/coverage.csv", index=False)
    return place


def test_towers_that_all_were_given_are_compared(folder, run_folder):
    found = rivals.read(folder)
    assert found.towers == (A, B)
    assert set(found.history["site"]) == {A, B} == set(found.methods["site"])
    assert rivals.read(run_folder) is None and rivals.tables(read(run_folder)) == []


def test_curves_are_medians_over_towers_once_all_have_an_answer(folder):
    with matplotlib.rc_context(STYLE):
        figure = rivals.plots(read(folder))[0].figure
    top, low = figure.axes
    curves = {line.get_label(): line for line in top.get_lines()}
    # 0.5 and 0.4 of the default's 0.5; then B has 0.3; then A 0.2.
    assert curves["CMA-ES"].get_xdata().tolist() == [16, 32, 64]
    np.testing.assert_allclose(curves["CMA-ES"].get_ydata(), [0.9, 0.8, 0.5])
    assert (curves["MdPL"].get_xdata()[0], curves["MdPL"].get_ydata()[0]) == (160, 0.6)
    shown = [label.get_text() for label in low.get_yticklabels()]
    assert shown == ["MdPL", "CMA-ES", "ES-MDA"]
    dots = [
        line for line in low.get_lines() if len(line.get_xdata()) == 2 and line.get_marker() == "o"
    ]
    np.testing.assert_allclose(sorted(dots[0].get_xdata()), sorted([20.0, 100 * (1 - 50 / 60)]))


def test_a_flux_none_of_the_towers_measures_is_left_out(folder):
    methods = pd.read_csv(folder / "rivals/methods.csv")
    methods[methods["flux"] == "Qle"].to_csv(folder / "rivals/methods.csv", index=False)
    contents = read(folder)
    assert contents.targeted == ["Qle", "Qh"]
    with matplotlib.rc_context(STYLE):
        figure = rivals.plots(contents)[0].figure
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["Qle"]


def test_the_page_has_the_tables(folder):
    methods, coverage = rivals.tables(read(folder))
    rows = {row.cells[0].text: [cell.sort for cell in row.cells[1:]] for row in methods.rows}
    assert list(rows) == ["default", "MdPL", "CMA-ES", "ES-MDA"]
    np.testing.assert_allclose(rows["CMA-ES"], [2, 1500, 1.0, 0.2, 35.0, 35.0])
    np.testing.assert_allclose(
        [cell.sort for cell in coverage.rows[0].cells[2:]], [2, 150, 85.0, 80.0, 90.0, 70.0]
    )
    text = build(folder).read_text(encoding="utf-8")
    assert 'id="rivals"' in text and 'id="table-coverage"' in text


def test_damage_and_absence_are_told(folder):
    history = folder / "rivals/cma-es/history.csv"
    whole = pd.read_csv(history)
    whole[whole["site"] != B].to_csv(history, index=False)
    with pytest.raises(RunError, match=rf"history.csv: nothing of {B}; .*--method cma-es"):
        rivals.read(folder)
    history.write_text("site,lsm_runs,objective\nDE-Abc,sixteen,0.5\n")
    with pytest.raises(DamageError, match=r"history.csv: column lsm_runs: expected numbers"):
        rivals.read(folder)
    history.unlink()
    with pytest.raises(RunError, match=r"history.csv.*missing.*mdpl rivals --method cma-es"):
        rivals.read(folder)
