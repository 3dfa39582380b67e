import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.errors import ModelError
from mdpl.surrogate.balance import balance, measure, rebalanced
from mdpl.surrogate.loop import descend

STRETCH = np.array([1.0, 30.0])


def two_targets(apart: float):
    """Two tasks that want the same number at 0 and at ``apart``, the second far steeper."""

    def objective(weights, batch):
        parts = STRETCH * (weights - jnp.array([0.0, apart])) ** 2 + jnp.array([0.1, 1.0])
        return jnp.float32(0), parts[None]

    return objective


def settings(kind=DayBlockConfig, **changes):
    return kind(steps=300, learning_rate=0.05, weight_decay=0, compare_every=10, **changes)


def learn(apart=1.0, tasks=("a", "b"), **changes):
    start = jnp.array(0.3, dtype=jnp.float32)
    return descend(
        start, two_targets(apart), lambda step: ([None], ["row"]), settings(**changes),
        tasks=tasks, description="two tasks",
    )  # fmt: skip


def test_equal_weights_favour_the_steep_task_and_gradnorm_does_not():
    fixed, balanced = float(learn().weights), float(learn(balance="gradnorm").weights)
    assert fixed == pytest.approx(30 / 31, abs=0.01)
    assert 0.2 < balanced < 0.8


def test_fixed_weights_move_the_optimum_where_algebra_puts_it():
    weight = float(learn(task_weights={"a": 6.0}).weights)
    assert weight == pytest.approx(30 / 36, abs=0.01)


def test_uncertainty_weights_end_at_one_over_the_loss():
    found = learn(apart=0.0, balance="uncertainty")
    last = found.balance[found.balance.step == found.balance.step.max()]
    weight = last.set_index("what").value
    assert weight["weight:a"] == pytest.approx(1 / 0.1, rel=0.1)
    assert weight["weight:b"] == pytest.approx(1.0, rel=0.1)


def test_the_cosine_tells_tasks_that_agree_from_tasks_that_fight():
    def first(apart):
        table = learn(apart).balance
        return table[(table.step == 0) & (table.what == "cosine:a:b")].value.item()

    assert first(1.0) == pytest.approx(-1)
    assert first(0.0) == pytest.approx(1)


def test_gradients_of_single_tasks_are_those_without_the_common_penalty():
    common, single = np.array([1.0, 2.0]), np.array([[3.0, 4.0], [-4.0, 3.0]])
    norms, cosines = measure(lambda w: common + w @ single / 2, ("a", "b"))
    np.testing.assert_allclose(norms, [5, 5])
    np.testing.assert_allclose(cosines, np.eye(2), atol=1e-12)


def test_gradnorm_weights_keep_their_mean_and_help_the_laggard():
    weights = np.ones(2)
    for _ in range(50):
        weights = rebalanced(weights, np.array([1.0, 1.0]), np.array([0.5, 0.1]), np.ones(2))
    assert weights.mean() == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx(5**1.5, rel=0.01)


def test_one_task_is_never_compared_and_weights_have_mean_one():
    assert balance("fixed", {}, ("Qle",), 50).every == 0
    np.testing.assert_allclose(balance("fixed", {"Qle": 3}, ("Qle", "Qh"), 0).weights, [1.5, 0.5])


@pytest.mark.parametrize("every", [7, 100])
def test_patience_ends_a_training_after_two_judgements_without_a_better_one(every):
    judged = []

    def judge(weight):
        judged.append(abs(float(weight) - 4.0))
        return judged[-1]

    found = descend(
        jnp.array(5.0, dtype=jnp.float32), two_targets(0.0), lambda step: ([None], ["row"]),
        settings(GeneratorConfig, patience=2), tasks=("a", "b"), description="", judge=judge,
        judge_every=every,
    )  # fmt: skip
    best = int(np.argmin(judged))
    assert len(judged) == best + 3 and len(found.history) == (best + 2) * every < 300
    assert abs(float(found.weights) - 4.0) == judged[best]


def test_a_loss_that_is_not_finite_names_the_task():
    def broken(weights, batch):
        return jnp.float32(0), jnp.array([[1.0, jnp.nan]]) * weights

    with pytest.raises(ModelError, match=r"step 0: the loss of b is nan at row"):
        descend(
            jnp.array(1.0), broken, lambda step: ([None], ["row"]), settings(),
            tasks=("a", "b"), description="",
        )  # fmt: skip
