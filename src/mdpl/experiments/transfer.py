"""E4: do parameters transfer to a tower nobody learnt from, and can it be known beforehand?

Each tower is left out in turn: a generator is trained on the observations of the other towers of
its PFT (scope ``class``; where there is at least one) and of all other towers (scope ``across``),
and the land model runs at the tower left out with the parameters it is given. They are held
against the defaults and against the tower's own parameters, those of the run's first learning.

The surrogate is the run's first one and is not trained again: it has learnt from runs of the land
model at this tower, which need its weather, and from no observation. (A surrogate of a later
round has seen runs about parameters learnt from the tower's observations, so those are not used.)

Which generator, and how much of what it learnt, is found out on the other towers
(`transfer_share`, ``shares.csv``).

What the attributes say is said before anything is trained (``warnings.csv``): a tower is *outside*
if an attribute lies farther than `MARGIN` standard deviations beyond the range of the towers
learnt from, or if none of them has its land-cover class. Whether the warning was right is found
out afterwards (``verdicts.csv``): a transfer is good if it keeps `HALF` of the own gain, or, where
there is none, does no harm. Further tables in ``experiments/transfer/``: ``scores.csv``,
``transfer.csv`` and ``by_pft.csv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.errors import ConfigError
from mdpl.evaluation import scores as scoring
from mdpl.experiments import transfer_share
from mdpl.experiments.learning import (
    COST,
    Experiment,
    Plan,
    judge,
    learn,
    open_experiment,
    simulate,
    simulate_first,
    working,
)
from mdpl.experiments.likeness import alike, surroundings
from mdpl.experiments.transfer_share import COMMON, SHARES, Way
from mdpl.files import read_table
from mdpl.generator.known import describe
from mdpl.job import simulation_path, tensors
from mdpl.progress import Progress
from mdpl.sites.site import Site
from mdpl.surrogate.network import Surrogate
from mdpl.surrogate.store import load_surrogate

NAME = "transfer"
OWN = "own"
SCOPES = ("class", "across")

MARGIN = 0.5
"""Standard deviations beyond the range of the towers learnt from that still pass as inside."""

HALF = 0.5
"""Share of the own gain that a good transfer keeps."""

FEWEST = 0.01
"""Own gains (dRMSE) below this are too small to ask for the share kept."""


@dataclass(frozen=True)
class Lesson:
    """A tower left out, and the towers learnt from."""

    site: Site
    scope: str
    teachers: tuple[Site, ...]

    @property
    def label(self) -> str:
        return f"{self.scope}/{self.site.code}"


def prepare(path: Path) -> Experiment:
    """Open a finished run of two towers or more.

    Raises:
        ConfigError: it has fewer, or free parameters, which belong to their towers.
        RunError: it is not finished.
    """
    experiment = open_experiment(path, NAME)
    job = experiment.job
    if len(job.training) < 2:
        raise ConfigError(
            f"{path}: expected two towers to learn from or more, found {len(job.training)}; "
            "parameters cannot be transferred from one tower to itself"
        )
    if job.config.generator.kind == "free":
        raise ConfigError(
            f"{path}: generator.kind 'free' gives parameters only to the towers it learnt from; "
            "use a run with 'attributes'"
        )
    return experiment


def lessons(experiment: Experiment) -> list[Lesson]:
    """Every tower left out, within its PFT and across all."""
    made = []
    for site in experiment.job.training:
        others = tuple(s for s in experiment.job.training if s is not site)
        alike = tuple(s for s in others if s.pft == site.pft)
        made += [Lesson(site, "class", alike)] if alike else []
        made.append(Lesson(site, "across", others))
    return made


def kinds_of(experiment: Experiment, one: Lesson) -> list[str]:
    """Kinds of generator a lesson is given to: the run's own; across PFTs one shift for all too."""
    own = experiment.job.config.generator.kind
    return [own, COMMON] if one.scope == "across" and own != COMMON else [own]


def label(experiment: Experiment, one: Lesson, kind: str) -> str:
    """Name of a lesson with a kind of generator."""
    usual = kind == experiment.job.config.generator.kind
    return one.label if usual else f"{one.label}/{kind}"


