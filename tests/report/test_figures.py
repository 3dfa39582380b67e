"""What the figures draw, and what they leave out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from mdpl.errors import RunError
from mdpl.report import (
    cells,
    figures,
    parameter_figures,
    partition_figures,
    residual_figures,
    series,
    skill_figures,
    tables,
    taylor,
)
from mdpl.report.contents import read, read_series
from mdpl.report.gathered import gather
from mdpl.report.style import count, number, percent, place_labels, pretty


@pytest.fixture(scope="module")
def contents(run_folder):
    return read(run_folder)


@pytest.fixture(scope="module")
def gathered(contents):
    return gather(contents)


def test_intervals_hold_the_gains_they_belong_to(contents, gathered):
    keys = ["site", "flux", "dRMSE", "dR"]
    native = contents.gains.query("resolution == 'native' and period == 'validation'")[keys]
    assert len(native) == 6
    for row in native.to_dict("records"):
        own = gathered.gains.query("site == @row['site'] and flux == @row['flux']").set_index(
            "gain"
        )
        for gain in ("dRMSE", "dR"):
            low, value, high = own.loc[gain, ["low", "value", "high"]]
            assert value == pytest.approx(row[gain])
            assert low <= value <= high


def test_target_points_are_as_far_out_as_their_error(contents):
    axes = skill_figures.target(contents, "Qle").figure.axes[0]
    rows = contents.scores.query(
        "flux == 'Qle' and resolution == 'native' and period == 'validation' and site == 'US-Xyz'"
    ).set_index(["model", "metric"])["value"]
    points = np.array([(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines])
    for model in ("default", "mdpl"):
        out, up = (rows[model, m] / rows[model, "std_obs"] for m in ("rmse", "bias"))
        close = np.isclose(np.hypot(*points.T), out) & np.isclose(points[:, 1], up)
        assert close.any(), model
        assert (points[close][0, 0] > 0) == (rows[model, "sd_ratio"] >= 1)


def test_residuals_are_of_the_towers_own_steps(contents, gathered):
    ours = read_series(contents, "DE-Abc")
    counts = ours.measured["Qle"] & ours.masks["validation"]
    sun = ours.drivers["SWdown"]
    inside = counts & (sun >= 300) & (sun < 400)
    wrong = (ours.modelled["mdpl"]["Qle"] - ours.observed["Qle"])[inside]
    row = gathered.residuals.query(
        "site == 'DE-Abc' and flux == 'Qle' and model == 'learnt' and driver == 'SWdown' "
        "and low == 300"
    ).iloc[0]
    assert row["n"] == inside.sum()
    assert row["median"] == pytest.approx(np.median(wrong))
    assert set(gathered.residuals["driver"]) == {"SWdown", "VPD", "SoilMoist"}


def test_gain_bars_are_as_long_as_the_gains(contents, gathered):
    bars = figures.gain_bars(contents, gathered, "Qle", "dRMSE").figure.axes[0].patches
    gains = contents.gains.query(
        "flux == 'Qle' and resolution == 'native' and period == 'validation'"
    )["dRMSE"]
    np.testing.assert_allclose([bar.get_width() for bar in bars], sorted(100 * gains))


def test_taylor_points_lie_at_their_correlation_and_spread(contents):
    axes = taylor.diagram(contents, "Qh").figure.axes[0]
    rows = contents.scores.query(
        "flux == 'Qh' and resolution == 'native' and period == 'validation' and site == 'DE-Abc'"
    ).set_index(["model", "metric"])["value"]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines]
    for model in ("default", "mdpl"):
        radius, r = rows[model, "sd_ratio"], rows[model, "r"]
        expected = (radius * r, radius * np.sqrt(1 - r**2))
        assert any(np.allclose(point, expected) for point in points), model


def test_there_is_no_taylor_diagram_where_every_tower_lies_beyond_its_rim(contents):
    far = contents.scores["metric"] == "sd_ratio"
    scores = contents.scores.assign(value=contents.scores["value"].mask(far, taylor.LIMIT + 1))
    wild = replace(contents, scores=scores)
    assert taylor.by_pft(contents, "Qle") is not None
    assert taylor.by_pft(wild, "Qle") is None
    assert taylor.diagram(wild, "Qle") is None


def test_taylor_opens_to_negative_correlation_and_counts_outliers(contents):
    scores = contents.scores.copy()
    here = (scores["site"] == "DE-Abc") & (scores["model"] == "default")
    scores.loc[here & (scores["metric"] == "r"), "value"] = -0.4
    there = (scores["site"] == "US-Xyz") & (scores["metric"] == "sd_ratio")
    scores.loc[there, "value"] = 7.0
    plot = taylor.diagram(replace(contents, scores=scores), "Qle")
    assert plot.figure.axes[0].get_xlim()[0] < -1
    assert "1 tower(s) lie beyond" in plot.caption


def test_every_caption_states_n_and_series_state_mask_and_variant(contents, gathered):
    ours = read_series(contents, "AU-Uvw")
    over_towers = [
        figures.gain_bars(contents, gathered, "Qle", "dRMSE"),
        figures.gain_bars(contents, gathered, "Qle", "dR"),
        taylor.diagram(contents, "Qle"),
        taylor.by_pft(contents, "Qle"),
        skill_figures.target(contents, "Qle"),
        skill_figures.heat_map(contents, "Qle"),
        partition_figures.hours(contents, gathered),
        residual_figures.residuals(contents, gathered, "Qle"),
        *(partition_figures.seasons(contents, gathered, q) for q in partition_figures.LABELS),
    ]
    of_tower = [make(contents, ours) for make in (series.monthly, series.diurnal, series.density)]
    for plot in over_towers + of_tower:
        for word in ("n = ", "qc = 0", "raw fluxes"):
            assert word in plot.caption, (plot.name, word)
    assert "last year held out" in of_tower[0].caption


def test_panels_without_data_are_not_drawn(contents):
    ours = read_series(contents, "DE-Abc")
    nothing = {flux: np.zeros_like(mask) for flux, mask in ours.measured.items()}
    assert series.monthly(contents, replace(ours, measured=nothing)) is None
    half = {**ours.measured, "Qh": nothing["Qh"]}
    assert len(series.diurnal(contents, ours).figure.axes) == 2 * 4
    assert len(series.diurnal(contents, replace(ours, measured=half)).figure.axes) == 4
    spring = np.isin(ours.time.astype("datetime64[M]").astype(int) % 12, (2, 3, 4))
    only = {flux: mask & spring for flux, mask in ours.measured.items()}
    axes = series.diurnal(contents, replace(ours, measured=only)).figure.axes
    assert [a.get_title() for a in axes] == ["MAM", ""]
    panels = {
        axes.get_title(): [text.get_text() for text in axes.texts]
        for axes in parameter_figures.recovery(contents).figure.axes
    }
    assert "m s⁻¹" in panels["conductivity"] and "" in panels["slope"]
    empty = contents.recovery.iloc[:0]
    assert parameter_figures.recovery(replace(contents, recovery=empty)) is None


def test_parameters_are_placed_between_their_bounds(contents):
    axes = parameter_figures.parameters(contents).figure.axes[0]
    ends = [x for line in axes.lines for x in np.asarray(line.get_xdata(), dtype=float)]
    assert len(ends) == 3 * 4 * 4
    assert min(ends) >= 0 and max(ends) <= 1
    row = contents.parameters.query("parameter == 'conductivity'").iloc[0]
    assert any(np.isclose(x, np.log(row["value"] / 1e-7) / np.log(1e4)) for x in ends)


def test_rank_correlation_is_over_held_out_towers(contents):
    table = pd.DataFrame(
        {
            "parameter": "vmax",
            "truth": [1.0, 2.0, 3.0, 4.0],
            "learnt": [1.0, 4.0, 9.0, 0.0],
            "role": ["held_out"] * 3 + ["train"],
            "site": list("abcd"),
        }
    )
    rows = tables.recovery(replace(contents, recovery=table)).rows
    assert rows[0].cells[1].sort == pytest.approx(1.0)
    assert rows[0].cells[3].text == "–"
    assert np.isnan(parameter_figures.rank_correlation(table.assign(learnt=2.0)))


def test_promises_stand_beside_deliveries(contents):
    table = figures.promised_table(contents).set_index(["site", "flux", "period"])
    assert len(table) == 3 * 2 * 3
    np.testing.assert_allclose(table["rmse_promised"], 0.9 * table["rmse_delivered"])
    assert (table["promised"] > table["delivered"]).all()


def test_simulations_on_another_time_axis_are_refused(contents, run_folder):
    path = run_folder / "simulations" / "mdpl" / "DE-Abc.nc"
    kept = path.read_bytes()
    other = run_folder / "simulations" / "mdpl" / "AU-Uvw.nc"
    path.write_bytes(other.read_bytes())
    try:
        with pytest.raises(RunError, match="time steps"):
            read_series(contents, "DE-Abc")
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize(
    "value, text",
    [
        (12345.6, "12,346"),
        (-0.01234, "−0.0123"),
        (0.0, "0"),
        (np.nan, "–"),
        (3.2e-7, "3.20×10⁻⁷"),
        (99.96, "100"),
        (9.996, "10.0"),
        (-0.9996, "−1.00"),
        (999_999.6, "1.00×10⁶"),
    ],
)
def test_numbers_in_print(value, text):
    assert number(value) == text


def test_labels_cover_no_marker_of_another_series():
    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1))
    axes.plot([0.54, 0.58], [0.5, 0.5], "o")  # where the label of (0.5, 0.5) would go
    place_labels(axes, [0.5], [0.5], ["label"])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = axes.texts[0].get_window_extent(canvas.get_renderer())
    markers = axes.transData.transform([(0.5, 0.5), (0.54, 0.5), (0.58, 0.5)])
    assert not any(box.contains(x, y) for x, y in markers)
    assert len(axes.texts) == 1


@pytest.mark.parametrize(
    ("values", "what", "text"),
    [
        (1, "towers", "n = 1 tower"),
        (13, "towers", "n = 13 towers"),
        ([1, 1], "months a tower", "n = 1 month a tower"),
        ([1, 1200], "steps a tower", "n = 1 to 1,200 steps a tower"),
    ],
)
def test_what_is_counted_has_its_number(values, what, text):
    assert count(values, what) == text


def test_no_change_is_neither_better_nor_worse():
    nought, lost = cells.percent(-0.0), cells.percent(np.nan)
    assert (nought.text, nought.css) == ("+0.0 %", "num")
    assert lost.css == "num"
    assert cells.percent(0.1).css == "num better" and cells.percent(-0.1).css == "num worse"


def test_percentages_and_units_in_print():
    assert percent(-0.0004) == "−0.04 %"
    assert percent(0.1534) == "+15.3 %"
    assert pretty("umol m-2 s-1") == "µmol m⁻² s⁻¹"
    assert pretty("1") == ""
