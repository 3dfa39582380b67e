"""Albedo of snow (MATSIRO.md 6, case 29)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import snow_albedo
from mdpl.lsm.matsiro.constants import ALBEDO_NEW, ALBEDO_OLD, T_MELT

DT = 1800.0
OLD = jnp.array([ALBEDO_OLD[0], 0.5])
NONE = jnp.zeros(2)


def _age_of(albedo, band, old):
    share = (np.asarray(albedo)[band] - ALBEDO_NEW[band]) / (old - ALBEDO_NEW[band])
    return share / (1 - share)


@pytest.mark.parametrize("kelvin", [T_MELT, 263.15, 240.0])
def test_age_grows_linearly_in_time_and_alike_in_all_bands(kelvin):
    albedo = snow_albedo.fresh(OLD)
    pace = np.exp(5000 * (1 / 273.15 - 1 / kelvin))
    for n in range(1, 50):
        albedo = snow_albedo.age(albedo, OLD, jnp.full(2, kelvin), NONE, DT)
        expected = n * (pace + pace**10 + 0.3) * DT / 1e6
        np.testing.assert_allclose(_age_of(albedo, 0, np.asarray(OLD)), expected, rtol=1e-12)
        np.testing.assert_allclose(_age_of(albedo, 1, 0.2), expected, rtol=1e-12)
        np.testing.assert_allclose(_age_of(albedo, 2, 0.1), expected, rtol=1e-11)


def test_snowfall_resets_in_proportion():
    old = snow_albedo.fresh(OLD)
    for _ in range(100):
        old = snow_albedo.age(old, OLD, jnp.full(2, T_MELT), NONE, DT)
    dry = np.asarray(snow_albedo.age(old, OLD, jnp.full(2, T_MELT), NONE, DT))
    snowed = snow_albedo.age(old, OLD, jnp.full(2, T_MELT), jnp.array([4.0, 30.0]) / DT, DT)
    new = np.asarray(ALBEDO_NEW)
    np.testing.assert_allclose(snowed[:, 0], dry[:, 0] + 0.4 * (new - dry[:, 0]), rtol=1e-12)
    np.testing.assert_allclose(snowed[:, 1], new, rtol=1e-12)
    assert (dry[:2] < new[:2, None] - 0.02).all() and (dry[2] > new[2] + 0.01).all()


def test_albedo_stays_between_new_and_old_for_ever():
    albedo = snow_albedo.fresh(OLD)
    for _ in range(5):
        albedo = snow_albedo.age(albedo, OLD, jnp.full(2, T_MELT), NONE, 1e9)
    np.testing.assert_allclose(albedo[0], OLD, atol=1e-3)
    assert (albedo[0] >= OLD).all() and albedo[1, 0] >= 0.2 and albedo[2, 0] <= 0.1


def test_low_sun_sees_a_brighter_snow():
    direct, diffuse = snow_albedo.of_zenith(jnp.float64(0.5), jnp.array([1.0, 0.5, 0.0, -1e-9]))
    np.testing.assert_allclose(direct, [0.5, 0.5 + 0.2 / 32, 0.7, 0.7], rtol=1e-12)
    np.testing.assert_allclose(diffuse, 0.5 + 0.2 * (1 - 0.6427876096865394) ** 5, rtol=1e-12)


def test_gradients_are_those_of_differences():
    def visible(a, old, kelvin, fall):
        albedo = jnp.stack([a, a - 0.2, 0.9 - a])[:, None]
        return snow_albedo.age(albedo, old, kelvin, fall, DT).sum()

    at = [0.8, 0.6, 270.0, 1e-3]
    exact = jax.grad(visible, argnums=(0, 1, 2, 3))(*map(jnp.float64, at))
    for i, slope in enumerate(exact):
        h = 1e-5 * at[i]
        up, down = (visible(*map(jnp.float64, [*at[:i], at[i] + d, *at[i + 1 :]])) for d in (h, -h))
        np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=1e-6)
        assert slope != 0