def plan(experiment: Experiment) -> Plan:
    """A generator a lesson and kind, and the land model at the tower left out."""
    every = lessons(experiment)
    number = experiment.job.config.generator.ensemble
    names = [label(experiment, o, k) for o in every for k in kinds_of(experiment, o)]
    return Plan(
        {experiment.parameters(name): number for name in names},
        [
            *(experiment.first(site.code) for site in experiment.job.training),
            *(experiment.simulation(one.scope, one.site.code) for one in every),
        ],
    )


def foresee(experiment: Experiment) -> pd.DataFrame:
    """What the attributes say of every transfer; observations are not looked at.

    The space is the generator's, standardised over all towers but the one left out.

    Returns:
        site, pft, scope, towers (learnt from), distance (to the nearest of them; root mean square
        over the features that vary), nearest, outside (attributes, in words), trusted.
    """
    known = {site.code: describe(site) for site in experiment.job.training}
    kind = experiment.job.config.generator.kind
    rows = []
    for one in lessons(experiment):
        codes = [s.code for s in one.teachers]
        around = surroundings(one.site.code, codes, known, kind)
        beyond = np.maximum(
            around.there.min(axis=0) - around.here, around.here - around.there.max(axis=0)
        )
        outside = [name for i, name in enumerate(around.names) if beyond[i] > MARGIN]
        if one.site.land_cover not in {s.land_cover for s in one.teachers}:
            outside.insert(0, "land cover")
        rows.append(
            {
                "site": one.site.code,
                "pft": one.site.pft,
                "scope": one.scope,
                "towers": len(one.teachers),
                "distance": float(around.distance.min()),
                "nearest": codes[int(around.distance.argmin())],
                "outside": ", ".join(outside),
                "trusted": not outside,
            }
        )
    return pd.DataFrame(rows)


def warnings(foreseen: pd.DataFrame) -> list[str]:
    """The transfers not to be trusted, a line each."""
    where = {"class": "of its PFT", "across": "of all PFTs"}
    return [
        f"{row['site']}: outside the training towers {where[row['scope']]} in {row['outside']}"
        for row in foreseen[~foreseen["trusted"]].to_dict("records")
    ]


def run(experiment: Experiment, progress: Progress) -> pd.DataFrame:
    """Do what is not done.

    Returns:
        the rows of ``by_pft.csv``.
    """
    job, place = experiment.job, experiment.place
    foreseen = foresee(experiment)
    with working(experiment):
        place.write("warnings.csv", foreseen.to_csv(index=False))
        surrogate = load_surrogate(experiment.run / "surrogate/surrogate.eqx")
        tables = []
        for scope in SCOPES:
            chosen = [one for one in lessons(experiment) if one.scope == scope]
            if not chosen:
                continue
            progress.stage(f"transfer: {scope}")
            with place.timed(scope, COST) as counts:
                given, tried = _give(experiment, chosen, surrogate, progress, counts)
                tables.append(tried.assign(scope=scope))
                simulate(experiment, scope, given, progress, counts)
        place.write("shares.csv", pd.concat(tables, ignore_index=True).to_csv(index=False))
        progress.stage("transfer: own parameters and scores")
        with place.timed(OWN, COST) as counts:
            simulate_first(experiment, job.training, progress, counts)
        with place.timed("scores", COST):
            return _judge(experiment, foreseen)


