"""Pulling slopes back month by month: its bookkeeping on a small recurrence, and the column."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import adjoint, engine
from mdpl.lsm.matsiro.mixture import Mixture
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.state import Forcing
from mdpl.sites.catalogue import open_sites
from mdpl.sites.virtual import draw_climates, virtual_forcing

STEPS = 2 * engine.CHUNK_STEPS + 100


def advance(column, now, air, dt, most=1, keep=None):
    """A store that forgets and is filled; out come its square and its share."""
    new = now * jnp.tanh(column[:, 0]) + 0.1 * dt * air.Tair * column[:, 1] ** 2
    now = jnp.where(air.valid > 0, new, now)
    return now, {**dict.fromkeys(adjoint.OUTPUTS, now), "Qle": now**2, "Qh": now * column[:, 0]}


def march(column, state, record, dt):
    def step(now, air):
        new, out = advance(column, now, air, dt)
        return new, (out, now)

    last, (out, states) = jax.lax.scan(step, state, record)
    return last, out, states


def record(steps, seed):
    weather = np.random.default_rng(seed).normal(size=(steps, 1))
    fields = {name: weather.copy() for name in Forcing._fields}
    return Forcing(**{**fields, "valid": np.ones((steps, 1))})


def test_pieces_add_up_to_the_gradient_of_the_whole(monkeypatch):
    monkeypatch.setattr(adjoint, "advance", advance)
    monkeypatch.setattr(adjoint, "build", lambda values, where: values)
    monkeypatch.setattr(engine, "compiled", lambda most: jax.jit(march))
    adjoint._pull.cache_clear()
    values = np.array([[2.0, 0.5], [1.5, -0.3], [1.0, 1.2]])
    spinup, own, state = record(2000, 0), record(STEPS, 1), jnp.array([0.7])
    slopes = {
        name: np.random.default_rng(i).normal(size=(3, STEPS))
        for i, name in enumerate(("Qle", "Qh"))
    }

    def whole(v):
        now = jnp.repeat(state, 3)
        for part in (spinup, own):
            now, out, _ = march(v, now, jax.tree.map(jnp.asarray, part), 0.5)
        return out

    expected, back = jax.vjp(whole, jnp.asarray(values))
    try:
        out, pull = adjoint.vjp(values, None, state, [spinup], own, 0.5, ("Qle", "Qh"), 1)
        found = pull(slopes)
    finally:
        adjoint._pull.cache_clear()
    for name, series in out.items():
        np.testing.assert_allclose(series, expected[name].T, rtol=1e-12)
    theirs = back(
        {name: jnp.asarray(slopes.get(name, 0 * slopes["Qh"]).T) for name in adjoint.OUTPUTS}
    )[0]
    np.testing.assert_allclose(found, theirs, rtol=1e-9)


@pytest.mark.full
@pytest.mark.parametrize("mixed", [False, True])
def test_slopes_of_the_column_are_those_of_differences(mixed):
    """A spin-up and a record of 70 days; base flow left out, as in ``test_model.py``."""
    base = open_sites(None, ["FR-Hes"])[0]
    site = virtual_forcing(base, "V-Warm", draw_climates(1, seed=3)[0], first_day=120, days=70)
    mixtures = {site.code: Mixture("GRA", 0.4)} if mixed else {}
    model = Matsiro(default_cycles=1, mixtures=mixtures)
    unit = np.clip(PARAMETERS.to_unit(PARAMETERS.defaults(site.attributes)), 0.1, 0.9)
    out, pull = model.vjp(site, PARAMETERS.from_unit(unit)[None])
    run = model.simulate(site, PARAMETERS.from_unit(unit), ("Qle", "Qh"))
    for name, series in out.items():
        np.testing.assert_array_equal(series, run[name].values)
    even = {name: np.full_like(series, 1 / series.shape[1]) for name, series in out.items()}
    slope = pull(even)[0] * PARAMETERS.slope(unit)
    step = 1e-6 * np.eye(len(unit))
    moved = model.simulate(
        site, PARAMETERS.from_unit(np.concatenate([unit + step, unit - step])), ("Qle", "Qh")
    )
    total = sum(moved[name].values.mean(axis=1) for name in ("Qle", "Qh"))
    differences = (total[: len(unit)] - total[len(unit) :]) / 2e-6
    keep = np.array([name != "drainage" for name in PARAMETERS.names])
    np.testing.assert_allclose(slope[keep], differences[keep], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("sets", "names", "said"),
    [(engine.BATCH + 1, ("Qle",), f"found {engine.BATCH + 1} and"), (1, ("SWE",), "and SWE")],
)
def test_too_many_sets_and_other_outputs_are_refused(sets, names, said):
    with pytest.raises(ModelError, match=said):
        adjoint.vjp(np.zeros((sets, 2)), None, None, [], record(48, 0), 1800.0, names, 1)
