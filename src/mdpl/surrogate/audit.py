"""Is the surrogate the land model? Compared where it was never trained, and in its slopes.

What counts for learning is not only the flux but its slope: a generator follows the gradient of
the misfit, so the surrogate's gradient must point where the land model's does. Both are taken
here by central differences with the same small step, which any land model can give, and which
include its spin-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mdpl.evaluation.metrics import kge
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.train import TowerRuns

STEP = 0.02
"""Half the width of a central difference, in the unit cube."""

MEASURES = ("r2", "r2_response", "rmse", "rmse_over_sd", "kge", "r2_worst_member")
"""What `fidelity` says of every tower and task."""

PARTS = ("low", "middle", "high")
"""Thirds of a parameter's range."""


def fidelity(
    surrogate: Surrogate, runs: Sequence[TowerRuns], inside: Mapping[str, np.ndarray] | None = None
) -> pd.DataFrame:
    """Compare the surrogate with the land model on members, years or towers it never saw.

    Args:
        runs: land-model runs that took no part in the training.
        inside: tower -> True where a step counts, shape (time,); None counts all.

    Returns:
        site, task, metric, value. Over all members and steps of a tower: ``r2`` (one minus
        squared error over variance), ``r2_response`` (the same of what members differ from the
        default run, which the surrogate is given: 0 is as good as that run alone), ``rmse``,
        ``rmse_over_sd``, ``kge`` (2009); and ``r2_worst_member``.
    """
    rows = []
    for tower in runs:
        code = tower.tensors.code
        mask = None if inside is None else tower.tensors.fold(inside[code])
        for i, (guess, truth) in enumerate(_compared(surrogate, tower)):
            counted = truth if mask is None else np.where(mask, truth, np.nan)
            scores = _scores(guess, counted, tower.tensors.reference[..., i])
            rows += [(code, tower.tensors.tasks[i], name, value) for name, value in scores.items()]
    return pd.DataFrame(rows, columns=["site", "task", "metric", "value"])


def where(
    surrogate: Surrogate, runs: Sequence[TowerRuns], names: Sequence[str], time: Mapping
) -> pd.DataFrame:
    """Where the surrogate is wrong: by third of each parameter, by month and by hour.

    Args:
        names: of the parameters.
        time: tower -> its time axis, shape (time,), datetime64.

    Returns:
        site, task, by, part, rmse_over_sd (of the tower's whole ensemble).
    """
    rows = []
    for tower in runs:
        tensors = tower.tensors
        stamp = np.asarray(time[tensors.code]).astype("datetime64[s]")
        month = tensors.fold((stamp.astype("datetime64[M]").astype(int) % 12 + 1).astype(float))
        hour = tensors.fold((stamp.astype("datetime64[h]").astype(int) % 24).astype(float))
        third = np.minimum((np.asarray(tower.unit) * 3).astype(int), 2)
        for task, (guess, truth) in zip(tensors.tasks, _compared(surrogate, tower), strict=True):
            squared, sd = (guess - truth) ** 2, max(float(np.nanstd(truth)), 1e-12)
            of_member = np.nanmean(squared, axis=(1, 2))
            of_step = np.nanmean(squared, axis=0)
            parts = [
                (name, PARTS[t], of_member[third[:, j] == t])
                for j, name in enumerate(names)
                for t in range(3)
            ]
            parts += [("month", str(int(m)), of_step[month == m]) for m in np.unique(month)]
            parts += [("hour", str(int(h)), of_step[hour == h]) for h in np.unique(hour)]
            rows += [
                (tensors.code, task, by, part, float(np.sqrt(np.nanmean(values))) / sd)
                for by, part, values in parts
                if np.isfinite(values).any()
            ]
    return pd.DataFrame(rows, columns=["site", "task", "by", "part", "rmse_over_sd"])


def stencil(unit: np.ndarray, step: float = STEP) -> np.ndarray:
    """Parameter sets of a central difference, shape (2 * parameter, parameter), in the cube.

    Row 2i lies ``step`` below ``unit`` in parameter i, row 2i + 1 above, cut at the bounds.
    """
    points = np.repeat(np.asarray(unit, dtype=float)[None], 2 * len(unit), axis=0)
    each = np.arange(len(unit))
    points[2 * each, each] = np.maximum(unit - step, 0.0)
    points[2 * each + 1, each] = np.minimum(unit + step, 1.0)
    return points