def _give(
    experiment: Experiment,
    chosen: Sequence[Lesson],
    surrogate: Surrogate,
    progress: Progress,
    counts: dict[str, int],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parameters of the towers left out, and the ways that were tried."""
    job, seen = experiment.job, tensors(experiment.job, experiment.run)
    given: dict[str, dict[Way, pd.DataFrame]] = {}
    promised = {}
    for one in chosen:
        code = one.site.code
        ways = given.setdefault(code, {})
        for kind in kinds_of(experiment, one):
            found = learn(
                experiment,
                label(experiment, one, kind),
                surrogate,
                one.teachers,
                [one.site],
                job.config.generator.model_copy(update={"kind": kind}),
                progress,
                counts,
            )
            ways |= {Way(kind, s): transfer_share.part_of(job, found, s) for s in SHARES}
        tables = list(ways.values())
        told = transfer_share.promises(experiment, surrogate, one.site, seen[code], tables)
        promised[code] = dict(zip(ways, told, strict=True))
    kind = job.config.generator.kind
    near = alike({one.site.code: describe(one.site) for one in chosen}, kind)
    table = transfer_share.choose(promised, Way(kind, 1.0), near)
    taken = transfer_share.chosen_ways(table)
    return pd.concat([given[code][way] for code, way in taken.items()]), table


def shares(experiment: Experiment) -> Sequence[str]:
    """Which generators, and how much of what they learnt, a line a scope."""
    return transfer_share.words(read_table(experiment.place / "shares.csv"))


def _judge(experiment: Experiment, foreseen: pd.DataFrame) -> pd.DataFrame:
    training = experiment.job.training
    models = {
        "default": {s.code: simulation_path(experiment.run, "default", s.code) for s in training},
        OWN: {s.code: experiment.first(s.code) for s in training},
    }
    for one in lessons(experiment):
        path = experiment.simulation(one.scope, one.site.code)
        models.setdefault(one.scope, {})[one.site.code] = path
    scores = judge(experiment, models)
    table = compare(scores)
    targeted = table[table["flux"].isin(experiment.job.config.tasks)]
    shares = by_pft(targeted)
    for name, made in (
        ("scores.csv", scores),
        ("transfer.csv", table),
        ("by_pft.csv", shares),
        ("verdicts.csv", verdicts(foreseen, targeted)),
    ):
        experiment.place.write(name, made.to_csv(index=False))
    return shares


def compare(scores: pd.DataFrame) -> pd.DataFrame:
    """Transferred beside own parameters and defaults, on validation data.

    Returns:
        site, pft, flux, resolution, scope, own and transferred (dRMSE), kept (their ratio, NaN
        where the own gain is below `FEWEST`), kge_default, kge_own, kge_transferred.
    """
    keys = ["site", "pft", "flux", "resolution"]
    part = scores[scores["period"] == "validation"]
    gained = scoring.gains(part).pivot(index=keys, columns="model", values="dRMSE")
    kge = part[part["metric"] == "kge"].pivot(index=keys, columns="model", values="value")
    tables = []
    for scope in [s for s in SCOPES if s in gained]:
        own, transferred = gained[OWN], gained[scope]
        table = pd.DataFrame(
            {
                "scope": scope,
                "own": own,
                "transferred": transferred,
                "kept": (transferred / own).where(own >= FEWEST),
                "kge_default": kge["default"],
                "kge_own": kge[OWN],
                "kge_transferred": kge[scope],
            }
        )
        tables.append(table.dropna(subset=["transferred"]).reset_index())
    return pd.concat(tables, ignore_index=True)


def by_pft(table: pd.DataFrame) -> pd.DataFrame:
    """Medians over the towers of a PFT, and over all (pft ``all``), at the towers' own step.

    Returns:
        scope, pft, flux, towers, own, transferred, kept, worse (towers worse than default).
    """
    native = table[table["resolution"] == "native"]
    rows = []
    for pft, part in [("all", native), *native.groupby("pft")]:
        for (scope, flux), own in part.groupby(["scope", "flux"], sort=False):
            medians = own[["own", "transferred", "kept"]].median()
            counted = {"towers": len(own), "worse": int((own["transferred"] < 0).sum())}
            rows.append({"scope": scope, "pft": pft, "flux": flux, **counted, **medians})
    return pd.DataFrame(rows)


def verdicts(foreseen: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """What was foreseen, and what came of it; gains are means over the fluxes learnt from.

    Returns:
        the columns of `foresee`, own, transferred, good, right (trusted and good, or neither).
    """
    native = table[table["resolution"] == "native"]
    gained = native.groupby(["site", "scope"])[["own", "transferred"]].mean().reset_index()
    both = foreseen.merge(gained, on=["site", "scope"])
    both["good"] = both["transferred"] >= HALF * both["own"].clip(lower=0)
    both["right"] = both["good"] == both["trusted"]
    return both


def summary(shares: pd.DataFrame) -> Sequence[str]:
    """``by_pft.csv`` over all towers, a line each."""
    return [
        f"{row['scope']}, {row['flux']}: own dRMSE {100 * row['own']:+.1f} %, transferred "
        f"{100 * row['transferred']:+.1f} %, share kept {row['kept']:.2f}; worse than default at "
        f"{row['worse']} of {row['towers']} towers (medians, validation)"
        for row in shares[shares["pft"] == "all"].to_dict("records")
    ]
