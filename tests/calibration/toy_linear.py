"""A land model of three parameters with known answers, for the ways of calibrating."""

from __future__ import annotations

import numpy as np

from mdpl.calibration.objective import Answers, Objective
from mdpl.lsm.model import Parameter, ParameterSpace

SPACE = ParameterSpace(
    (
        Parameter("slope", "1", "a slope", 2.0, 16.0, 9.0, "test"),
        Parameter("rate", "s-1", "a rate", 1e-4, 1e-2, 1e-3, "test", "log"),
        Parameter("floor", "1", "a floor", 0.0, 1.0, 0.5, "test"),
    )
)
TRUTH = np.array([0.3, 0.7, 0.9])
DEFAULT = np.array([0.5, 0.5, 0.5])
WIDTHS = np.array([0.5, 0.5, 0.5])
DAYS, STEPS = 30, 24
TIME = np.datetime64("2001-01-01", "ns") + np.arange(DAYS * STEPS) * np.timedelta64(1, "h")


def responses() -> np.ndarray:
    """Response of (task, time) to each parameter, (parameter, task, time)."""
    return np.random.default_rng(3).normal(size=(3, 2, DAYS * STEPS))


def fluxes(unit: np.ndarray, bend: float = 1.0) -> np.ndarray:
    """(member, task, time); bent by ``bend``, with a failure where the second value is above 0.98
    and the first above 0.98."""
    series = 40 * np.tensordot(np.atleast_2d(unit) ** bend, responses(), axes=1)
    series[(np.atleast_2d(unit)[:, :2] > 0.98).all(axis=1)] = np.nan
    return series


def objective(
    noise: float = 0.0, prior_weight: float = 0.0, bend: float = 1.0, truth: np.ndarray = TRUTH
) -> Objective:
    observed = fluxes(truth, bend)[0]
    rng = np.random.default_rng(4)
    observed = observed + noise * rng.normal(size=observed.shape)
    observed[:, rng.random(observed.shape[1]) < 0.2] = np.nan
    weights = np.array([1.2, 0.8])
    return Objective(
        "XX-Toy", SPACE, DEFAULT, ("Qle", "Qh"), observed, weights, WIDTHS, prior_weight
    )


def asker(target: Objective, bend: float = 1.0):
    def ask(unit: np.ndarray) -> Answers:
        return {"objective": target(unit, fluxes(unit, bend))}

    return ask
