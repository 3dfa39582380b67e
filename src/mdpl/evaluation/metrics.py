"""Measures of agreement between a modelled and an observed series.

Every metric takes two 1-D arrays of one length, the model first, and returns a float:

- fewer than two pairs: NaN, for every metric;
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


def _sd(x: np.ndarray) -> float:
    """Population standard deviation; exactly 0 for a constant, NaN below two values."""
    if x.size < 2 or not np.isfinite(x).all():
        return np.nan
    if np.ptp(x) <= CONSTANT * np.abs(x).max():
        return 0.0
    return float(np.std(x))
