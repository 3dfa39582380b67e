"""Descent along the exact gradient of a differentiable land model; no surrogate.

What a surrogate can reach at best: the same objective and parameters, but gradients of the land
model itself. Only a model that can be differentiated takes part, as the built-in column can.
"""

from __future__ import annotations

import contextlib

import numpy as np
from scipy import optimize

from mdpl.calibration.calibration import Calibration
from mdpl.calibration.lanes import ask, side_by_side
from mdpl.calibration.objective import FAILED, Answers, Ledger, Objective, Spent
from mdpl.errors import ConfigError
from mdpl.lsm.model import DifferentiableModel
from mdpl.sites.site import Site

GRADIENT_RUNS = 13
"""Land-model runs that an objective with its gradient counts for. Processor time of the built-in
column over that of `simulate` with as many parameter sets was 12.6 (eight columns, a year of
half-hours after a year of spin-up; decision 10)."""

SPREAD = 0.15
"""Standard deviation of the further starts around the defaults, unit cube."""


def gradient(
    model: DifferentiableModel, site: Site, objective: Objective, unit: np.ndarray
) -> Answers:
    """Objectives and their gradients at points of the unit cube.

    Args:
        unit: (start, parameter); the points are columns of one run.

    Returns:
        ``objective`` (start,) and ``gradient`` (start, parameter); infinite and NaN where the
        land model or its gradient was not finite.
    """
    names = model.parameters.names
    free = [names.index(name) for name in objective.space.names]
    physical = objective.space.from_unit(unit)
    values = model.parameters.complete(objective.space.names, physical, site.attributes)
    outputs, pull = model.vjp(site, values, objective.tasks)
    series = np.stack([outputs[task] for task in objective.tasks], axis=1)
    by_series = objective.by_series(np.nan_to_num(series))
    by_values = pull({task: by_series[:, k] for k, task in enumerate(objective.tasks)})
    slope = by_values[:, free] * objective.space.slope(unit) + objective.by_unit(unit)
    found = objective(unit, series)
    return {"objective": found, "gradient": np.where(np.isfinite(found)[:, None], slope, np.nan)}


def descend(ledger: Ledger, *, seed: int, starts: int = 8) -> Calibration:
    """L-BFGS-B (Byrd et al. 1995, doi:10.1137/0916069) from several starts side by side.

    The first start is the tower's defaults; the others lie around them. A descent that has
    arrived is followed by another from a new start, until the budget is spent. Bounds are those
    of the unit cube. Where the objective or its gradient is not finite the line search is told of
    a wall and steps back; such points are counted as failed by the ledger.

    Args:
        ledger: asks for objectives and gradients (see `gradient`), at ``GRADIENT_RUNS`` runs each.
        starts: columns that descend side by side; eight cost hardly more than one.

    Raises:
        ConfigError: the budget does not allow two steps.
        ModelError: the land model failed wherever it was asked.
    """
    if ledger.left < 2 * starts:
        raise ConfigError(
            f"direct: expected at least {2 * starts * ledger.runs_each} land-model runs for "
            f"{starts} starts, found {ledger.budget}; raise --lsm-runs"
        )
    default = ledger.objective.default
    bounds = [(0.0, 1.0)] * len(default)

    def one(number: int) -> None:
        rng = np.random.default_rng((seed, number))
        start = default if number == 0 else rng.normal(default, SPREAD)
        while True:
            inside = np.clip(start, 0.0, 1.0)
            optimize.minimize(ask, inside, jac=True, method="L-BFGS-B", bounds=bounds)
            start = rng.normal(default, SPREAD)

    with contextlib.suppress(Spent):
        side_by_side(one, range(starts), lambda unit: _walled(ledger, unit))
    return ledger.calibration("direct")


def _walled(ledger: Ledger, unit: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """Objective and gradient by start; a high, flat wall where they are not finite."""
    answers = ledger(unit)
    values, slopes = answers["objective"], answers["gradient"]
    sound = np.isfinite(values) & np.isfinite(slopes).all(axis=1)
    return [
        (float(value), slope.copy()) if ok else (FAILED, np.zeros_like(slope))
        for value, slope, ok in zip(values, slopes, sound, strict=True)
    ]
