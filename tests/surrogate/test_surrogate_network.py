from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import toy_bucket as toy
from mdpl.errors import ModelError, RunError
from mdpl.surrogate.batches import drawer, losses
from mdpl.surrogate.layers import drawn
from mdpl.surrogate.network import Network, Surrogate
from mdpl.surrogate.store import load_surrogate, save_surrogate
from mdpl.surrogate.train import _pools, fit_scalers
from mdpl.surrogate.windows import SiteTensors


def fresh(tensors: SiteTensors, seed: int = 0) -> Surrogate:
    sizes = (
        len(toy.NAMES),
        len(tensors.dynamic_names),
        len(tensors.summary_names),
        len(tensors.tasks),
    )
    network = drawn(Network(toy.tiny(), *sizes), seed)
    scale = np.full(len(tensors.tasks), 50.0)
    scalers = fit_scalers([tensors], scale)
    names = tensors.dynamic_names, tensors.summary_names
    return Surrogate(network, scalers, tensors.tasks, toy.NAMES, *names, window_days=1098)


def test_at_the_defaults_the_prediction_is_the_reference_run_exactly():
    tensors = toy.tensors(toy.site(days=6))
    predicted = fresh(tensors).predict(tensors, tensors.default_unit)
    assert predicted.dtype == np.float32
    assert (predicted == tensors.reference.reshape(-1, 2)).all()


@pytest.mark.parametrize("hours", [24, 3, 1])
def test_a_change_of_weather_changes_no_earlier_block_and_is_remembered(hours):
    tensors = toy.tensors(toy.site(days=9), block_hours=hours)
    assert tensors.per_day * hours == 24 and tensors.slots == hours
    day = 5
    summary = tensors.summary.copy()
    summary[day] += tensors.summary.std(axis=0)
    dynamic = tensors.dynamic.copy()
    dynamic[day] += tensors.dynamic.std(axis=(0, 1))
    changed = replace(tensors, summary=summary, dynamic=dynamic)
    surrogate, unit = fresh(tensors), np.full(4, 0.9)
    before = tensors.fold(surrogate.predict(tensors, unit).T)
    after = tensors.fold(surrogate.predict(changed, unit).T)
    assert (before[:, :day] == after[:, :day]).all()
    assert (before[:, day] != after[:, day]).any()
    assert (before[:, day + 1] != after[:, day + 1]).any()


def test_predictions_stand_on_the_time_axis_of_a_record_that_begins_at_noon():
    late = toy.tensors(toy.site(days=5, start="2001-03-01T12:00"))
    predicted = fresh(late).predict(late, np.full((3, 4), 0.8))
    assert predicted.shape == (3, 120, 2)
    gaps = np.isnan(predicted).any(axis=(0, 2))
    assert gaps[:12].all() and gaps[108:].all() and not gaps[12:108].any()
    inside = late.fold(np.moveaxis(predicted, -1, 1))
    night_to_noon = np.abs(inside[0, 0]).mean(axis=0)
    assert night_to_noon.argmax() in range(8, 17)


@pytest.mark.parametrize("hours", [24, 3])
def test_many_members_and_long_records_in_chunks_equal_one_member_alone(hours):
    tensors = toy.tensors(toy.site(days=140), block_hours=hours)
    surrogate = fresh(tensors)
    unit = np.random.default_rng(0).random((19, 4))
    together = surrogate.predict(tensors, unit)
    for member in (0, 15, 16, 18):
        alone = surrogate.predict(tensors, unit[member])
        np.testing.assert_allclose(together[member], alone, atol=2e-3)


def test_gradient_of_the_loss_agrees_with_finite_differences():
    runs = [toy.runs(days=12, members=4, seed=s) for s in range(2)]
    pools, scalers = _pools(runs)
    surrogate = replace(fresh(runs[0].tensors), scalers=scalers)
    batch = toy.batch(drawer(pools, toy.tiny(), 3), 0)

    def double(tree: object) -> object:
        return jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, tree)

    surrogate, batch = double(surrogate), double(batch)
    weights, static = eqx.partition(surrogate, eqx.is_inexact_array)

    @jax.jit
    def objective(weights: object) -> jax.Array:
        return losses(eqx.combine(weights, static), batch).mean()

    slope = jax.jit(jax.grad(objective))(weights)
    leaves, structure = jax.tree.flatten(weights.network)
    rng = np.random.default_rng(1)
    for _ in range(5):
        direction = [jnp.asarray(rng.normal(size=leaf.shape)) for leaf in leaves]
        expected = sum(
            float((a * b).sum())
            for a, b in zip(jax.tree.leaves(slope.network), direction, strict=True)
        )

        def along(step: float, direction: list = direction) -> float:
            moved = [a + step * b for a, b in zip(leaves, direction, strict=True)]
            network = jax.tree.unflatten(structure, moved)
            return float(objective(eqx.tree_at(lambda w: w.network, weights, network)))

        measured = (along(1e-5) - along(-1e-5)) / 2e-5
        assert measured == pytest.approx(expected, rel=1e-6)


def test_a_stored_surrogate_comes_back_to_the_last_bit(tmp_path):
    tensors = toy.tensors(toy.site(days=4))
    surrogate = fresh(tensors, seed=3)
    save_surrogate(surrogate, toy.tiny(), tmp_path / "s.eqx")
    again = load_surrogate(tmp_path / "s.eqx")
    assert (again.tasks, again.parameter_names) == (("Qle", "Qh"), toy.NAMES)
    unit = np.full(4, 0.7)
    assert (again.predict(tensors, unit) == surrogate.predict(tensors, unit)).all()
    assert not list(tmp_path.glob("*.part"))


def test_a_damaged_store_says_so(tmp_path):
    tensors = toy.tensors(toy.site(days=4))
    path = tmp_path / "s.eqx"
    save_surrogate(fresh(tensors), toy.tiny(), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(RunError, match="checksum differs"):
        load_surrogate(path)
    (tmp_path / ".s.eqx.sha256").unlink()
    with pytest.raises(RunError, match="cut short"):
        load_surrogate(path)
    path.write_bytes(b"something else")
    with pytest.raises(RunError, match=r"s\.eqx"):
        load_surrogate(path)
    with pytest.raises(RunError, match=r"absent\.eqx"):
        load_surrogate(tmp_path / "absent.eqx")


def test_wrong_parameters_or_tower_are_refused():
    tensors = toy.tensors(toy.site(days=4))
    surrogate = fresh(tensors)
    with pytest.raises(ModelError, match="4 parameters"):
        surrogate.predict(tensors, np.zeros(3))
    with pytest.raises(ModelError, match="tasks Qle, Qh"):
        surrogate.predict(toy.tensors(toy.site(days=4), tasks=("Qh",)), np.zeros(4))
