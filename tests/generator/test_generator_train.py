from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toy_bucket as toy
from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ModelError, SiteError
from mdpl.generator.known import Known, seasons
from mdpl.generator.network import Generator, fit_encoder, untrained
from mdpl.generator.train import (
    TowerObservations,
    _pool,
    _present,
    full_loss,
    loss_of_generator,
    train,
)
from mdpl.surrogate import train as surrogate_train
from mdpl.surrogate.batches import drawer
from mdpl.surrogate.network import Surrogate

SHORT = {
    "steps": 8, "days_per_batch": 10, "slots_per_day": 4, "checkpoint_every": 4,
    "evaluate_every": 3, "hidden": 6,
}  # fmt: skip


def hidden_truth(attribute: float) -> np.ndarray:
    """The rule by which a tower's true parameters follow from its attribute (0 to 1)."""
    return np.array([0.2 + 0.6 * attribute, 0.5, 0.8 - 0.6 * attribute, 0.5])


def observations(seed: int, attribute: float, days: int = 60) -> TowerObservations:
    tower = toy.site(f"XX-{seed:03d}", days, 24, seed)
    truth = toy.simulate(tower, hidden_truth(attribute)).isel(member=0)
    observed = {task: truth[task].values.copy() for task in ("Qle", "Qh")}
    counts = {task: np.ones(days * 24, dtype=bool) for task in observed}
    facts = {"rule": attribute, "land_cover": 1, "igbp": "ENF"}
    # One default for all: the offset is learnt from the attributes, which do not tell it.
    known = Known(facts, seasons(tower))
    return TowerObservations(toy.tensors(tower), known, observed, counts)


@pytest.fixture(scope="module")
def rough() -> Surrogate:
    """A surrogate of little training: its skill does not matter here."""
    runs = [toy.runs(60, 12, s) for s in range(2)]
    return surrogate_train.train(runs, toy.NAMES, toy.tiny(steps=30, learning_rate=0.04))[0]


def fresh(
    surrogate: Surrogate, towers: list[TowerObservations], kind: str = "attributes"
) -> tuple[Generator, jax.Array]:
    encoder = fit_encoder([t.tensors.code for t in towers], [t.known for t in towers], kind)
    made = untrained(GeneratorConfig(**SHORT), encoder, toy.NAMES)
    features = jnp.stack([jnp.asarray(encoder(t.tensors.code, t.known)) for t in towers])
    return made, features


def test_gradient_through_the_surrogate_agrees_with_finite_differences(rough):
    towers = [observations(s, a, 20) for s, a in ((0, 0.1), (1, 0.9))]
    config = GeneratorConfig(**SHORT)
    made, features = fresh(rough, towers)
    batch = toy.batch(drawer([_pool(rough, t) for t in towers], config, 1), 0)

    def double(tree):
        return jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, tree)

    made, features, batch, surrogate = (double(x) for x in (made, features, batch, rough))
    rng = np.random.default_rng(0)
    leaves, shape = jax.tree.flatten(made.layers)
    leaves = [a + 0.1 * jnp.asarray(rng.normal(size=a.shape)) for a in leaves]

    @jax.jit
    def objective(leaves):
        moved = eqx.tree_at(lambda g: g.layers, made, jax.tree.unflatten(shape, leaves))
        penalty, parts = loss_of_generator(moved, surrogate, features, batch, config)
        return penalty + parts.mean()

    slope = jax.grad(objective)(leaves)
    for _ in range(4):
        way = [jnp.asarray(rng.normal(size=a.shape)) for a in leaves]
        expected = sum(float((a * b).sum()) for a, b in zip(slope, way, strict=True))
        up, down = (
            float(objective([a + h * b for a, b in zip(leaves, way, strict=True)]))
            for h in (1e-5, -1e-5)
        )
        assert (up - down) / 2e-5 == pytest.approx(expected, rel=1e-6)


def test_trainings_of_one_shape_share_their_programs(rough, compiled_anew):
    towers = [observations(s, a, 25) for s, a in ((0, 0.1), (1, 0.9))]
    others = [observations(s, a, 25) for s, a in ((2, 0.3), (3, 0.7))]
    runs = [toy.runs(60, 12, s) for s in (4, 5)]
    other, _ = surrogate_train.train(runs, toy.NAMES, toy.tiny(steps=30, learning_rate=0.04))
    before = len(compiled_anew)
    train(rough, towers, GeneratorConfig(**SHORT))
    first = len(compiled_anew)
    train(other, others, GeneratorConfig(**SHORT))
    assert first > before and len(compiled_anew) == first


