"""Residuals are sorted into the right bins."""

import numpy as np
import pytest

from mdpl.evaluation.residuals import EDGES, binned, percentile_rank


def test_every_bin_has_its_own_median():
    rng = np.random.default_rng(1)
    sun = rng.uniform(0, 1000, 20000)
    residual = 0.1 * sun + rng.normal(0, 5, sun.size)
    table = binned("SWdown", sun, residual)
    for row in table.to_dict("records"):
        inside = (sun >= row["low"]) & (sun < row["high"])
        assert row["n"] == inside.sum()
        assert row["median"] == pytest.approx(np.median(residual[inside]))
        assert row["low"] <= row["centre"] <= row["high"]
        assert row["q25"] < row["median"] < row["q75"]
    assert table["median"].is_monotonic_increasing


def test_bins_with_few_steps_are_left_out_and_the_last_edge_belongs_to_its_bin():
    values = np.array([10.0] * 5 + [100.0] * 40)
    table = binned("SoilMoist", values, np.ones(45))
    assert list(table["high"]) == [EDGES["SoilMoist"][-1]]


def test_ranks_are_percentiles_of_what_counts():
    values = np.arange(200.0)
    counts = values < 100
    ranks = percentile_rank(values, counts)
    assert ranks[0] == 0
    assert ranks[50] == 50
    assert ranks[150] == 100
