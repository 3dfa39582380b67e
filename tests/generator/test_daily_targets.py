"""Learning from daily means: the objective by hand, for blocks and steps of any length."""

import jax.numpy as jnp
import numpy as np
import pytest

import toy_bucket as toy
from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ModelError, SiteError
from mdpl.generator.known import Known, seasons
from mdpl.generator.train import DailyTargets, TowerObservations, _pool, full_loss, train
from mdpl.surrogate import train as surrogate_train
from mdpl.surrogate.batches import drawer, losses
from mdpl.surrogate.network import Surrogate

DAYS = 40
TASKS = ("Qle", "Qh")


def config(**changes) -> GeneratorConfig:
    settings = {"steps": 30, "days_per_batch": DAYS, "hidden": 6, "evaluate_every": 10}
    return GeneratorConfig(**{**settings, "prior_weight": 0.0, **changes})


def tower(seed: int, hours: float, steps: int = 24, truth=(0.8, 0.5, 0.2, 0.5)):
    """A tower whose daily means are known on half of the days, with unlike uncertainties."""
    site = toy.site(f"XX-{seed:03d}", DAYS, steps, seed)
    run = toy.simulate(site, np.array(truth)).isel(member=0)
    rng = np.random.default_rng(seed)
    values, variance = {}, {}
    for task in TASKS:
        means = run[task].values.reshape(DAYS, -1).mean(axis=1)
        values[task] = np.where(rng.random(DAYS) < 0.5, means, np.nan)
        variance[task] = rng.uniform(0.5, 20, DAYS)
    known = Known({"land_cover": 1}, seasons(site))
    built = toy.tensors(site, seed, TASKS, hours)
    return TowerObservations(built, known, {}, {}, DailyTargets(values, variance))


def surrogate(hours: float, training: int = 20) -> Surrogate:
    runs = [toy.runs(DAYS, 12, s, TASKS, 24, hours) for s in range(2)]
    return surrogate_train.train(runs, toy.NAMES, toy.tiny(steps=training, learning_rate=0.04))[0]


def by_hand(learnt: Surrogate, one: TowerObservations, unit: np.ndarray) -> list[float]:
    """Weighted share of the variance of daily means that a parameter set leaves unexplained."""
    series = learnt.predict(one.tensors, unit)
    found = []
    for k, task in enumerate(TASKS):
        means = series[:, k].reshape(DAYS, -1).mean(axis=1)
        y, weight = one.daily.values[task], 1 / one.daily.variance[task]
        on = np.isfinite(y)
        mean = np.average(y[on], weights=weight[on])
        error = np.sum(weight[on] * (means[on] - y[on]) ** 2)
        found.append(error / np.sum(weight[on] * (y[on] - mean) ** 2))
    return found


@pytest.mark.parametrize("hours", [24, 3])
def test_the_objective_is_the_unexplained_weighted_variance_of_daily_means(hours):
    learnt, one = surrogate(hours), tower(3, hours)
    pool = _pool(learnt, one)
    unit = np.array([0.3, 0.6, 0.7, 0.2], dtype=np.float32)
    expected = by_hand(learnt, one, unit)
    batch = toy.batch(drawer([pool], config(), 1), 0)
    # Every day that counts is drawn, once.
    drawn = np.isfinite(np.asarray(batch.target)).any(axis=(0, 2, 3, 4)).sum()
    assert drawn == len(pool.useful)
    batch = batch._replace(unit=jnp.asarray(unit)[None, None])
    found = np.asarray(losses(learnt, batch))[0]
    np.testing.assert_allclose(found, expected, rtol=0.02)  # float16 targets


@pytest.mark.parametrize("hours", [24, 3])
def test_judging_is_by_the_same_objective(hours):
    learnt, one = surrogate(hours), tower(4, hours)
    settings = config()
    pools = [_pool(learnt, one)]

    class Fixed:
        """A generator of one answer."""

        unit = np.array([0.6, 0.3, 0.4, 0.5])

        def parameters(self, *_):
            return self.unit

    found = full_loss(Fixed(), learnt, [one], pools, settings)
    assert found == pytest.approx(np.mean(by_hand(learnt, one, Fixed.unit)), rel=0.01)


def test_learning_from_daily_means_alone_comes_closer_to_them():
    learnt, one = surrogate(24, training=200), tower(5, 24)
    start = one.tensors.default_unit
    generator, history = train(learnt, [one], config(kind="free", learning_rate=0.1))
    unit = generator.parameters(one.tensors.code, one.known, start)
    assert sum(by_hand(learnt, one, unit)) < 0.2 * sum(by_hand(learnt, one, start))
    assert len(history) == 30


def test_half_hourly_and_hourly_towers_learn_together():
    learnt = surrogate(3)
    towers = [tower(6, 3, 24), tower(7, 3, 48)]
    pools = [_pool(learnt, t) for t in towers]
    batch = toy.batch(drawer(pools, config(), 1), 1)
    assert batch.dynamic.shape[2] == 6
    unit = np.array([0.5, 0.4, 0.4, 0.5], dtype=np.float32)
    batch = batch._replace(unit=jnp.broadcast_to(jnp.asarray(unit), (2, 1, 4)))
    found = np.asarray(losses(learnt, batch))
    for row, index in enumerate(np.asarray(batch.tower)):
        np.testing.assert_allclose(found[row], by_hand(learnt, towers[index], unit), rtol=0.02)
    short = surrogate(0.5)
    mixed = [_pool(short, tower(6, 0.5, 24)), _pool(short, tower(7, 0.5, 48))]
    with pytest.raises(ModelError, match=r"longer surrogate\.block_hours"):
        drawer(mixed, config(), 1)


def test_a_tower_without_a_day_is_named():
    learnt, one = surrogate(24), tower(8, 24)
    nothing = {task: np.full(DAYS, np.nan) for task in TASKS}
    empty = TowerObservations(
        one.tensors, one.known, {}, {}, DailyTargets(nothing, one.daily.variance)
    )
    with pytest.raises(SiteError, match="XX-008: no daily Qle or Qh"):
        train(learnt, [empty], config())
