"""E1: does learning improve the land model at every tower, and how much of it is luck?

The run itself, and runs with other seeds of the surrogate and the generator. They share the run's
ensemble, default runs and observations (links), and do the rest anew, rounds of refinement
included: what differs between them is what chance in the networks does to the result. The design
of the ensemble is not repeated.

In ``experiments/calibrate/`` of the run folder: a run folder a seed, and the tables ``scores.csv``
and ``gains.csv`` (as a run has them, with a column ``seed``), ``spread.csv`` and ``towers.csv``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mdpl import pipeline
from mdpl.check import examine
from mdpl.config import Config, dump
from mdpl.errors import ConfigError, MdplError
from mdpl.experiments.learning import COST
from mdpl.files import read_table, write_atomic, write_sealed, writing
from mdpl.progress import Progress
from mdpl.runs import RunFolder, claim, open_run

NAME = "calibrate"
SHARED = ("ensemble.zarr", "simulations/default")
"""What a seed takes from the run."""

WORSE = -0.05
"""dRMSE below which a tower counts as clearly worse."""


@dataclass(frozen=True)
class Plan:
    """What is left to do, at most.

    Attributes:
        runs: run folder -> (networks to train, land-model runs), at most; finished ones have none.
    """

    runs: Mapping[Path, tuple[int, int]]

    def words(self) -> str:
        models = sum(m for m, _ in self.runs.values())
        simulations = sum(n for _, n in self.runs.values())
        done = sum(work == (0, 0) for work in self.runs.values())
        there = f"; {done} of {len(self.runs)} runs are there already" if done else ""
        return (
            f"{len(self.runs)} runs with seeds of their own: will train at most {models} models "
            f"and make at most {simulations:,} land-model runs{there}"
        )


def plan(config: Config, path: Path, seeds: int) -> Plan:
    """Count beforehand.

    Args:
        seeds: runs in all, the first being the run itself.

    Raises:
        ConfigError: fewer than one, or the configuration is wrong.
    """
    if seeds < 1:
        raise ConfigError(f"calibrate: expected one seed or more, found {seeds}")
    found = examine(config)
    if found.problems:
        raise MdplError("\n".join(found.problems))
    trained = sum(t["role"] == "learnt from" for t in found.towers)
    own = found.lsm_runs - trained * config.ensemble.members - len(found.towers)
    work = {path: (found.models, found.lsm_runs)}
    work |= {place(path, seed): (found.models, own) for seed in range(1, seeds)}
    return Plan({p: (0, 0) if _finished(p) else w for p, w in work.items()})


def place(path: Path, seed: int) -> Path:
    """Run folder of a seed; seed 0 is the run itself."""
    return path / f"experiments/{NAME}/seed-{seed}" if seed else path


def run(config: Config, path: Path, seeds: int, progress: Progress) -> pd.DataFrame:
    """Do the run and its repetitions, what is done already excepted.

    Returns:
        the rows of ``spread.csv``.

    Raises:
        MdplError: what a user can mend.
    """
    pipeline.run(config, path, progress, report=False)
    for seed in range(1, seeds):
        progress.stage(f"seed {seed}")
        _share(reseeded(config, seed), path, place(path, seed))
        pipeline.run(reseeded(config, seed), place(path, seed), progress, report=False)
    return _collect(RunFolder(path, config), seeds)


def reseeded(config: Config, seed: int) -> Config:
    """The configuration with other seeds of both networks, the ensemble's kept."""
    return config.model_copy(
        update={
            name: part.model_copy(update={"seed": part.seed + seed})
            for name, part in (("surrogate", config.surrogate), ("generator", config.generator))
        }
    )


