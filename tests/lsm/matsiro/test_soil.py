"""Soil heat and water (MATSIRO.md 6, cases 14, 16-23; appendix A.5)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_banded
from scipy.special import erfc

from mdpl.lsm.matsiro import runoff, soil
from mdpl.lsm.matsiro.constants import KS_DECAY, L_MELT, RHO_WATER, SOIL_THICKNESS

DT = 1800.0
DZ = SOIL_THICKNESS[:, None]
ONE = jnp.ones(1)
LOAM = dict(porosity=0.43 * ONE, psi_sat=-0.3 * ONE, b=5.4 * ONE, k_sat=7e-6 * ONE)


def flow(water, infiltration=0.0, sink=None, ice=None, **changes):
    zero = jnp.zeros_like(water)
    return soil.flow(
        water,
        zero if ice is None else ice,
        **(LOAM | changes),
        infiltration=infiltration * ONE,
        sink=zero if sink is None else sink,
        dt=DT,
    )


@pytest.fixture
def fine_layers(monkeypatch):
    def use(thickness):
        thickness = np.asarray(thickness, dtype=float)
        monkeypatch.setattr(soil, "SOIL_THICKNESS", thickness)
        monkeypatch.setattr(soil, "SOIL_SPACING", 0.5 * (thickness[1:] + thickness[:-1]))
        monkeypatch.setattr(soil, "_DZ", thickness[:, None])

    return use


def test_thomas_agrees_with_scipy():
    rng = np.random.default_rng(0)
    low, up = rng.uniform(-1, 0, 5), rng.uniform(-1, 0, 5)
    diagonal, right = rng.uniform(2.5, 4, 5), rng.normal(size=5)
    banded = np.zeros((3, 5))
    banded[0, 1:], banded[1], banded[2, :-1] = up[:-1], diagonal, low[1:]
    np.testing.assert_allclose(
        soil.thomas(low, diagonal, up, right), solve_banded((1, 1), banded, right), rtol=1e-12
    )


def test_reference_numbers():
    psi = soil.potential(jnp.float64(0.5), jnp.float64(-0.3), jnp.float64(5.4))
    np.testing.assert_allclose(psi, -12.667276, atol=1e-6)
    np.testing.assert_allclose(soil.conductivity(0.25, 0.25), 1.392391234, atol=1e-9)


def test_heat_is_conserved():
    rng = np.random.default_rng(1)
    t = jnp.asarray(rng.uniform(270, 300, (5, 1)))
    capacity = soil.heat_capacity(jnp.full((5, 1), 0.2), 1.2e6)
    new = soil.conduct(t, jnp.full((5, 1), 1.1), capacity, 80.0 * ONE, DT)
    gained = float((capacity * (new - t)).sum()) / DT
    np.testing.assert_allclose(gained, -80.0, atol=1e-8)


def test_conduction_reproduces_the_semi_infinite_solid(fine_layers):
    n, dz, k, c = 61, 0.02, 1.2, 2.4e6
    fine_layers(np.full(n, dz))
    # A first node without resistance and with endless heat holds the surface 10 K warmer.
    t = jnp.full((n, 1), 280.0).at[0].set(290.0)
    conductivity = jnp.full((n, 1), k).at[0].set(1e12)
    capacity = jnp.full((n, 1), c * dz).at[0].set(1e18)
    steps, dt = 288, 300.0
    advance = jax.jit(
        lambda t: jax.lax.fori_loop(
            0, steps, lambda _, now: soil.conduct(now, conductivity, capacity, 0.0 * ONE, dt), t
        )
    )
    t = advance(t)
    depth = (np.arange(1, n) - 0.5) * dz
    exact = 280 + 10 * erfc(depth / (2 * np.sqrt(k / c * steps * dt)))
    assert np.abs(np.asarray(t[1:, 0]) - exact).max() < 0.01  # K, of a step of 10 K


def test_freezing_conserves_enthalpy_and_thaws_back():
    water = jnp.full((5, 1), 0.3)
    t = jnp.array([[268.0], [272.9], [274.0], [271.0], [280.0]])
    ice = jnp.array([[0.0], [0.1], [0.2], [0.3], [0.0]])
    capacity = soil.heat_capacity(water, 1.2e6)

    def enthalpy(t, ice):
        return np.asarray(capacity * t - L_MELT * RHO_WATER * ice * DZ)

    new_t, new_ice = soil.freeze(t, water, ice, capacity)
    np.testing.assert_allclose(enthalpy(new_t, new_ice), enthalpy(t, ice), rtol=1e-13)
    assert ((new_ice >= 0) & (new_ice <= water)).all()
    partly = (np.asarray(new_ice) > 1e-9) & (np.asarray(new_ice) < 0.3 - 1e-9)
    np.testing.assert_allclose(np.asarray(new_t)[partly], 273.15, atol=1e-9)


def test_water_is_conserved_with_uptake_and_flooding():
    rng = np.random.default_rng(2)
    for infiltration in (-5e-5, 0.0, 2e-4, 5e-2):
        water = jnp.asarray(rng.uniform(0.05, 0.43, (5, 1)))
        sink = jnp.asarray(rng.uniform(0, 2e-5, (5, 1)))
        new = flow(water, infiltration, sink)
        change = float((RHO_WATER * DZ * (new - water)).sum())
        np.testing.assert_allclose(
            change, (infiltration - float(sink.sum())) * DT, rtol=1e-10, atol=1e-10
        )


def test_closed_column_comes_to_hydrostatic_rest():
    step = jax.jit(lambda w: jax.lax.fori_loop(0, 50_000, lambda _, now: flow(now), w))
    water = step(jnp.full((5, 1), 0.33))
    psi = soil.potential(water / 0.43, -0.3, 5.4)[:, 0]
    centre = np.cumsum(SOIL_THICKNESS) - SOIL_THICKNESS / 2
    np.testing.assert_allclose(psi - psi[0], centre - centre[0], atol=1e-5)


def test_evaporation_beyond_what_the_top_layer_holds_comes_from_below():
    water = jnp.array([[0.0245], [0.06], [0.1], [0.2], [0.2]])
    demand = 2.0 / DT
    new = flow(water, -demand, b=2.64 * ONE, psi_sat=-0.026 * ONE, k_sat=3e-7 * ONE)
    assert float(new.min()) > 0.0
    lost = RHO_WATER * float(((water - new) * DZ).sum())
    np.testing.assert_allclose(lost, 2.0, rtol=1e-10)


def test_frozen_layer_blocks_flow():
    water = jnp.full((5, 1), 0.43)
    ice = jnp.asarray(np.array([0.0, 0.0, 0.43, 0.0, 0.0])[:, None])
    wet = water.at[0].set(0.2).at[1].set(0.3).at[3].set(0.2).at[4].set(0.1)
    new = flow(wet, ice=ice)
    np.testing.assert_allclose(new[2], wet[2], atol=1e-15)
    upper = (DZ * (new - wet))[:2].sum()
    np.testing.assert_allclose(upper, 0.0, atol=1e-15)


def test_water_table_and_base_flow():
    psi = jnp.full((5, 1), -50.0)
    dry = jnp.full((5, 1), 0.2)
    depth, where = runoff.water_table(dry, 0.43 * ONE, psi)
    assert float(where.sum()) == 0.0
    full = jnp.full((5, 1), 0.43)
    depth, where = runoff.water_table(full, 0.43 * ONE, jnp.full((5, 1), -0.3))
    assert float(depth[0]) == 0.0
    assert float(where[0, 0]) == 1.0

    def out(rain, water, psi):
        return runoff.runoff(
            rain * ONE, water, jnp.zeros_like(water), psi, 0.43 * ONE, 7e-6 * ONE, 1e-8 * ONE, DT
        )

    soaked = out(1e-4, full, jnp.full((5, 1), -0.3))
    np.testing.assert_allclose(soaked.saturation_excess, 1e-4 * (1 - np.exp(-1)), rtol=1e-12)
    assert float(out(1e-4, dry, psi).saturation_excess[0]) == 0.0
    shallow = full.at[0].set(0.3)
    for top in (-0.01, -0.03):
        result = out(0.0, shallow, jnp.full((5, 1), top))
        np.testing.assert_allclose(result.base_flow, 1e-5 * np.exp(1 + KS_DECAY * top), rtol=1e-12)


def test_runoff_accounts_for_all_rain():
    rng = np.random.default_rng(3)
    for rain in (0.0, 1e-4, 0.05):
        water = jnp.asarray(rng.uniform(0.1, 0.45, (5, 1)))
        psi = soil.potential(soil.saturation(water, 0 * water, 0.43), -0.3, 5.4)
        parts = runoff.runoff(
            rain * ONE, water, 0 * water, psi, 0.43 * ONE, 7e-6 * ONE, 1e-7 * ONE, DT
        )
        total = parts.into_soil + parts.saturation_excess + parts.infiltration_excess
        np.testing.assert_allclose(total, rain, atol=1e-15)
        np.testing.assert_allclose(parts.drawn.sum(0), parts.base_flow + parts.overflow, atol=1e-15)
