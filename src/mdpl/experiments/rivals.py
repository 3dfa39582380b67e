"""Other ways of calibrating, at the towers of a finished run: what do they reach, at what cost?

Each calibrates one tower at a time, towards the same objective, over the same parameters and
bounds, and is judged by the same scores as the run itself.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from mdpl.memory import give_back
from mdpl.pipeline import JUDGED, Job, load_series, made_from, open_job, save_series, score
from mdpl.progress import Progress, Task
from mdpl.runs import RunFolder, locked, open_run
from mdpl.sites.site import Site

METHODS = ("direct", "sce-ua", "cma-es", "es-mda")

BUDGET = {"direct": 1920, "sce-ua": 1500, "cma-es": 1500, "es-mda": 257}
"""Land-model runs a tower unless the user says otherwise: 40 gradients of 8 starts; what the
searches need for fifteen parameters; four times 64 members and their mean."""

FLUXES = ("Qh", "Qle")
"""What the table of rivals shows."""


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
    ``posterior.csv`` (site, member, parameter, value) and ``spread.csv``. Towers calibrated before
    keep their rows; given again, it goes on where it stopped.

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
        folder.note_manifest(job.sites)
        progress.stage(f"rivals: {method}")
        for site in _chosen(job, codes):
            budget = lsm_runs or BUDGET[method]
            with progress.task(f"{site.code} {method}", budget) as task:
                _tower(job, folder, site, method, budget, seed, task)
            give_back()


def collect(path: Path) -> pd.DataFrame:
    """All that was calibrated in a run folder, beside the default and MdPL itself.

    Returns:
        one row a tower, method and flux: site, pft, method, flux, rmse, r (validation, native),
        lsm_runs, seconds (of this tower; MdPL's are shared out equally over the towers it learnt
        from), objective (NaN for the default and MdPL).
    """
    folder = open_run(path)
    tables = [_validation(pd.read_csv(folder / "scores.csv"))]
    costs = [_cost_of_mdpl(folder, tables[0])]
    for place in sorted((path / "rivals").glob("*/cost.csv")):
        tables.append(_validation(pd.read_csv(place.with_name("scores.csv"))))
        costs.append(pd.read_csv(place).assign(method=place.parent.name))
    cost = pd.concat(costs)[["site", "method", "lsm_runs", "seconds", "objective"]]
    return pd.concat(tables).merge(cost, on=["site", "method"], how="left").reset_index(drop=True)


def summary(table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Methods side by side, over the towers that every one of them has.

    Args:
        table: from `collect`.

    Returns:
        one row a method: lsm_runs and seconds a tower, objective, and RMSE of `FLUXES` in
        validation, W m-2 (medians over towers); and these towers.
    """
    each = [set(rows["site"]) for _, rows in table.groupby("method")]
    common = tuple(sorted(set.intersection(*each)))
    own = table[table["site"].isin(common)]
    wide = own.pivot_table(index=["method", "site"], columns="flux", values="rmse")[list(FLUXES)]
    errors = wide.groupby("method").median()
    first = own.drop_duplicates(["method", "site"]).groupby("method")
    cost = first[["lsm_runs", "seconds"]].mean().join(first["objective"].median())
    order = [m for m in ("default", "mdpl", *METHODS) if m in errors.index]
    return cost.join(errors).loc[order], common


def _tower(
    job: Job, folder: RunFolder, site: Site, method: str, budget: int, seed: int, task: Task
) -> None:
    place = f"rivals/{method}"
    target = _objective(job, folder, site)
    kept = folder / f"{place}/answers/{site.code}_seed{seed}.jsonl"
    posterior = None
    if method == "direct":
        ask = partial(direct.gradient, job.model, site, target)
        ledger = Ledger(ask, target, budget, runs_each=direct.GRADIENT_RUNS, path=kept, task=task)
        found = direct.descend(ledger, seed=seed)
    elif method == "es-mda":
        seen = kalman.days(target, site.time, _own_error(job, site), job.coverage().day_share)
        ledger = Ledger(
            partial(_ask, job, site, target, seen), target, budget, path=kept, task=task
        )
        posterior = kalman.es_mda(ledger, seen, seed=seed)
        found = posterior.calibration
    else:
        ledger = Ledger(
            partial(_ask, job, site, target, None), target, budget, path=kept, task=task
        )
        rule = search.cma_es if method == "cma-es" else search.sce_ua
        found = rule(ledger, seed=seed)
    simulation = _simulate(job, site, found, folder / f"{place}/simulations/{site.code}.nc")
    if posterior is not None:
        _keep_posterior(folder, place, site.code, posterior)
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


