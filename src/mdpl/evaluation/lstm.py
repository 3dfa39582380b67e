"""An LSTM from forcing to fluxes: what the data alone can give.

Out of sample it is the strongest benchmark a land model can be held against, in site an upper
bound (`mdpl.evaluation.lessons` says what it may see). Sequences are a week of half-hours; what
is older comes in as rain remembered over hours to a season.

Hochreiter and Schmidhuber (1997), doi:10.1162/neco.1997.9.8.1735; as a benchmark of land models,
Abramowitz et al. (2024), doi:10.5194/bg-21-5517-2024.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.signal import lfilter

from mdpl.errors import ModelError
from mdpl.evaluation.lessons import TASKS, Lesson
from mdpl.progress import Progress
from mdpl.sites.attributes import SKEWED, numeric, vapour_pressure_deficit
from mdpl.sites.site import UNITS, Site
from mdpl.surrogate.loop import Draw, as_device, descend

WEATHER = ("SWdown", "LWdown", "Tair", "Qair", "Wind", "LAI")
"""Forcing as it is; Psurf and CO2air tell the place and the year rather than the weather."""

RAIN_MEMORY_DAYS = (0.25, 3.0, 20.0, 90.0)
"""Decay times of the rain that is remembered: wet leaves, topsoil, root zone, season."""

REACH = 3.0
"""Standard deviations: attributes and weather beyond it are told as if they lay there."""

LEAST_SPREAD = 0.2
"""Of a tower's flux, in that of all towers: one that hardly varies does not rule the loss."""

AT_ONCE = 32
"""Windows predicted together."""


@dataclass(frozen=True)
class LstmSettings:
    """Size of the network and how it is trained.

    Attributes:
        window_days, warmup_days: length of a sequence, and its head that does not count.
        batch: sequences a step.
        attributes: whether the network is told the tower's attributes.
        judge_every: steps between looks at the data kept apart; the best weights are kept.
        step_seconds: of the network; those of every tower it shall ever be asked of are multiples
            of it. None is the shortest of the towers learnt from.
    """

    hidden: int = 64
    window_days: int = 7
    warmup_days: int = 2
    batch: int = 32
    steps: int = 200
    learning_rate: float = 5e-3
    weight_decay: float = 1e-3
    clip: float = 1.0
    attributes: bool = True
    judge_every: int = 20
    checkpoint_every: int = 50
    seed: int = 0
    balance: Literal["fixed"] = "fixed"
    task_weights: Mapping[str, float] = field(default_factory=dict)
    compare_every: int = 0
    patience: int | None = None
    step_seconds: int | None = None


OUT_OF_SAMPLE = LstmSettings(hidden=32, attributes=False)
"""Small and told no attributes: of a dozen towers a larger network learns the place by heart, and
fails at others. Size, inputs and learning rate were chosen by the loss at the towers kept apart."""

IN_SITE = LstmSettings(attributes=True, steps=1000, judge_every=100)


class Weights(NamedTuple):
    """The trainable arrays; gates in the order input, forget, cell, output."""

    drive: jax.Array  # (input, 4 hidden)
    recur: jax.Array  # (hidden, 4 hidden)
    bias: jax.Array  # (4 hidden,)
    head: jax.Array  # (hidden, task)
    offset: jax.Array  # (task,)


@dataclass(frozen=True)
class Lstm:
    """A trained network with its scalers; ``step_seconds`` is the step it was trained on."""

    weights: Weights
    settings: LstmSettings
    tasks: tuple[str, ...]
    step_seconds: int
    mean: np.ndarray
    sd: np.ndarray
    flux_mean: np.ndarray
    flux_sd: np.ndarray