def spread(gains: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """Over seeds: median dRMSE over towers, and towers better, by flux and resolution.

    Args:
        gains, scores: as of a run, with a column ``seed``.

    Returns:
        flux, resolution, seeds, towers; of the median dRMSE its mean, sd, least and most over
        seeds; worst (tower and seed), worse (towers below `WORSE`, most of any seed), kge_better
        (least and most share of towers).
    """
    judged = gains[gains["period"] == "validation"].dropna(subset="dRMSE")
    rows = []
    for (flux, resolution), own in judged.groupby(["flux", "resolution"], sort=False):
        medians = own.groupby("seed")["dRMSE"].median()
        worse = (own["dRMSE"] < WORSE).groupby(own["seed"]).sum()
        better = _kge_better(scores, str(flux), str(resolution))
        rows.append(
            {
                "flux": flux,
                "resolution": resolution,
                "seeds": len(medians),
                "towers": own["site"].nunique(),
                "mean": medians.mean(),
                "sd": medians.std(),
                "least": medians.min(),
                "most": medians.max(),
                "worst": own["dRMSE"].min(),
                "worse": worse.max(),
                "kge_better_least": better.min(),
                "kge_better_most": better.max(),
            }
        )
    return pd.DataFrame(rows)


def by_tower(gains: pd.DataFrame) -> pd.DataFrame:
    """dRMSE of each tower over seeds, native resolution, validation: mean, sd, least, most."""
    own = gains.query("period == 'validation' and resolution == 'native'").dropna(subset="dRMSE")
    by = own.groupby(["site", "pft", "flux"], sort=False)["dRMSE"]
    found = by.agg(["count", "mean", "std", "min", "max"]).reset_index()
    return found.rename(columns={"count": "seeds", "std": "sd", "min": "least", "max": "most"})


def summary(table: pd.DataFrame) -> list[str]:
    """A line a flux, native resolution."""
    native = table[table["resolution"] == "native"]
    return [
        f"{r['flux']}: median dRMSE {100 * r['mean']:.1f} % (over {r['seeds']} seeds "
        f"{100 * r['least']:.1f} to {100 * r['most']:.1f}), worst tower {100 * r['worst']:.1f} %"
        for r in native.to_dict("records")
    ]


def _finished(path: Path) -> bool:
    return (path / "config.yaml").is_file() and open_run(path).done("evaluate")


def _share(config: Config, origin: Path, target: Path) -> None:
    """Make a seed's run folder, with links to what it shares, and the keys of that."""
    claim(target)
    with writing(target):
        for name in SHARED:
            link, there = target / name, origin / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(os.path.relpath(there, link.parent))
    folder, run = RunFolder(target, config), RunFolder(origin, config)
    made = {key: run.read_json("stages.json")[key] for key in ("towers", "ensemble")}
    stages = {**folder.read_json("stages.json"), **made}
    folder.write("stages.json", json.dumps(stages, indent=2))
    if not (target / "config.yaml").exists():
        write_atomic(target / "config.yaml", dump(config))


def _collect(run: RunFolder, seeds: int) -> pd.DataFrame:
    """Write the tables and the cost of all seeds."""
    folders = {seed: place(run.path, seed) for seed in range(seeds)}
    tables = {
        name: pd.concat(
            [
                read_table(f / f"{name}.csv", again="mdpl evaluate").assign(seed=s)
                for s, f in folders.items()
            ],
            ignore_index=True,
        )
        for name in ("scores", "gains")
    }
    found = spread(tables["gains"], tables["scores"])
    tables |= {"spread": found, "towers": by_tower(tables["gains"])}
    cost = {}
    for seed, folder in folders.items():
        stages = RunFolder(folder, run.config).read_json("timings.json").values()
        wanted = ("seconds", "lsm_runs", "models_trained")
        cost[f"seed-{seed}"] = {w: sum(s.get(w, 0) for s in stages) for w in wanted}
    target = run / f"experiments/{NAME}"
    for name, table in tables.items():
        write_sealed(target / f"{name}.csv", table.to_csv(index=False))
    write_sealed(target / COST, json.dumps(cost, indent=2))
    return found


def _kge_better(scores: pd.DataFrame, flux: str, resolution: str) -> pd.Series:
    """Share of towers at which the KGE rose, by seed."""
    own = scores[
        (scores["metric"] == "kge")
        & (scores["period"] == "validation")
        & (scores["flux"] == flux)
        & (scores["resolution"] == resolution)
    ]
    wide = own.pivot(index=["seed", "site"], columns="model", values="value").dropna()
    return (wide["mdpl"] > wide["default"]).groupby("seed").mean()
