"""A configuration with its towers and its land model opened, and what its run folder holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.config import Config, SitesConfig
from mdpl.config_model import MatsiroConfig
from mdpl.ensemble.run import Failures, Plan
from mdpl.errors import ConfigError, ModelError
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.given_days import GIVEN_DAY, given_days, score_given_days
from mdpl.evaluation.periods import split
from mdpl.evaluation.resolution import Coverage
from mdpl.files import load_dataset
from mdpl.lsm.matsiro import respiration
from mdpl.lsm.model import LandModel, ParameterSpace
from mdpl.lsm.offers import batch_of, design, name_of, outputs_of, recommended
from mdpl.lsm.opening import open_model
from mdpl.runs import RunFolder
from mdpl.sites.attribute_tables import read_attributes, with_attributes
from mdpl.sites.attributes import vapour_pressure_deficit
from mdpl.sites.catalogue import find_towers, open_sites
from mdpl.sites.daily import find_daily, read_daily
from mdpl.sites.selection import Choice, select
from mdpl.sites.site import Site
from mdpl.surrogate.windows import SiteTensors, build

STATE = ("SoilStress", "SoilMoist", "SoilTemp", "CanopInt", "GPP")
"""Outputs of the reference run that tell the surrogate the state of the land, where given."""

RESPIRATION = tuple(parameter.name for parameter in respiration.PARAMETERS)
"""Calibrated too where NEE is learnt from, unless the user names parameters."""

JUDGED = ("Qle", "Qh", "GPP")


@dataclass(frozen=True)
class Job:
    """A configuration with its towers and its land model opened.

    Attributes:
        daily: tower -> daily observations (`mdpl.evaluation.given_days.given_days`), where the
            configuration gives any; then these are learnt from.
        selection: what the rule of the configuration made of every tower; empty without a rule.
    """

    config: Config
    sites: tuple[Site, ...]
    model: LandModel
    daily: Mapping[str, xr.Dataset] = field(default_factory=dict)
    selection: tuple[Choice, ...] = ()

    @cached_property
    def space(self) -> ParameterSpace:
        """The parameters that are free, within the bounds of this run."""
        carbon = RESPIRATION if "NEE" in self.config.tasks else ()
        known = (name for name in carbon if name in self.model.parameters.names)
        usual = tuple(dict.fromkeys((*recommended(self.model), *known)))
        names = self.config.model.parameters or usual
        every = self.model.parameters.narrow(self.config.model.ranges)
        return every.subset(names)

    @property
    def training(self) -> tuple[Site, ...]:
        return tuple(s for s in self.sites if s.code not in self.config.sites.held_out)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What is kept of every member: both heat fluxes, the tasks, and GPP where it is given."""
        wanted = dict.fromkeys(("Qle", "Qh", *self.config.tasks, "GPP"))
        return tuple(name for name in wanted if name in outputs_of(self.model))

    @property
    def judged(self) -> tuple[str, ...]:
        """Fluxes that are scored."""
        return tuple(dict.fromkeys((*JUDGED, *self.config.tasks)))

    @property
    def target_resolution(self) -> str:
        """Resolution in the table of scores of what is learnt from."""
        return "native" if self.config.sites.daily is None else GIVEN_DAY

    def measures(self, site: Site, task: str) -> bool:
        """Whether a tower has anything of a task to learn from, or held out, to be judged by."""
        if site.code in self.daily:
            observed = self.daily[site.code]
        else:
            observed = scoring.observations(site, [task], self.config.sites.flux, split(site.time))
        counts, held = f"{task}_measured", site.code in self.config.sites.held_out
        inside = scoring.masks(observed)["all" if held else "calibration"]
        return counts in observed and bool(observed[counts].values[inside].any())

    def check_steps(self, what: str) -> None:
        """Refuse what learns from, or asks of, single steps where daily means are the target.

        Raises:
            ConfigError: the run learnt from daily observations.
        """
        if self.config.sites.daily is not None:
            raise ConfigError(
                f"{what}: works on the steps of a record, and this run learnt from the daily "
                "observations of sites.daily; give it a run without them"
            )

    def plan(self) -> Plan:
        """The ensemble the surrogate learns from."""
        chosen = self.config.ensemble
        return Plan(
            self.space,
            chosen.members,
            chosen.design,
            chosen.seed,
            self.outputs,
            points=self._own_points(),
            batch=batch_of(self.model),
            failures=Failures(chosen.failures, chosen.most_failures, chosen.absurd),
        )

    def _own_points(self) -> dict[str, np.ndarray] | None:
        """Points of an ensemble that the model brings along."""
        brought = {site.code: design(self.model, site) for site in self.training}
        found = {code: values for code, values in brought.items() if values is not None}
        lacking = [code for code in brought if found and not len(found.get(code, ()))]
        if lacking:
            raise ConfigError(
                f"{name_of(self.model)} brings an ensemble for some towers and none for "
                f"{', '.join(lacking)}; add theirs, or take these towers from sites.codes"
            )
        free = [self.model.parameters.names.index(name) for name in self.space.names]
        return {code: self.space.to_unit(v[:, free]) for code, v in found.items()} or None

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
    selection = _select(chosen, wanted)
    if selection:
        wanted = tuple(choice.code for choice in selection if choice.taken)
    sites = tuple(open_sites(chosen.folder, wanted))
    if chosen.attributes is not None:
        sites = tuple(with_attributes(sites, read_attributes(chosen.attributes)))
    codes = [s.code for s in sites]
    unknown = sorted(set(chosen.held_out) - {*codes, *(c.code for c in selection)})
    if unknown:
        raise ConfigError(
            f"sites.held_out: no tower {', '.join(unknown)}; there are {', '.join(codes)}"
        )
    if set(codes) <= set(chosen.held_out):
        raise ConfigError("sites.held_out: every tower is held out; leave some to learn from")
    model = open_model(config.model)
    lacking = [name for name in ("Qle", "Qh", *config.tasks) if name not in outputs_of(model)]
    if lacking:
        raise ConfigError(
            f"{name_of(model)} gives no {', '.join(lacking)}; it has {', '.join(outputs_of(model))}"
        )
    if isinstance(config.model, MatsiroConfig):
        _check_codes((*config.model.supply, *config.model.mixtures), codes)
    daily: dict[str, xr.Dataset] = {}
    if chosen.daily is not None:
        sites, daily = _with_daily(config, sites, chosen.daily)
    job = Job(config, sites, model, daily, selection)
    fixed = sorted(set(config.generator.prior_widths) - set(job.space.names))
    if fixed:
        raise ConfigError(
            f"generator.prior_widths: {', '.join(fixed)} is not calibrated; these parameters "
            f"are: {', '.join(job.space.names)}"
        )
    for site in sites:
        try:
            job.space.check(job.space.defaults(site.attributes))
        except ModelError as error:
            raise ConfigError(
                f"{site.code}: a default lies outside the bounds: {error}; widen model.ranges"
            ) from error
    _check_measured(job)
    return job


