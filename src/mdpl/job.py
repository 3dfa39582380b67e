"""A configuration with its towers and its land model opened, and what its run folder holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.config import Config, SupplyConfig
from mdpl.ensemble.run import Plan
from mdpl.errors import ConfigError, RunError
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.periods import split
from mdpl.evaluation.resolution import Coverage
from mdpl.files import load_dataset, read_table, save_dataset
from mdpl.lsm.matsiro.mixture import Mixture
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.place import SupplyOptions
from mdpl.lsm.model import ParameterSpace
from mdpl.progress import Progress
from mdpl.runs import RunFolder
from mdpl.sites.attribute_tables import read_attributes, with_attributes
from mdpl.sites.catalogue import open_sites
from mdpl.sites.site import Site
from mdpl.surrogate.windows import SiteTensors, build

STATE = ("SoilStress", "SoilMoist", "SoilTemp", "CanopInt", "GPP")
"""Outputs of the reference run that tell the surrogate the state of the land."""

JUDGED = ("Qle", "Qh", "GPP")


@dataclass(frozen=True)
class Job:
    """A configuration with its towers and its land model opened."""

    config: Config
    sites: tuple[Site, ...]
    model: Matsiro

    @cached_property
    def space(self) -> ParameterSpace:
        """The parameters that are free, within the bounds of this run."""
        names = self.config.model.parameters or self.model.recommended
        every = self.model.parameters.narrow(self.config.model.ranges)
        return every.subset(names)

    @property
    def training(self) -> tuple[Site, ...]:
        return tuple(s for s in self.sites if s.code not in self.config.sites.held_out)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(("Qle", "Qh", *self.config.tasks, "GPP")))

    def plan(self) -> Plan:
        """The ensemble the surrogate learns from."""
        chosen = self.config.ensemble
        return Plan(self.space, chosen.members, chosen.design, chosen.seed, self.outputs)

    def coverage(self) -> Coverage:
        chosen = self.config.evaluation
        return Coverage(chosen.day_share, chosen.month_days)


def open_job(config: Config) -> Job:
    """Open the towers and the model a configuration names.

    Raises:
        ConfigError, SiteError, ModelError: what is wrong with them, all found before any work.
    """
    chosen = config.sites
    named = None if chosen.codes is None else (*chosen.codes, *chosen.held_out)
    wanted = None if named is None else tuple(dict.fromkeys(named))
    sites = tuple(open_sites(chosen.folder, wanted))
    if chosen.attributes is not None:
        sites = tuple(with_attributes(sites, read_attributes(chosen.attributes)))
    codes = [s.code for s in sites]
    unknown = sorted(set(chosen.held_out) - set(codes))
    if unknown:
        raise ConfigError(
            f"sites.held_out: no tower {', '.join(unknown)}; there are {', '.join(codes)}"
        )
    if set(codes) == set(chosen.held_out):
        raise ConfigError("sites.held_out: every tower is held out; leave some to learn from")
    model = Matsiro(
        newton_steps=config.model.newton_steps,
        default_cycles=config.model.default_cycles,
        member_cycles=config.model.member_cycles,
        supply={code: _supply(options) for code, options in config.model.supply.items()},
        mixtures={code: Mixture(**dict(m)) for code, m in config.model.mixtures.items()},
    )
    for code in (*config.model.supply, *config.model.mixtures):
        if code not in codes:
            raise ConfigError(
                f"model.supply, model.mixtures: no tower {code}; there are {', '.join(codes)}"
            )
    job = Job(config, sites, model)
    for site in sites:
        _check_site(job, site)
    return job


def _supply(options: SupplyConfig) -> SupplyOptions:
    depth = float("inf") if options.water_table is None else options.water_table
    return SupplyOptions(options.irrigation_target, options.irrigation_below, depth)


def _check_site(job: Job, site: Site) -> None:
    job.space.check(job.space.defaults(site.attributes))
    observed = scoring.observations(site, job.config.tasks, job.config.sites.flux, split(site.time))
    for task in job.config.tasks:
        counts = f"{task}_measured"
        if site in job.training and (counts not in observed or not observed[counts].any()):
            raise ConfigError(
                f"{site.code}: no measured {task} to learn from; leave the tower out, hold it "
                "out, or take the flux from 'tasks'"
            )


def simulation_path(folder: RunFolder, model: str, code: str) -> Path:
    """Where a model's run of a tower lies; ``default`` and ``mdpl`` are models."""
    return folder / f"simulations/{model}/{code}.nc"


