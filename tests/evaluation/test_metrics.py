"""Metrics against independent formulas, exact cases and properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from mdpl.errors import ModelError
from mdpl.evaluation import metrics
from mdpl.evaluation.metrics import MEANINGS, METRICS

values = st.floats(-500, 500, allow_nan=False).map(lambda x: round(x, 3))


@st.composite
def series(draw, least=3):
    """A modelled and an observed series that both vary."""
    n = draw(st.integers(least, 40))
    m, o = draw(arrays(float, n, elements=values)), draw(arrays(float, n, elements=values))
    m[0], m[1], o[0], o[1] = -7.0, 11.0, -5.0, 13.0
    return m, o


def random_pair(seed, n=500):
    rng = np.random.default_rng(seed)
    o = rng.gamma(2.0, 60.0, n) - 20.0
    return 0.7 * o + rng.normal(10.0, 25.0, n), o


def shared_area(m, o, bins):
    low, high = min(*m, *o), max(*m, *o)
    counts = {"m": [0] * bins, "o": [0] * bins}
    for name, series in (("m", m), ("o", o)):
        for x in series:
            counts[name][min(int((x - low) / (high - low) * bins), bins - 1)] += 1
    return sum(min(a, b) for a, b in zip(*counts.values(), strict=True)) / len(m)


@pytest.mark.parametrize("seed", range(3))
def test_metrics_equal_slow_formulas(seed):
    m, o = random_pair(seed)
    mean_o = sum(o) / len(o)
    mean_m = sum(m) / len(m)
    square = sum((a - b) ** 2 for a, b in zip(m, o, strict=True))
    about_mean = sum((b - mean_o) ** 2 for b in o)
    sd_m = (sum((a - mean_m) ** 2 for a in m) / len(m)) ** 0.5
    sd_o = (about_mean / len(o)) ** 0.5
    r = stats.pearsonr(m, o).statistic
    expected = {
        "rmse": (square / len(o)) ** 0.5,
        "r": r,
        "nse": 1 - square / about_mean,
        "kge": 1 - ((r - 1) ** 2 + (sd_m / sd_o - 1) ** 2 + (mean_m / mean_o - 1) ** 2) ** 0.5,
        "kge_r": r,
        "kge_alpha": sd_m / sd_o,
        "kge_beta": mean_m / mean_o,
        "bias": mean_m - mean_o,
        "nme": sum(abs(a - b) for a, b in zip(m, o, strict=True)) / sum(abs(b - mean_o) for b in o),
        "sd_ratio": sd_m / sd_o,
        "std_obs": sd_o,
        "p05_bias": np.quantile(m, 0.05) - np.quantile(o, 0.05),
        "p95_bias": np.quantile(m, 0.95) - np.quantile(o, 0.95),
        "skewness_ratio": stats.skew(m) / stats.skew(o),
        "kurtosis_ratio": stats.kurtosis(m, fisher=False) / stats.kurtosis(o, fisher=False),
        "pdf_overlap": shared_area(m, o, 22),
    }
    assert set(expected) == set(METRICS)
    for name, value in expected.items():
        assert METRICS[name](m, o) == pytest.approx(value, rel=1e-10), name


@given(series())
def test_a_perfect_model_scores_perfectly(pair):
    _, o = pair
    for name, meaning in MEANINGS.items():
        value = METRICS[name](o, o)
        if name == "kge_beta" and np.isnan(value):
            continue
        if meaning.best == "zero" or name in ("rmse", "nme"):
            assert value == 0.0, name
        elif meaning.best in ("high", "one") and not np.isnan(value):
            assert value == pytest.approx(1.0, abs=1e-9), name


@given(series(), st.floats(-50, 50), st.floats(0.1, 9.0))
def test_shift_and_scale(pair, shift, scale):
    m, o = pair
    assert metrics.bias(m + shift, o) == pytest.approx(metrics.bias(m, o) + shift, abs=1e-8)
    for unmoved in ("rmse", "r", "nse", "nme", "sd_ratio", "std_obs"):
        f = METRICS[unmoved]
        assert f(m + shift, o + shift) == pytest.approx(f(m, o), rel=1e-6, abs=1e-8), unmoved
    for free_of_units in ("r", "nse", "nme", "sd_ratio", "kge_beta"):
        f = METRICS[free_of_units]
        here, there = f(m, o), f(m * scale, o * scale)
        assert there == pytest.approx(here, rel=1e-6, abs=1e-8, nan_ok=True), free_of_units


@given(series())
def test_taylor_identity_ties_rmse_to_its_parts(pair):
    m, o = pair
    sd_m = metrics.sd_ratio(m, o) * metrics.std_obs(m, o)
    sd_o = metrics.std_obs(m, o)
    centred = metrics.rmse(m, o) ** 2 - metrics.bias(m, o) ** 2
    law_of_cosines = sd_m**2 + sd_o**2 - 2 * sd_m * sd_o * metrics.r(m, o)
    assert centred == pytest.approx(law_of_cosines, rel=1e-7, abs=1e-6)


@given(series())
def test_mean_of_observations_is_the_baseline_of_nse(pair):
    _, o = pair
    assert metrics.nse(np.full(o.size, o.mean()), o) == pytest.approx(0.0, abs=1e-9)
    assert metrics.nme(np.full(o.size, o.mean()), o) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_pairs_is_nan(name, n):
    assert np.isnan(METRICS[name](np.ones(n), np.ones(n)))


@pytest.mark.parametrize("name", [m for m in METRICS if m != "std_obs"])
def test_a_failed_model_run_is_nan_and_not_skipped(name):
    assert np.isnan(METRICS[name](np.array([1.0, np.nan, 3.0]), np.array([1.0, 2.0, 4.0])))


def test_constants_are_undefined_without_warning():
    o, flat = np.array([1.0, 2.0, 4.0]), np.full(3, 0.1)
    assert np.isnan(metrics.r(flat, o))
    assert metrics.sd_ratio(flat, o) == 0.0
    for name in ("r", "nse", "kge", "nme", "sd_ratio"):
        assert np.isnan(METRICS[name](o, flat)), name
    assert metrics.std_obs(o, flat) == 0.0
    assert metrics.rmse(flat + 1.0, flat) == pytest.approx(1.0)


def test_mean_ratio_is_undefined_when_observations_average_to_zero():
    o = np.array([-2.0, -1.0, 1.0, 2.0])
    assert np.isnan(metrics.kge_beta(o + 3.0, o))
    assert np.isnan(metrics.kge(o + 3.0, o))
    assert metrics.kge_beta(o + 4.0, o + 2.0) == pytest.approx(2.0)


def test_overlap_is_of_distributions_and_not_of_moments_in_time():
    o = np.random.default_rng(0).normal(0, 1, 4000)
    assert metrics.pdf_overlap(o[::-1], o) == 1.0
    assert metrics.pdf_overlap(o + 100.0, o) == 0.0
    normal_shifted_by_two = 2 * stats.norm.cdf(-1.0)
    shifted = np.random.default_rng(1).normal(2, 1, 4000)
    assert metrics.pdf_overlap(shifted, o) == pytest.approx(normal_shifted_by_two, abs=0.03)


def test_shapes_must_agree():
    with pytest.raises(ModelError, match=r"\(3,\).*\(2,\)"):
        metrics.rmse(np.ones(3), np.ones(2))


def test_every_metric_is_explained_and_knows_its_better_side():
    assert list(MEANINGS) == list(METRICS)
    assert MEANINGS["sd_ratio"].distance(0.8) == pytest.approx(MEANINGS["sd_ratio"].distance(1.2))
    assert MEANINGS["rmse"].distance(3.0) < MEANINGS["rmse"].distance(4.0)
    assert MEANINGS["kge"].distance(0.9) < MEANINGS["kge"].distance(0.1)
    assert np.isnan(MEANINGS["std_obs"].distance(1.0))