def _select(chosen: SitesConfig, wanted: Sequence[str] | None) -> tuple[Choice, ...]:
    if chosen.select is None:
        return ()
    found = tuple(select(find_towers(chosen.folder, wanted), chosen.select))
    if not any(choice.taken for choice in found):
        reasons = "\n".join(f"  {choice.code}: {choice.why}" for choice in found)
        raise ConfigError(f"sites.select: the rule takes none of {len(found)} towers:\n{reasons}")
    return found


def _with_daily(
    config: Config, sites: Sequence[Site], folder: Path
) -> tuple[tuple[Site, ...], dict[str, xr.Dataset]]:
    """Towers with the files of daily observations among their sources, and these observations.

    Held-out towers need none.
    """
    found, daily = [], {}
    for site in sites:
        if site.code in config.sites.held_out and not list(folder.glob(f"{site.code}_daily_*.nc")):
            found.append(site)
            continue
        read = read_daily(find_daily(folder, site.code), site.code)
        daily[site.code] = given_days(site, read, config.tasks)
        found.append(replace(site, sources={**site.sources, read.source: read.sha256}))
    return tuple(found), daily


def _check_codes(named: Sequence[str], codes: Sequence[str]) -> None:
    for code in named:
        if code not in codes:
            raise ConfigError(
                f"model.supply, model.mixtures: no tower {code}; there are {', '.join(codes)}"
            )


