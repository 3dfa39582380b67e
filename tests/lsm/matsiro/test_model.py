"""The column as a land model at a tower: contract and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.errors import ModelError
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.model import LandModel
from mdpl.sites.catalogue import open_sites
from mdpl.sites.virtual import draw_climates, virtual_forcing


@pytest.fixture(scope="module")
def model():
    return Matsiro(default_cycles=1, member_cycles=0)


@pytest.fixture(scope="module")
def wet_summer():
    """Three warm weeks of a record, humid enough for base flow to matter."""
    base = open_sites(None, ["FR-Hes"])[0]
    return virtual_forcing(base, "V-Wet", draw_climates(1, seed=3)[0], first_day=150, days=21)


def test_it_is_a_land_model(model):
    assert isinstance(model, LandModel)
    assert {"Qle", "Qh", "GPP"} <= set(model.outputs)


def test_simulation_closes_and_stands_on_the_tower_axis(model, wet_summer):
    run = model.simulate(wet_summer)
    assert dict(run.sizes) == {"member": 1, "time": 21 * 48, "layer": 5}
    np.testing.assert_array_equal(run["time"].values, wet_summer.time)
    assert float(abs(run["EnergyResidual"]).max()) < 1e-9
    assert float(abs(run["WaterResidual"]).max()) < 1e-9
    balance = run["Rnet"] - run["Qh"] - run["Qle"] - run["Qg"]
    assert float(abs(balance).max()) < 1e-9


def test_member_results_do_not_depend_on_the_batch(model, wet_summer):
    rng = np.random.default_rng(0)
    values = PARAMETERS.from_unit(rng.random((10, len(PARAMETERS))))
    together = model.simulate(wet_summer, values)
    alone = model.simulate(wet_summer, values[7])
    np.testing.assert_allclose(together["Qle"][7], alone["Qle"][0], atol=1e-6)


def test_towers_side_by_side_run_as_if_alone(model, wet_summer):
    base = open_sites(None, ["US-Tw3"])[0]
    short = virtual_forcing(base, "V-Dry", draw_climates(1, seed=4)[0], first_day=200, days=9)
    values = PARAMETERS.from_unit(np.full(len(PARAMETERS), 0.4))
    longer, shorter = model.simulate_each([wet_summer, short], [None, values])
    for site, given, together in ((wet_summer, None, longer), (short, values, shorter)):
        alone = model.simulate(site, given).isel(member=0)
        for name in ("Qle", "Qh", "SoilMoist"):
            np.testing.assert_allclose(together[name], alone[name], atol=1e-6)
        np.testing.assert_array_equal(together["time"].values, site.time)


def test_values_outside_bounds_are_refused_by_name(model, wet_summer):
    values = PARAMETERS.defaults(wet_summer.land_cover)
    values[PARAMETERS.names.index("vmax")] = 999
    with pytest.raises(ModelError, match=r"vmax.*\[8, 200\].*999"):
        model.simulate(wet_summer, values)
    with pytest.raises(ModelError, match="has no output Nope"):
        model.simulate(wet_summer, outputs=["Nope"])


@pytest.mark.slow
def test_reverse_mode_agrees_with_central_differences(model, wet_summer):
    run = model.differentiable(wet_summer, steps=4 * 48)
    base = PARAMETERS.to_unit(PARAMETERS.defaults(wet_summer.land_cover))
    base = jnp.asarray(np.clip(base, 0.05, 0.95))
    low, high, log = (
        jnp.asarray(x) for x in (PARAMETERS.lower, PARAMETERS.upper, PARAMETERS.is_log)
    )

    def means(unit):
        linear = low + unit * (high - low)
        geometric = jnp.where(log, low, 1.0) * jnp.where(log, high / low, 1.0) ** unit
        out = run(jnp.where(log, geometric, linear))
        return jnp.stack([out["Qle"].mean(0), out["Qh"].mean(0)])

    # One row a displaced parameter set: all differences in one run.
    step = 1e-6
    n = len(PARAMETERS)
    moved = jnp.concatenate([base + step * jnp.eye(n), base - step * jnp.eye(n)])
    shifted = jax.jit(means)(moved)
    differences = np.asarray((shifted[:, :n] - shifted[:, n:]) / (2 * step))
    slope = jax.jit(jax.grad(lambda u, weights: weights @ means(u[None])[:, 0]))
    reverse = np.asarray(jnp.stack([slope(base, weights) for weights in jnp.eye(2)]))
    assert np.isfinite(reverse).all()
    for i, name in enumerate(PARAMETERS.names):
        scale = np.maximum(np.abs(differences[:, i]), 1e-4 * np.abs(differences).max(axis=1))
        assert (np.abs(reverse[:, i] - differences[:, i]) < 1e-3 * scale).all(), name
    zero = {name for i, name in enumerate(PARAMETERS.names) if not reverse[:, i].any()}
    # Base flow needs a water table; a loam above it has none in three weeks.
    assert zero <= {"drainage"}