def slope(points: np.ndarray, misfit: np.ndarray) -> np.ndarray:
    """Gradient from the misfits at the points of a `stencil`, shape (parameter,)."""
    each = np.arange(points.shape[1])
    apart = points[2 * each + 1, each] - points[2 * each, each]
    return np.asarray((misfit[1::2] - misfit[::2]) / apart)


def misfit(fluxes: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Squared error over observed variance, mean over tasks: Eq. 2 without its prior, (member,).

    Args:
        fluxes: shape (member, time, task); a step at which no member is finite (outside the
            surrogate's whole days) does not count, and a member that is not finite elsewhere
            has failed: NaN.
        observed: shape (time, task), NaN where a step does not count; a task without any
            observation, or of one value throughout, is left out.
    """
    counts = np.isfinite(observed) & np.isfinite(fluxes).any(axis=0)
    errors = [
        ((fluxes[:, on, k] - observed[on, k]) ** 2).mean(axis=1) / observed[on, k].var()
        for k, on in enumerate(counts.T)
        if on.any() and observed[on, k].var() > 0
    ]
    return np.mean(errors, axis=0) if errors else np.full(len(fluxes), np.nan)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of the angle between two gradients, over what both know; NaN if one has no length."""
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > 0 else np.nan


def cloud(learnt: np.ndarray, members: np.ndarray) -> dict[str, float]:
    """Whether learnt parameters lie among the ensemble's members.

    Args:
        learnt: shape (parameter,), unit cube.
        members: shape (member, parameter).

    Returns:
        ``nearest``: distance to the nearest member over the members' own median distance to
        their nearest neighbour (about 1 or below is inside); ``outside``: parameters beyond the
        members' range; ``at_bound``: parameters within 0.01 of a bound of the cube.
    """
    apart = np.linalg.norm(members[:, None] - members[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    own = float(np.median(apart.min(axis=1)))
    beyond = (learnt < members.min(axis=0)) | (learnt > members.max(axis=0))
    return {
        "nearest": float(np.linalg.norm(members - learnt, axis=1).min()) / own,
        "outside": float(beyond.sum()),
        "at_bound": float(((learnt < 0.01) | (learnt > 0.99)).sum()),
    }


def _compared(surrogate: Surrogate, tower: TowerRuns) -> list[tuple[np.ndarray, np.ndarray]]:
    """Surrogate and land model of every task, each (member, block, slot), float64."""
    truth = tower.folded()
    series = surrogate.predict(tower.tensors, np.asarray(tower.unit))
    guess = tower.tensors.fold(np.moveaxis(series, -1, 1))
    return [
        (guess[:, i].astype(float), truth[..., i].astype(float))
        for i in range(len(tower.tensors.tasks))
    ]


def _scores(guess: np.ndarray, truth: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Scores over (member, block, slot), beside the default run (block, slot); members without
    any finite step are left out."""
    counts = np.isfinite(truth)
    alive = np.flatnonzero(counts.any(axis=(1, 2)))
    if not alive.size:
        return dict.fromkeys(MEASURES, np.nan)
    squared = np.where(counts, (guess - truth) ** 2, 0)
    sd = float(truth[counts].std())
    rmse = float(np.sqrt(squared.sum() / counts.sum()))
    ratio = rmse / max(sd, 1e-12)
    response = np.where(counts, (truth - reference) ** 2, 0).sum()
    worst = min(
        1 - squared[m][counts[m]].mean() / max(truth[m][counts[m]].var(), 1e-12) for m in alive
    )
    return {
        "r2": 1 - ratio**2,
        "r2_response": 1 - float(squared.sum() / max(response, 1e-12)),
        "rmse": rmse,
        "rmse_over_sd": ratio,
        "kge": kge(guess[counts], truth[counts]),
        "r2_worst_member": float(worst),
    }
