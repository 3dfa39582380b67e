import numpy as np
import pytest

from mdpl.experiments.identifiability import design, error_variance, posterior, sobol, verdict


def test_the_posterior_of_a_linear_model_is_the_analytic_one():
    rng = np.random.default_rng(0)
    jacobian, variance = rng.normal(size=(40, 3)), rng.uniform(0.5, 2, 40)
    prior = np.array([0.5, 0.1, 0.3])
    found = posterior(jacobian, variance, prior)
    draws = rng.normal(size=(200_000, 3)) * prior
    spread = np.diag(prior**2) @ jacobian.T
    kalman = spread @ np.linalg.inv(jacobian @ spread + np.diag(variance))
    noise = rng.normal(size=(200_000, 40)) * np.sqrt(variance)
    after = draws + (noise - draws @ jacobian.T) @ kalman.T
    np.testing.assert_allclose(found.sd, after.std(axis=0), rtol=0.01)
    np.testing.assert_allclose(found.correlation, np.corrcoef(after.T), atol=0.01)


def test_two_parameters_of_which_only_the_sum_matters_are_tied_and_the_idle_one_stays_free():
    base = np.random.default_rng(1).normal(size=(200, 1))
    jacobian = np.hstack([base, base, 0 * base])
    found = posterior(jacobian, np.full(200, 0.01), np.full(3, 0.5))
    assert found.correlation[0, 1] == pytest.approx(-1, abs=1e-3)
    np.testing.assert_allclose(found.sd, [0.5 / np.sqrt(2), 0.5 / np.sqrt(2), 0.5], rtol=1e-3)
    assert verdict(1 - found.sd[0] / 0.5, -1, "b", 0.4) == "trades off with b"
    assert verdict(1 - found.sd[2] / 0.5, 0, "b", 0.4) == "not constrained"
    assert verdict(0.9, 0.1, "b", 0.4) == "constrained"
    assert verdict(0.9, 0.1, "b", 0.999) == "at a bound"


def test_memory_in_the_residuals_counts_as_fewer_days():
    rng = np.random.default_rng(2)
    white = rng.normal(size=20_000)
    red = np.zeros_like(white)
    for i in range(1, len(red)):
        red[i] = 0.6 * red[i - 1] + np.sqrt(1 - 0.36) * white[i]
    assert error_variance(white) == pytest.approx(1.0, rel=0.05)
    assert error_variance(red) == pytest.approx(1.6 / 0.4, rel=0.1)


def test_sobol_indices_of_ishigami():
    names = ("x1", "x2", "x3")
    points = design(names, 1024, seed=0)
    assert points.shape == (1024 * 5, 3)
    a, b, c = (2 * np.pi * points.T) - np.pi
    value = np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a)
    np.testing.assert_allclose(sobol(value, names, 0), [0.5576, 0.4424, 0.2437], atol=0.05)
    assert (sobol(np.ones(len(points)), names, 0) == 0).all()
