"""What a tower left out should be given, found out on the other towers left out.

A generator that has learnt from few towers fits them and errs at the next. Two things hold it
back: one shift of the defaults for all towers (kind ``common``) in place of one by attributes, and
going only a share of the way from the defaults to what was learnt. Which, and how far, is itself a
question of transfer: the surrogate says what every choice promises at each tower left out, and a
tower's own choice is the one that promises most at the *other* towers left out, those most alike
counting most (`mdpl.experiments.likeness`): what serves forests may harm shrubs. Its observations
are part of what those generators learnt from, but never of the judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mdpl import rounds
from mdpl.experiments.learning import Experiment
from mdpl.files import load_dataset
from mdpl.job import Job, score, simulation_path
from mdpl.learnt import by_tower
from mdpl.sites.site import Site
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.windows import SiteTensors

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the way from the defaults (0) to what was learnt (1) that are tried."""

COMMON = "common"


class Way(NamedTuple):
    """A way to transfer: the kind of generator, and the share taken of what it learnt."""

    kind: str
    share: float


def part_of(job: Job, parameters: pd.DataFrame, share: float) -> pd.DataFrame:
    """The table of one tower's parameters with a share of the way, straight in the unit cube."""
    if share == 1:
        return parameters
    table = parameters.set_index("parameter").loc[list(job.space.names)]
    default, learnt = (job.space.to_unit(table[c].to_numpy(float)) for c in ("default", "value"))
    moved = job.space.from_unit(default + share * (learnt - default))
    return table.assign(value=moved).reset_index()[list(parameters.columns)]


def promises(
    experiment: Experiment,
    surrogate: Surrogate,
    site: Site,
    seen: SiteTensors,
    parameters: Sequence[pd.DataFrame],
) -> list[float]:
    """Promised RMSE of each table of parameters over that of the default run, mean of the tasks.

    Of the calibration period; what the surrogate says, no run of the land model.
    """
    job = experiment.job
    default = load_dataset(simulation_path(experiment.run, "default", site.code))
    target = score(job, site, "default", default, [str(task) for task in job.config.tasks])
    usual = target[(target["metric"] == "rmse") & (target["resolution"] == job.target_resolution)]
    told = []
    for table in parameters:
        values = by_tower(table)[site.code][list(job.space.names)].to_numpy(dtype=float)
        guess = rounds.promised(job, site, seen, surrogate, job.space.to_unit(values))
        both = guess.merge(usual, on=["site", "flux", "period"])
        own = both[both["period"] == "calibration"]
        told.append(float((own["rmse"] / own["value"]).mean()))
    return told


def choose(
    promised: Mapping[str, Mapping[Way, float]],
    usual: Way,
    near: Mapping[str, Mapping[str, float]],
) -> pd.DataFrame:
    """The way of each tower left out.

    Args:
        promised: tower -> way -> `promises`.
        usual: taken where there is no other tower to ask.
        near: tower -> other tower -> what it counts (`mdpl.experiments.likeness.alike`).

    Returns:
        site, kind, share, promised (at the tower), elsewhere (mean over the other towers, as they
        count), chosen.
    """
    rows = []
    for code, own in promised.items():
        others = near.get(code, {})
        elsewhere = {
            w: sum(n * promised[other][w] for other, n in others.items()) if others else np.nan
            for w in own
        }
        best = min(own, key=lambda w: elsewhere[w]) if others else usual
        rows += [(code, *w, own[w], elsewhere[w], w == best) for w in own]
    columns = ["site", "kind", "share", "promised", "elsewhere", "chosen"]
    return pd.DataFrame(rows, columns=columns)


def chosen_ways(table: pd.DataFrame) -> dict[str, Way]:
    """Tower -> way, of what `choose` gives."""
    taken = table[table["chosen"]]
    return {row["site"]: Way(row["kind"], row["share"]) for row in taken.to_dict("records")}


def words(table: pd.DataFrame) -> Sequence[str]:
    """What was chosen, a line a scope."""
    lines = []
    for scope, own in table[table["chosen"]].groupby("scope", sort=False):
        counted = own.groupby(["kind", "share"], as_index=False).size()
        said = ", ".join(
            f"{100 * row['share']:.0f} % of '{row['kind']}' at {row['size']}"
            for row in counted.to_dict("records")
        )
        lines.append(f"{scope}: taken of what was learnt: {said} towers")
    return lines
