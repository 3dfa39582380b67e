r"""Ensemble smoother with multiple data assimilation (ES-MDA): parameters with their spread.

Emerick & Reynolds (2013, doi:10.1016/j.cageo.2012.03.011), as the library
`iterative_ensemble_smoother` has it: an ensemble drawn from the prior is moved several times
towards the same observations, each time with their error enlarged so that all steps together
count them once.

Prior
    Normal around the tower's defaults in the unit cube with the objective's prior width, cut off
    at the bounds. The smoother needs a normal variable: each parameter's prior distribution
    function followed by the inverse of the normal one gives it, so bounds hold by construction.

Observations
    Daily means over the steps that count, of days measured at half of their steps or more:
    half-hours are too many for an ensemble, and their errors of model and measurement hang
    together.

Error of a daily mean
    *Random*: of each step the tower's own ``_uc`` where it has one, else a + b |F| (Richardson
    et al. 2006, see `mdpl.sites.virtual.TOWER_NOISE`), independent from step to step (Hollinger &
    Richardson 2005, doi:10.1093/treephys/25.7.873), so that it falls with the root of their number.
    *Structural*: no parameters make the land model right, and its error lasts from day to day.
    Its variance is what the best member of the prior ensemble leaves beyond the random one, by
    flux; with the lag-1 correlation r of these residuals, n days tell as much as
    n (1 - r) / (1 + r) independent ones, and the variance is enlarged accordingly for the update.
    Without it a few W m-2 of random error would make any model certain of wrong parameters. For
    `interval` it is taken again, from what the mean of the posterior members leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from mdpl.calibration.calibration import Calibration
from mdpl.calibration.objective import Answers, Ledger
from mdpl.calibration.optional import library
from mdpl.errors import ConfigError, ModelError
from mdpl.sites.virtual import TOWER_NOISE, FluxNoise

NOISE = {**TOWER_NOISE, **dict.fromkeys(("GPP", "NEE"), FluxNoise(1.0, 0.2))}
"""Random error where a tower gives none; that of NEE, and of GPP for want of its own, is of the
size of the same paper's for the net flux in daytime, umol m-2 s-1."""

MOST_CORRELATED = 0.9
"""Lag-1 correlation of the residuals that is believed at most."""


@dataclass(frozen=True)
class Days:
    """What is assimilated of one tower: daily means of the steps that count.

    Attributes:
        observed: (n,), all fluxes one after the other.
        random: standard deviation of their random error, (n,).
        task: index of the flux, (n,).
        number: day since the record's first, (n,).
        of_step: which of the n a step belongs to, (task, time); -1 where it is not used.
    """

    observed: np.ndarray
    random: np.ndarray
    task: np.ndarray
    number: np.ndarray
    of_step: np.ndarray

    def means(self, series: np.ndarray) -> np.ndarray:
        """Daily means of simulated fluxes, (member, task, time), at the same steps: (member, n)."""
        index = self.of_step[self.of_step >= 0]
        count = np.bincount(index, minlength=len(self.observed))
        flat = series[:, self.of_step >= 0]
        return np.stack([np.bincount(index, row, len(self.observed)) / count for row in flat])


def days(
    tasks: Sequence[str],
    observed: np.ndarray,
    time: np.ndarray,
    own_error: np.ndarray,
    day_share: float = 0.5,
) -> Days:
    """Daily means of a tower's counting observations, and their random error.

    Args:
        observed: (task, time), NaN at steps that do not count.
        time: start of each step, (time,).
        own_error: the tower's standard deviation of each value, (task, time), NaN where unknown.
        day_share: share of a day's steps that must count.
    """
    day = (time.astype("datetime64[D]") - time[0].astype("datetime64[D]")).astype(int)
    steps = np.timedelta64(1, "D") / (time[1] - time[0])
    of_step = np.full(observed.shape, -1)
    parts: list[Days] = []
    done = 0
    for k, (task, row) in enumerate(zip(tasks, observed, strict=True)):
        counts = np.isfinite(row)
        per_day = np.bincount(day[counts], minlength=day[-1] + 1)
        used = counts & (per_day[day] >= day_share * steps)
        numbers, index = np.unique(day[used], return_inverse=True)
        n = len(numbers)
        known = own_error[k][used]
        error = np.where(known > 0, known, NOISE[task].sd(row[used]))
        count = np.bincount(index, minlength=n)
        mean = np.bincount(index, row[used], n) / count
        random = np.sqrt(np.bincount(index, error**2, n)) / count
        of_step[k, used] = index + done
        parts.append(Days(mean, random, np.full(n, k), numbers, of_step))
        done += n
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("observed", "random", "task", "number")
    }
    return Days(**joined, of_step=of_step)


