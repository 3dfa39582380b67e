"""Descent along the exact gradient of a differentiable land model; no surrogate.

What a surrogate can reach at best: the same objective and parameters, but gradients of the land
model itself. Only a model that can be differentiated takes part, as the built-in column can.
"""

from __future__ import annotations

import numpy as np
import optax

from mdpl.calibration.calibration import Calibration
from mdpl.calibration.objective import Answers, Ledger, Objective
from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.sites.site import Site

GRADIENT_RUNS = 6
"""Land-model runs that an objective with its gradient counts for: one to run forward, and five to
pull back. Processor time of the built-in column over that of `simulate` with as many parameter
sets was 6.3 (eight columns, a year of half-hours after a year of spin-up)."""

SPREAD = 0.15
"""Standard deviation of the further starts around the defaults, unit cube."""


def gradient(model: Matsiro, site: Site, objective: Objective, unit: np.ndarray) -> Answers:
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


def descend(
    ledger: Ledger, *, seed: int, starts: int = 8, learning_rate: float = 0.08
) -> Calibration:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980) from several starts at once, with a cosine
    schedule.

    The first start is the tower's defaults; the others lie around them. Every step is cut off at
    the bounds of the unit cube. A start whose objective or gradient is not finite goes half way to
    the best point that any start has found, and begins anew there; the ledger counts it as failed.

    Args:
        ledger: asks for objectives and gradients (see `gradient`), at ``GRADIENT_RUNS`` runs each.
        starts: columns that descend side by side; eight cost hardly more than one.
        learning_rate: first step, unit cube.

    Raises:
        ConfigError: the budget does not allow two steps.
        ModelError: the land model failed at every start.
    """
    steps = ledger.left // starts
    if steps < 2:
        raise ConfigError(
            f"direct: expected at least {2 * starts * ledger.runs_each} land-model runs for "
            f"{starts} starts, found {ledger.budget}; raise --lsm-runs"
        )
    default = ledger.objective.default
    rng = np.random.default_rng(seed)
    moved = rng.normal(default, SPREAD, (starts - 1, len(default)))
    unit = np.clip(np.vstack([default, moved]), 0.02, 0.98)
    unit[0] = default
    rule = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))
    state = rule.init(unit)
    for _ in range(steps):
        answers = ledger(unit)
        slope = answers["gradient"]
        lost = ~(np.isfinite(answers["objective"]) & np.isfinite(slope).all(axis=1))
        if lost.any():
            if not np.isfinite(ledger.best):
                raise ModelError(
                    f"site {ledger.objective.code}: the land model failed at "
                    "every start; narrow the bounds under model.ranges"
                )
            slope = np.where(lost[:, None], 0.0, slope)
            unit = np.where(lost[:, None], (unit + ledger.best_unit) / 2, unit)
            state = _forget(state, lost)
        change, state = rule.update(slope, state)
        unit = np.clip(unit + np.asarray(change, dtype=float), 0.0, 1.0)
    return ledger.calibration("direct")


def _forget(state: optax.OptState, lost: np.ndarray) -> optax.OptState:
    """Clear what the optimiser remembers of the lost starts."""
    adam = state[0]
    clear = [np.where(lost[:, None], 0.0, moment) for moment in (adam.mu, adam.nu)]
    return (adam._replace(mu=clear[0], nu=clear[1]), *state[1:])
