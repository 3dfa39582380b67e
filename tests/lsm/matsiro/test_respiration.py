"""Ecosystem respiration: published values, limits, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import respiration
from mdpl.lsm.matsiro.respiration import PARAMETERS, RespirationTraits

DEFAULTS = {p.name: p.default for p in PARAMETERS}


def respire(traits=(), leaf=1e-6, gpp=2e-5, lai=4.0, t_c=290.0, t_soil=285.0, wet=0.6):
    def column(*layers):
        return jnp.array(layers)[:, None]

    return respiration.respire(
        RespirationTraits(**{k: jnp.full(1, v) for k, v in (DEFAULTS | dict(traits)).items()}),
        *(jnp.full(1, x) for x in (leaf, gpp, lai, t_c)),
        column(250.0, t_soil, 310.0, 310.0, 310.0),
        column(0.1, wet, 0.9, 0.9, 0.9),
    )


def test_table_describes_the_traits():
    assert tuple(DEFAULTS) == RespirationTraits._fields
    assert all(p.lower < p.default < p.upper for p in PARAMETERS)


def test_temperature_response_of_lloyd_and_taylor():
    rate = respiration.lloyd_taylor(jnp.array([273.15, 283.15, 293.15, 303.15]), 308.56)
    exact = np.exp(308.56 * (1 / 56.02 - 1 / np.array([46.02, 56.02, 66.02, 76.02])))
    np.testing.assert_allclose(rate, exact, rtol=1e-12)
    np.testing.assert_allclose(rate[1], 1.0, rtol=1e-14)


@pytest.mark.parametrize("t", [0.0, 200.0, 227.13, 227.14, 227.3, 228.0])
def test_soil_falls_silent_in_deep_frost(t):
    for sensitivity in (50.0, 400.0):
        rate, slopes = jax.value_and_grad(respiration.lloyd_taylor, (0, 1))(t, sensitivity)
        assert 0.0 <= float(rate) < 1e-18
        assert np.abs(slopes).max() < 1e-15


def test_moisture_response_of_loam():
    # Computed apart from the code with a clay share of 0.2.
    wet = jnp.array([0.0, 0.02, 0.3, 0.6308, 0.85, 1.0])
    expected = [0.2, 0.2000650, 0.4893381, 1.0, 0.8317624, 0.64]
    np.testing.assert_allclose(respiration.moisture_response(wet), expected, atol=1e-6)


def test_moisture_response_has_one_peak_and_stays_within_bounds():
    wet = np.linspace(0, 1.2, 601)
    response = np.asarray(respiration.moisture_response(jnp.asarray(wet)))
    assert response.min() > 0.0
    assert response.max() <= 1.0
    np.testing.assert_allclose(wet[response.argmax()], respiration.W_OPT, atol=2e-3)
    rising = np.diff(response[wet <= 1.0]) >= 0
    assert (np.diff(rising.astype(int)) <= 0).all()


def test_parts_at_their_references():
    parts = respire(t_c=288.15, t_soil=288.15)
    np.testing.assert_allclose(parts.plant, 4 * 0.25e-6, rtol=1e-12)
    np.testing.assert_allclose(parts.growth, 0.25 * (2e-5 - 1e-6 - 1e-6), rtol=1e-12)
    np.testing.assert_allclose(respire(t_c=298.15, t_soil=298.15).plant, 2e-6, rtol=1e-12)
    soil = respire(t_soil=283.15, wet=respiration.W_OPT).soil
    np.testing.assert_allclose(soil, 1.5e-6, rtol=1e-12)
    np.testing.assert_array_equal(respire(t_c=298.15).soil, respire(t_c=278.15).soil)


def test_total_is_the_sum_and_growth_stops_in_the_dark():
    for gpp in (0.0, 1e-6, 3e-5):
        parts = respire(gpp=gpp)
        np.testing.assert_allclose(
            parts.total, parts.leaf + parts.plant + parts.growth + parts.soil, rtol=1e-14
        )
    assert float(respire(gpp=0.0).growth[0]) == 0.0
    bare = respire(leaf=0.0, gpp=0.0, lai=0.0)
    np.testing.assert_array_equal(bare.total, bare.soil)


def test_temperate_forest_breathes_in_the_range_of_towers():
    total = float(respire(leaf=1.5e-6, gpp=1.5e-5, t_c=291.0, t_soil=287.0).total[0])
    assert 3e-6 < total < 12e-6


@pytest.mark.parametrize("gpp", [0.0, 2e-5])
def test_gradients_match_differences(gpp):
    x = jnp.array([1.5, 300.0, 0.25, 2.0, 285.0, 281.0, 0.45])

    def total(x):
        traits = dict(zip(RespirationTraits._fields, x[:3], strict=True))
        return 1e6 * respire(traits, gpp=gpp, lai=x[3], t_c=x[4], t_soil=x[5], wet=x[6]).total[0]

    slopes = jax.grad(total)(x)
    for i in range(len(x)):
        h = 1e-5 * x[i]
        difference = (total(x.at[i].add(h)) - total(x.at[i].add(-h))) / (2 * h)
        np.testing.assert_allclose(slopes[i], difference, rtol=1e-6)


def test_gradients_stay_finite_at_the_edges():
    def total(leaf, gpp, lai, t_c, t_soil, wet):
        return respire({}, leaf, gpp, lai, t_c, t_soil, wet).total[0]

    for edge in (
        (0, 0, 0, 200, 200, 0),
        (1e-6, 2e-6, 4, 330, 227.13, 1),
        (0, 0, 1e-3, 250, 260, 2),
    ):
        slopes = jax.grad(total, range(6))(*(float(x) for x in edge))
        assert np.isfinite(slopes).all()