def tensors(job: Job, folder: RunFolder) -> dict[str, SiteTensors]:
    """What the surrogate sees of each tower, by code; needs the default runs.

    Both heat fluxes of the default run are among its inputs, whatever the tasks.
    """
    names = list(dict.fromkeys((*job.config.tasks, "Qle", "Qh", *STATE)))
    made = {}
    for site in job.sites:
        reference = load_dataset(simulation_path(folder, "default", site.code))[names]
        default = job.space.to_unit(job.space.defaults(site.attributes))
        made[site.code] = build(
            site, reference, default, job.config.tasks, job.config.surrogate.block_hours
        )
    return made


def score(
    job: Job, site: Site, name: str, simulation: xr.Dataset, fluxes: Sequence[str] = JUDGED
) -> pd.DataFrame:
    """Rows of ``scores.csv`` of one run of a tower, of the fluxes that both have."""
    return scoring.score(
        site,
        name,
        simulation,
        [f for f in fluxes if f in site.fluxes and f in simulation],
        job.config.sites.flux,
        split(site.time),
        job.coverage(),
    )


def observe(job: Job, site: Site) -> xr.Dataset:
    """What a tower is judged by, as the run folder keeps it."""
    fluxes = [f for f in JUDGED if f in site.fluxes]
    return scoring.observations(site, fluxes, job.config.sites.flux, split(site.time))


def made_from(path: Path, parameters: pd.Series) -> bool:
    """Whether a run is there and was made with these parameters."""
    return path.exists() and load_dataset(path).attrs.get("parameters") == parameters.to_json()


def read_parameters(path: Path) -> pd.DataFrame:
    """A ``parameters.csv`` of a run folder.

    Raises:
        RunError: it is missing, cut short or no such table.
    """
    table = read_table(path, again="mdpl calibrate")
    if not len(table) or not {"site", "parameter", "value"} <= set(table.columns):
        raise RunError(
            f"{path}: expected rows of site, parameter and value, found {len(table)} rows of "
            f"{', '.join(map(str, table.columns))}; give 'mdpl calibrate' again"
        )
    return table


def by_tower(parameters: pd.DataFrame) -> dict[str, pd.Series]:
    """Tower -> values by parameter, of a ``parameters.csv``."""
    return {
        str(code): own.set_index("parameter")["value"] for code, own in parameters.groupby("site")
    }


def simulate_learnt(
    job: Job,
    learnt: Mapping[str, pd.Series],
    where: Callable[[str], Path],
    progress: Progress,
    counts: dict[str, int],
) -> None:
    """Run the land model at learnt parameters, where such a run is not there yet.

    Args:
        learnt: tower -> values by parameter.
        where: tower -> file of its run.
        counts: gets a ``lsm_runs`` more for each run made.

    Raises:
        RunError: a run is not finite.
    """
    todo = [
        s for s in job.sites if s.code in learnt and not made_from(where(s.code), learnt[s.code])
    ]
    values = [
        job.model.parameters.complete(
            tuple(learnt[s.code].index), learnt[s.code].to_numpy(), s.attributes
        )
        for s in todo
    ]
    with progress.task("land model at the learnt parameters", len(todo)) as task:
        for site, simulated in zip(todo, job.model.simulate_each(todo, values), strict=True):
            _check_learnt(simulated, site, learnt[site.code])
            told = simulated.assign_attrs(parameters=learnt[site.code].to_json())
            save_dataset(told, where(site.code))
            counts["lsm_runs"] += 1
            task.advance(1)


def _check_learnt(dataset: xr.Dataset, site: Site, parameters: pd.Series) -> None:
    for flux in ("Qle", "Qh"):
        bad = ~np.isfinite(dataset[flux].values)
        if bad.any():
            shown = ", ".join(f"{name} {value:.4g}" for name, value in parameters.items())
            raise RunError(
                f"{site.code}: the land model gave no finite {flux} at {site.time[bad.argmax()]} "
                f"with the learnt parameters ({shown}); narrow their bounds under model.ranges"
            )
