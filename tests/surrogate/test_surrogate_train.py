from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import equinox as eqx
import jax
import numpy as np
import pandas as pd
import pytest

import toy_bucket as toy
from mdpl.errors import ModelError, RunError
from mdpl.surrogate.audit import fidelity
from mdpl.surrogate.batches import drawer, losses
from mdpl.surrogate.train import _pools, hold_out, train


def leaves(tree: object) -> list[np.ndarray]:
    return [np.asarray(x) for x in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]


class Stopping:
    """A progress display on which the user presses Ctrl-C after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def task(self, description: str, total: int) -> Iterator["Stopping"]:
        yield self

    def advance(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("hours", [24, 3])
def test_it_learns_a_land_model_with_memory_and_is_right_on_unseen_members(hours):
    towers = [toy.runs(days=200, members=64, seed=s, block_hours=hours) for s in range(3)]
    seen, unseen = hold_out(64, 0.25, seed=0)
    config = toy.tiny(
        hidden=24, width=32, tower=16, steps=300, learning_rate=0.04, members_per_batch=8,
        days_per_batch=60,
    )  # fmt: skip
    surrogate, history = train([t.select(seen) for t in towers], toy.NAMES, config)
    scores = fidelity(surrogate, [t.select(unseen) for t in towers])
    r2 = scores[scores.metric == "r2"]
    assert len(r2) == 6
    assert r2.value.min() > 0.97
    truth = toy.simulate(toy.site("XX-001", 200, 24, 1), towers[1].unit[unseen])
    guess = surrogate.predict(towers[1].tensors, towers[1].unit[unseen])
    by_default = np.broadcast_to(
        towers[1].tensors.reference.reshape(-1, 2)[:, 0], truth["Qle"].shape
    )
    left = ((guess[..., 0] - truth["Qle"].values) ** 2).mean()
    assert left < 0.05 * ((by_default - truth["Qle"].values) ** 2).mean()
    assert history.loss.tail(20).mean() < 0.1 * history.loss.head(5).mean()
    beyond, after = answers_to_a_drought(surrogate, towers[1].unit[unseen], hours)
    assert beyond > 0.8 and after > 0.6


def answers_to_a_drought(surrogate, unit, hours):
    """How well the answer of daily Qle to 60 days without rain is told, by share of its squares.

    The answer is the difference to the same tower with its rain. That of the default run the
    surrogate is given, so within the drought only what is beyond it counts; in the 30 days after,
    when members refill, all of it.
    """
    wet = toy.site("XX-001", 200, 24, 1)
    drought, after = slice(80, 140), slice(140, 170)
    forcing = wet.forcing.copy(deep=True)
    forcing["Precip"][24 * drought.start : 24 * drought.stop] = 0.0
    default = toy.default_unit(1)
    found = {}
    for name, tower in (("wet", wet), ("dry", replace(wet, forcing=forcing))):
        truth = toy.simulate(tower, np.vstack([default, unit]))["Qle"].values
        guess = surrogate.predict(toy.tensors(tower, 1, block_hours=hours), unit)[..., 0]
        found[name] = np.vstack([truth, guess])
    answer = (found["dry"] - found["wet"]).reshape(1 + 2 * len(unit), -1, 24).mean(axis=2)
    given, truth, guess = answer[0], answer[1 : 1 + len(unit)], answer[1 + len(unit) :]

    def told(part, known):
        return 1 - ((guess - truth)[:, part] ** 2).sum() / ((truth - known)[:, part] ** 2).sum()

    return told(drought, given), told(after, 0.0)


def test_one_task_and_towers_of_different_steps_train_together():
    towers = [toy.runs(20, 5, 0, ("Qh",), steps=24), toy.runs(30, 6, 1, ("Qh",), steps=48)]
    surrogate, history = train(towers, toy.NAMES, toy.tiny())
    assert list(history.columns) == ["step", "learning_rate", "seconds", "loss", "Qh"]
    for tower in towers:
        predicted = surrogate.predict(tower.tensors, tower.unit)
        assert predicted.shape == (len(tower.unit), tower.tensors.n_time, 1)
        assert np.isfinite(predicted).all()


@pytest.mark.parametrize("balance", ["fixed", "uncertainty", "gradnorm"])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path, balance):
    towers = [toy.runs(20, 5, s) for s in range(2)]
    config = toy.tiny(balance=balance, compare_every=3)
    whole, history = train(towers, toy.NAMES, config, folder=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(towers, toy.NAMES, config, folder=tmp_path / "cut", progress=Stopping(6))
    kept = pd.read_csv(tmp_path / "cut" / "history.csv")
    assert len(kept) == 7, "an interrupt keeps the steps done, not only the last checkpoint"
    again, resumed = train(towers, toy.NAMES, config, folder=tmp_path / "cut")
    measured = [pd.read_csv(tmp_path / name / "balance.csv") for name in ("whole", "cut")]
    pd.testing.assert_frame_equal(*measured, check_exact=True)
    assert sorted(set(measured[0].step)) == [0, 3, 6, 9]
    for a, b in zip(leaves(whole), leaves(again), strict=True):
        assert a.dtype == np.float32 and (a == b).all()
    exact = ["step", "loss", "Qle", "Qh", "learning_rate"]
    pd.testing.assert_frame_equal(history[exact], resumed[exact], check_exact=True)


def test_a_finished_training_is_read_not_repeated_and_a_foreign_one_refused(tmp_path):
    towers = [toy.runs(20, 5)]
    first, history = train(towers, toy.NAMES, toy.tiny(), folder=tmp_path)
    second, again = train(towers, toy.NAMES, toy.tiny(), folder=tmp_path)
    assert all((a == b).all() for a, b in zip(leaves(first), leaves(second), strict=True))
    pd.testing.assert_frame_equal(history, again, check_exact=True)
    with pytest.raises(RunError, match="another training"):
        train(towers, toy.NAMES, toy.tiny(seed=1), folder=tmp_path)


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot be written"):
        train([toy.runs(20, 5)], toy.NAMES, toy.tiny(), folder=tmp_path / "file" / "run")


def test_missing_targets_do_not_count():
    tower = toy.runs(20, 4)
    holed = {k: v.copy() for k, v in tower.targets.items()}
    for values in holed.values():
        values[:, ::3] = np.nan
        values[2] = np.nan
    pools, scalers = _pools([replace(tower, targets=holed)])
    assert pools[0].members.tolist() == [0, 1, 3]
    surrogate, _ = train([tower], toy.NAMES, toy.tiny(steps=1))
    surrogate = replace(surrogate, scalers=scalers)
    draw = drawer(pools, toy.tiny(), 3)
    batch, names = toy.batch(draw, 0), draw(0)[1]
    assert "member 2" not in " ".join(names)
    parts = np.asarray(losses(surrogate, batch))
    assert np.isfinite(parts).all() and (parts > 0).all()
    guess = np.asarray(batch.target)
    wild = batch._replace(
        dynamic=np.where(np.isnan(guess).all((2, 4))[..., None], 1e3, batch.dynamic)
    )
    np.testing.assert_allclose(losses(surrogate, wild), parts, rtol=1e-6)
    scores = fidelity(surrogate, [replace(tower, targets=holed)])
    assert np.isfinite(scores.value).all()


def test_an_infinite_simulation_stops_training_with_step_site_and_member():
    tower = toy.runs(20, 4)
    tower.targets["Qh"][1] = np.inf
    with pytest.raises(
        ModelError, match=r"step \d+: the loss of Qh is inf at site XX-000, member 1"
    ):
        train([tower], toy.NAMES, toy.tiny())


def test_runs_that_do_not_fit_are_refused():
    tower = toy.runs(20, 4)
    with pytest.raises(ModelError, match="at least one tower"):
        train([], toy.NAMES, toy.tiny())
    with pytest.raises(ModelError, match=r"XX-000.*lacks Qh"):
        train([replace(tower, targets={"Qle": tower.targets["Qle"]})], toy.NAMES, toy.tiny())
    with pytest.raises(ModelError, match=r"\(member, 3\)"):
        train([tower], toy.NAMES[:3], toy.tiny())
    failed = {k: np.full_like(v, np.nan) for k, v in tower.targets.items()}
    with pytest.raises(ModelError, match="all 4 simulations failed"):
        train([replace(tower, targets=failed)], toy.NAMES, toy.tiny())


def test_batches_depend_on_seed_and_step_only():
    pools, _ = _pools([toy.runs(40, 6, s) for s in range(3)])
    config = toy.tiny(sites_per_batch=2, window_days=20, warmup_days=5)
    draw, other = drawer(pools, config, 3), drawer(pools, config, 3)
    draw(0)
    for a, b in zip(toy.batch(draw, 7), toy.batch(other, 7), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (toy.batch(draw, 7).chosen != toy.batch(draw, 8).chosen).any()


def test_days_of_the_warm_up_are_not_drawn_unless_the_stretch_begins_the_record():
    pools, _ = _pools([toy.runs(60, 4)])
    draw = drawer(pools, toy.tiny(window_days=20, warmup_days=8, days_per_batch=20), 2)
    first_days, starts = [], 0
    for step in range(40):
        batch = toy.batch(draw, step)
        opening = np.asarray(batch.summary[0, 0]) == pools[0].tensors.summary[0]
        starts += opening.all()
        first_days += [] if opening.all() else [int(batch.chosen[0].min())]
    assert starts > 0 and min(first_days) == 8


def test_a_member_is_left_to_learn_from_and_one_to_be_judged_by():
    for members, share in ((2, 0.125), (2, 0.9), (4, 0.9), (128, 0.125)):
        learnt, judged = hold_out(members, share, seed=0)
        assert len(learnt) >= 1 and len(judged) >= 1
        assert sorted([*learnt, *judged]) == list(range(members))
    with pytest.raises(ModelError, match=r"two members or more .* found 1 that ran"):
        hold_out(1, 0.125, seed=0)


def test_a_checkpoint_is_of_its_targets(tmp_path):
    runs, settings = toy.runs(40, 6), toy.tiny(steps=4)
    train([runs], toy.NAMES, settings, folder=tmp_path)
    other = type(runs)(runs.tensors, runs.unit, {k: 2 * v for k, v in runs.targets.items()})
    with pytest.raises(RunError, match="another training"):
        train([other], toy.NAMES, settings, folder=tmp_path)
