"""The section beside other models: shown when it was made, its numbers those of its tables."""

import shutil

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import RunError
from mdpl.evaluation.paired import compare, day_errors
from mdpl.evaluation.ranks import mean_ranks, ranks
from mdpl.report import benchmark_figures as beside
from mdpl.report import page
from mdpl.report.contents import read
from mdpl.report.style import STYLE


def errors(folder, site, reference):
    """mdpl paired with the default run, or with it half as wrong again."""
    observed = xr.load_dataset(folder / f"observations/{site}.nc")
    ours, other = (
        xr.load_dataset(folder / f"simulations/{m}/{site}.nc")["Qle"].values
        for m in ("mdpl", "default")
    )
    counts = observed["Qle_measured"].values == 1
    o = observed["Qle"].values
    other = other if reference == "default" else o + 1.5 * (other - o)
    return day_errors(observed["time"].values, o, ours, other, counts)


@pytest.fixture(scope="module")
def folder(run_folder, tmp_path_factory):
    """The run with an experiment: a regression a little worse than the default, and a table."""
    path = tmp_path_factory.mktemp("beside") / "run"
    shutil.copytree(run_folder, path)
    own = pd.read_csv(path / "scores.csv")
    other = own[own["model"] == "default"].assign(model="1lin")
    other.loc[other["metric"].isin(["rmse", "nme"]), "value"] *= 1.5
    scores = pd.concat([own, other]).assign(same_record=True, record="ours")
    theirs = own.query(
        "model == 'default' and site == 'DE-Abc' and resolution == 'native' and period == 'all'"
        "and metric in ('rmse', 'nme', 'bias')"
    ).assign(model="JUDGE", same_record=False, record="other record: indicative")
    days = own.query("resolution == 'daily' and site == 'DE-Abc'").assign(
        resolution="full_day", same_record=True, record="ours"
    )
    place = path / "experiments/benchmark"
    place.mkdir(parents=True)
    pd.concat([scores, theirs, days]).to_csv(place / "scores.csv", index=False)
    ranked = ranks(scores[scores["period"] == "validation"])
    mean_ranks(ranked).assign(comparison="validation").to_csv(place / "mean_ranks.csv", index=False)
    rows = []
    for reference in ("default", "1lin"):
        d = compare({s: errors(path, s, reference) for s in own["site"].unique()})
        rows.append(
            {
                "model": "mdpl", "reference": reference, "flux": "Qle", "statistic": "rmse",
                "site": "all", "difference": d.difference, "low": d.low, "high": d.high,
                "towers": d.towers, "block_days": 10,
            }
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(place / "paired.csv", index=False)
    return path


def test_bars_are_medians_over_towers(folder):
    contents, others = read(folder), beside.read(folder)
    with matplotlib.rc_context(STYLE):
        plot = beside.medians(contents, others, "Qle")
    axes = plot.figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    bars = dict(zip(names, (patch.get_width() for patch in axes.patches), strict=True))
    native = others.scores.query(
        "resolution == 'native' and period == 'validation' and metric == 'nme' and flux == 'Qle'"
    )
    for model, name in (("default", "default"), ("mdpl", "learnt (mdpl)"), ("1lin", "1lin")):
        expected = native[native["model"] == model]["value"].median()
        assert bars[name] == pytest.approx(expected)
    assert list(bars.values()) == sorted(bars.values(), reverse=True)
    assert f"n = {native['site'].nunique()} towers" in plot.caption


def test_ranks_and_differences_are_those_of_the_tables(folder):
    contents, others = read(folder), beside.read(folder)
    with matplotlib.rc_context(STYLE):
        ranked = beside.ranks(contents, others, "Qle").figure.axes[0]
        paired = beside.paired(contents, others, "Qle")
    ends = [patch.get_x() + patch.get_width() for patch in ranked.patches]
    table = others.mean_ranks.query("flux == 'Qle' and resolution == 'native' and set == 'all'")
    assert sorted(ends) == pytest.approx(sorted(table["rank"]))
    points = paired.figure.axes[0].collections[-1].get_offsets()
    assert sorted(points[:, 0]) == pytest.approx(sorted(others.paired["difference"]))
    assert "blocks of 10 measured days" in paired.caption
    assert beside.paired(contents, others, "GPP") is None


def test_tables_say_where_the_record_is_another(folder):
    contents, others = read(folder), beside.read(folder)
    table = beside.record_table(contents, others)
    models = [row.cells[2].text for row in table.rows]
    assert models[:3] == ["default", "learnt (mdpl)", "JUDGE"]
    assert [row.cells[-1].text for row in table.rows][2] == "other record: indicative"
    daily = beside.daily_table(contents, others)
    assert {row.cells[0].text for row in daily.rows} == {"DE-Abc"}
    medians = beside.median_table(contents, others)
    assert {row.cells[1].text for row in medians.rows} == {"default", "learnt (mdpl)", "1lin"}
    csv = others.scores.query(
        "flux == 'Qle' and model == '1lin' and metric == 'rmse' and resolution == 'native' "
        "and period == 'validation'"
    )
    row = next(r for r in medians.rows if (r.cells[0].text, r.cells[1].text) == ("Qle", "1lin"))
    assert row.cells[3].sort == pytest.approx(np.median(csv["value"]))


def test_the_page_shows_the_section_only_where_it_was_made(folder, run_folder):
    assert beside.read(run_folder) is None
    shutil.rmtree(folder / "observations")  # no series: they take their time
    text = page.build(folder).read_text()
    assert 'id="beside"' in text and "JUDGE" in text and 'href="#beside"' in text
    assert "figure-beside_median_Qle" in text and "figure-beside_paired_Qle" in text
    assert (folder / "figures/beside_rank_Qh.svg").is_file()


def test_a_damaged_table_is_refused(folder, tmp_path):
    place = tmp_path / "experiments/benchmark"
    place.mkdir(parents=True)
    (place / "scores.csv").write_text("site\nA\n")
    with pytest.raises(RunError, match="mdpl experiment benchmark' again"):
        beside.read(tmp_path)
