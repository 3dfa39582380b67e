"""What the figures draw, and what they leave out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mdpl.errors import RunError
from mdpl.report import figures, parameter_figures, series, tables, taylor
from mdpl.report.contents import read, read_series
from mdpl.report.style import number, percent, pretty


@pytest.fixture(scope="module")
def contents(run_folder):
    return read(run_folder)


def test_gain_bars_are_as_long_as_the_gains(contents):
    bars = figures.gain_bars(contents, "Qle").figure.axes[0].patches
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


def test_taylor_opens_to_negative_correlation_and_counts_outliers(contents):
    scores = contents.scores.copy()
    here = (scores["site"] == "DE-Abc") & (scores["model"] == "default")
    scores.loc[here & (scores["metric"] == "r"), "value"] = -0.4
    there = (scores["site"] == "US-Xyz") & (scores["metric"] == "sd_ratio")
    scores.loc[there, "value"] = 7.0
    plot = taylor.diagram(replace(contents, scores=scores), "Qle")
    assert plot.figure.axes[0].get_xlim()[0] < -1
    assert "1 tower(s) lie beyond" in plot.caption


def test_every_caption_states_n_and_series_state_mask_and_variant(contents):
    ours = read_series(contents, "AU-Uvw")
    over_towers = [figures.gain_bars(contents, "Qle"), taylor.diagram(contents, "Qle")]
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
    assert len(series.diurnal(contents, replace(ours, measured=half)).figure.axes) == 1
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
        (99.96, "100.0"),
    ],
)
def test_numbers_in_print(value, text):
    assert number(value) == text


def test_percentages_and_units_in_print():
    assert percent(-0.0004) == "−0.04 %"
    assert percent(0.1534) == "+15.3 %"
    assert pretty("umol m-2 s-1") == "µmol m⁻² s⁻¹"
    assert pretty("1") == ""