def train(
    taught: Sequence[Lesson],
    settings: LstmSettings,
    tasks: Sequence[str] = TASKS,
    *,
    folder: Path | None = None,
    progress: Progress | None = None,
    description: str = "LSTM",
) -> Lstm:
    """Train a network; an interrupted training is taken up again from ``folder``.

    The loss is the squared error over the variance of all towers, over the tower's own standard
    deviation in units of theirs: a dry tower counts for more than its small errors, yet does not
    rule.

    Raises:
        ModelError: nothing to learn from or to judge by, or records shorter than a sequence.
    """
    learnt = [lesson for lesson in taught if lesson.counts.any()]
    judged = [lesson for lesson in taught if lesson.judges.any()]
    if not learnt or not judged:
        raise ModelError(
            f"{description}: expected measured steps to learn from and others to say when to "
            f"stop, found {len(learnt)} and {len(judged)} towers with such; add towers"
        )
    unmeasured = [t for i, t in enumerate(tasks) if not any(s.counts[:, i].any() for s in learnt)]
    if unmeasured:
        raise ModelError(
            f"{description}: no measured {', '.join(unmeasured)} at "
            f"{', '.join(s.site.code for s in learnt)} to learn from; add towers that measure it"
        )
    step = settings.step_seconds or min(lesson.site.step_seconds for lesson in taught)
    blank = _blank(learnt, settings, tuple(tasks), step)
    sequences = [_sequence(blank, lesson, lesson.counts) for lesson in learnt]
    length = settings.window_days * 86400 // step
    short = [s.code for s in sequences if len(s.inputs) < length]
    if short:
        raise ModelError(
            f"{description}: expected records of {settings.window_days} days at least, found "
            f"shorter ones at {', '.join(short)}; leave them out or shorten window_days"
        )
    trials = [_sequence(blank, lesson, lesson.judges) for lesson in judged]
    found = descend(
        blank.weights,
        _objective,
        _drawer(sequences, settings, step),
        settings,
        tasks=tasks,
        description=description,
        folder=folder,
        fingerprint=fingerprint(taught, settings),
        progress=progress,
        judge=partial(_judge, trials, blank),
        judge_every=settings.judge_every,
    )
    return replace(blank, weights=found.weights)


def predict(network: Lstm, site: Site) -> xr.Dataset:
    """Fluxes at a tower, from its forcing and attributes alone.

    Returns:
        dims ``(time,)`` on the tower's axis, in `UNITS`.

    Raises:
        ModelError: the tower's step is no multiple of the network's.
    """
    if site.step_seconds % network.step_seconds:
        raise ModelError(
            f"LSTM at {site.code}: expected a step that is a multiple of {network.step_seconds} s, "
            f"found {site.step_seconds} s; learn with a shorter step, or leave the tower out"
        )
    out = _run(network.weights, _inputs(network, site), network)
    values = out.reshape(len(site.time), -1, len(network.tasks)).mean(axis=1)
    values = values * network.flux_sd + network.flux_mean
    data = {
        task: ("time", values[:, i].astype(float), {"units": UNITS[task]})
        for i, task in enumerate(network.tasks)
    }
    return xr.Dataset(data, {"time": site.time}, {"model": "lstm"})


def fingerprint(taught: Sequence[Lesson], settings: LstmSettings) -> str:
    """Tells trainings with other settings, towers or data apart."""
    digest = hashlib.sha256(repr(sorted(asdict(settings).items())).encode())
    for lesson in taught:
        digest.update(lesson.site.code.encode())
        for part in (lesson.fluxes, lesson.counts, lesson.judges):
            digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


class _Sequence(NamedTuple):
    """A tower at the network's step, standardised; a longer step of its own is repeated."""

    code: str
    inputs: np.ndarray  # (step, input)
    target: np.ndarray  # (step, task), NaN where it does not count
    importance: np.ndarray  # (task,), of a squared error: 1 / the tower's spread


class _Batch(NamedTuple):
    inputs: jax.Array  # (step, sequence, input)
    target: jax.Array  # (step, sequence, task)
    importance: jax.Array  # (sequence, task)


