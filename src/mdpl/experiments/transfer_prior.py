"""How strongly a transfer should hold to the defaults, found out on the other towers.

A generator that has learnt from few towers fits them and errs at the next. What helps is a
stronger pull towards the defaults, and how strong is itself a question of transfer: for every
weight of the prior each tower is left out in turn, and the surrogate says what its parameters
promise there. A tower's own weight is the one that promises most at the *other* towers left out;
its observations are part of what those generators learnt from, but never of the judgement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mdpl import rounds
from mdpl.experiments.learning import Experiment
from mdpl.files import load_dataset
from mdpl.job import by_tower, score, simulation_path
from mdpl.sites.site import Site
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.windows import SiteTensors

WEIGHTS = (1.0,)
"""Weights of the prior that are tried beside the run's own; each costs a generator a lesson."""


def promise(
    experiment: Experiment,
    surrogate: Surrogate,
    site: Site,
    seen: SiteTensors,
    parameters: pd.DataFrame,
) -> float:
    """Promised RMSE of parameters over that of the default run, mean of the tasks.

    Of the calibration period; what the surrogate says, no run of the land model.
    """
    job = experiment.job
    values = by_tower(parameters)[site.code][list(job.space.names)].to_numpy(dtype=float)
    guess = rounds.promised(job, site, seen, surrogate, job.space.to_unit(values))
    default = load_dataset(simulation_path(experiment.run, "default", site.code))
    target = score(job, site, "default", default, [str(task) for task in job.config.tasks])
    usual = target[(target["metric"] == "rmse") & (target["resolution"] == job.target_resolution)]
    both = guess.merge(usual, on=["site", "flux", "period"])
    own = both[both["period"] == "calibration"]
    return float((own["rmse"] / own["value"]).mean())


def choose(promised: Mapping[str, Mapping[float, float]], usual: float) -> pd.DataFrame:
    """The weight of each tower left out.

    Args:
        promised: tower -> weight -> `promise`.
        usual: weight taken where there is no other tower to ask.

    Returns:
        site, weight, promised (at the tower), elsewhere (mean over the other towers), chosen.
    """
    rows = []
    for code, own in promised.items():
        others = [promised[other] for other in promised if other != code]
        elsewhere = {w: float(np.mean([o[w] for o in others])) if others else np.nan for w in own}
        best = min(own, key=lambda w: elsewhere[w]) if others else usual
        rows += [(code, w, own[w], elsewhere[w], w == best) for w in sorted(own)]
    return pd.DataFrame(rows, columns=["site", "weight", "promised", "elsewhere", "chosen"])


def chosen_weights(table: pd.DataFrame) -> dict[str, float]:
    """Tower -> weight, of what `choose` gives."""
    taken = table[table["chosen"]]
    return dict(zip(taken["site"], taken["weight"].astype(float), strict=True))


def words(table: pd.DataFrame) -> Sequence[str]:
    """What was chosen, a line a scope."""
    lines = []
    for scope, own in table.groupby("scope", sort=False):
        counted = own[own["chosen"]]["weight"].value_counts().sort_index()
        said = ", ".join(f"{weight:g} at {number}" for weight, number in counted.items())
        lines.append(f"{scope}: weight of the prior {said} towers")
    return lines
