"""Measures of agreement between a modelled and an observed series.

Every metric takes two 1-D arrays of one length, the model first, and returns a float:

- fewer than two pairs: NaN, for every metric; fewer than `LEAST_OF_DISTRIBUTION`: for those of a
  distribution's shape;
- a metric that is not defined (the correlation of a constant, the NSE against constant
  observations, a mean ratio whose observed mean is about 0): NaN, never a warning;
- nothing is masked here: a NaN in a series makes its metric NaN, so that a failed model run
  cannot score well. Choose the steps to compare beforehand (`mdpl.evaluation.resolution`).

``m`` and ``o`` stand for model and observation, an overbar for the mean, ``sd`` for the
population standard deviation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mdpl.errors import ModelError

CONSTANT = 1e-12
"""A series is constant when its range is below this share of its largest magnitude."""

ZERO_MEAN = 1e-6
"""An observed mean below this share of the observed standard deviation counts as zero."""

LEAST_OF_DISTRIBUTION = 10
"""Pairs below which the shape of a distribution (skewness, kurtosis, overlap) says nothing: of two
or three values every histogram is the same."""

MOST_BINS = 100
"""Bins of a histogram at most."""

Metric = Callable[[np.ndarray, np.ndarray], float]


def rmse(model: np.ndarray, observed: np.ndarray) -> float:
    """Root mean square error, ``sqrt(mean((m - o)^2))``, in the units of the series."""
    m, o = _pairs(model, observed)
    return float(np.sqrt(np.mean((m - o) ** 2))) if m.size > 1 else np.nan


def r(model: np.ndarray, observed: np.ndarray) -> float:
    """Pearson correlation; NaN when either series is constant."""
    m, o = _pairs(model, observed)
    spread = _sd(m) * _sd(o)
    if not spread > 0:
        return np.nan
    covariance = np.mean((m - m.mean()) * (o - o.mean()))
    return float(np.clip(covariance / spread, -1.0, 1.0))


def nse(model: np.ndarray, observed: np.ndarray) -> float:
    """Nash-Sutcliffe efficiency, ``1 - sum((m - o)^2) / sum((o - mean(o))^2)``.

    The baseline is the mean of the same observations: 0 is as good as knowing that mean.
    Nash and Sutcliffe (1970), doi:10.1016/0022-1694(70)90255-6.
    """
    m, o = _pairs(model, observed)
    variance = _sd(o) ** 2
    return float(1.0 - np.mean((m - o) ** 2) / variance) if variance > 0 else np.nan


def kge(model: np.ndarray, observed: np.ndarray) -> float:
    """Kling-Gupta efficiency of 2009.

    ``1 - sqrt((r - 1)^2 + (alpha - 1)^2 + (beta - 1)^2)``, with r the Pearson correlation,
    alpha the ratio of standard deviations, beta the ratio of means (model over observed).
    NaN when one of the three is. Gupta et al. (2009), doi:10.1016/j.jhydrol.2009.08.003.
    """
    parts = (kge_r(model, observed), kge_alpha(model, observed), kge_beta(model, observed))
    return float(1.0 - np.sqrt(sum((part - 1.0) ** 2 for part in parts)))


def kge_r(model: np.ndarray, observed: np.ndarray) -> float:
    """The correlation part of `kge`: the Pearson correlation."""
    return r(model, observed)


def kge_alpha(model: np.ndarray, observed: np.ndarray) -> float:
    """The variability part of `kge`: ``sd(m) / sd(o)``."""
    return sd_ratio(model, observed)


def kge_beta(model: np.ndarray, observed: np.ndarray) -> float:
    """The mean part of `kge`: ``mean(m) / mean(o)``; NaN when mean(o) is about 0."""
    m, o = _pairs(model, observed)
    if m.size < 2 or not abs(o.mean()) > ZERO_MEAN * _sd(o):
        return np.nan
    return float(m.mean() / o.mean())


def bias(model: np.ndarray, observed: np.ndarray) -> float:
    """Mean error, ``mean(m) - mean(o)``, in the units of the series."""
    m, o = _pairs(model, observed)
    return float(np.mean(m - o)) if m.size > 1 else np.nan


def nme(model: np.ndarray, observed: np.ndarray) -> float:
    """Normalised mean error, ``sum|m - o| / sum|o - mean(o)|``, as PLUMBER uses it.

    Best et al. (2015), doi:10.1175/JHM-D-14-0158.1.
    """
    m, o = _pairs(model, observed)
    if not _sd(o) > 0:
        return np.nan
    return float(np.mean(np.abs(m - o)) / np.mean(np.abs(o - o.mean())))


def sd_ratio(model: np.ndarray, observed: np.ndarray) -> float:
    """Ratio of standard deviations, ``sd(m) / sd(o)``; NaN for constant observations."""
    m, o = _pairs(model, observed)
    spread = _sd(o)
    return float(_sd(m) / spread) if spread > 0 else np.nan


def std_obs(model: np.ndarray, observed: np.ndarray) -> float:
    """Standard deviation of the observations, in their units."""
    _, o = _pairs(model, observed)
    return float(_sd(o))


def p05_bias(model: np.ndarray, observed: np.ndarray) -> float:
    """Difference of the 5th percentiles, model minus observation; as PLUMBER judges extremes."""
    return _percentile_bias(model, observed, 5.0)


def p95_bias(model: np.ndarray, observed: np.ndarray) -> float:
    """Difference of the 95th percentiles, model minus observation."""
    return _percentile_bias(model, observed, 95.0)


def skewness_ratio(model: np.ndarray, observed: np.ndarray) -> float:
    """Ratio of skewnesses (third moment over sd^3); NaN when the observed one is about 0."""
    return _moment_ratio(model, observed, 3)


def kurtosis_ratio(model: np.ndarray, observed: np.ndarray) -> float:
    """Ratio of kurtoses, the fourth moment over sd^4 (3 for a normal distribution)."""
    return _moment_ratio(model, observed, 4)


def pdf_overlap(model: np.ndarray, observed: np.ndarray) -> float:
    """Common area of the two histograms, 0 to 1.

    Sum over bins of the smaller share. Bins are equally wide from the least to the largest value
    of both series: the square root of n of them, at most `MOST_BINS`. Perkins et al. (2007),
    doi:10.1175/JCLI4253.1.
    """
    m, o = _pairs(model, observed)
    if m.size < LEAST_OF_DISTRIBUTION or not (np.isfinite(m).all() and np.isfinite(o).all()):
        return np.nan
    both = np.concatenate([m, o])
    if not _sd(both) > 0:
        return 1.0
    edges = np.linspace(both.min(), both.max(), min(int(np.sqrt(m.size)), MOST_BINS) + 1)
    shared = np.minimum(np.histogram(m, edges)[0], np.histogram(o, edges)[0])
    return float(shared.sum() / m.size)


METRICS: dict[str, Metric] = {
    "rmse": rmse,
    "r": r,
    "nse": nse,
    "kge": kge,
    "kge_r": kge_r,
    "kge_alpha": kge_alpha,
    "kge_beta": kge_beta,
    "bias": bias,
    "nme": nme,
    "sd_ratio": sd_ratio,
    "std_obs": std_obs,
    "p05_bias": p05_bias,
    "p95_bias": p95_bias,
    "skewness_ratio": skewness_ratio,
    "kurtosis_ratio": kurtosis_ratio,
    "pdf_overlap": pdf_overlap,
}
"""All metrics by the name they have in ``scores.csv``."""


@dataclass(frozen=True)
class Meaning:
    """What a reader needs to know of a metric.

    Attributes:
        label: short name for tables and axes.
        best: which values are better: larger, smaller, closer to 0 or 1, or none of these
            (a part of the data, not a score).
        units: ``flux`` if in the units of the flux, else ``1``.
        text: definition in one line.
    """

    label: str
    best: Literal["high", "low", "zero", "one", "none"]
    units: Literal["flux", "1"]
    text: str

    def distance(self, value: float) -> float:
        """How far a value is from perfect: smaller is better; NaN if not a score."""
        rules = {"high": -value, "low": value, "zero": abs(value), "one": abs(value - 1.0)}
        return rules.get(self.best, np.nan)


MEANINGS: dict[str, Meaning] = {
    "rmse": Meaning("RMSE", "low", "flux", "root mean square error, √ mean((m − o)²)"),
    "r": Meaning("R", "high", "1", "Pearson correlation (not R²)"),
    "nse": Meaning(
        "NSE",
        "high",
        "1",
        "Nash–Sutcliffe efficiency, 1 − Σ(m − o)² / Σ(o − ō)²; the baseline is the mean of the "
        "observations",
    ),
    "kge": Meaning(
        "KGE",
        "high",
        "1",
        "Kling–Gupta efficiency (2009), 1 − √((r − 1)² + (α − 1)² + (β − 1)²)",
    ),
    "kge_r": Meaning("KGE r", "high", "1", "correlation part of the KGE"),
    "kge_alpha": Meaning("KGE α", "one", "1", "variability part of the KGE, sd(m) / sd(o)"),
    "kge_beta": Meaning(
        "KGE β", "one", "1", "mean part of the KGE, mean(m) / mean(o); undefined when ō is about 0"
    ),
    "bias": Meaning("Bias", "zero", "flux", "mean of model minus observation"),
    "nme": Meaning("NME", "low", "1", "normalised mean error, Σ|m − o| / Σ|o − ō|"),
    "sd_ratio": Meaning("SD ratio", "one", "1", "sd(m) / sd(o)"),
    "std_obs": Meaning("SD obs", "none", "flux", "standard deviation of the observations"),
    "p05_bias": Meaning("P5 bias", "zero", "flux", "5th percentile of m minus that of o"),
    "p95_bias": Meaning("P95 bias", "zero", "flux", "95th percentile of m minus that of o"),
    "skewness_ratio": Meaning("Skewness ratio", "one", "1", "skewness of m over that of o"),
    "kurtosis_ratio": Meaning("Kurtosis ratio", "one", "1", "kurtosis of m over that of o"),
    "pdf_overlap": Meaning(
        "PDF overlap", "high", "1", "common area of the histograms of m and o, 0 to 1"
    ),
}
"""What each of `METRICS` is and which way is better."""


def _pairs(model: np.ndarray, observed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m, o = np.asarray(model, dtype=float), np.asarray(observed, dtype=float)
    if m.ndim != 1 or m.shape != o.shape:
        raise ModelError(
            f"a metric expects two 1-D series of one length, found model {m.shape} and "
            f"observed {o.shape}; bring both to the same time steps first"
        )
    return m, o


def _percentile_bias(model: np.ndarray, observed: np.ndarray, percentile: float) -> float:
    m, o = _pairs(model, observed)
    if m.size < 2:
        return np.nan
    return float(np.percentile(m, percentile) - np.percentile(o, percentile))


def _moment_ratio(model: np.ndarray, observed: np.ndarray, order: int) -> float:
    m, o = _pairs(model, observed)
    if m.size < LEAST_OF_DISTRIBUTION:
        return np.nan
    ours, theirs = (_standard_moment(x, order) for x in (m, o))
    return float(ours / theirs) if abs(theirs) > ZERO_MEAN else np.nan


def _standard_moment(x: np.ndarray, order: int) -> float:
    """Mean of the standardised values to a power; NaN for a constant."""
    spread = _sd(x)
    return float(np.mean(((x - x.mean()) / spread) ** order)) if spread > 0 else np.nan


def _sd(x: np.ndarray) -> float:
    """Population standard deviation; exactly 0 for a constant, NaN below two values."""
    if x.size < 2 or not np.isfinite(x).all():
        return np.nan
    if np.ptp(x) <= CONSTANT * np.abs(x).max():
        return 0.0
    return float(np.std(x))
