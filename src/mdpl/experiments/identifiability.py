r"""Which parameters do the data of a tower constrain?

Learnt values are *effective* parameters unless the data identify them. Asked of the surrogate,
which answers thousands of runs in the time of one, at every tower learnt from:

- how strongly the misfit to the calibration data depends on each parameter over its whole range
  (total Sobol index of Eq. 2, by SALib);
- how much the data narrow it about the learnt values: with the Jacobian J of daily means and the
  variance R of what the learnt parameters leave unexplained, the posterior covariance is
  :math:`(J^T R^{-1} J + I / b^2)^{-1}` (Gauss-Newton, or Laplace, approximation; b the prior
  width), and the contraction one minus the ratio of posterior to prior standard deviation;
- with which other parameter it trades off: the largest posterior correlation.

Residuals of one day resemble those of the day before, so R is inflated by (1 + r) / (1 - r), r
their lag-one correlation (Bayley and Hammersley 1946, doi:10.2307/2983560, for an AR(1) series).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl import rounds
from mdpl.errors import RunError
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.resolution import sample
from mdpl.files import load_dataset
from mdpl.job import Job, open_job, tensors
from mdpl.progress import Progress
from mdpl.resuming import check
from mdpl.runs import RunFolder, locked, open_run
from mdpl.surrogate.audit import misfit, stencil
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.windows import SiteTensors

PLACE = "experiments/identifiability"
CONSTRAINED = 0.5
"""Contraction from which a parameter counts as constrained: its range halved."""
TIED = 0.7
"""Correlation from which two parameters trade off."""
_EDGE = 0.02
COLUMNS = ("site", "parameter", "sobol", "contraction", "partner", "correlation", "verdict")


@dataclass(frozen=True)
class Posterior:
    """Of one tower, in the unit cube.

    Attributes:
        sd: shape (parameter,).
        correlation: shape (parameter, parameter).
    """

    sd: np.ndarray
    correlation: np.ndarray


def run(path: Path, progress: Progress, samples: int = 32, seed: int = 0) -> pd.DataFrame:
    """Ask at every tower learnt from; ``table.csv`` in `PLACE` of the run folder.

    Args:
        samples: base samples of the Sobol design; each costs parameters + 2 surrogate runs.

    Returns:
        columns `COLUMNS`.

    Raises:
        RunError: the run has not learnt yet.
    """
    folder = open_run(path)
    if not folder.done("refine"):
        raise RunError(f"{path}: no learnt parameters yet; give 'mdpl run' first")
    with locked(path):
        job = open_job(folder.config)
        job.check_steps("identifiability")
        check(folder, job)
        surrogate, seen = rounds.newest_surrogate(folder), tensors(job, folder)
        learnt = rounds.learnt_units(job, folder.path)
        tables = []
        with progress.task("identifiability", len(job.training)) as bar:
            for site in job.training:
                code = site.code
                bar.note(code)
                found = _tower(job, folder, surrogate, seen[code], learnt[code], samples, seed)
                tables.append(found.assign(site=code))
                bar.advance(1)
        table = pd.concat(tables, ignore_index=True)[list(COLUMNS)]
        folder.write(f"{PLACE}/table.csv", table.to_csv(index=False))
    return table


def posterior(jacobian: np.ndarray, variance: np.ndarray, prior_sd: np.ndarray) -> Posterior:
    """Gauss-Newton posterior about a point.

    Args:
        jacobian: of the observations by the parameters, shape (observation, parameter).
        variance: of the errors, shape (observation,).
        prior_sd: of each parameter, shape (parameter,).
    """
    information = jacobian.T @ (jacobian / variance[:, None]) + np.diag(prior_sd**-2.0)
    covariance = np.linalg.inv(information)
    sd = np.sqrt(np.diag(covariance))
    return Posterior(sd, covariance / np.outer(sd, sd))


def error_variance(residual: np.ndarray) -> float:
    """Variance of what is left unexplained, inflated for its memory; shape (day,)."""
    centred = residual - residual.mean()
    variance = float((residual**2).mean())
    power = float((centred**2).sum())
    memory = float((centred[1:] * centred[:-1]).sum()) / power if power > 0 else 0.0
    memory = float(np.clip(memory, 0.0, 0.95))
    return variance * (1 + memory) / (1 - memory)


def sobol(misfits: np.ndarray, names: tuple[str, ...], seed: int) -> np.ndarray:
    """Total index of each parameter, from the misfits at the points of `design`, (parameter,)."""
    from SALib.analyze import sobol as analyse

    if not np.ptp(misfits) > 0:
        return np.zeros(len(names))
    found = analyse.analyze(
        _problem(names), misfits, calc_second_order=False, num_resamples=10, seed=seed
    )
    return np.clip(np.asarray(found["ST"]), 0.0, 1.0)


def design(names: tuple[str, ...], samples: int, seed: int) -> np.ndarray:
    """Points of the unit cube for `sobol`, shape (samples * (parameter + 2), parameter)."""
    from SALib.sample import sobol as draw

    points = draw.sample(_problem(names), samples, calc_second_order=False, seed=seed)
    return np.asarray(points)


def verdict(contraction: float, correlation: float, partner: str, unit: float) -> str:
    """In words what the data say of a parameter."""
    if contraction < CONSTRAINED:
        tied = abs(correlation) >= TIED
        return f"trades off with {partner}" if tied else "not constrained"
    if unit < _EDGE or unit > 1 - _EDGE:
        return "at a bound"
    return f"constrained with {partner}" if abs(correlation) >= TIED else "constrained"


def _tower(
    job: Job,
    folder: RunFolder,
    surrogate: Surrogate,
    seen: SiteTensors,
    learnt: np.ndarray,
    samples: int,
    seed: int,
) -> pd.DataFrame:
    observed = load_dataset(folder / f"observations/{seen.code}.nc")
    inside = scoring.masks(observed)["calibration"]
    time, tasks, names = observed["time"].values, surrogate.tasks, job.space.names
    fluxes = scoring.counting(observed, tasks, inside)
    points = design(names, samples, seed)
    misfits = misfit(surrogate.predict(seen, points), fluxes)
    stencils = stencil(learnt)
    runs = surrogate.predict(seen, np.vstack([learnt, stencils])).astype(float)
    rows, variances = [], []
    for k in range(len(tasks)):
        series = {f"run{i}": run[:, k] for i, run in enumerate(runs)} | {"o": fluxes[:, k]}
        keep = np.isfinite(fluxes[:, k]) & np.isfinite(runs[0, :, k])
        days = sample(time, series, keep, "daily", job.coverage())
        if len(days) < 3:
            continue
        daily = np.stack([days[f"run{i}"] for i in range(len(runs))])
        apart = np.diag(stencils[1::2] - stencils[::2])
        rows.append(((daily[2::2] - daily[1::2]) / apart[:, None]).T)
        variances.append(np.full(len(days), error_variance(daily[0] - days["o"])))
    if not rows:
        raise RunError(f"site {seen.code}: fewer than three measured days in its calibration")
    prior = np.array(job.config.generator.widths(names))
    found = posterior(np.concatenate(rows), np.concatenate(variances), prior)
    others = found.correlation - np.eye(len(names))
    partner = np.abs(others).argmax(axis=1)
    each = np.arange(len(names))
    table = pd.DataFrame(
        {
            "parameter": names,
            "sobol": sobol(misfits, names, seed),
            "contraction": 1 - found.sd / prior,
            "partner": [names[p] for p in partner],
            "correlation": others[each, partner],
        }
    )
    said = zip(table["contraction"], table["correlation"], table["partner"], learnt, strict=True)
    return table.assign(verdict=[verdict(*one) for one in said])


def _problem(names: tuple[str, ...]) -> dict[str, object]:
    return {"num_vars": len(names), "names": list(names), "bounds": [[0.0, 1.0]] * len(names)}