def test_training_never_ends_above_the_defaults_and_stays_in_the_cube(rough):
    towers = [observations(s, a, 30) for s, a in ((0, 0.1), (1, 0.9))]
    config = GeneratorConfig(**SHORT)
    made, _ = fresh(rough, towers)
    pools = [_pool(rough, t) for t in towers]
    before = full_loss(made, rough, towers, pools, config)
    learnt, history = train(rough, towers, config)
    assert full_loss(learnt, rough, towers, pools, config) <= before
    assert {"loss", "Qle", "Qh"} <= set(history.columns) and len(history) == 8
    wild, _ = train(rough, towers, GeneratorConfig(**{**SHORT, "learning_rate": 1.0}))
    assert full_loss(wild, rough, towers, pools, config) <= before
    for tower in towers:
        start = tower.tensors.default_unit
        unit = wild.parameters(tower.tensors.code, tower.known, start)
        assert ((unit >= 0) & (unit <= 1)).all()


def test_free_parameters_get_as_far_in_as_many_steps(rough):
    towers = [observations(s, a, 30) for s, a in ((0, 0.0), (1, 0.5), (2, 1.0))]
    config = GeneratorConfig(**{**SHORT, "steps": 150, "prior_weight": 0.0})
    pools = [_pool(rough, t) for t in towers]
    reached = {}
    for kind in ("attributes", "free"):
        learnt, _ = train(rough, towers, config.model_copy(update={"kind": kind}))
        reached[kind] = full_loss(learnt, rough, towers, pools, config)
    # But for what chance of the batches makes of two ways to one optimum.
    assert reached["free"] < 1.005 * reached["attributes"]


def test_steps_that_do_not_count_do_not_matter(rough):
    tower = observations(0, 0.3, 30)
    counts = {k: v.copy() for k, v in tower.counts.items()}
    spoilt = {k: v.copy() for k, v in tower.observed.items()}
    for task in counts:
        counts[task][200:] = False
        counts[task][::5] = False
        spoilt[task][~counts[task]] = 1e6
    gaps = {k: np.where(counts[k], v, np.nan) for k, v in tower.observed.items()}
    config = GeneratorConfig(**SHORT)
    results = [
        train(rough, [replace(tower, observed=flux, counts=counts)], config)
        for flux in (tower.observed, spoilt, gaps)
    ]
    first = jax.tree.leaves(results[0][0].layers)
    for learnt, _ in results[1:]:
        for a, b in zip(first, jax.tree.leaves(learnt.layers), strict=True):
            assert (a == b).all()


def test_a_strong_prior_holds_the_parameters_at_their_defaults(rough):
    towers = [observations(0, 0.9, 30)]
    loose = train(rough, towers, GeneratorConfig(**{**SHORT, "prior_weight": 0.0, "steps": 30}))
    tight = train(rough, towers, GeneratorConfig(**{**SHORT, "prior_weight": 1e3, "steps": 30}))
    start = towers[0].tensors.default_unit

    def moved(result) -> float:
        learnt = result[0].parameters("XX-000", towers[0].known, start)
        return float(np.abs(learnt - start).max())

    assert moved(loose) > 0.05
    assert moved(tight) < 0.01


def test_a_narrow_prior_holds_its_own_parameter_alone(rough):
    towers = [observations(0, 0.9, 30)]
    base = {**SHORT, "prior_weight": 0.01, "steps": 30}
    start = towers[0].tensors.default_unit
    moved = []
    for widths in ({}, {toy.NAMES[0]: 1e-3}):
        learnt, _ = train(rough, towers, GeneratorConfig(**base, prior_widths=widths))
        moved.append(np.abs(learnt.parameters("XX-000", towers[0].known, start) - start))
    free, held = moved
    assert free[0] > 0.01 and held[0] < 0.1 * free[0]
    assert held[1:].max() > 0.05


