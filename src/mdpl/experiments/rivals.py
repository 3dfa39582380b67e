"""Other ways of calibrating, at the towers of a finished run: what do they reach, at what cost?

Each calibrates one tower at a time, towards the same objective, over the same parameters and
bounds, and is judged by the same scores as the run itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.calibration import direct, kalman, search
from mdpl.calibration.calibration import Calibration
from mdpl.calibration.objective import Answers, Ledger, Objective, simulated
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation import scores as scoring
from mdpl.files import load_dataset, read_table, save_dataset
from mdpl.job import Job, open_job, score
from mdpl.learnt import exactly, made_from
from mdpl.lsm.model import DifferentiableModel, LandModel
from mdpl.lsm.offers import name_of, simulate_each
from mdpl.memory import give_back
from mdpl.progress import Progress, Task
from mdpl.resuming import check
from mdpl.runs import RunFolder, locked, open_run
from mdpl.sites.site import Site
from mdpl.surrogate.balance import balance

METHODS = ("direct", "sce-ua", "cma-es", "es-mda")

BUDGET = {"direct": 40 * 8 * direct.GRADIENT_RUNS, "sce-ua": 1500, "cma-es": 1500, "es-mda": 321}
"""Land-model runs a tower unless the user says otherwise: 40 gradients of 8 starts; what the
searches need for fifteen parameters; five times 64 members, and their mean."""


def calibrate(
    path: Path,
    method: str,
    progress: Progress,
    *,
    codes: Sequence[str] | None = None,
    lsm_runs: int | None = None,
    seed: int = 0,
) -> None:
    """Calibrate towers of a finished run by a rival, run the land model there and score it.

    Writes into ``rivals/<method>/`` of the run folder: ``parameters.csv`` (as the run's own),
    ``history.csv`` (site, lsm_runs, objective: the least so far), ``cost.csv`` (site, lsm_runs,
    seconds, objective, failed, seed), ``scores.csv`` (as the run's own), for ES-MDA
    ``posterior.csv`` (site, member, parameter, value), ``spread.csv`` (of each parameter),
    ``structural.csv`` (the land model's own error of a daily mean) and ``coverage.csv`` (of the
    90 % interval). Towers calibrated before keep their rows; given again, it goes on where it
    stopped.

    Args:
        codes: towers; default all that the run learnt from.
        lsm_runs: budget of each tower.

    Raises:
        RunError: the run is not finished.
        ConfigError: an unknown method or tower, a library missing, or a budget too small.
    """
    if method not in METHODS:
        raise ConfigError(f"no method {method!r}; there are {', '.join(METHODS)}")
    folder = open_run(path)
    if not folder.done("evaluate"):
        raise RunError(f"{path}: the run is not finished; give 'mdpl evaluate {path}' first")
    with locked(path):
        job = open_job(folder.config)
        job.check_steps("rivals")
        check(folder, job)
        progress.stage(f"rivals: {method}")
        budget, chosen = lsm_runs or BUDGET[method], _chosen(job, codes)
        progress.say(
            f"{method}: at most {budget:,} land-model runs at each of {len(chosen)} towers; those "
            "made before are not made again"
        )
        for site in chosen:
            with progress.task(f"{site.code} {method}", budget) as task:
                _tower(job, folder, site, method, budget, seed, task)
            give_back()


def objective(job: Job, folder: RunFolder, site: Site) -> Objective:
    """Eq. 2 at one tower of a run, as `mdpl.generator.train` has it."""
    return Objective(
        site.code,
        job.space,
        job.space.to_unit(job.space.defaults(site.attributes)),
        job.config.tasks,
        _observed(job, folder, site, "calibration"),
        balance("fixed", job.config.generator.task_weights, job.config.tasks, 0).weights,
        np.array(job.config.generator.widths(job.space.names)),
        job.config.generator.prior_weight,
    )


def _tower(
    job: Job, folder: RunFolder, site: Site, method: str, budget: int, seed: int, task: Task
) -> None:
    place = f"rivals/{method}"
    target = objective(job, folder, site)
    kept = folder / f"{place}/answers/{site.code}_seed{seed}.jsonl"

    def account(ask: Callable[[np.ndarray], Answers], runs_each: int = 1) -> Ledger:
        return Ledger(ask, target, budget, runs_each=runs_each, path=kept, task=task)

    if method == "direct":
        gradient = partial(direct.gradient, _differentiable(job.model), site, target)
        ledger = account(gradient, direct.GRADIENT_RUNS)
        found = direct.descend(ledger, seed=seed)
    elif method == "es-mda":
        seen = {p: _days(job, folder, site, p) for p in ("calibration", "validation")}
        ledger = account(partial(_ask, job, site, target, seen))
        posterior = kalman.es_mda(ledger, seen["calibration"], seed=seed)
        found = posterior.calibration
        _keep_posterior(folder, place, site.code, posterior)
        _keep(folder, f"{place}/coverage.csv", site.code, _coverage(job, posterior, seen))
    else:
        ledger = account(partial(_ask, job, site, target, {}))
        rule = search.cma_es if method == "cma-es" else search.sce_ua
        found = rule(ledger, seed=seed)
    simulation = _simulate(job, site, found, folder / f"{place}/simulations/{site.code}.nc")
    _keep(folder, f"{place}/parameters.csv", site.code, found.table())
    _keep(folder, f"{place}/history.csv", site.code, ledger.history)
    _keep(folder, f"{place}/scores.csv", site.code, score(job, site, method, simulation))
    cost = {
        "lsm_runs": found.lsm_runs,
        "seconds": round(found.seconds, 2),
        "objective": found.objective,
        "failed": ledger.failed,
        "seed": seed,
    }
    _keep(folder, f"{place}/cost.csv", site.code, pd.DataFrame([cost]))


def _differentiable(model: LandModel) -> DifferentiableModel:
    if not isinstance(model, DifferentiableModel):
        raise ConfigError(
            f"method direct needs a land model with derivatives (vjp), which {name_of(model)} has "
            "not; use sce-ua, cma-es or es-mda"
        )
    return model


def _ask(
    job: Job, site: Site, target: Objective, seen: Mapping[str, kalman.Days], unit: np.ndarray
) -> Answers:
    """Objectives, and daily means in each period asked for (``calibration`` is assimilated)."""
    series = simulated(job.model, site, target, unit)
    means = {period: days.means(series) for period, days in seen.items()}
    return {"objective": target(unit, series), **means}


def _observed(job: Job, folder: RunFolder, site: Site, period: str) -> np.ndarray:
    """What counts in a period, (task, time); NaN elsewhere."""
    observed = load_dataset(folder / f"observations/{site.code}.nc")
    return scoring.counting(observed, job.config.tasks, scoring.masks(observed)[period]).T


def _days(job: Job, folder: RunFolder, site: Site, period: str) -> kalman.Days:
    observed, error = _observed(job, folder, site, period), _own_error(job, site)
    return kalman.days(job.config.tasks, observed, site.time, error, job.coverage().day_share)


def _own_error(job: Job, site: Site) -> np.ndarray:
    """The tower's own standard deviations of what is learnt from, (task, time), or NaN."""
    rows = []
    for task in job.config.tasks:
        corrected = job.config.sites.flux == "corrected" and f"{task}_cor" in site.fluxes
        name = f"{task}_cor_uc" if corrected else f"{task}_uc"
        known = name in site.fluxes
        rows.append(site.fluxes[name].values if known else np.full(len(site.time), np.nan))
    return np.stack(rows)


def _coverage(
    job: Job, posterior: kalman.Posterior, seen: Mapping[str, kalman.Days]
) -> pd.DataFrame:
    """Share of daily observations inside the 90 % interval, and its mean width, by period."""
    rows = []
    for period, days in seen.items():
        predicted = posterior.answers[period]
        low, high = kalman.interval(predicted, days, list(posterior.structural.values()))
        inside = (low <= days.observed) & (days.observed <= high)
        for k, task in enumerate(job.config.tasks):
            own = days.task == k
            if own.any():
                width = float((high - low)[own].mean())
                rows.append((task, period, 0.9, float(inside[own].mean()), width, int(own.sum())))
    return pd.DataFrame(rows, columns=["flux", "period", "level", "coverage", "width", "days"])


def _simulate(job: Job, site: Site, found: Calibration, path: Path) -> xr.Dataset:
    """The land model's run at the parameters found, kept."""
    learnt = pd.Series(found.values(site.code), index=list(job.space.names))
    if not made_from(path, learnt):
        values = job.model.parameters.complete(
            job.space.names, found.values(site.code), site.attributes
        )
        run = next(simulate_each(job.model, [site], [values], job.outputs))
        save_dataset(run.assign_attrs(parameters=exactly(learnt)), path)
    return load_dataset(path)


def _keep_posterior(folder: RunFolder, place: str, code: str, posterior: kalman.Posterior) -> None:
    space = posterior.calibration.space
    values = space.from_unit(posterior.members)
    wide = pd.DataFrame(values, columns=list(space.names)).rename_axis("member").reset_index()
    members = wide.melt(id_vars="member", var_name="parameter")
    _keep(folder, f"{place}/posterior.csv", code, members)
    low, high = np.quantile(values, (0.05, 0.95), axis=0)
    spread = pd.DataFrame(
        {
            "parameter": space.names,
            "mean": posterior.calibration.values(code),
            "q05": low,
            "q95": high,
            "prior_sd_unit": posterior.prior.std(axis=0, ddof=1),
            "sd_unit": posterior.members.std(axis=0, ddof=1),
        }
    )
    _keep(folder, f"{place}/spread.csv", code, spread)
    left = pd.DataFrame(posterior.structural.items(), columns=["flux", "structural_sd"])
    _keep(folder, f"{place}/structural.csv", code, left)


def _keep(folder: RunFolder, name: str, code: str, rows: pd.DataFrame) -> None:
    """Put a tower's rows into a table, in place of those it had."""
    if "site" not in rows:
        rows = rows.assign(site=code)[["site", *rows.columns]]
    path = folder / name
    old = read_table(path, ["site"]) if path.exists() else rows.iloc[:0]
    kept = [t for t in (old[old["site"] != code], rows) if len(t)]
    table = pd.concat(kept, ignore_index=True).sort_values("site", kind="stable")
    folder.write(name, table.to_csv(index=False))


def _chosen(job: Job, codes: Sequence[str] | None) -> list[Site]:
    known = {site.code: site for site in job.training}
    for code in codes or ():
        if code not in known:
            raise ConfigError(
                f"no tower {code} among those this run learnt from: {', '.join(known)}"
            )
    return [known[code] for code in (codes or known)]
