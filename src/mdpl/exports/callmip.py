"""CalLMIP phase 1: prior and posterior files of a run.

The prior is the land model with its default parameters, the posterior with the learnt ones. A
tower the run learnt from is one of calibration, a tower held out one of validation. A file has
the days of CalLMIP's observation file; days the tower's record does not cover hold the fill value
and are told of in the attribute ``missing_days``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl import __version__, rounds
from mdpl.errors import ConfigError
from mdpl.exports.callmip_file import Content, Kind, Stage, write
from mdpl.exports.opened import Opened, open_finished
from mdpl.exports.variables import SCENARIOS, TARGETS, VARIABLES, daily
from mdpl.files import read_table
from mdpl.generator.known import describe
from mdpl.generator.network import load_generator
from mdpl.learnt import exactly
from mdpl.lsm.offers import name_of
from mdpl.progress import Progress
from mdpl.sites.daily import find_daily, read_daily
from mdpl.sites.site import Site

SOURCES = tuple(dict.fromkeys(variable.source for variable in VARIABLES))
STAGES: dict[Stage, str] = {"Prior": "default", "Posterior": "mdpl"}
NONE = "none: the run has one generator (generator.ensemble: 1) and no ES-MDA members"


@dataclass(frozen=True)
class Exported:
    """Files written, and what a user must know of them."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def export(
    path: Path,
    out: Path,
    progress: Progress,
    *,
    observations: Path | None = None,
    model: str | None = None,
) -> Exported:
    """Write the files of every tower of a finished run.

    Args:
        observations: folder of CalLMIP's daily observations; default the run's ``sites.daily``.
        model: name and version in the files; default the land model's name and MdPL's version.

    Raises:
        ConfigError: no scenario has the run's tasks, or the name has an underscore.
        RunError, SiteError: the run is not finished; observations missing or unreadable.
    """
    run = open_finished(path)
    scenario = scenario_of(run.job.config.tasks)
    name = model or f"{name_of(run.job.model).upper().replace('_', '-')}.v{__version__}"
    if "_" in name or "/" in name or "." not in name:
        raise ConfigError(f"--model: expected NAME.VERSION without '_' and '/', found {name!r}")
    folder = observations or run.job.config.sites.daily
    files: list[Path] = []
    notes: list[str] = []
    if folder is None:
        notes.append("no daily observations given: files have the days of the towers' records")
    with progress.task("CalLMIP files", len(run.job.sites)) as task:
        for site in run.job.sites:
            task.note(site.code)
            if site.code in run.learnt:
                days = _days(site, folder)
                kind: Kind = "Calibration" if site in run.job.training else "Validation"
                made = _contents(run, site, days, (name, scenario, kind))
                files += [write(content, out) for content in made]
                told = made[-1].notes
                notes.append(f"{site.code}: days missing: {told['missing_days']}")
                notes.append(f"{site.code}: posterior uncertainty: {told['uncertainty']}")
            else:
                notes.append(f"{site.code}: left out, the run gave it no parameters")
            task.advance(1)
    return Exported(tuple(files), tuple(notes))


def scenario_of(tasks: Sequence[str]) -> int:
    """CalLMIP's scenario of the fluxes a run learnt from.

    Raises:
        ConfigError: there is none.
    """
    number = SCENARIOS.get(frozenset(tasks))
    if number is None:
        known = "; ".join(f"{n}: {', '.join(sorted(s))}" for s, n in SCENARIOS.items())
        raise ConfigError(
            f"tasks {', '.join(tasks)}: no scenario of CalLMIP; there are {known}. Make a run "
            "with the tasks of one of them"
        )
    return number


def _days(site: Site, folder: Path | None) -> np.ndarray:
    """The days of the observation file; without one, the calendar days of the record."""
    if folder is not None:
        return read_daily(find_daily(folder, site.code), site.code).days
    first, last = site.time[[0, -1]].astype("datetime64[D]")
    return np.arange(first, last + 1)


def _contents(
    run: Opened, site: Site, days: np.ndarray, about: tuple[str, int, Kind]
) -> list[Content]:
    name, scenario, kind = about
    spread, how = _uncertainty(run, site, days)
    made = []
    for stage, model in STAGES.items():
        values = run.values(site, model)
        simulated = with_leaf_area(run, site, run.simulation(site, model, SOURCES), values)
        series = daily(simulated, days)
        notes = {
            "flux_choice": run.job.config.sites.flux,
            "missing_days": _missing(days, series),
            "uncertainty": how if stage == "Posterior" else "none: a prior",
            "parameters": exactly(pd.Series(values, index=run.job.model.parameters.names)),
        }
        made.append(
            Content(
                model=name,
                scenario=scenario,
                stage=stage,
                kind=kind,
                code=site.code,
                latitude=float(site.attributes["latitude"]),
                longitude=float(site.attributes["longitude"]),
                days=days,
                values=series,
                uncertainty=spread if stage == "Posterior" else {},
                notes=notes,
            )
        )
    return made


def with_leaf_area(
    run: Opened, site: Site, simulated: xr.Dataset, values: np.ndarray
) -> xr.Dataset:
    """A run with the leaf area it was given: the record's, times ``lai_scale`` if there is one."""
    names = run.job.model.parameters.names
    scale = values[names.index("lai_scale")] if "lai_scale" in names else 1.0
    return simulated.assign(LAI=("time", scale * site.forcing["LAI"].values, {"units": "m2 m-2"}))


def _missing(days: np.ndarray, series: dict[str, np.ndarray]) -> str:
    """Days without values, in words."""
    there = np.isfinite(next(iter(series.values())))
    if there.all():
        return f"none of {days.size}"
    if not there.any():
        return f"all {days.size}, {days[0]} to {days[-1]}: the forcing record covers none of them"
    covered = days[there]
    return (
        f"{int((~there).sum())} of {days.size}: the forcing record covers only "
        f"{covered[0]} to {covered[-1]} of {days[0]} to {days[-1]}"
    )


def _uncertainty(run: Opened, site: Site, days: np.ndarray) -> tuple[dict[str, np.ndarray], str]:
    """Standard deviation of the calibrated variables over a posterior's members, and of which."""
    values, how = _members(run, site)
    if values is None:
        return {}, how
    tasks = [str(task) for task in run.job.config.tasks]
    runs = run.members(site, values, tasks)
    each = [daily(runs.isel(member=m), days) for m in range(len(values))]
    return {
        TARGETS[t]: np.std([one[TARGETS[t]] for one in each], axis=0, ddof=1) for t in tasks
    }, how


def _members(run: Opened, site: Site) -> tuple[np.ndarray | None, str]:
    """Parameter sets of a posterior, (member, parameter), and where they come from."""
    model, space = run.job.model, run.job.space
    if run.job.config.generator.ensemble > 1:
        default = space.to_unit(space.defaults(site.attributes))
        known = describe(site)
        unit = np.stack(
            [
                load_generator(path).parameters(site.code, known, default)
                for path in rounds.settled_generators(run.folder)
            ]
        )
        values = model.parameters.complete(space.names, space.from_unit(unit), site.attributes)
        return values, f"standard deviation over {len(unit)} generators of different seeds"
    path = run.folder / "rivals/es-mda/posterior.csv"
    if not path.exists():
        return None, NONE
    table = read_table(path, again="mdpl rivals --method es-mda")
    own = table[table["site"] == site.code]
    if own.empty:
        return None, NONE
    wide = own.pivot(index="member", columns="parameter", values="value")
    values = model.parameters.complete(tuple(wide.columns), wide.to_numpy(), site.attributes)
    return values, f"standard deviation over {len(wide)} members of the ES-MDA posterior"
