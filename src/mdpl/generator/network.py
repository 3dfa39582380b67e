"""The parameter generator g_z: what is known of a tower -> a point of the unit cube.

The network gives an offset in logit space that is added to the tower's default point. Its last
layer starts at zero, so an untrained generator returns the defaults; and a logit can go anywhere
without leaving the unit cube, so parameters stay inside their bounds by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mdpl.config_learning import GeneratorConfig
from mdpl.errors import ModelError, RunError
from mdpl.generator.known import PARTS_OF_YEAR, Known
from mdpl.sites.attributes import SKEWED
from mdpl.surrogate import store
from mdpl.surrogate.layers import drawn, linear

LAND_COVERS = tuple(range(1, 10))
FARTHEST = 3.0
"""Attributes are cut at this many standard deviations of the training towers."""
REACH = 5.0
"""Height of a free tower's own feature. A step moves a weight, and an offset as many times as far:
a network's offsets are sums over many weights, these are one weight each. With 1, free parameters
ended short of those by attributes after as many steps (docs/learning.md)."""

_EDGE = 0.02
_SMALLEST = 0.01


class Encoder(eqx.Module):
    """What is known of a tower as standardised numbers; never trained.

    Numbers are standardised over the training towers, skewed ones by their logarithm, and the
    land-cover class is one number a class. What did not vary among the training towers is zero
    everywhere: nothing was learnt of it. A missing attribute counts as the mean of the training
    towers, and so does a missing part of the year.

    Attributes:
        mean, sd: of the attributes, shape (attribute,).
        seasons: mean and spread of the forcing's summary, shape (2, variable).
        names: the numeric attributes used; empty for one shift a tower, a class, or for all.
        codes: the training towers. For free parameters the tower's identity is the feature.
        kind: as in `GeneratorConfig`.
    """

    mean: Array
    sd: Array
    seasons: Array
    names: tuple[str, ...] = eqx.field(static=True)
    codes: tuple[str, ...] = eqx.field(static=True)
    kind: str = eqx.field(static=True)

    @property
    def size(self) -> int:
        """Features that are not the forcing's summary."""
        sizes = {"free": len(self.codes), "common": 1}
        return sizes.get(self.kind, len(self.names) + len(LAND_COVERS))

    def __call__(self, code: str, known: Known) -> np.ndarray:
        """Features of one tower, shape (feature,), float32; the forcing's summary last.

        Raises:
            ModelError: free parameters were asked for a tower that took no part.
        """
        if self.kind == "free":
            if code not in self.codes:
                raise ModelError(
                    f"site {code}: free parameters exist only for the towers they were learnt at "
                    f"({', '.join(self.codes)}); use a generator of kind 'attributes'"
                )
            own = np.arange(len(self.codes)) == self.codes.index(code)
            return REACH * own.astype(np.float32)
        if self.kind == "common":
            return np.ones(1, dtype=np.float32)
        features = _standard(_raw(known.attributes, self.names), self.mean, self.sd)
        if self.kind != "forcing":
            return features
        found = np.isfinite(known.seasons).all(axis=1, keepdims=True)
        seasons = _standard(known.seasons, *self.seasons)
        return np.concatenate([features, np.hstack([seasons, found]).ravel()]).astype(np.float32)


class Layers(eqx.Module):
    """What is trained: features -> offset in logit space.

    With forcing, a layer common to all parts of the year reads each of them, and their mean
    joins the attributes; so a record of any length gives features of one size.
    """

    season: eqx.nn.Linear | None
    dense: tuple[eqx.nn.Linear, ...]

    def __init__(self, config: GeneratorConfig, encoder: Encoder, outputs: int):
        plain = encoder.kind in ("free", "pft", "common")
        inputs, self.season = encoder.size, None
        if encoder.kind == "forcing":
            variables = encoder.seasons.shape[1]
            self.season = linear(variables, config.hidden)
            inputs += config.hidden
        sizes = [inputs, *[config.hidden] * (0 if plain else config.layers), outputs]
        self.dense = tuple(linear(a, b, bias=not plain) for a, b in pairwise(sizes))

    def __call__(self, features: Array) -> Array:
        if self.season is not None:
            features = self._with_seasons(self.season, features)
        for layer in self.dense[:-1]:
            features = jnp.tanh(layer(features))
        return self.dense[-1](features)

    def _with_seasons(self, layer: eqx.nn.Linear, features: Array) -> Array:
        width = PARTS_OF_YEAR * (int(layer.in_features) + 1)
        parts = features[-width:].reshape(PARTS_OF_YEAR, -1)
        read = jnp.tanh(jax.vmap(layer)(parts[:, :-1])) * parts[:, -1:]
        mean = read.sum(axis=0) / jnp.maximum(parts[:, -1].sum(), 1)
        return jnp.concatenate([features[:-width], mean])


