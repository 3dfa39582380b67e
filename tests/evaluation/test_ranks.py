"""Ranks against a case worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from mdpl.errors import ModelError
from mdpl.evaluation.ranks import PLUMBER, SETS, complete, mean_ranks, ranks
from mdpl.evaluation.scores import COLUMNS


def table(values, site="A", flux="Qle"):
    """metric -> model -> value, as a table of scores."""
    rows = [
        (site, "ENF", model, flux, "native", "validation", metric, value, 100)
        for metric, models in values.items()
        for model, value in models.items()
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


BY_HAND = table(
    {
        "bias": {"x": -5.0, "y": 4.0, "z": 5.0},
        "nme": {"x": 0.2, "y": 0.3, "z": 0.4},
        "sd_ratio": {"x": 1.3, "y": 0.8, "z": 1.1},
        "r": {"x": 0.9, "y": np.nan, "z": 0.5},
        "pdf_overlap": {"x": 0.5, "y": 0.9, "z": 0.7},
    }
)


def rank(ranked, metric, model):
    row = ranked[(ranked["metric"] == metric) & (ranked["model"] == model)]
    return row["rank"].item()


def test_ranks_go_by_distance_from_perfect():
    found = ranks(BY_HAND)
    by_metric = {m: [rank(found, m, x) for x in "xyz"] for m in found["metric"].unique()}
    assert by_metric == {
        "bias": [2.5, 1.0, 2.5],
        "nme": [1.0, 2.0, 3.0],
        "sd_ratio": [3.0, 2.0, 1.0],
        "r": [1.0, 3.0, 2.0],
        "pdf_overlap": [3.0, 1.0, 2.0],
    }
    assert set(found["models"]) == {3}


def test_mean_over_metrics_comes_before_the_mean_over_towers():
    better = table({"nme": {"x": 0.9, "y": 0.1, "z": 0.2}}, site="B")
    found = mean_ranks(ranks(pd.concat([BY_HAND, better])))
    standard = found[found["set"] == "standard"].set_index("model")
    assert standard.loc["x", "rank"] == pytest.approx(((2.5 + 1 + 3 + 1) / 4 + 3) / 2)
    assert set(standard["towers"]) == {2}
    assert list(standard["rank"]) == sorted(standard["rank"])


def test_a_model_gains_nothing_by_being_absent():
    """z is the worst at A and absent at B: without B it keeps its rank, with B x would lose."""
    absent = table({"nme": {"x": 0.9, "y": 0.1}}, site="B")
    here = table({"nme": {"x": 0.2, "y": 0.3, "z": 0.4}})
    alone, both = (mean_ranks(ranks(t)) for t in (here, pd.concat([here, absent])))
    pd.testing.assert_frame_equal(alone, both)


def test_what_nobody_has_is_not_ranked():
    undefined = table({"r": {"x": np.nan, "y": np.nan}, "nme": {"x": 0.1, "y": 0.2}})
    assert set(ranks(undefined)["metric"]) == {"nme"}
    assert ranks(BY_HAND.assign(n=0)).empty


def test_what_is_no_score_is_refused():
    with pytest.raises(ModelError, match=r"std_obs.*nme"):
        ranks(BY_HAND, ["std_obs"])


def test_the_sets_are_plumbers():
    assert len(PLUMBER) == 9 == len(set(PLUMBER))
    assert set(SETS) == {"standard", "extremes", "distribution"}


def test_models_of_few_towers_are_told_from_those_of_all():
    towers = [table({"nme": {"x": v, "y": 2 * v}}, site=f"T{v}") for v in (0.1, 0.3, 0.9)]
    few = table({"nme": {"z": 5.0}}, site="T0.1")
    other_flux = table({"nme": {"z": 5.0}}, site="T0.1", flux="GPP")
    found = complete(pd.concat([*towers, few, other_flux]))
    assert set(found[found["flux"] == "Qle"]["model"]) == {"x", "y"}
    assert set(found[found["flux"] == "GPP"]["model"]) == {"z"}
