"""Tests of learnt parameters, against SciPy and against what was planted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mdpl.evaluation.parameter_study import (
    Question,
    agreement,
    correlations,
    directions,
    holm,
    unit_positions,
)

SITES = [f"S{i:02d}" for i in range(18)]
CLASSES = pd.Series(np.repeat(["CRO", "DBF", "ENF"], 6), index=SITES)


def values(seed=0):
    rng = np.random.default_rng(seed)
    shift = CLASSES.map({"CRO": 0.2, "DBF": 0.5, "ENF": 0.8}).to_numpy()
    return pd.DataFrame(
        {"by_class": shift + rng.normal(0, 0.04, 18), "noise": rng.uniform(0, 1, 18)}, index=SITES
    )


def test_variance_ratio_is_that_of_an_analysis_of_variance():
    table = agreement(values(), CLASSES).set_index("parameter")
    for name in table.index:
        groups = [values()[name][c == CLASSES] for c in ("CRO", "DBF", "ENF")]
        expected = stats.f_oneway(*groups)
        assert table.loc[name, "ratio"] == pytest.approx(expected.statistic)
        assert table.loc[name, "p"] == pytest.approx(expected.pvalue, abs=0.03)
    assert table.loc["by_class", "p_adjusted"] < 0.001
    assert table.loc["by_class", "share"] > 0.9


def test_labels_drawn_by_lot_are_rarely_found_to_agree():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = pd.DataFrame({"x": rng.uniform(0, 1, 9)}, index=SITES[:9])
        labels = pd.Series(
            rng.permutation(["A", "A", "A", "B", "B", "C", "C", "D", "D"]), SITES[:9]
        )
        p.append(agreement(noise, labels, seed)["p"][0])
    assert 0 <= np.mean(np.array(p) < 0.1) < 0.25
    assert 0.35 < np.mean(p) < 0.65


def test_too_few_towers_say_nothing():
    few = values().iloc[[0, 6, 12, 13]]
    assert agreement(few, CLASSES)[["ratio", "p", "p_adjusted"]].isna().all(axis=None)
    attributes = pd.DataFrame({"aridity": np.arange(4.0)}, index=few.index)
    assert correlations(few, attributes)["p"].isna().all()
    found = directions(few, few, attributes, [Question("noise", "aridity", 1)])
    assert found["verdict"][0] == "too few towers to say (4)"


def test_rank_correlations_are_those_of_scipy():
    rng = np.random.default_rng(4)
    attributes = pd.DataFrame(rng.normal(size=(18, 2)), index=SITES, columns=["aridity", "LAI"])
    attributes["aridity"] += 3 * values()["noise"].to_numpy()
    table = correlations(values(), attributes).set_index(["parameter", "attribute"])
    for (name, attribute), row in table.iterrows():
        expected = stats.spearmanr(values()[name], attributes[attribute])
        assert row["rho"] == pytest.approx(expected.statistic)
        assert row["p"] == pytest.approx(expected.pvalue, abs=0.03)
    np.testing.assert_allclose(table["p_adjusted"], holm(table["p"].to_numpy()))


def test_planted_directions_are_found_and_wrong_ones_are_called_wrong():
    rng = np.random.default_rng(5)
    arid = pd.DataFrame({"aridity": rng.uniform(0.3, 5, 18)}, index=SITES)
    default = pd.DataFrame({"rises": 0.5, "falls": 0.5, "blind": 0.5}, index=SITES)
    step = 0.05 * arid["aridity"].to_numpy()
    learnt = default.assign(
        rises=0.5 + step + rng.normal(0, 0.01, 18), falls=0.5 - step, blind=rng.uniform(0, 1, 18)
    )
    questions = [Question(name, "aridity", 1) for name in ("rises", "falls", "absent")]
    table = directions(default, learnt, arid, questions).set_index("parameter")
    assert list(table.index) == ["rises", "falls"]
    assert table.loc["rises", "verdict"] == "moved as expected"
    assert table.loc["falls", "verdict"] == "moved against expectation"
    assert table.loc["falls", "p"] > 0.9
    assert np.isnan(table.loc["rises", "rho_default"])  # one default for all


def test_holm_by_hand():
    p = np.array([0.04, 0.01, np.nan, 0.03])
    np.testing.assert_allclose(holm(p), [0.06, 0.03, np.nan, 0.06])


def test_positions_follow_the_scale_of_the_bounds():
    rows = [("A", "vmax", 100.0, 10.0, 1000.0), ("A", "slope", 9.0, 4.0, 14.0)]
    table = pd.DataFrame(rows, columns=["site", "parameter", "value", "lower", "upper"])
    found = unit_positions(table, "value").loc["A"]
    assert found["vmax"] == pytest.approx(0.5)
    assert found["slope"] == pytest.approx(0.5)
    assert unit_positions(table.assign(scale="linear"), "value").loc["A", "vmax"] < 0.1
