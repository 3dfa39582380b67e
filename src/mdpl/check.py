"""What a configuration would do, and what stands in its way, before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import xarray as xr

from mdpl.config import Config
from mdpl.errors import MdplError
from mdpl.evaluation.periods import split
from mdpl.job import open_job
from mdpl.sites.qc import measured_share


@dataclass(frozen=True)
class Findings:
    """The outcome of a check.

    Attributes:
        towers: one row a tower: site, pft, role, steps, years, split, measured share by flux.
        lsm_runs, models: land-model simulations and networks a whole run makes at most.
        problems: what must be mended first.
        notes: what is worth knowing.
    """

    towers: list[dict]
    lsm_runs: int
    models: int
    problems: list[str]
    notes: list[str]


def examine(config: Config) -> Findings:
    """Open everything a run would open, and count what it would do."""
    try:
        job = open_job(config)
    except MdplError as error:
        return Findings([], 0, 0, [str(error)], [])
    towers, notes = [], []
    for site in job.sites:
        shares = {f: measured_share(site, f) for f in job.judged if f in site.fluxes}
        towers.append(
            {
                "site": site.code,
                "pft": site.pft,
                "role": "learnt from" if site in job.training else "held out",
                "steps": len(site.time),
                "years": round(float(site.attributes["years"]), 2),
                "split": split(site.time).rule,
                **{f"{flux} measured": round(share, 2) for flux, share in shares.items()},
                **_days(job.daily.get(site.code), config.tasks),
            }
        )
        if "filling" in site.attributes:
            filling, leaves = (site.attributes[k] for k in ("filling", "LAI_source"))
            notes.append(f"{site.code}: filled: {filling}; LAI: {leaves}")
        if "spikes" in site.attributes:
            notes.append(f"{site.code}: taken for missing: {site.attributes['spikes']}")
        if site.attributes.get("imputed", "nothing") != "nothing":
            notes.append(f"{site.code}: imputed: {site.attributes['imputed']}")
        notes += [
            f"{site.code}: only {share:.0%} of {flux} is measured"
            for flux, share in shares.items()
            if flux in config.tasks and share < 0.5 and site.code not in job.daily
        ]
    notes += [
        f"{site.code}: no measured {task}; the other tasks are learnt from"
        for site in job.training
        for task in config.tasks
        if not job.measures(site, task)
    ]
    notes += [
        f"{choice.code}: {'taken' if choice.taken else 'left out'} by sites.select: {choice.why}"
        for choice in job.selection
    ]
    rounds = config.refine.rounds
    members = config.ensemble.members + rounds * config.refine.members
    runs = len(job.training) * members + 2 * len(job.sites)
    models = (1 + rounds) * (1 + config.generator.ensemble)
    return Findings(towers, runs, models, [], notes)


def _days(daily: xr.Dataset | None, tasks: Sequence[str]) -> dict[str, int]:
    """Days of each task that are learnt from or judged."""
    if daily is None:
        return {}
    return {f"{t} days": int(daily[f"{t}_measured"].sum()) for t in tasks if t in daily}
