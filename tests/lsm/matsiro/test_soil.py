"""Soil heat and water (MATSIRO.md 6, cases 14, 16-22; appendix A.5)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import solve_banded
from scipy.special import erfc

from mdpl.lsm.matsiro import soil
from mdpl.lsm.matsiro.constants import L_MELT, RHO_WATER, SOIL_THICKNESS
from mdpl.xla import AT_ONCE

# Fine layers make long programs, run once.
at_once = functools.partial(jax.jit, compiler_options=AT_ONCE)

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
    """Case 16."""
    rng = np.random.default_rng(1)
    t = jnp.asarray(rng.uniform(270, 300, (5, 1)))
    capacity = soil.heat_capacity(jnp.full((5, 1), 0.2), 1.2e6)
    new = soil.conduct(t, jnp.full((5, 1), 1.1), capacity, 80.0 * ONE, DT)
    gained = float((capacity * (new - t)).sum()) / DT
    np.testing.assert_allclose(gained, -80.0, atol=1e-8)


def fine(first, regular, thick, growing=18, by=1.25):
    """A surface node, ``regular`` layers of one thickness, and thicker ones down to rest."""
    below = thick * by ** np.arange(1, growing + 1)
    return np.hstack([first, np.full(regular, thick), below])


def held_surface(thickness, conductivity, heat_capacity):
    """A first node without resistance and with endless heat: the surface."""
    n = len(thickness)
    k = jnp.full((n, 1), conductivity).at[0].set(1e12)
    capacity = jnp.asarray(heat_capacity * np.asarray(thickness)[:, None]).at[0].set(1e18)
    return k, capacity


def test_conduction_reproduces_the_semi_infinite_solid(fine_layers):
    """Case 17: 2 cm layers, steps of 1800 s, ten days after a rise of 10 K."""
    k, c, steps, thick = 1.2, 2.4e6, 480, 0.02
    layers = fine(thick, 90, thick)
    fine_layers(layers)
    conductivity, capacity = held_surface(layers, k, c)
    start = jnp.full((len(layers), 1), 280.0).at[0].set(290.0)
    advance = at_once(
        lambda t: jax.lax.fori_loop(
            0, steps, lambda _, now: soil.conduct(now, conductivity, capacity, 0.0 * ONE, DT), t
        )
    )
    t = np.asarray(advance(start))[:, 0]
    depth = (np.arange(1, 91) - 0.5) * thick
    exact = 280 + 10 * erfc(depth / (2 * np.sqrt(k / c * steps * DT)))
    assert np.abs(t[1:91] - exact).max() < 0.004  # K, of a step of 10 K
    flux = k * (t[0] - t[1]) / (0.5 * thick)
    np.testing.assert_allclose(flux, k * 10 / np.sqrt(np.pi * k / c * steps * DT), rtol=1e-3)


def daily_amplitude(layers, regular, dt, k=1.2, c=2.4e6):
    """Amplitude of the ground heat flux, as a share of the analytic one, for a daily wave."""
    omega, days = 2 * np.pi / 86400, 12
    conductivity, capacity = held_surface(layers, k, c)

    def step(t, now):
        t = t.at[0].set(280 + 10 * jnp.sin(omega * now))
        t = soil.conduct(t, conductivity, capacity, 0.0 * ONE, dt)
        return t, k * (t[0, 0] - t[1, 0]) / (0.5 * layers[1])

    times = np.arange(1, int(days * 86400 / dt) + 1) * dt
    _, flux = at_once(lambda t: jax.lax.scan(step, t, jnp.asarray(times)))(
        jnp.full((len(layers), 1), 280.0)
    )
    last = times > (days - 1) * 86400
    wave = 2 * np.mean(np.asarray(flux)[last] * np.exp(-1j * omega * times[last]))
    return abs(wave) / (np.sqrt(omega * c * k) * 10)


@pytest.mark.parametrize(("dt", "tolerance"), [(1800.0, 2e-3), (3600.0, 5e-3)])
def test_daily_wave_of_ground_heat(fine_layers, dt, tolerance):
    """Case 18, with 1 cm layers."""
    layers = fine(0.01, 50, 0.01)
    fine_layers(layers)
    np.testing.assert_allclose(daily_amplitude(layers, 50, dt), 1.0, atol=tolerance)


def test_the_default_layers_damp_the_daily_wave(fine_layers):
    """Case 18: a property of the description's layers, not an error of ours."""
    layers = np.hstack([0.01, SOIL_THICKNESS])
    fine_layers(layers)
    np.testing.assert_allclose(daily_amplitude(layers, 5, 1800.0), 0.815, atol=0.01)


