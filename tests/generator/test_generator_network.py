import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import toy_bucket as toy
from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ModelError
from mdpl.generator.known import PARTS_OF_YEAR, Known, seasons
from mdpl.generator.network import (
    Generator,
    fit_encoder,
    load_generator,
    save_generator,
    shift,
    untrained,
)
from mdpl.lsm.model import Parameter, ParameterSpace

ATTRIBUTES = [
    {"Tair_mean": 280.0 + i, "elevation": 5.0, "land_cover": 1 + i % 2, "igbp": "ENF"}
    for i in range(4)
]
CODES = ["A", "B", "C", "D"]
KINDS = ["attributes", "forcing", "pft", "common", "free"]


def known(attributes: dict, warmth: float = 0.0) -> Known:
    """A tower of these attributes and of a made-up year of weather."""
    season = np.sin(np.linspace(0, 6, PARTS_OF_YEAR))[:, None] * np.arange(1, 15)
    return Known(attributes, season + warmth)


TOWERS = [known(a, i) for i, a in enumerate(ATTRIBUTES)]


def generator(seed: int = 0, **changes: object) -> Generator:
    config = GeneratorConfig(seed=seed, **changes)
    encoder = fit_encoder(CODES, TOWERS, config.kind)
    return untrained(config, encoder, ("p", "q", "r"))


def stirred(fresh: Generator, seed: int = 1) -> Generator:
    """The same generator with random weights in every layer."""
    keys = iter(jax.random.split(jax.random.key(seed), 20))
    layers = jax.tree.map(
        lambda w: w + jax.random.normal(next(keys), w.shape, w.dtype), fresh.layers
    )
    return eqx.tree_at(lambda g: g.layers, fresh, layers)


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_it_returns_the_defaults_in_physical_units(kind):
    space = ParameterSpace(
        (
            Parameter("p", "1", "", 1e-9, 1e-3, 4.2e-6, "", "log"),
            Parameter("q", "1", "", 0.0, 1.0, 0.0, ""),
            Parameter("r", "1", "", -3.0, 5.0, 5.0, ""),
        )
    )
    default = space.defaults(1)
    learnt = generator(kind=kind).parameters("B", TOWERS[1], space.to_unit(default))
    np.testing.assert_allclose(space.from_unit(learnt), default, rtol=1e-9, atol=1e-12)


@given(
    default=st.floats(0, 1),
    first=st.floats(-40, 40),
    second=st.floats(-40, 40),
)
@settings(max_examples=60, deadline=None)
def test_a_shift_stays_in_the_cube_and_keeps_order(default, first, second):
    low, high = sorted((first, second))
    start = jnp.full(2, default, dtype=jnp.float32)
    a, b = np.asarray(shift(start, jnp.asarray([low, high], dtype=jnp.float32)))
    assert -1e-6 <= a <= b + 1e-6 <= 1 + 2e-6


@pytest.mark.parametrize("default", [0.0, 0.01, 0.02, 0.5, 0.99, 1.0])
def test_a_default_anywhere_can_be_left_by_gradient(default):
    def moved(offset):
        return shift(jnp.asarray([default], dtype=jnp.float32), offset)[0]

    slope = jax.grad(moved)(jnp.zeros(1, dtype=jnp.float32))
    assert slope[0] > 1e-3


def test_far_offsets_reach_both_bounds():
    start = jnp.asarray([0.01, 0.3, 0.995], dtype=jnp.float32)
    np.testing.assert_allclose(shift(start, jnp.full(3, 60.0, jnp.float32)), 1, atol=1e-6)
    np.testing.assert_allclose(shift(start, jnp.full(3, -60.0, jnp.float32)), 0, atol=1e-6)