def test_stopped_and_resumed_equals_uninterrupted(rough, tmp_path):
    towers = [observations(s, a, 30) for s, a in ((0, 0.1), (1, 0.9))]
    config = GeneratorConfig(**SHORT)
    whole, history = train(rough, towers, config, folder=tmp_path / "whole")

    class Stop:
        left = 5

        def task(self, description, total):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def advance(self, n):
            self.left -= n
            if self.left < 0:
                raise KeyboardInterrupt

        def note(self, text):
            pass

    with pytest.raises(KeyboardInterrupt):
        train(rough, towers, config, folder=tmp_path / "cut", progress=Stop())
    again, resumed = train(rough, towers, config, folder=tmp_path / "cut")
    pairs = zip(jax.tree.leaves(whole.layers), jax.tree.leaves(again.layers), strict=True)
    assert all((a == b).all() for a, b in pairs)
    assert (history.loss == resumed.loss).all()


def test_towers_without_observations_or_of_another_surrogate_are_refused(rough):
    tower = observations(0, 0.5, 30)
    config = GeneratorConfig(**SHORT)
    nothing = {k: np.zeros_like(v) for k, v in tower.counts.items()}
    with pytest.raises(SiteError, match="XX-000: no measured step of Qle, Qh"):
        train(rough, [replace(tower, counts=nothing)], config)
    with pytest.raises(ModelError, match="at least one tower"):
        train(rough, [], config)
    other = toy.tensors(toy.site("XX-000", 30), tasks=("Qle",))
    with pytest.raises(ModelError, match="tasks"):
        train(rough, [replace(tower, tensors=other)], config)


@pytest.mark.slow
def test_hidden_parameters_come_back_at_towers_never_seen():
    learn, unseen = range(6), (6, 7, 8)
    ensembles = [toy.runs(60, 48, s) for s in learn]
    quick = toy.tiny(
        hidden=24, width=32, tower=16, steps=500, learning_rate=0.04, members_per_batch=8,
        days_per_batch=60, checkpoint_every=500,
    )  # fmt: skip
    surrogate, _ = surrogate_train.train(ensembles, toy.NAMES, quick)
    rule = np.linspace(0, 1, 6)
    towers = [observations(s, float(rule[s])) for s in learn]
    config = GeneratorConfig(
        steps=300, learning_rate=0.02, days_per_batch=60, prior_weight=1e-4, hidden=8
    )
    learnt, _ = train(surrogate, towers, config)
    for seed, attribute in zip(unseen, (0.15, 0.5, 0.85), strict=True):
        tower = observations(seed, attribute)
        start = tower.tensors.default_unit
        unit = learnt.parameters(tower.tensors.code, tower.known, start)
        truth = hidden_truth(attribute)
        assert abs(unit[0] - truth[0]) < 0.15, "uptake"
        assert abs(unit[2] - truth[2]) < 0.15, "albedo"
        weather = toy.site(tower.tensors.code, 60, 24, seed)
        errors = [
            np.sqrt(((toy.simulate(weather, u)["Qle"].values - tower.observed["Qle"]) ** 2).mean())
            for u in (unit, start)
        ]
        assert errors[0] < 0.4 * errors[1], "judged by the land model itself"


def test_a_tower_without_a_flux_is_no_tower_without_error(rough):
    """What counts of Qh is the mean over the towers that measure it, in full and in a batch."""
    both, other = (observations(s, a, 20) for s, a in ((0, 0.1), (1, 0.9)))
    silent = replace(other, observed={"Qle": other.observed["Qle"]})
    config = GeneratorConfig(**{**SHORT, "task_weights": {"Qle": 0.0}, "days_per_batch": 20})
    losses = []
    for towers in ([both], [both, silent], [both, other]):
        made, features = fresh(rough, towers)
        pools = _present([_pool(rough, t) for t in towers])
        batch = toy.batch(drawer(pools, config, 1), 0)
        _, parts = loss_of_generator(made, rough, features, batch, config)
        drawn = float(parts[:, 1].sum()) / len(towers)
        losses.append((full_loss(made, rough, towers, pools, config), drawn))
    alone, beside, measured = np.array(losses)
    assert beside[0] == pytest.approx(alone[0], rel=1e-6)
    assert beside[1] == pytest.approx(alone[1], rel=0.3)  # other steps are drawn
    assert measured[0] != pytest.approx(alone[0], rel=1e-3)
    assert np.isfinite(train(rough, [both, silent], config)[1]["loss"]).all()
