"""The empirical benchmarks of PLUMBER: regressions on the weather of other towers.

They know neither vegetation nor soil nor what was before, so a land model that is worse makes bad
use of what it is told. Out of sample: whoever is judged at a tower has never seen its fluxes.

Best et al. (2015), doi:10.1175/JHM-D-14-0158.1; the six-variable one is of PLUMBER2, Abramowitz
et al. (2024), doi:10.5194/bg-21-5517-2024.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.cluster.vq import kmeans2, vq

from mdpl.errors import ModelError
from mdpl.evaluation.scores import Variant, counting, observations
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.site import UNITS, Site

STEPS_A_CLUSTER = 100
"""Fewer clusters are made if there are fewer measured steps than this for each."""

STEPS_A_SLOPE = 10
"""A cluster has a regression of its own if it holds this many steps for each coefficient."""

DRAWN = 30_000
"""Steps, drawn at random, that place the centres of the clusters; every step has its cluster."""

ROUNDS = 30
"""Iterations of k-means."""

FLAT = 0.01
"""A combination of predictors that varies less than this share of the most varying one within a
cluster gets no slope: sunlight at night, say."""


@dataclass(frozen=True)
class Empirical:
    """An empirical benchmark.

    Attributes:
        name: as in the literature: number of predictors, ``lin`` or ``km`` and clusters.
        predictors: names of `predictors`.
        clusters: of k-means on the standardised predictors, each with a linear regression.
    """

    name: str
    predictors: tuple[str, ...]
    clusters: int = 1


EMPIRICAL = (
    Empirical("1lin", ("SWdown",)),
    Empirical("2lin", ("SWdown", "Tair")),
    Empirical("3km27", ("SWdown", "Tair", "RH"), 27),
    Empirical("6km729", ("SWdown", "Tair", "RH", "Wind", "Precip", "LWdown"), 729),
)
"""From the least to the best informed."""


@dataclass(frozen=True)
class Regression:
    """One flux in every cluster.

    Attributes:
        centres: of the clusters with enough steps, standardised, shape (cluster, predictor).
        coefficients: intercept and slopes, shape (cluster, 1 + predictor).
        bounds: least and largest flux in the cluster, shape (cluster, 2); a plane through few
            towers, followed to another one, would leave them by hundreds of W m-2.
    """

    centres: np.ndarray
    coefficients: np.ndarray
    bounds: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Flux at standardised predictors, shape (time, predictor) -> (time,)."""
        cluster = vq(x, self.centres)[0]
        own = self.coefficients[cluster]
        plane = own[:, 0] + np.einsum("tp,tp->t", own[:, 1:], x)
        return np.clip(plane, *self.bounds[cluster].T)


@dataclass(frozen=True)
class Fit:
    """A benchmark after training.

    Attributes:
        mean, sd: of the predictors over the training steps, shape (predictor,).
        clusters: how many were made, fewer than asked for where steps did not suffice.
        trained_on: tower codes.
    """

    benchmark: Empirical
    mean: np.ndarray
    sd: np.ndarray
    clusters: int
    regressions: Mapping[str, Regression]
    trained_on: tuple[str, ...]


def fit(
    benchmark: Empirical,
    towers: Sequence[Site],
    fluxes: Sequence[str] = ("Qle", "Qh"),
    variant: Variant = "raw",
    seed: int = 0,
) -> Fit:
    """Train a benchmark on all measured steps of some towers.

    Args:
        fluxes: those no tower measured are left out.
        seed: of the clusters.

    Raises:
        ModelError: there is nothing measured to learn from.
    """
    x, y = _training_steps(benchmark, towers, fluxes, variant)
    mean, sd = x.mean(axis=0), x.std(axis=0)
    sd = np.where(sd > 0, sd, 1.0)
    x = (x - mean) / sd
    centres = _centres(x, benchmark.clusters, np.random.default_rng(seed))
    label = vq(x, centres)[0]
    regressions = {flux: _regress(x, values, label, centres) for flux, values in y.items()}
    codes = tuple(site.code for site in towers)
    return Fit(benchmark, mean, sd, len(centres), regressions, codes)