def test_frost_penetrates_as_stefan_and_neumann_say(fine_layers):
    """Case 19: saturated, all at 0 C and unfrozen, the surface held at -10 C for 30 days."""
    thick, n = 0.02, 60
    layers = np.full(n, thick)
    fine_layers(layers)
    conductivity, capacity = held_surface(layers, 1.5, 1.2e6 + 4.19e6 * 0.4)
    water = jnp.full((n, 1), 0.4).at[0].set(0.0)

    def step(_, now):
        t, ice = now
        t = soil.conduct(t, conductivity, capacity, 0.0 * ONE, DT)
        return soil.freeze(t, water, ice, capacity)

    start = (jnp.full((n, 1), 273.15).at[0].set(263.15), jnp.zeros((n, 1)))
    _, ice = at_once(lambda now: jax.lax.fori_loop(0, 30 * 48, step, now))(start)
    front = float(ice.sum()) * thick / 0.4
    np.testing.assert_allclose(front, 0.7376, rtol=1e-3)


def test_freezing_conserves_enthalpy_and_thaws_back():
    """Case 16."""
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
    """Case 14."""
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
    """Case 21."""

    def rest(w, steps, dt):
        zero = jnp.zeros_like(w)
        step = lambda _, now: soil.flow(  # noqa: E731
            now, zero, **LOAM, infiltration=0.0 * ONE, sink=zero, dt=dt
        )
        return jax.lax.fori_loop(0, steps, step, w)

    rest = jax.jit(rest)
    water = rest(rest(jnp.full((5, 1), 0.33), 20_000, DT), 20_000, 1e6)
    psi = soil.potential(water / 0.43, -0.3, 5.4)[:, 0]
    centre = np.cumsum(SOIL_THICKNESS) - SOIL_THICKNESS / 2
    np.testing.assert_allclose(psi - psi[0], centre - centre[0], atol=1e-9)


@pytest.mark.parametrize("layers", [SOIL_THICKNESS, np.full(8, 0.1), [0.3, 0.02, 0.5, 0.1]])
def test_steady_infiltration_wets_the_column_evenly(fine_layers, layers):
    """Case 20: free drainage below, W = (q / K_s)^(1 / (2 b + 3)) in any layering."""
    fine_layers(layers)
    rain, exponent = 1e-6, 2 * 5.4 + 3

    def step(_, water):
        drained = RHO_WATER * 7e-6 * (water[-1] / 0.43) ** exponent
        return flow(water, RHO_WATER * rain, jnp.zeros_like(water).at[-1].set(drained))

    start = jnp.full((len(layers), 1), 0.35)
    water = jax.jit(lambda w: jax.lax.fori_loop(0, 20_000, step, w))(start)
    np.testing.assert_allclose(water / 0.43, (rain / 7e-6) ** (1 / exponent), rtol=1e-7)


def test_a_dry_column_stays_dry():
    """Case 22: nothing flows, nothing turns negative."""
    dry = jnp.full((5, 1), 0.02 * 0.43)
    np.testing.assert_allclose(flow(dry), dry, atol=1e-12)
    drawn = flow(dry, -1e-4, jnp.full((5, 1), 0.0))
    assert np.isfinite(drawn).all()


def test_evaporation_beyond_what_the_top_layer_holds_comes_from_below():
    water = jnp.array([[0.0245], [0.06], [0.1], [0.2], [0.2]])
    demand = 2.0 / DT
    new = flow(water, -demand, b=2.64 * ONE, psi_sat=-0.026 * ONE, k_sat=3e-7 * ONE)
    assert float(new.min()) > 0.0
    lost = RHO_WATER * float(((water - new) * DZ).sum())
    np.testing.assert_allclose(lost, 2.0, rtol=1e-10)


def test_frozen_layer_blocks_flow():
    """Case 22."""
    water = jnp.full((5, 1), 0.43)
    ice = jnp.asarray(np.array([0.0, 0.0, 0.43, 0.0, 0.0])[:, None])
    wet = water.at[0].set(0.2).at[1].set(0.3).at[3].set(0.2).at[4].set(0.1)
    new = flow(wet, ice=ice)
    np.testing.assert_allclose(new[2], wet[2], atol=1e-15)
    upper = (DZ * (new - wet))[:2].sum()
    np.testing.assert_allclose(upper, 0.0, atol=1e-15)