@dataclass(frozen=True)
class Posterior:
    """What ES-MDA found at one tower.

    Attributes:
        calibration: the mean of the members, and the members.
        prior: the members before, unit cube, (member, parameter).
        answers: the land model's answers at the members.
        structural: standard deviation of the model's own error of a daily mean, by task, as the
            mean of the members leaves it.
    """

    calibration: Calibration
    prior: np.ndarray
    answers: Answers
    structural: dict[str, float]

    @property
    def members(self) -> np.ndarray:
        """Parameter sets of the posterior, unit cube, (member, parameter)."""
        (found,) = self.calibration.members.values()
        return found


def es_mda(
    ledger: Ledger,
    observations: Days,
    *,
    seed: int,
    iterations: int = 4,
    structural: bool = True,
) -> Posterior:
    """Move an ensemble from the prior to the posterior.

    The budget is shared out: every member is run in each iteration and once more at the end, with
    the members' mean. Members at which the land model fails are left out, at the beginning and at
    the end; in between they follow the mean of the others. Where it fails at the members' mean,
    the best of them stands for it.

    Args:
        ledger: its answers hold ``calibration``: the `Days.means` of ``observations``, (member, n).
        structural: allow for the land model's own error.

    Raises:
        ConfigError: the library is missing, or the budget allows fewer than ten members.
        ModelError: more than half of the members failed, or there is no day to assimilate.
    """
    library("iterative_ensemble_smoother")
    objective = ledger.objective
    if not len(observations.observed):
        raise ModelError(
            f"site {objective.code}: no day of the calibration period is measured well enough; "
            "lower evaluation.day_share"
        )
    members = (ledger.left - 1) // (iterations + 1)
    if members < 10:
        raise ConfigError(
            f"es-mda: {ledger.left} land-model runs allow {members} members in {iterations} "
            "iterations; expected ten or more; raise --lsm-runs"
        )
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((members, len(objective.space)))
    prior = Prior(objective.default, objective.prior_widths)
    first = ledger(prior.unit(normal))
    ran = _ran(first, objective.code)
    normal, first = normal[ran], {name: first[name][ran] for name in ("objective", "calibration")}
    error = observations.random
    if structural:
        _, error = _structural(first, observations, len(objective.tasks))
    asked = [first]

    def forward(points: np.ndarray) -> np.ndarray:
        answers = asked.pop() if asked else ledger(prior.unit(points))
        return _without_failures(answers, objective.code)

    moved = smooth(forward, normal, observations.observed, error, iterations, seed)
    posterior = prior.unit(moved)
    last = ledger(posterior)
    ran = _ran(last, objective.code)
    last = {name: array[ran] for name, array in last.items() if name not in ("seconds", "unit")}
    posterior = posterior[ran]
    best = int(np.argmin(last["objective"]))
    mean, at = posterior.mean(axis=0), ledger(posterior.mean(axis=0)[None])
    if not np.isfinite(at["calibration"]).all():
        mean, at = posterior[best], {name: array[best : best + 1] for name, array in last.items()}
    left_over = np.zeros(len(objective.tasks))
    if structural:
        left_over, _ = _structural(at, observations, len(objective.tasks))
    found = ledger.calibration("es-mda", mean, float(at["objective"][0]))
    return Posterior(
        replace(found, members={objective.code: posterior}),
        prior.unit(normal),
        last,
        dict(zip(objective.tasks, left_over.tolist(), strict=True)),
    )


