"""Runs one member of an ensemble again, to see why it failed or what it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mdpl.ensemble.run import Plan, unsound
from mdpl.ensemble.store import DONE, FAILED, EnsembleStore
from mdpl.errors import ConfigError
from mdpl.lsm.model import LandModel
from mdpl.lsm.offers import failures, keeping
from mdpl.sites.site import Site


@dataclass(frozen=True)
class Rerun:
    """A member run again.

    Attributes:
        values: parameter -> value, all of the model's, physical units.
        before, now: what became of it, in words.
        means: output -> mean.
    """

    values: Mapping[str, float]
    before: str
    now: str
    means: Mapping[str, float]


def rerun(
    model: LandModel,
    sites: Sequence[Site],
    plan: Plan,
    path: Path,
    code: str | None,
    member: int,
    folder: Path | None,
) -> Rerun:
    """Run a member of a stored ensemble again; nothing stored is changed.

    Args:
        path: of the ensemble.
        code: tower; None means the first.
        folder: where a program's run stays; None means nowhere.

    Raises:
        ConfigError: no such tower or member.
        RunError: no such ensemble.
    """
    known = {site.code: site for site in sites}
    site = known.get(code or sites[0].code)
    if site is None:
        raise ConfigError(f"no tower {code} to learn from; there are {', '.join(known)}")
    store = EnsembleStore(path)
    made = store.site(site.code)
    if not member < len(made.unit):
        raise ConfigError(f"{site.code}: no member {member}; there are {len(made.unit)}, from 0")
    physical = plan.space.from_unit(made.unit[member])
    values = model.parameters.complete(plan.space.names, physical, site.attributes)
    run = keeping(model, folder).simulate(site, values[None], plan.outputs)
    told = store.reasons(site.code).get(member, "failed")
    before = {DONE: "it ran", FAILED: told}.get(int(made.status[member]), "not run yet")
    means = {name: float(np.mean(run[name].values)) for name in plan.outputs}
    parameters = dict(zip(model.parameters.names, values.tolist(), strict=True))
    series = {name: run[name].values[0] for name in plan.outputs}
    now = failures(run)[0] or unsound(series, plan.failures.absurd) or "it runs"
    return Rerun(parameters, before, now, means)