def _features(site: Site, step: int, attributes: bool) -> np.ndarray:
    """Inputs in physical units, shape (time x repeats, input)."""
    forcing = site.forcing
    seconds = (site.time - site.time.astype("datetime64[D]")) / np.timedelta64(1, "s")
    angle = 2 * np.pi * (seconds + site.step_seconds / 2) / 86400.0
    rain = forcing["Precip"].values * 86400.0
    columns = [forcing[name].values for name in WEATHER]
    columns += [vapour_pressure_deficit(forcing), np.cos(angle), np.sin(angle)]
    columns += [np.log1p(_remembered(rain, d, site.steps_per_day)) for d in RAIN_MEMORY_DAYS]
    if attributes:
        known = numeric(site).items()
        columns += [
            np.full(len(site.time), np.log(max(v, 1e-3)) if k in SKEWED else v) for k, v in known
        ]
    return np.repeat(np.column_stack(columns), site.step_seconds // step, axis=0)


def _remembered(rain: np.ndarray, days: float, steps_per_day: int) -> np.ndarray:
    """Rain, mm a day, averaged over the past with exponential weights; it begins at the mean."""
    keep = np.exp(-1.0 / (days * steps_per_day))
    state = np.array([keep * rain.mean()])
    return np.asarray(lfilter([1.0 - keep], [1.0, -keep], rain, zi=state)[0])


def _blank(
    learnt: Sequence[Lesson], settings: LstmSettings, tasks: tuple[str, ...], step: int
) -> Lstm:
    """Untrained weights, and scalers from the towers learnt from."""
    uneven = [s.site.code for s in learnt if s.site.step_seconds % step]
    if uneven:
        raise ModelError(
            f"LSTM: expected steps that are multiples of {step} s, found others at "
            f"{', '.join(uneven)}; leave these towers out"
        )
    x = np.concatenate([_features(s.site, step, settings.attributes) for s in learnt])
    y = np.concatenate([np.where(s.counts, s.fluxes, np.nan) for s in learnt])
    sd = x.std(axis=0)
    return Lstm(
        _weights(settings, x.shape[1], len(tasks)),
        settings,
        tasks,
        step,
        x.mean(axis=0),
        np.where(sd > 0, sd, 1.0),
        np.nanmean(y, axis=0),
        np.nanstd(y, axis=0),
    )


def _weights(settings: LstmSettings, inputs: int, tasks: int) -> Weights:
    """Random weights; the forget gates begin open."""
    size = settings.hidden
    rng = np.random.default_rng(settings.seed)

    def draw(rows: int, columns: int) -> np.ndarray:
        return rng.normal(size=(rows, columns)) / np.sqrt(rows)

    bias = np.repeat([0.0, 2.0, 0.0, 0.0], size)
    drive, recur, head = draw(inputs, 4 * size), draw(size, 4 * size), draw(size, tasks)
    return Weights(*(as_device(w) for w in (drive, recur, bias, head, np.zeros(tasks))))


def _inputs(network: Lstm, site: Site) -> np.ndarray:
    """Standardised inputs; what lies beyond `REACH` of the training data is drawn in to it."""
    raw = _features(site, network.step_seconds, network.settings.attributes)
    return np.clip((raw - network.mean) / network.sd, -REACH, REACH).astype(np.float32)


def _sequence(network: Lstm, lesson: Lesson, counts: np.ndarray) -> _Sequence:
    repeat = lesson.site.step_seconds // network.step_seconds
    target = (lesson.fluxes - network.flux_mean) / network.flux_sd
    target = np.where(counts, target, np.nan)
    spread = np.nanstd(np.where(counts.any(axis=0), target, 0.0), axis=0)
    importance = np.where(spread > 0, 1.0 / np.maximum(spread, LEAST_SPREAD), 0.0)
    return _Sequence(
        lesson.site.code,
        _inputs(network, lesson.site),
        np.repeat(target, repeat, axis=0).astype(np.float32),
        importance.astype(np.float32),
    )


def _forward(weights: Weights, inputs: jax.Array) -> jax.Array:
    """Standardised fluxes, shape (step, sequence, task), of inputs (step, sequence, input)."""
    driven = inputs @ weights.drive + weights.bias
    start = jnp.zeros((inputs.shape[1], weights.recur.shape[0]), dtype=inputs.dtype)

    def advance(
        state: tuple[jax.Array, jax.Array], drive: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        hidden, cell = state
        gates = drive + hidden @ weights.recur
        enter, keep, new, leave = jnp.split(gates, 4, axis=-1)
        cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(enter) * jnp.tanh(new)
        hidden = jax.nn.sigmoid(leave) * jnp.tanh(cell)
        return (hidden, cell), hidden

    _, hidden = jax.lax.scan(advance, (start, start), driven)
    return hidden @ weights.head + weights.offset


def _objective(weights: Weights, batch: _Batch) -> tuple[jax.Array, jax.Array]:
    counts = ~jnp.isnan(batch.target)
    error = jnp.where(counts, _forward(weights, batch.inputs) - batch.target, 0.0)
    parts = (error**2).sum(axis=0) / jnp.maximum(counts.sum(axis=0), 1) * batch.importance
    # A sequence without any measured step does not thin the mean.
    share = counts.any(axis=0).mean()
    return jnp.zeros((), parts.dtype), parts / jnp.maximum(share, 1 / parts.size)


def _drawer(sequences: Sequence[_Sequence], settings: LstmSettings, step: int) -> Draw:
    """Stretches of random towers; every tower as often as any other."""
    length = settings.window_days * 86400 // step
    skip = settings.warmup_days * 86400 // step

    def draw(number: int) -> tuple[list[_Batch], list[str]]:
        rng = np.random.default_rng((settings.seed, number))
        rows, names = [], []
        for which in rng.integers(len(sequences), size=settings.batch):
            tower = sequences[which]
            first = int(rng.integers(len(tower.inputs) - length + 1))
            target = tower.target[first : first + length].copy()
            target[:skip] = np.nan
            rows.append((tower.inputs[first : first + length], target, tower.importance))
            names.append(f"site {tower.code}, from step {first}")
        inputs, target, importance = (np.stack(part) for part in zip(*rows, strict=True))
        swapped = np.swapaxes(inputs, 0, 1), np.swapaxes(target, 0, 1)
        return [_Batch(*(jnp.asarray(x) for x in (*swapped, importance)))], names

    return draw


def _judge(trials: Sequence[_Sequence], network: Lstm, weights: Weights) -> float:
    """The loss at the data kept apart; towers and tasks count alike."""
    losses = []
    for trial in trials:
        error = _run(weights, trial.inputs, network) - trial.target
        known = ~np.isnan(error).all(axis=0) & (trial.importance > 0)
        losses += list(np.nanmean(error[:, known] ** 2, axis=0) * trial.importance[known])
    return float(np.mean(losses))


def _run(weights: Weights, inputs: np.ndarray, network: Lstm) -> np.ndarray:
    """Standardised fluxes of a whole record, in windows as in training.

    Each window gives what lies behind its warm-up, the first one all of it.
    """
    length = min(network.settings.window_days * 86400 // network.step_seconds, len(inputs))
    skip = min(network.settings.warmup_days * 86400 // network.step_seconds, length // 2)
    starts = np.append(np.arange(0, len(inputs) - length, length - skip), len(inputs) - length)
    out = np.empty((len(inputs), len(network.tasks)), dtype=np.float32)
    for group in np.array_split(starts, -(-len(starts) // AT_ONCE)):
        padded = np.resize(group, AT_ONCE)
        windows = inputs[padded[None, :] + np.arange(length)[:, None]]
        found = np.asarray(_compiled(weights, windows))
        for i, start in enumerate(group):
            lead = skip if start else 0
            out[start + lead : start + length] = found[lead:, i]
    return out


_compiled = jax.jit(_forward)