def simulate(trained: Fit, site: Site) -> xr.Dataset:
    """The fluxes a benchmark expects at a tower.

    Returns:
        dims ``(time,)`` on the tower's axis, in `UNITS`; attributes say what it was made from.
    """
    x = (predictors(site, trained.benchmark.predictors) - trained.mean) / trained.sd
    data = {
        flux: ("time", regression(x), {"units": UNITS[flux]})
        for flux, regression in trained.regressions.items()
    }
    about = {
        "model": trained.benchmark.name,
        "predictors": " ".join(trained.benchmark.predictors),
        "clusters": trained.clusters,
        "clusters_asked_for": trained.benchmark.clusters,
        "trained_on": " ".join(trained.trained_on),
    }
    return xr.Dataset(data, {"time": site.time}, about)


def predictors(site: Site, names: Sequence[str]) -> np.ndarray:
    """Forcing variables by name, and ``RH`` (relative humidity, 0-1, over water).

    Returns:
        shape (time, name).
    """
    known = {str(name): values.values for name, values in site.forcing.data_vars.items()}
    if "RH" in names:
        vapour = vapour_pressure(known["Qair"], known["Psurf"])
        known["RH"] = np.clip(vapour / saturation_vapour_pressure(known["Tair"]), 0.0, 1.0)
    return np.column_stack([np.asarray(known[name], dtype=float) for name in names])


def _training_steps(
    benchmark: Empirical, towers: Sequence[Site], fluxes: Sequence[str], variant: Variant
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Predictors, shape (step, predictor), and fluxes (NaN where not measured) of all towers.

    Only steps at which at least one flux was measured.
    """
    inputs: list[np.ndarray] = []
    outputs: list[np.ndarray] = []
    for site in towers:
        observed = observations(site, fluxes, variant)
        y = counting(observed, fluxes, np.ones(len(site.time), dtype=bool))
        some = np.isfinite(y).any(axis=1)
        inputs.append(predictors(site, benchmark.predictors)[some])
        outputs.append(y[some])
    x = np.concatenate(inputs) if inputs else np.empty((0, len(benchmark.predictors)))
    least = STEPS_A_SLOPE * (1 + len(benchmark.predictors))
    together = np.concatenate(outputs) if outputs else np.empty((0, len(fluxes)))
    enough = np.isfinite(together).sum(axis=0) >= least
    if not enough.any():
        raise ModelError(
            f"benchmark {benchmark.name}: expected at least {least} measured steps of "
            f"{' or '.join(fluxes)} at other towers, found {len(x)} at "
            f"{', '.join(s.code for s in towers) or 'none'}; add towers to the run"
        )
    return x, {flux: together[:, i] for i, flux in enumerate(fluxes) if enough[i]}


def _centres(x: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Centres of k-means, shape (cluster, predictor)."""
    clusters = max(1, min(clusters, len(x) // STEPS_A_CLUSTER))
    if clusters == 1:
        return np.zeros((1, x.shape[1]))
    drawn = x[rng.choice(len(x), min(DRAWN, len(x)), replace=False)]
    start = _spread(drawn, clusters, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster keeps its centre
        return np.asarray(kmeans2(drawn, start, ROUNDS, minit="matrix")[0])


def _spread(x: np.ndarray, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """First centres far from each other (k-means++, Arthur and Vassilvitskii 2007)."""
    chosen = [x[rng.integers(len(x))]]
    nearest = ((x - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < clusters and nearest.sum() > 0:
        chosen.append(x[rng.choice(len(x), p=nearest / nearest.sum())])
        nearest = np.minimum(nearest, ((x - chosen[-1]) ** 2).sum(axis=1))
    return np.array(chosen)


def _regress(x: np.ndarray, y: np.ndarray, label: np.ndarray, centres: np.ndarray) -> Regression:
    known = np.isfinite(y)
    x, y, label = x[known], y[known], label[known]
    order = np.argsort(label, kind="stable")
    ends = np.cumsum(np.bincount(label, minlength=len(centres)))
    groups = np.split(order, ends[:-1])
    least = min(STEPS_A_SLOPE * (1 + x.shape[1]), max(map(len, groups)))
    kept = [k for k, group in enumerate(groups) if len(group) >= least]
    coefficients = np.array([_plane(x[groups[k]], y[groups[k]]) for k in kept])
    bounds = np.array([(y[groups[k]].min(), y[groups[k]].max()) for k in kept])
    return Regression(centres[kept], coefficients, bounds)


def _plane(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares: intercept, then slopes."""
    middle = x.mean(axis=0)
    slopes = np.linalg.lstsq(x - middle, y - y.mean(), rcond=FLAT)[0]
    return np.concatenate([[y.mean() - middle @ slopes], slopes])