class Generator(eqx.Module):
    """A parameter generator; made without weights, which `untrained` gives it.

    Attributes:
        parameter_names: names of the columns of its answer.
    """

    layers: Layers
    encoder: Encoder
    parameter_names: tuple[str, ...] = eqx.field(static=True)

    def __init__(self, config: GeneratorConfig, encoder: Encoder, parameter_names: Sequence[str]):
        self.layers = Layers(config, encoder, len(parameter_names))
        self.encoder = encoder
        self.parameter_names = tuple(parameter_names)

    def __call__(self, features: Array, default_unit: Array) -> Array:
        """Parameters of one tower in the unit cube; differentiable.

        Args:
            features: from the encoder, shape (feature,).
            default_unit: shape (parameter,).
        """
        return shift(default_unit, self.layers(features))

    def parameters(self, code: str, known: Known, default_unit: np.ndarray) -> np.ndarray:
        """Parameters of one tower in the unit cube, shape (parameter,), float64.

        An untrained generator returns ``default_unit`` to the last digit.
        """
        default = np.asarray(default_unit, dtype=float)
        if default.shape != (len(self.parameter_names),):
            raise ModelError(
                f"site {code}: expected {len(self.parameter_names)} default parameters, "
                f"found shape {default.shape}"
            )
        start = jnp.asarray(default, dtype=jnp.float32)
        learnt = self(jnp.asarray(self.encoder(code, known)), start)
        return np.clip(default + np.asarray(learnt - start, dtype=float), 0.0, 1.0)


def shift(default_unit: Array, offset: Array) -> Array:
    """Move a point of the unit cube by an offset in logit space, never out of the cube.

    A default on a bound has an infinite logit. The logit is therefore taken of a point at least
    0.02 away from the bounds, and what lies between default and bound is stretched in proportion,
    so that a zero offset is the default itself, exactly, and an infinite one is the bound. At a
    default on a bound the slope is that of the way inwards.
    """
    inner = jnp.clip(default_unit, _EDGE, 1 - _EDGE)
    logit = jnp.log(inner) - jnp.log1p(-inner)
    moved = jax.nn.sigmoid(logit + offset) - jax.nn.sigmoid(logit)
    up = (1 - default_unit) / (1 - inner)
    down = default_unit / inner
    rising = (offset > 0) | ((offset == 0) & (default_unit < 0.5))
    return default_unit + jnp.where(rising, up, down) * moved


def fit_encoder(codes: Sequence[str], known: Sequence[Known], kind: str) -> Encoder:
    """Learn the standardisation from the training towers.

    Every attribute that is a number at some tower is used; texts and the land-cover class, which
    has its own code, are not numbers.
    """
    attributes = [one.attributes for one in known]
    numeric = {k for a in attributes for k, v in a.items() if not isinstance(v, str)}
    names = tuple(sorted(numeric - {"land_cover"})) if kind in ("attributes", "forcing") else ()
    mean, sd = _moments(np.stack([_raw(a, names) for a in attributes]))
    if kind == "pft":  # one number a class, not relative to the others
        mean, sd = np.zeros_like(mean), np.ones_like(sd)
    seasons = np.stack(_moments(np.concatenate([one.seasons for one in known])))
    arrays = (jnp.asarray(x, dtype=jnp.float32) for x in (mean, sd, seasons))
    mean_, sd_, seasons_ = arrays
    return Encoder(mean_, sd_, seasons_, names, tuple(codes), kind)


def _moments(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each column over known values; infinite spread where none varies."""
    known = np.isfinite(raw)
    number = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, raw, 0).sum(axis=0) / number
    sd = np.sqrt(np.where(known, (raw - mean) ** 2, 0).sum(axis=0) / number)
    return mean, np.where(sd > 1e-6 * np.maximum(np.abs(mean), 1e-6), sd, np.inf)


def _standard(raw: np.ndarray, mean: Array, sd: Array) -> np.ndarray:
    scaled = (raw - np.asarray(mean)) / np.asarray(sd)
    return np.clip(np.nan_to_num(scaled), -FARTHEST, FARTHEST).astype(np.float32)


def save_generator(generator: Generator, config: GeneratorConfig, path: Path) -> None:
    """Write a generator with all that is needed to read it back (no pickle)."""
    encoder = generator.encoder
    header = {
        "config": config.model_dump(mode="json"),
        "parameters": generator.parameter_names,
        "attributes": encoder.names,
        "codes": encoder.codes,
        "variables": encoder.seasons.shape[1],
    }
    store.write_tree(path, header, generator)


def untrained(config: GeneratorConfig, encoder: Encoder, names: Sequence[str]) -> Generator:
    """A generator that gives the defaults and can learn.

    Args:
        names: of the parameters.
    """
    made = drawn(Generator(config, encoder, names), config.seed)

    def last(generator: Generator) -> eqx.nn.Linear:
        return generator.layers.dense[-1]

    return eqx.tree_at(last, made, jax.tree.map(jnp.zeros_like, last(made)))


def load_generator(path: Path) -> Generator:
    """Read a generator written by `save_generator`.

    Raises:
        RunError: there is none, or it is damaged.
    """
    header = store.read_header(path)
    try:
        config = GeneratorConfig(**header["config"])
        names, codes = tuple(header["attributes"]), tuple(header["codes"])
        parameters, variables = tuple(header["parameters"]), int(header["variables"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not a stored generator ({error}); train it again") from error
    empty = jnp.zeros(len(names) + len(LAND_COVERS), dtype=jnp.float32)
    seasons = jnp.zeros((2, variables), dtype=jnp.float32)
    encoder = Encoder(empty, empty, seasons, names, codes, config.kind)
    stored: Generator = store.read_tree(path, Generator(config, encoder, parameters))
    return stored


def _raw(attributes: Mapping[str, float | str], names: Sequence[str]) -> np.ndarray:
    numbers = [_scaled(name, float(attributes.get(name, np.nan))) for name in names]
    cover = attributes.get("land_cover")
    return np.array(numbers + [float(cover is not None and int(cover) == c) for c in LAND_COVERS])


def _scaled(name: str, value: float) -> float:
    """Skewed attributes by their logarithm; zero has none and counts as small."""
    return float(np.log(max(value, _SMALLEST))) if name in SKEWED else value