def _check_measured(job: Job) -> None:
    """Every tower learnt from measures a task, and every task is measured at one of them."""
    tasks = job.config.tasks
    # Also where nothing is learnt: what cannot be judged is told before any work.
    found = {site.code: [t for t in tasks if job.measures(site, t)] for site in job.sites}
    for site in job.training:
        if not found[site.code]:
            raise ConfigError(
                f"{site.code}: no measured {' or '.join(tasks)} to learn from in the calibration "
                f"period ({split(site.time).rule}); leave the tower out, or hold it out"
            )
    for task in tasks:
        if not any(task in found[site.code] for site in job.training):
            raise ConfigError(
                f"tasks: no measured {task} to learn from at any tower in its calibration period; "
                "take it from 'tasks'"
            )


def simulation_path(folder: RunFolder, model: str, code: str) -> Path:
    """Where a model's run of a tower lies; ``default`` and ``mdpl`` are models."""
    return folder / f"simulations/{model}/{code}.nc"


def tensors(job: Job, folder: RunFolder) -> dict[str, SiteTensors]:
    """What the surrogate sees of each tower, by code; needs the default runs.

    Both heat fluxes of the default run are among its inputs, whatever the tasks.
    """
    wanted = dict.fromkeys((*job.config.tasks, "Qle", "Qh", *STATE))
    made = {}
    for site in job.sites:
        reference = load_dataset(simulation_path(folder, "default", site.code))
        reference = reference[[name for name in wanted if name in reference]]
        default = job.space.to_unit(job.space.defaults(site.attributes))
        made[site.code] = build(
            site, reference, default, job.config.tasks, job.config.surrogate.block_hours
        )
    return made


def score(
    job: Job,
    site: Site,
    name: str,
    simulation: xr.Dataset,
    fluxes: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rows of ``scores.csv`` of one run of a tower, of the fluxes that both have.

    Args:
        fluxes: default all that the job judges.
    """
    wanted = job.judged if fluxes is None else fluxes
    scores = scoring.score(
        site,
        name,
        simulation,
        [f for f in wanted if f in site.fluxes and f in simulation],
        job.config.sites.flux,
        split(site.time),
        job.coverage(),
    )
    if site.code not in job.daily:
        return scores
    days = score_given_days(job.daily[site.code], name, simulation, wanted)
    return pd.concat([scores, days], ignore_index=True) if len(scores) else days


def with_variant(job: Job, scores: pd.DataFrame) -> pd.DataFrame:
    """Scores with the column ``variant``: the flux choice, or ``given`` for daily observations."""
    given = scores["resolution"] == GIVEN_DAY
    return scores.assign(variant=np.where(given, "given", job.config.sites.flux))


def observe(job: Job, site: Site) -> xr.Dataset:
    """What a tower is judged by, as the run folder keeps it."""
    fluxes = [f for f in job.judged if f in site.fluxes]
    return scoring.observations(site, fluxes, job.config.sites.flux, split(site.time))


def drivers(site: Site) -> xr.Dataset:
    """The weather that residuals are looked at against: SWdown (W m-2) and VPD (hPa)."""
    sun, dryness = site.forcing["SWdown"].values, vapour_pressure_deficit(site.forcing)
    data = {"SWdown": ("time", sun, {"units": "W m-2"}), "VPD": ("time", dryness, {"units": "hPa"})}
    return xr.Dataset(data, coords={"time": site.time})
