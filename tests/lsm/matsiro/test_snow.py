"""Budgets, melting, refreezing and layers of the snow pack (MATSIRO.md 6, cases 24-26 and 28)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import snow as pack
from mdpl.lsm.matsiro.constants import CP_ICE, L_MELT, RHO_SNOW, SNOW_COLDEST, T_MELT

DT = 1800.0
TRAITS = pack.SnowTraits(jnp.float64(100.0), jnp.float64(0.3), jnp.float64(0.65))
STILL = {
    "sublimation": 0.0,
    "top_heat": 0.0,
    "surplus": 0.0,
    "canopy_heat": 0.0,
    "rain": 0.0,
    "snowfall": 0.0,
    "soil_temperature": 272.0,
    "soil_resistance": 0.03,
}
advance = jax.jit(pack.advance)


def _snow(amount, *temperature):
    amount = np.atleast_1d(np.asarray(amount, float))
    layers = np.broadcast_to(np.asarray(temperature, float)[:, None], (3, amount.size))
    return pack.bare(amount)._replace(amount=jnp.asarray(amount), temperature=jnp.asarray(layers))


def _into(size=1, **changes):
    values = STILL | changes
    return pack.SnowInput(**{k: jnp.broadcast_to(jnp.float64(v), size) for k, v in values.items()})


def _step(snow, traits=TRAITS, dt=DT, **changes):
    return advance(snow, traits, _into(snow.amount.size, **changes), dt)


def _masses(snow, traits=TRAITS):
    """Layers by the text of the description, kg m-2 of ground."""
    amount = np.asarray(snow.amount)
    area = np.minimum(np.sqrt(amount / np.asarray(traits.full_cover)), 1.0)
    area = np.where(amount > 0, area, 1.0)
    s = amount / area
    m1 = np.select([s < 20, s < 40], [s, 0.5 * s], 20.0)
    m2 = np.select([s < 20, s < 60, s < 100], [0 * s, s - m1, 0.5 * (s - 20)], 40.0)
    return area * np.stack([m1, m2, np.where(s >= 60, s - m1 - m2, 0.0)])


def _heat(snow, traits=TRAITS):
    degrees = np.asarray(snow.temperature) - T_MELT
    return (_masses(snow, traits) * (CP_ICE * degrees - L_MELT)).sum(0)


def _mass_gap(old, new, into):
    """What the water budget leaves open, kg m-2."""
    given = into.rain + into.snowfall - into.sublimation + new.unmet - new.water
    return np.asarray(new.snow.amount - old.amount - given * DT)


def _heat_gap(old, new, into, settling, outflow=None, traits=TRAITS):
    """Likewise heat, W m-2; ``settling``: K of snowfall and vapour, ``outflow``: of glacier ice."""
    carried = CP_ICE * (settling - T_MELT) - L_MELT
    melts = np.asarray((into.soil_temperature > T_MELT) & (old.amount == 0))
    heat = into.surplus - into.top_heat + into.canopy_heat - new.soil_heat
    heat += into.snowfall * np.where(melts, -L_MELT, carried)
    heat -= (into.sublimation - new.unmet) * carried
    if outflow is not None:
        kelvin, rate = outflow
        heat -= rate * (CP_ICE * (kelvin - T_MELT) - L_MELT)
    return np.asarray((_heat(new.snow, traits) - _heat(old, traits)) / DT - heat)


def test_layers_follow_the_table():
    per_area = np.array([0.0, 10, 30, 70, 150, 20, 40, 60, 100])
    layers = np.asarray(pack.layer_masses(jnp.asarray(per_area)))
    np.testing.assert_array_equal(layers[:, 3], [20, 25, 25])
    np.testing.assert_array_equal(layers[:, 4], [20, 40, 90])
    np.testing.assert_array_equal(layers[:, 2], [15, 15, 0])
    np.testing.assert_array_equal(layers[:, 1], [10, 0, 0])
    many = jnp.linspace(0, 300, 3001)
    layers = np.asarray(pack.layer_masses(many))
    np.testing.assert_allclose(layers.sum(0), many, rtol=1e-14)
    np.testing.assert_allclose(layers, _masses(_snow(many, 0, 0, 0), _whole()), atol=1e-12)
    np.testing.assert_array_equal((layers > 0).sum(0), np.digitize(many, [1e-9, 20, 60]))


def _whole():
    """Traits by which the least snow covers all ground, so that amounts are those per area."""
    return TRAITS._replace(full_cover=jnp.float64(1e-6))


def test_cover_is_a_fraction_and_its_slope_finite():
    amount = jnp.array([0.0, 1e-3, 25.0, 100.0, 900.0])
    cover = pack.cover_fraction(amount, TRAITS.full_cover)
    np.testing.assert_allclose(cover, [0, np.sqrt(1e-5), 0.5, 1, 1], rtol=1e-12)
    slope = jax.vmap(jax.grad(lambda s: pack.cover_fraction(s, TRAITS.full_cover)))(amount)
    assert np.isfinite(slope).all()


def test_without_snow_everything_passes():
    new = _step(pack.bare(jnp.zeros(1)), top_heat=20.0, surplus=3.0, canopy_heat=-2.0, rain=1e-3)
    np.testing.assert_allclose(new.water, 1e-3, rtol=1e-15)
    np.testing.assert_allclose(new.soil_heat, -19.0, rtol=1e-15)
    jax.tree.map(np.testing.assert_array_equal, new.snow, pack.bare(jnp.zeros(1)))
    assert new.melt == 0 and new.unmet == 0
    conductance, _ = pack.surface_layer(new.snow, TRAITS)
    assert np.isfinite(conductance).all()


def test_surface_layer_is_half_the_first():
    conductance, kelvin = pack.surface_layer(_snow([25.0, 200.0], 260, 265, 270), TRAITS)
    np.testing.assert_allclose(conductance, 0.3 / (0.5 * 20 / 300), rtol=1e-12)  # 25: 50 on half
    np.testing.assert_array_equal(kelvin, 260.0)


@pytest.mark.parametrize("amount", [1.1e-3, 1.0, 30.0, 200.0])
def test_surface_response_foresees_the_step(amount):
    snow, soil = _snow(amount, 250, 260, 268), {"soil_temperature": 271.0, "soil_resistance": 0.1}
    conductance, kelvin = pack.surface_response(snow, TRAITS, *map(jnp.float64, soil.values()), DT)
    flux = conductance * (kelvin - 240.0)
    area = pack.cover_fraction(snow.amount, TRAITS.full_cover)
    new = _step(snow, top_heat=flux * area, **soil)
    half, _ = pack.surface_layer(snow, TRAITS)
    np.testing.assert_allclose(half * (new.snow.temperature[0] - 240.0), flux, rtol=1e-9)


def test_surface_response_keeps_a_thin_pack_from_ringing():
    """Between air at 263 K (25 W m-2 K-1) and soil at 270 K; the old temperature melts it."""
    amount = 1.1e-3

    def temperatures(layer):
        snow, seen = _snow(amount, 268, 268, 268), []
        area = float(pack.cover_fraction(snow.amount, TRAITS.full_cover)[0])
        for _ in range(12):
            conductance, kelvin = layer(snow)
            surface = (25 * 263.0 + conductance * kelvin) / (25 + conductance)
            flux = conductance * (kelvin - surface) * area
            snow = _step(snow, top_heat=flux, soil_temperature=270.0, soil_resistance=0.1).snow
            seen.append(float(snow.temperature[0, 0]))
        return np.array(seen)

    soil = jnp.float64(270.0), jnp.float64(0.1)
    calm = temperatures(lambda s: pack.surface_response(s, TRAITS, *soil, DT))
    assert (np.diff(calm) <= 1e-9).all() and 263 < calm[-1] < 268
    assert temperatures(lambda s: pack.surface_layer(s, TRAITS)).max() == T_MELT


CASES = {
    "one layer melts away": (_snow(0.5, 270, 270, 270), {"surplus": 300.0}),
    "two layers melt away": (_snow(12.0, 270, 271, 271), {"surplus": 9e3}),
    "three layers melt away": (_snow(60.0, 265, 270, 272), {"surplus": 3e4}),
    "some layers melt": (_snow(60.0, 265, 270, 272), {"surplus": 6e3}),
    "the soil melts it from below": (_snow(60.0, 272, 273, 273.15), {"soil_temperature": 290.0}),
    "rain on cold snow": (_snow(80.0, 255, 260, 265), {"rain": 5e-3}),
    "first snow on frozen ground": (pack.bare(jnp.zeros(1)), {"snowfall": 1e-4}),
    "first snow on thawed ground": (
        pack.bare(jnp.zeros(1)),
        {"snowfall": 1e-4, "soil_temperature": 275.0},
    ),
    "a trace of snow": (pack.bare(jnp.zeros(1)), {"snowfall": 5e-7, "rain": 1e-4}),
    "deposition": (_snow(30.0, 255, 260, 265), {"sublimation": -1e-4, "canopy_heat": 5.0}),
    "sublimation": (_snow(30.0, 255, 260, 265), {"sublimation": 1e-4, "canopy_heat": -5.0}),
    "snowfall of 200 mm/h": (_snow(3.0, 255, 255, 255), {"snowfall": 200 / 3600}),
    "sublimated away": (_snow(0.9, 260, 260, 260), {"sublimation": 0.9 / DT, "top_heat": 30.0}),
    "more wanted than there is": (_snow(0.9, 260, 260, 260), {"sublimation": 1e-3}),
    "nearly all melts": (
        _snow(0.5, T_MELT, T_MELT, T_MELT),
        {"surplus": 0.4999 * L_MELT / DT, "soil_temperature": T_MELT},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_mass_and_heat_close(name):
    old, changes = CASES[name]
    new = _step(old, **changes)
    into = _into(**changes)
    settling = np.where(
        old.amount > 0, old.temperature[0], np.minimum(into.soil_temperature, T_MELT)
    )
    if into.snowfall > 0 and old.amount > 0:  # it joins the layer as the step has left it
        dry = _step(old, **changes | {"snowfall": 0.0})
        settling = np.asarray(dry.snow.temperature[0])
    np.testing.assert_allclose(_mass_gap(old, new, into), 0.0, atol=1e-12)
    np.testing.assert_allclose(_heat_gap(old, new, into, settling), 0.0, atol=1e-9)
    np.testing.assert_allclose(new.mass_residual, 0.0, atol=1e-12)
    np.testing.assert_allclose(new.heat_residual, 0.0, atol=1e-9)
    gone = {"melt away", "melts away", "thawed ground", "a trace", "sublimated", "more", "nearly"}
    assert (new.snow.amount[0] == 0) == any(word in name for word in gone)
    assert (new.unmet[0] > 0) == ("more wanted" in name)


def test_beyond_the_limit_ice_leaves():
    old = _snow(999.0, 255, 260, 265)
    new = _step(old, snowfall=2 / DT)
    np.testing.assert_allclose(new.snow.amount, 1000.0, rtol=1e-15)
    np.testing.assert_allclose(new.water * DT, 1.0, rtol=1e-9)
    into = _into(snowfall=2 / DT)
    settling = np.asarray(_step(old).snow.temperature[0])
    outflow = np.asarray(new.snow.temperature[2]), np.asarray(new.water)
    np.testing.assert_allclose(_mass_gap(old, new, into), 0.0, atol=1e-12)
    np.testing.assert_allclose(_heat_gap(old, new, into, settling, outflow), 0.0, atol=1e-9)
    np.testing.assert_allclose(new.heat_residual, 0.0, atol=1e-9)


def _insulated(conductivity=1e-13):
    """Nothing conducts, so that only the sharing out of layers moves heat."""
    return _whole()._replace(conductivity=jnp.float64(conductivity))


@pytest.mark.parametrize("edge", [20.0, 40.0, 60.0, 100.0])
@pytest.mark.parametrize("gain", [3.0, -3.0])
def test_sharing_out_conserves_mass_and_heat(edge, gain):
    traits = _insulated()
    old = _snow(edge - gain / 2, 250, 260, 270)
    rates = {"snowfall": gain / DT} if gain > 0 else {"sublimation": -gain / DT}
    new = _step(old, traits, soil_resistance=1e12, **rates)
    np.testing.assert_allclose(new.snow.amount, edge + gain / 2, rtol=1e-14)

    def warmth(snow):
        return (_masses(snow, traits) * np.asarray(snow.temperature)).sum(0)

    carried = gain * 250.0
    np.testing.assert_allclose(warmth(new.snow), warmth(old) + carried, rtol=1e-13)
    assert (np.asarray(new.snow.temperature) >= 250 - 1e-9).all()
    assert (np.asarray(new.snow.temperature) <= 270 + 1e-9).all()


def test_sharing_out_of_a_partly_covering_pack():
    """Gaining snow, the pack spreads; the mean over the ground of m T is what counts."""
    traits = TRAITS._replace(conductivity=jnp.float64(1e-13))
    old = _snow(30.0, 250, 255, 260)
    new = _step(old, traits, soil_resistance=1e12, snowfall=8 / DT)
    assert (np.asarray(_masses(old)) > 0).sum() == (np.asarray(_masses(new.snow)) > 0).sum() - 1
    warmth = [(_masses(s) * np.asarray(s.temperature)).sum() for s in (old, new.snow)]
    np.testing.assert_allclose(warmth[1], warmth[0] + 8 * 250, rtol=1e-13)


def test_a_melting_surface_melts_what_the_surplus_can():
    old = _snow(150.0, T_MELT, T_MELT, T_MELT)
    new = _step(old, surplus=80.0, soil_temperature=T_MELT)
    np.testing.assert_allclose(new.melt, 80.0 / L_MELT, rtol=1e-12)
    np.testing.assert_allclose(new.water, 80.0 / L_MELT, rtol=1e-12)
    np.testing.assert_array_equal(new.snow.temperature, T_MELT)
    np.testing.assert_allclose(new.soil_heat, 0.0, atol=1e-12)


def test_energy_to_melt_a_pack_away_is_latent():
    snow, spent, water = _snow(70.0, T_MELT, T_MELT, T_MELT), 0.0, 0.0
    for _ in range(200):
        new = _step(snow, surplus=150.0, soil_temperature=T_MELT)
        spent += (150.0 - new.soil_heat[0]) * DT
        water += new.water[0] * DT
        snow = new.snow
    assert snow.amount == 0
    np.testing.assert_allclose(spent, 70.0 * L_MELT, rtol=1e-12)
    np.testing.assert_allclose(water, 70.0, rtol=1e-12)


def test_a_cold_layer_warms_before_it_melts():
    """One layer: energy for melting by hand (the storage term takes the old temperature)."""
    traits = _whole()
    resistance = 0.03 + 0.5 * 10 / RHO_SNOW / 0.3
    new = _step(_snow(10.0, 270, 270, 270), traits, surplus=100.0)
    spare = (272.0 - T_MELT) / resistance + 100.0 - CP_ICE * 10 * (T_MELT - 270) / DT
    melt = spare / L_MELT
    np.testing.assert_allclose(new.melt, melt, rtol=1e-10)
    np.testing.assert_allclose(new.soil_heat, (T_MELT - 272.0) / resistance, rtol=1e-12)


@pytest.mark.parametrize(
    "kelvin, rain, expected", [(200.0, 1e-2, 0.1 * 10), (270.0, 1e-2, None), (200.0, 1e-4, 0.18)]
)
def test_rain_freezes_within_three_limits(kelvin, rain, expected):
    old = _snow(10.0, kelvin, kelvin, kelvin)
    new = _step(old, _insulated(), soil_resistance=1e12, rain=rain)
    cold = CP_ICE * (T_MELT - kelvin) * 10 / L_MELT
    frozen = cold if expected is None else expected
    np.testing.assert_allclose(new.snow.amount - 10.0, frozen, rtol=1e-9)
    np.testing.assert_allclose(new.water * DT, rain * DT - frozen, atol=1e-11)
    warmed = (L_MELT * frozen + CP_ICE * 10 * (kelvin - T_MELT)) / (CP_ICE * (10 + frozen))
    np.testing.assert_allclose(new.snow.temperature[0], T_MELT + warmed, atol=1e-9)


def test_steady_conduction_through_three_layers():
    snow = _snow(150.0, 265, 265, 265)
    for _ in range(120):
        snow = _step(snow, top_heat=15.0, dt=86400.0).snow
    centres = np.array([10.0, 40.0, 105.0])
    thickness = (150.0 - centres) / RHO_SNOW
    np.testing.assert_allclose(
        snow.temperature[:, 0], 272.0 - 15.0 * (0.03 + thickness / 0.3), rtol=1e-9
    )


def test_snow_melts_on_arrival_only_beside_lying_snow():
    old = _snow([0.0, 25.0, 400.0], 270, 270, 270)  # covers nothing, half, all
    rates = {"soil_temperature": 274.0, "soil_resistance": 1e12}
    dry, new = _step(old, **rates), _step(old, snowfall=1e-4, **rates)
    np.testing.assert_allclose(new.water - dry.water, 1e-4 * np.array([1, 0.5, 0]), atol=1e-18)
    lost = np.asarray(dry.soil_heat - new.soil_heat)
    np.testing.assert_allclose(lost, 1e-4 * L_MELT * np.array([1, 0.5, 0]), atol=1e-10)


def test_a_remnant_melts_with_heat_of_the_soil():
    left = 5e-4
    old = _snow(0.5, T_MELT, T_MELT, T_MELT)
    new = _step(old, surplus=(0.5 - left) * L_MELT / DT, soil_temperature=T_MELT)
    assert new.snow.amount == 0
    np.testing.assert_allclose(new.soil_heat, -left * L_MELT / DT, rtol=1e-6)
    np.testing.assert_allclose(new.water * DT, 0.5, rtol=1e-12)


def test_albedo_starts_fresh_and_ages():
    new = _step(pack.bare(jnp.zeros(1)), snowfall=1e-4)
    for _ in range(48):
        aged = _step(new.snow)
        assert (aged.snow.albedo[:2] < new.snow.albedo[:2]).all()
        new = aged
    cleared = _step(new.snow, surplus=3e3)
    np.testing.assert_allclose(cleared.snow.albedo[:, 0], [0.9, 0.7, 0.01])


@pytest.mark.parametrize("amount", [1.1e-3, 0.05, 3.0])
@pytest.mark.parametrize("resistance", [0.01, 0.3])
def test_a_thin_pack_is_stable(amount, resistance):
    """Cooled steadily it goes to its equilibrium without ringing."""
    snow = _snow(amount, 272, 272, 272)
    reached = [272.0]
    for _ in range(80):
        snow = _step(snow, top_heat=20.0 * np.sqrt(amount / 100), soil_resistance=resistance).snow
        reached.append(float(snow.temperature[0, 0]))
    per_area = np.sqrt(amount * 100)
    end = 272.0 - 20.0 * (resistance + 0.5 * per_area / RHO_SNOW / 0.3)
    assert (np.diff(reached) <= 1e-9).all()
    np.testing.assert_allclose(reached[-1], end, atol=0.1)


def test_absurd_cooling_meets_the_floor_and_still_closes():
    old = _snow(150.0, 200, 200, 200)
    new = _step(old, top_heat=5e3)
    assert new.snow.temperature.min() == SNOW_COLDEST
    np.testing.assert_allclose(_heat_gap(old, new, _into(top_heat=5e3), 200.0), 0.0, atol=1e-9)


def test_random_packs_close_and_stay_within_bounds():
    rng = np.random.default_rng(1)
    n = 10_000
    traits = pack.SnowTraits(
        jnp.asarray(10 ** rng.uniform(1, 2.2, n)),
        jnp.asarray(rng.uniform(0.1, 0.6, n)),
        jnp.asarray(rng.uniform(0.4, 0.75, n)),
    )
    amount = 10 ** rng.uniform(-3, 3, n) * (rng.random(n) < 0.9)
    snow = _snow(amount, 0, 0, 0)._replace(
        temperature=jnp.asarray(rng.uniform(230, T_MELT, (3, n)))
    )
    counts = set()
    for _ in range(25):
        cover = np.asarray(pack.cover_fraction(snow.amount, traits.full_cover))
        share = rng.choice([-0.01, 0.0, 1e-3, 1.0, 1.1], n, p=[0.2, 0.4, 0.3, 0.05, 0.05])
        into = pack.SnowInput(
            sublimation=jnp.asarray(share) * snow.amount / DT,
            top_heat=jnp.asarray(rng.normal(0, 60, n) * cover),
            surplus=jnp.asarray(rng.choice([0, 0, 50, 400, 2e4], n) * rng.random(n) * cover),
            canopy_heat=jnp.asarray(rng.normal(0, 5, n)),
            rain=jnp.asarray(rng.choice([0, 0, 1e-4, 1e-2], n)),
            snowfall=jnp.asarray(rng.choice([0, 0, 1e-7, 1e-4, 5e-2], n) * rng.random(n)),
            soil_temperature=jnp.asarray(rng.uniform(240, 290, n)),
            soil_resistance=jnp.asarray(rng.uniform(0.01, 0.3, n)),
        )
        new = advance(snow, traits, into, DT)
        quiet = (into.snowfall == 0) & (into.sublimation == 0) & (snow.amount < 900)
        gap = _heat_gap(snow, new, into, T_MELT, traits=traits)
        np.testing.assert_allclose(gap[quiet], 0.0, atol=1e-9)
        np.testing.assert_allclose(_mass_gap(snow, new, into), 0.0, atol=1e-12)
        np.testing.assert_allclose(new.mass_residual, 0.0, atol=1e-12)
        np.testing.assert_allclose(new.heat_residual, 0.0, atol=1e-9)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(new))
        after = new.snow
        assert ((after.amount == 0) | (after.amount >= 1e-3)).all()
        assert (after.amount <= 1000).all() and (np.asarray(new.water) >= 0).all()
        assert (after.temperature <= T_MELT).all() and (after.temperature > 150).all()
        assert (np.asarray(new.melt) >= 0).all() and (np.asarray(new.unmet) >= 0).all()
        layers = _masses(after, traits)
        counts |= set(np.unique((layers > 0).sum(0)).tolist())
        own = np.asarray(pack.enthalpy(after, traits))
        np.testing.assert_allclose(own, _heat(after, traits), rtol=1e-13)
        snow = after
    assert counts == {0, 1, 2, 3}


ARGUMENTS = ("amount", "first", "second", "third", "full_cover", "conductivity", *STILL)


def _outcome(values):
    """Something of every output of three steps."""
    snow = pack.bare(values[:1])._replace(amount=values[:1], temperature=values[1:4, None])
    traits = pack.SnowTraits(values[4], values[5], jnp.float64(0.65))
    into = pack.SnowInput(*values[6:, None])

    def step(snow, _):
        new = pack.advance(snow, traits, into, DT)
        out = new.soil_heat + 1e4 * (new.water + new.melt) + new.snow.temperature[0]
        return new.snow, out.sum()

    snow, out = jax.lax.scan(step, snow, length=3)
    return out.sum() + snow.amount.sum() + 10 * snow.albedo.sum()


_SLOPES, _OUTCOMES = jax.jit(jax.grad(_outcome)), jax.jit(jax.vmap(_outcome))


@pytest.mark.parametrize("amount", [2.0, 12.0, 70.0])
def test_gradients_on_a_melting_pack_are_those_of_differences(amount):
    at = [amount, 271.0, 272.0, 272.5, 100.0, 0.3]
    values = jnp.array([*at, 1e-5, -40.0, 60.0, 3.0, 1e-4, 2e-4, 272.0, 0.03])
    slopes = np.asarray(_SLOPES(values))
    step = 1e-6 * np.abs(values)
    moves = jnp.diag(jnp.asarray(step))
    differences = (_OUTCOMES(values + moves) - _OUTCOMES(values - moves)) / (2 * step)
    for name, slope, difference in zip(ARGUMENTS, slopes, np.asarray(differences), strict=True):
        np.testing.assert_allclose(slope, difference, rtol=1e-4, atol=1e-5, err_msg=name)
    assert np.abs(slopes[[0, 1, 4, 5, 7, 8, 10, 12]]).min() > 0


def test_gradients_are_finite_everywhere():
    """Also where a pack is missing, melts away, or starts."""

    def outcome(amount, surplus, soil_temperature):
        snow = pack.bare(jnp.zeros(1))._replace(amount=amount[None])
        into = _into(surplus=0.0, snowfall=1e-4)._replace(
            surplus=surplus[None], soil_temperature=soil_temperature[None]
        )
        new = pack.advance(snow, TRAITS, into, DT)
        conductance, kelvin = pack.surface_layer(new.snow, TRAITS)
        out = new.water + new.soil_heat + conductance + kelvin + new.snow.amount
        return (out + pack.cover_fraction(new.snow.amount, TRAITS.full_cover)).sum()

    grid = np.meshgrid([0.0, 1e-3, 4.0, 100.0, 1000.0], [0.0, 50.0, 1e5], [260.0, T_MELT, 280.0])
    grid = [jnp.asarray(g.ravel()) for g in grid]
    for slopes in jax.jit(jax.vmap(jax.grad(outcome, (0, 1, 2))))(*grid):
        assert np.isfinite(slopes).all()
