"""What rivals and MdPL itself reached at the towers of a run, and at what cost, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.experiments.rivals import METHODS, objective
from mdpl.files import load_dataset, read_table
from mdpl.job import open_job, simulation_path
from mdpl.runs import RunFolder, open_run

FLUXES = ("Qh", "Qle")
"""What `summary` shows."""


def collect(path: Path) -> pd.DataFrame:
    """All that was calibrated in a run folder, beside the default and MdPL itself.

    Returns:
        one row a tower, method and flux: site, pft, method, flux, rmse, r (validation, native),
        lsm_runs, seconds (of this tower; MdPL's are shared out equally over the towers it learnt
        from), objective (Eq. 2 of the land model at these parameters; NaN at held-out towers).
    """
    folder = open_run(path)
    tables = [_validation(read_table(folder / "scores.csv"))]
    costs = [_own_costs(folder)]
    for place in sorted((path / "rivals").glob("*/cost.csv")):
        tables.append(_validation(read_table(place.with_name("scores.csv"))))
        costs.append(read_table(place).assign(method=place.parent.name))
    cost = pd.concat(costs)[["site", "method", "lsm_runs", "seconds", "objective"]]
    return pd.concat(tables).merge(cost, on=["site", "method"], how="left").reset_index(drop=True)


def keep(path: Path) -> pd.DataFrame:
    """What `collect` gives, kept in the run folder as ``rivals/methods.csv`` for the report."""
    table = collect(path)
    open_run(path).write("rivals/methods.csv", table.to_csv(index=False))
    return table


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
    wide = own.pivot_table(index=["method", "site"], columns="flux", values="rmse")
    wide = wide[[flux for flux in FLUXES if flux in wide]]
    errors = wide.groupby("method").median()
    first = own.drop_duplicates(["method", "site"]).groupby("method")
    cost = first[["lsm_runs", "seconds"]].mean().join(first["objective"].median())
    order = [m for m in ("default", "mdpl", *METHODS) if m in errors.index]
    return cost.join(errors).loc[order], common


def _validation(scores: pd.DataFrame) -> pd.DataFrame:
    own = scores[(scores["resolution"] == "native") & (scores["period"] == "validation")]
    own = own[own["metric"].isin(["rmse", "r"])]
    wide = own.pivot_table(index=["site", "pft", "model", "flux"], columns="metric", values="value")
    return wide.reset_index().rename(columns={"model": "method"}).rename_axis(columns=None)


def _own_costs(folder: RunFolder) -> pd.DataFrame:
    """The default and MdPL; ensemble, networks and rounds shared out over the towers."""
    job = open_job(folder.config)
    timings = folder.read_json("timings.json")
    spent = [timings.get(s, {}) for s in ("ensemble", "surrogate", "calibrate", "refine")]
    seconds = sum(stage.get("seconds", 0.0) for stage in spent)
    runs = sum(stage.get("lsm_runs", 0) for stage in spent) - len(job.sites)  # those by default
    learnt = read_table(folder / "parameters.csv")
    rows = []
    for site in job.training:
        target = objective(job, folder, site)
        own = learnt[learnt["site"] == site.code].set_index("parameter")["value"]
        units = {
            "default": target.default,
            "mdpl": job.space.to_unit(own[list(job.space.names)].to_numpy()),
        }
        for method, unit in units.items():
            run = load_dataset(simulation_path(folder, method, site.code))
            series = np.stack([run[task].values for task in target.tasks])
            value = float(target(unit[None], series[None])[0])
            cost = (0.0, 0.0)
            if method == "mdpl":
                cost = (runs / len(job.training), seconds / len(job.training))
            rows.append((site.code, method, *cost, value))
    return pd.DataFrame(rows, columns=["site", "method", "lsm_runs", "seconds", "objective"])