def interval(
    predicted: np.ndarray, observations: Days, structural: Sequence[float], level: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """Where daily observations should lie: the members' spread with all errors added.

    Args:
        predicted: of every member at the days of ``observations``, (member, n).
        structural: the land model's own error of a daily mean, by task.
        level: share of the observations meant to lie inside.

    Returns:
        lower and upper end, (n,).
    """
    sd = np.hypot(observations.random, np.asarray(structural)[observations.task])
    normal = stats.norm.ppf((np.arange(41) + 0.5) / 41)
    draws = (predicted[:, None] + normal[:, None] * sd).reshape(-1, predicted.shape[1])
    low, high = np.nanquantile(draws, ((1 - level) / 2, (1 + level) / 2), axis=0)
    return low, high


def smooth(
    forward: Callable[[np.ndarray], np.ndarray],
    ensemble: np.ndarray,
    observed: np.ndarray,
    error: np.ndarray,
    iterations: int,
    seed: int,
) -> np.ndarray:
    """The smoother itself, for normally distributed variables.

    Args:
        forward: from an ensemble, (member, variable), to what it predicts, (member, n).
        ensemble: members of the prior.
        observed, error: (n,); errors are independent.

    Returns:
        members of the posterior, shaped as ``ensemble``; after linear ``forward`` and with many
        members, that of Bayes' theorem.
    """
    smoother = library("iterative_ensemble_smoother").ESMDA(
        covariance=error**2, observations=observed, alpha=iterations, seed=seed
    )
    for _ in range(iterations):
        # All singular values: the library's usual cut at 99 % drops what the data say of
        # parameters that move the fluxes little, and would leave their spread too large.
        smoother.prepare_assimilation(Y=forward(ensemble).T, truncation=1.0)
        ensemble = smoother.assimilate_batch(X=ensemble.T).T
    return ensemble


@dataclass(frozen=True)
class Prior:
    """Normal prior cut off at the unit cube, and its map from standard normal variables.

    Attributes:
        default: its mode, (parameter,).
        width: its standard deviation before the cut, (parameter,).
    """

    default: np.ndarray
    width: np.ndarray

    def unit(self, normal: np.ndarray) -> np.ndarray:
        """Points of the unit cube of standard normal ones, (..., parameter)."""
        low, high = -self.default / self.width, (1.0 - self.default) / self.width
        share = stats.norm.cdf(normal)
        found = stats.truncnorm.ppf(share, low, high, loc=self.default, scale=self.width)
        return np.clip(found, 0.0, 1.0)


def _structural(answers: Answers, observations: Days, tasks: int) -> tuple[np.ndarray, np.ndarray]:
    """The land model's own error by task, from its best run, and the whole error of each day."""
    best = int(np.argmin(answers["objective"]))
    residual = observations.observed - answers["calibration"][best]
    variance, found = observations.random**2, np.zeros(tasks)
    for k in range(tasks):
        own = observations.task == k
        if own.sum() < 2:
            continue
        rest = residual[own]
        found[k] = np.sqrt(max(np.mean(rest**2) - np.mean(variance[own]), 0.0))
        next_day = np.diff(observations.number[own]) == 1
        pairs = rest[1:][next_day], rest[:-1][next_day]
        r = np.mean(pairs[0] * pairs[1]) / np.mean(rest**2) if next_day.any() else 0.0
        r = float(np.clip(r, 0.0, MOST_CORRELATED))
        variance[own] += found[k] ** 2 * (1 + r) / (1 - r)
    return found, np.sqrt(variance)


def _ran(answers: Answers, code: str) -> np.ndarray:
    """At which members the land model did not fail, bool, (member,).

    Raises:
        ModelError: at less than half of them.
    """
    ran = np.atleast_1d(np.isfinite(answers["calibration"]).all(axis=1))
    if ran.mean() < 0.5:
        raise ModelError(
            f"site {code}: the land model failed at {(~ran).sum()} of {len(ran)} parameter sets; "
            "narrow their bounds under model.ranges"
        )
    return ran


def _without_failures(answers: Answers, code: str) -> np.ndarray:
    """Predictions of all members; a failed one is given the mean of the others."""
    predicted, ran = answers["calibration"], _ran(answers, code)
    return np.where(ran[:, None], predicted, predicted[ran].mean(axis=0))
