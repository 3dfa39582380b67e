"""What surrounds a surface: burial by snow, light, stores (MATSIRO.md 2.3-2.6, 2.8, 2.11)."""

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro import setting
from mdpl.lsm.matsiro.constants import LAI_FLOOR, PAR_QUANTA, SOIL_THICKNESS, T_MELT

DT = 1800.0


@pytest.fixture(scope="module")
def column(made):
    return made.column()


def around(made, column, state, air, depth=0.0, area=0.5):
    roots = setting.rooted(column, state, DT)
    canopy = setting.emerged(column, air.LAI, made.one(depth))
    bare = setting.soil_side(
        column, state, air, roots, setting.emerged(column, air.LAI, made.one(0)), DT
    )
    snowy = setting.snow_side(column, state, air, roots, canopy, made.one(area), DT)
    return bare, snowy


@pytest.mark.parametrize(
    ("depth", "height", "share"), [(0, 20, 1), (4, 16, 1), (15, 5, 0.5), (25, 0, 0)]
)
def test_snow_buries_stems_before_leaves(made, column, depth, height, share):
    canopy = setting.emerged(column, made.one(3), made.one(depth))
    np.testing.assert_allclose(canopy.height, height)
    np.testing.assert_allclose(canopy.lai, max(3 * share, LAI_FLOOR))


def test_roots_of_a_dry_column_take_nothing(made, column):
    """Case 22, and case 12: shares sum to one however dry it is."""
    for degree in (0.0, 0.02, 0.5, 1.0):
        state = made.state()._replace(soil_water=jnp.full((5, 1), degree * 0.43))
        roots = setting.rooted(column, state, DT)
        np.testing.assert_allclose(roots.share.sum(0), 1.0, atol=1e-12)
        assert (float(roots.store[0]) > 0) == (degree > 0.02)
    saturated = 1 / (1 + np.exp(0.02 * (-200 + 0.3)))
    np.testing.assert_allclose(roots.stress, saturated, rtol=1e-12)


def test_ice_is_no_water_for_roots(made, column):
    frozen = made.state()._replace(soil_ice=jnp.full((5, 1), 0.6 * 0.43))
    assert float(setting.rooted(column, frozen, DT).store[0]) == 0.0


@pytest.mark.parametrize("what", ["frozen through", "dry"])
@pytest.mark.parametrize("forgiving", [False, True])
def test_a_layer_without_water_leaves_the_uptake_to_the_others(made, column, what, forgiving):
    if forgiving:  # a soil and roots for which even the driest water is no stress
        column = column._replace(
            soil_b=made.one(2.5), psi_sat=made.one(-0.02), stress_slope=made.one(0.005),
            psi_critical=made.one(-600),
        )  # fmt: skip
    wet = made.state()._replace(soil_water=jnp.full((5, 1), 0.3), soil_ice=jnp.zeros((5, 1)))
    if what == "dry":
        lacking = wet._replace(soil_water=wet.soil_water.at[0].set(0.02 * 0.43))
    else:
        lacking = wet._replace(soil_ice=wet.soil_ice.at[0].set(0.3))
    roots, others = setting.rooted(column, lacking, DT), setting.rooted(column, wet, DT)
    share = np.asarray(others.share).copy()
    share[0] = 0.0
    np.testing.assert_allclose(roots.share, share / share.sum(0), rtol=1e-4)
    assert roots.share[0] == 0.0
    available = 0.5 * (0.3 - 0.02 * 0.43) * np.asarray(SOIL_THICKNESS)[:, None] * 1000 / DT
    most = (available[1:] / np.asarray(roots.share)[1:]).min()
    np.testing.assert_allclose(roots.store, most, rtol=1e-12)


def test_what_roots_can_have_falls_to_nothing_as_a_wet_layer_freezes(made, column):
    """A saturated layer has liquid water up to the last of its ice."""
    full = made.state()._replace(soil_water=jnp.full((5, 1), 0.43))
    stores = [
        float(setting.rooted(column, full._replace(soil_ice=jnp.full((5, 1), ice)), DT).store[0])
        for ice in (0.0, 0.3, 0.42, 0.4299, 0.43)
    ]
    assert np.all(np.diff(stores) < 0) and stores[-1] == 0.0 and stores[-2] > 0.0


def test_every_watt_reaches_something(made, column):
    """Case 2 for both parts of a column."""
    for _, s in around(made, column, made.state(), made.air(), 0.3):
        total = s.shortwave_up + s.shortwave_ground + s.shortwave_canopy
        np.testing.assert_allclose(total, 700.0, rtol=1e-12)


def test_leaves_share_the_visible_light_they_absorb(made, column):
    """Case 11: top-leaf light x canopy mean x leaf area is the light absorbed."""
    _, s = around(made, column, made.state(), made.air())[0]
    quanta = s.light * s.canopy_mean * s.lai / column.leaf.quantum_yield / PAR_QUANTA
    dark = made.air()._replace(direct_infrared=made.one(0), diffuse_infrared=made.one(0))
    _, visible = around(made, column, made.state(), dark)[0]
    np.testing.assert_allclose(quanta, visible.shortwave_canopy, rtol=1e-12)


def test_snow_is_bright_evaporates_freely_and_never_warms_beyond_melting(made, column):
    state = made.state()
    lying = state._replace(snow=state.snow._replace(amount=made.one(60.0)))
    (_, soil), (_, snow) = around(made, column, lying, made.air(), 0.2)
    assert float(snow.shortwave_up[0]) > float(soil.shortwave_up[0])
    assert float(snow.ceiling[0]) == T_MELT and float(soil.ceiling[0]) > 500
    assert float(snow.ground_resistance[0]) == 0 and float(soil.ground_resistance[0]) > 0
    np.testing.assert_allclose(snow.ground_store, 60.0 / 0.5 / DT)


def test_soil_resistance_and_humidity(made, column):
    """Appendix A.5: r_soil(W = 0.5) and h_soil(psi = -100 m, 290 K)."""
    half = made.state()._replace(soil_water=jnp.full((5, 1), 0.5 * 0.43))
    np.testing.assert_allclose(
        around(made, column, half, made.air())[0][1].ground_resistance, 571.428571, rtol=1e-9
    )
    degree = (100 / 0.3) ** (-1 / 5.4)
    dry = half._replace(
        soil_water=jnp.full((5, 1), degree * 0.43), soil_temperature=jnp.full((5, 1), 290.0)
    )
    np.testing.assert_allclose(
        around(made, column, dry, made.air())[0][1].ground_humidity, 0.992696877, atol=1e-9
    )


def test_frozen_water_on_leaves_brightens_them_only_in_frost(made, column):
    wet = made.state()._replace(canopy_water=made.one(6e-4))
    cold = wet._replace(soil_side=wet.soil_side._replace(canopy=made.one(270.0)))
    warm_up, cold_up = (
        float(around(made, column, s, made.air())[0][1].shortwave_up[0]) for s in (wet, cold)
    )
    dry_up = float(around(made, column, made.state(), made.air())[0][1].shortwave_up[0])
    assert cold_up > 1.5 * warm_up
    np.testing.assert_allclose(warm_up, dry_up, rtol=1e-12)