def _ask(
    job: Job, site: Site, target: Objective, seen: kalman.Days | None, unit: np.ndarray
) -> Answers:
    series = simulated(job.model, site, target, unit)
    answers = {"objective": target(unit, series)}
    return answers if seen is None else {**answers, "days": seen.means(series)}


def _objective(job: Job, folder: RunFolder, site: Site) -> Objective:
    observed = load_series(folder / f"observations/{site.code}.nc")
    inside = scoring.masks(observed)["calibration"]
    rows = [
        np.where((observed[f"{t}_measured"].values > 0) & inside, observed[t].values, np.nan)
        for t in job.config.tasks
    ]
    return Objective(
        site.code,
        job.space,
        job.space.to_unit(job.space.defaults(site.attributes)),
        job.config.tasks,
        np.stack(rows),
        job.config.generator.prior_width,
        job.config.generator.prior_weight,
    )


def _own_error(job: Job, site: Site) -> np.ndarray:
    """The tower's own standard deviations of what is learnt from, (task, time), or NaN."""
    rows = []
    for task in job.config.tasks:
        corrected = job.config.sites.flux == "corrected" and f"{task}_cor" in site.fluxes
        name = f"{task}_cor_uc" if corrected else f"{task}_uc"
        known = name in site.fluxes
        rows.append(site.fluxes[name].values if known else np.full(len(site.time), np.nan))
    return np.stack(rows)


def _simulate(job: Job, site: Site, found: Calibration, path: Path) -> xr.Dataset:
    """The land model's run at the parameters found, kept."""
    learnt = pd.Series(found.values(site.code), index=list(job.space.names))
    if not made_from(path, learnt):
        values = job.model.parameters.complete(
            job.space.names, found.values(site.code), site.attributes
        )
        run = job.model.simulate(site, values, JUDGED).isel(member=0)
        save_series(run.assign_attrs(parameters=learnt.to_json()), path)
    return load_series(path)


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
    old = pd.read_csv(path) if path.exists() else rows.iloc[:0]
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


def _validation(scores: pd.DataFrame) -> pd.DataFrame:
    own = scores[(scores["resolution"] == "native") & (scores["period"] == "validation")]
    own = own[own["metric"].isin(["rmse", "r"])]
    wide = own.pivot_table(index=["site", "pft", "model", "flux"], columns="metric", values="value")
    return wide.reset_index().rename(columns={"model": "method"}).rename_axis(columns=None)


def _cost_of_mdpl(folder: RunFolder, scores: pd.DataFrame) -> pd.DataFrame:
    """Ensemble, surrogate and generator, shared out over the towers learnt from."""
    timings = folder.read_json("timings.json")
    held_out = set(folder.config.sites.held_out)
    codes = sorted(set(scores.loc[scores["method"] == "mdpl", "site"]) - held_out)
    stages = ("ensemble", "surrogate", "calibrate")
    seconds = sum(timings.get(stage, {}).get("seconds", 0.0) for stage in stages)
    mdpl = pd.DataFrame(
        {
            "site": codes,
            "method": "mdpl",
            "lsm_runs": folder.config.ensemble.members,
            "seconds": seconds / max(len(codes), 1),
            "objective": np.nan,
        }
    )
    default = mdpl.assign(method="default", lsm_runs=0, seconds=0.0)
    return pd.concat([mdpl, default])