def test_attributes_that_did_not_vary_or_are_missing_do_not_matter():
    moved = stirred(generator())
    default = np.full(3, 0.5)
    plain = moved.parameters(
        "X", Known({"Tair_mean": 281.0, "elevation": 5.0, "land_cover": 1}), default
    )
    high = moved.parameters(
        "X", Known({"Tair_mean": 281.0, "elevation": 3e3, "land_cover": 1}), default
    )
    assert (plain == high).all()
    warm = moved.parameters(
        "X", Known({"Tair_mean": 284.0, "elevation": 5.0, "land_cover": 1}), default
    )
    assert (plain != warm).all()
    crop = moved.parameters(
        "X", Known({"Tair_mean": 281.0, "elevation": 5.0, "land_cover": 2}), default
    )
    assert (plain != crop).all()
    unknown = moved.parameters("X", Known({"land_cover": 1}), default)
    mean = moved.parameters(
        "X", Known({"Tair_mean": 281.5, "elevation": 5.0, "land_cover": 1}), default
    )
    assert (unknown == mean).all()


def test_an_attribute_far_outside_the_training_towers_is_cut():
    encoder = generator().encoder
    hot = Known({**ATTRIBUTES[0], "Tair_mean": 400.0})
    assert encoder("X", hot).max() == 3.0


def test_free_parameters_exist_only_where_they_were_learnt():
    with pytest.raises(ModelError, match=r"site X:.*A, B, C, D"):
        generator(kind="free").parameters("X", TOWERS[0], np.full(3, 0.5))


def test_a_wrong_number_of_defaults_is_refused():
    with pytest.raises(ModelError, match="expected 3 default parameters"):
        generator().parameters("A", TOWERS[0], np.full(2, 0.5))


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_generator_comes_back_to_the_last_bit(tmp_path, kind):
    config = GeneratorConfig(kind=kind)
    moved = stirred(generator(kind=kind))
    save_generator(moved, config, tmp_path / "g.eqx")
    again = load_generator(tmp_path / "g.eqx")
    default = np.array([0.2, 0.5, 0.9])
    for code, tower in zip(CODES, TOWERS, strict=True):
        assert (
            again.parameters(code, tower, default) == moved.parameters(code, tower, default)
        ).all()


def test_one_shift_a_class_knows_the_class_alone():
    moved, default = stirred(generator(kind="pft")), np.full(3, 0.5)
    a, b, c, d = (moved.parameters("X", tower, default) for tower in TOWERS)
    assert (a == c).all() and (b == d).all() and (a != b).any()


def test_one_shift_for_all_is_the_same_everywhere():
    moved, default = stirred(generator(kind="common")), np.full(3, 0.5)
    found = [moved.parameters("X", tower, default) for tower in TOWERS]
    assert (found[0] != default).all() and all((one == found[0]).all() for one in found)


def test_the_weather_counts_only_where_it_is_asked_for():
    default = np.full(3, 0.5)
    for kind, told in (("attributes", False), ("forcing", True)):
        moved = stirred(generator(kind=kind))
        mild, warm = (moved.parameters("X", known(ATTRIBUTES[0], w), default) for w in (0, 2))
        assert (mild != warm).any() == told


def test_a_record_of_half_a_year_is_read_by_what_it_has():
    moved, default = stirred(generator(kind="forcing")), np.full(3, 0.5)
    half = TOWERS[0].seasons.copy()
    half[18:] = np.nan
    found = moved.parameters("X", Known(ATTRIBUTES[0], half), default)
    assert np.isfinite(found).all()
    twice = np.concatenate([half[:18], half[:18]])
    again = moved.parameters("X", Known(ATTRIBUTES[0], twice), default)
    np.testing.assert_allclose(found, again, atol=1e-6)


def test_seasons_are_means_and_spreads_of_the_forcing_by_part_of_the_year():
    tower = toy.site(days=40, start="2001-01-01")
    found = seasons(tower)
    first = slice(0, 11 * 24)
    assert found.shape == (PARTS_OF_YEAR, 14)
    assert np.isfinite(found[:4]).all() and np.isnan(found[5:]).all()
    sun = tower.forcing["SWdown"].values[first]
    np.testing.assert_allclose(found[0, [0, 7]], [sun.mean(), sun.std()], rtol=1e-6)
