"""Runoff, the water table and the frost table (MATSIRO.md 2.18; 6, case 23)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import runoff, soil
from mdpl.lsm.matsiro.constants import KS_DECAY, SOIL_INTERFACE, SOIL_THICKNESS, T_MELT

DT = 1800.0
ONE = jnp.ones(1)
POROSITY = 0.43
FULL = jnp.full((5, 1), POROSITY)
DRY = jnp.full((5, 1), 0.2)
WARM = jnp.full((5, 1), 280.0)
TENSION = jnp.full((5, 1), -0.3)
R_B = 1e-8
runoff_of = jax.jit(runoff.runoff)


def out(rain, water, psi, ice=None, temperature=WARM, drainage=R_B):
    return runoff_of(
        rain * ONE,
        water,
        jnp.zeros_like(water) if ice is None else ice,
        psi,
        temperature,
        POROSITY * ONE,
        7e-6 * ONE,
        drainage * ONE,
        DT,
    )


def frost(*layers, share=0.5):
    """Ice and temperature with the given layers frozen."""
    rows = jnp.asarray(layers)
    return jnp.zeros((5, 1)).at[rows].set(share * POROSITY), WARM.at[rows].set(T_MELT)


def test_water_table_and_base_flow():
    psi = jnp.full((5, 1), -50.0)
    depth, where = runoff.water_table(DRY, POROSITY * ONE, psi)
    assert float(depth[0]) == SOIL_INTERFACE[-1]
    assert float(where.sum()) == 0.0
    depth, where = runoff.water_table(FULL, POROSITY * ONE, TENSION)
    assert float(depth[0]) == 0.0
    assert float(where[0, 0]) == 1.0

    soaked = out(1e-4, FULL, TENSION)
    np.testing.assert_allclose(soaked.saturation_excess, 1e-4 * (1 - np.exp(-1)), rtol=1e-12)
    assert float(out(1e-4, DRY, psi).saturation_excess[0]) == 0.0
    shallow = FULL.at[0].set(0.3)
    for top in (-0.01, -0.03):
        result = out(0.0, shallow, jnp.full((5, 1), top))
        np.testing.assert_allclose(result.base_flow, 1e-5 * np.exp(1 + KS_DECAY * top), rtol=1e-12)


@pytest.mark.parametrize(("depth", "wet"), [(0.3, True), (0.34, False), (0.9, False)])
def test_saturated_area_vanishes_below_one_over_f(depth, wet):
    psi = jnp.full((5, 1), -(depth - 0.25))
    found, where = runoff.water_table(FULL.at[2].set(0.3), POROSITY * ONE, psi)
    np.testing.assert_allclose(found, depth, rtol=1e-12)
    assert float(where[2, 0]) == 1.0
    assert (float(out(1e-4, FULL.at[2].set(0.3), psi).saturation_excess[0]) > 0.0) == wet


def test_table_below_the_unsaturated_layer_belongs_to_the_next():
    depth, where = runoff.water_table(FULL.at[2].set(0.3), POROSITY * ONE, -50.0 + 0 * FULL)
    np.testing.assert_allclose(depth, 1.0)
    assert float(where[3, 0]) == 1.0


def test_runoff_accounts_for_all_rain():
    rng = np.random.default_rng(3)
    for rain in (0.0, 1e-4, 0.05):
        for ice, temperature in ((None, WARM), frost(2), frost(0, 1)):
            water = jnp.asarray(rng.uniform(0.22, 0.45, (5, 1)))
            psi = soil.potential(soil.saturation(water, 0 * water, POROSITY), -0.3, 5.4)
            parts = out(rain, water, psi, ice, temperature, drainage=1e-7)
            total = parts.into_soil + parts.saturation_excess + parts.infiltration_excess
            np.testing.assert_allclose(total, rain, atol=1e-15)
            np.testing.assert_allclose(
                parts.drawn.sum(0), parts.base_flow + parts.overflow, atol=1e-15
            )


def test_frost_table_is_the_top_of_the_uppermost_frozen_layer():
    above = runoff.above_frost(*frost(2, 4), POROSITY * ONE)
    np.testing.assert_array_equal(above[:, 0], [True, True, False, False, False])


@pytest.mark.parametrize(
    ("share", "temperature", "frozen"),
    [(0.02, T_MELT, True), (0.009, T_MELT - 5, False), (0.02, T_MELT + 0.1, False)],
)
def test_frozen_means_ice_and_cold(share, temperature, frozen):
    ice = jnp.full((5, 1), share * POROSITY)
    above = runoff.above_frost(ice, jnp.full((5, 1), temperature), POROSITY * ONE)
    assert bool(above[0, 0]) != frozen


def test_a_layer_of_ice_and_water_counts_as_frozen():
    rng = np.random.default_rng(4)
    start = jnp.asarray(T_MELT + rng.uniform(-0.5, 0.5, (5, 200)))
    water, ice = jnp.full((5, 200), 0.3), jnp.full((5, 200), 0.15)
    temperature, ice = soil.freeze(start, water, ice, soil.heat_capacity(water, 1.2e6))
    assert float(ice.min()) > 0.1
    assert float(ice.max()) < 0.2
    assert not bool(runoff.above_frost(ice, temperature, POROSITY * jnp.ones(200)).any())


def test_perched_water_drains_less_than_it_would_without_frost_below():
    ice, temperature = frost(2)
    water, psi = FULL.at[0].set(0.3), jnp.full((5, 1), -0.03)
    depth, z_f = 0.03, SOIL_INTERFACE[2]
    perched = out(0.0, water, psi, ice, temperature)
    expected = 1e3 * R_B * (np.exp(1 - KS_DECAY * depth) - np.exp(1 - KS_DECAY * z_f))
    np.testing.assert_allclose(perched.base_flow, expected, rtol=1e-12)
    np.testing.assert_allclose(perched.drawn[:, 0], [float(expected), 0, 0, 0, 0], rtol=1e-12)


def test_frost_hides_the_water_table_below_it():
    ice, temperature = frost(2)
    # Unsaturated just above the frost, with a table that would lie below its top: none.
    hidden = out(1e-4, FULL.at[1].set(0.2), jnp.full((5, 1), -1.0), ice, temperature)
    assert float(hidden.base_flow[0]) == 0.0
    assert float(hidden.saturation_excess[0]) == 0.0
    # Saturated there, the same layer carries a table.
    psi = jnp.full((5, 1), -1.0)
    perched = out(1e-4, FULL.at[0].set(0.2), psi, ice, temperature)
    expected = 1e3 * R_B * (np.exp(1 - KS_DECAY * 0.05) - np.exp(1 - KS_DECAY * 0.25))
    np.testing.assert_allclose(perched.drawn[1], expected, rtol=1e-12)


@pytest.mark.parametrize("layers", [(0,), (0, 1), (0, 3)])
def test_frozen_surface_has_no_base_flow(layers):
    ice, temperature = frost(*layers)
    parts = out(1e-4, FULL, TENSION, ice, temperature)
    assert float(parts.base_flow[0]) == 0.0
    assert float(parts.saturation_excess[0]) == 0.0
    np.testing.assert_array_equal(parts.into_soil, 1e-4)
    assert float(out(1e-4, FULL, TENSION).base_flow[0]) > 0.0


def test_deeper_frost_lets_more_flow():
    flows = []
    for layer in (1, 2, 3, 4):
        ice, temperature = frost(layer)
        flows.append(float(out(0.0, FULL, TENSION, ice, temperature).base_flow[0]))
    flows.append(float(out(0.0, FULL, TENSION).base_flow[0]))
    assert (np.diff(flows) > 0).all()


def test_gradients_with_frost():
    ice, temperature = frost(3)
    water = FULL.at[1].set(0.35)

    def base(x):
        return out(1e-4, water.at[1].add(x[0]), TENSION.at[1].add(x[1]), ice, temperature,
                   R_B * x[2]).base_flow[0]  # fmt: skip

    x = jnp.array([0.0, 0.2, 1.0])
    slopes = jax.grad(base)(x)
    for i in range(3):
        h = 1e-6
        difference = (base(x.at[i].add(h)) - base(x.at[i].add(-h))) / (2 * h)
        np.testing.assert_allclose(slopes[i], difference, rtol=1e-6, atol=1e-16)
    assert float(slopes[1]) > 0.0

    def all_(water, ice, temperature):
        parts = out(1e-4, water, TENSION, ice, temperature)
        return sum(x.sum() for x in parts)

    for layers in ((0,), (4,), (0, 1, 2, 3, 4)):
        slopes = jax.grad(all_, (0, 1, 2))(FULL, *frost(*layers))
        assert all(np.isfinite(g).all() for g in slopes)


def test_thickness_and_interface_agree():
    np.testing.assert_allclose(np.cumsum(SOIL_THICKNESS), SOIL_INTERFACE[1:])
