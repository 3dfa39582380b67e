"""Sections of the experiments that learn: shown where made, their numbers those of the tables."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from mdpl.errors import DamageError, RunError
from mdpl.report import benchmark_figures, repeat_figures
from mdpl.report import experiment_figures as experiments
from mdpl.report.contents import read
from mdpl.report.style import STYLE


@pytest.fixture
def place(tmp_path):
    def make(name, **tables):
        for file, table in tables.items():
            path = tmp_path / f"experiments/{name}/{file}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            table.to_csv(path, index=False)
        return tmp_path

    return make


def front():
    points = [
        (0.0, 0.02, -0.1, 0.2, True),
        (1.0, 0.02, 0.15, 0.12, True),
        (0.0, 0.5, -0.2, 0.1, False),
    ]
    rows = [
        {
            "model": f"gpp-{weight:g}-prior-{prior:g}", "weight": weight, "prior": prior,
            "flux": flux, "towers": 2 if flux == "GPP" else 3, "gain": gain + shift, "worse": 0,
            "loss": 0.01, "best": best,
        }
        for weight, prior, gpp, heat, best in points
        for flux, gain, shift in (("Qle", heat, 0.01), ("Qh", heat, -0.01), ("GPP", gpp, 0.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


def verdicts():
    return pd.DataFrame(
        [
            ("DE-Abc", "ENF", "class", 1, 0.4, "", True, 0.2, 0.15, True, True),
            ("DE-Abc", "ENF", "across", 2, 0.9, "aridity, LAI_max", False, 0.2, -0.05, False, True),
            ("US-Xyz", "GRA", "across", 2, 1.6, "land cover", False, 0.1, 0.08, True, False),
        ],
        columns=[
            "site", "pft", "scope", "towers", "distance", "outside", "trusted", "own",
            "transferred", "good", "right",
        ],
    )  # fmt: skip


def test_nothing_is_shown_that_was_not_made(run_folder):
    assert experiments.read(run_folder) == {}


@pytest.mark.parametrize(
    ("module", "name", "files"),
    [
        (experiments, "transfer", ("transfer", "shares", "by_pft", "verdicts")),
        (repeat_figures, "fidelity", ("fidelity", "sets")),
        (benchmark_figures, "benchmark", ("scores", "mean_ranks", "paired")),
    ],
)
def test_text_for_a_number_and_a_table_that_is_gone_are_told(place, module, name, files):
    sound = pd.DataFrame({"share": [0.5, 1.0]})
    for damaged in files:
        tables = {**dict.fromkeys(files, sound), damaged: sound.astype(str) + "x"}
        with pytest.raises(DamageError, match=rf"{damaged}.csv: column share: expected numbers"):
            module.read(place(name, **tables))
    for gone in (files[0], files[-1]):
        folder = place(name, **dict.fromkeys(files, sound))
        (folder / f"experiments/{name}/{gone}.csv").unlink()
        with pytest.raises(RunError, match=rf"{gone}.csv.*missing.*mdpl experiment {name}"):
            module.read(folder)


def test_the_trade_off_shows_every_point_and_joins_the_best(run_folder, place):
    gains = pd.DataFrame(
        [("DE-Abc", "ENF", "mdpl", "GPP", "native", "validation", -0.3, 0.01),
         ("US-Xyz", "GRA", "mdpl", "GPP", "native", "validation", 0.1, 0.02),
         ("US-Xyz", "GRA", "gpp-1-prior-0.02", "GPP", "native", "validation", 0.9, 0.02)],
        columns=["site", "pft", "model", "flux", "resolution", "period", "dRMSE", "dR"],
    )  # fmt: skip
    found = experiments.read(place("untargeted", gains=gains, front=front()))["untargeted"]
    with matplotlib.rc_context(STYLE):
        plot = experiments.trade_off(read(run_folder), found)
    lines = plot.figure.axes[0].lines
    hollow = [line for line in lines if line.get_marker() == "o" and line.get_mfc() == "white"]
    assert [float(x) for line in hollow for x in line.get_xdata()] == [-20.0, -20.0]
    joined = [line for line in lines if line.get_alpha() == 0.5]
    np.testing.assert_allclose(joined[0].get_ydata(), [21.0, 13.0])
    assert "GPP at 2 towers" in plot.caption and "the prior 0.02" in plot.caption
    table = experiments.untargeted(found)
    middle = next(row for row in table.rows if row.cells[0].text == "median")
    assert middle.cells[3].sort == pytest.approx(-0.1) and len(table.rows) == 3
    assert [row.cells[7].text for row in experiments.front(found).rows][::3] == ["yes", "yes", ""]


def test_a_warning_and_what_came_of_it_stand_side_by_side(run_folder, place):
    shares = pd.DataFrame(
        [("across", "all", "Qle", 2, 1, 0.15, 0.015, 0.275)],
        columns=["scope", "pft", "flux", "towers", "worse", "own", "transferred", "kept"],
    )
    ways = pd.DataFrame(
        [("across", "DE-Abc", "common", 0.5, 0.8, 0.9, True),
         ("across", "US-Xyz", "common", 0.5, 0.9, 0.8, True),
         ("across", "DE-Abc", "attributes", 1.0, 0.7, 1.9, False),
         ("across", "US-Xyz", "attributes", 1.0, 1.9, 0.7, False)],
        columns=["scope", "site", "kind", "share", "promised", "elsewhere", "chosen"],
    )  # fmt: skip
    path = place("transfer", transfer=shares, shares=ways, by_pft=shares, verdicts=verdicts())
    found = experiments.read(path)["transfer"]
    table = experiments.transfer_verdicts(found)
    words = [(row.cells[4].text, row.cells[7].text, row.cells[8].text) for row in table.rows]
    assert words == [
        ("", "good", "right"),
        ("aridity, LAI_max", "not good", "right"),
        ("land cover", "good", "wrong"),
    ]
    taken = [[c.text for c in row.cells[1:]] for row in experiments.transfer_shares(found).rows]
    assert taken == [["common", "0.50", "0.850", "2", "2"], ["attributes", "1.0", "1.30", "0", "2"]]
    assert "Share kept" in experiments.transfer_pfts(found).heads
    contents = read(run_folder)
    with matplotlib.rc_context(STYLE):
        bars = experiments.transfer(contents, found).figure.axes[0]
        lost = experiments.foreseen(contents, found).figure.axes[0]
    assert sorted(patch.get_width() for patch in bars.patches) == pytest.approx([10.0, 20.0])
    points = [
        float(y) for line in lost.lines if line.get_marker() in "Do" for y in line.get_ydata()
    ]
    assert sorted(points) == pytest.approx([-25.0, -5.0, -2.0])


def test_intervals_are_those_of_the_table(run_folder, place):
    paired = pd.DataFrame(
        [("multi-task", f"dpl-{t}", "Qle", "all", r, 30.0, 30 - d, d, d - 1, d + 1, 3)
         for t, d in (("Qle", 0.5), ("Qh", -4.0)) for r in ("native", "daily")],
        columns=["model", "reference", "flux", "site", "resolution", "value", "reference_value",
                 "difference", "low", "high", "towers"],
    )  # fmt: skip
    path = place("single-task", scores=paired, gains=paired, paired=paired)
    found = experiments.read(path)["single-task"]
    contents = read(run_folder)
    with matplotlib.rc_context(STYLE):
        axes = experiments.single_task(contents, found, "Qle").figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    points = dict(zip(names, axes.collections[-1].get_offsets()[:, 0], strict=True))
    assert points["daily dPL(Qh)"] == -4.0 and points["native dPL(Qle)"] == 0.5
    assert experiments.single_task(contents, found, "GPP") is None
    (path / "experiments/single-task/scores.csv").unlink()
    with pytest.raises(RunError, match="mdpl experiment single-task' again"):
        experiments.read(path)
