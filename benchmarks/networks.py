"""Skill of the surrogate against its cost: both networks in three sizes, from one ensemble.

Usage: python benchmarks/networks.py RUN [--kind sequence day-block] [--size small medium large]
                                         [--steps 500]
RUN is a finished run folder. Every network is trained on the members the run's own was trained
on, with the run's own number of steps unless told, and judged on the members kept from it; what is
in the table already is not trained again. Networks and the table lie in RUN/experiments/networks.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax
import pandas as pd
from rich.console import Console

from mdpl.config_learning import surrogate_config
from mdpl.experiments.learning import Experiment, open_experiment, train_surrogate
from mdpl.progress import RichProgress
from mdpl.surrogate.network import Surrogate

SIZES = {
    "small": {"hidden": 24, "width": 32, "tower": 16},
    "medium": {"hidden": 48, "width": 64, "tower": 32},
    "large": {"hidden": 96, "width": 128, "tower": 64},
}
SHARED = ("seed", "steps", "sites_per_batch", "members_per_batch", "balance", "task_weights")
"""Settings of the run's own surrogate that all of them take over."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--kind", nargs="+", default=["sequence", "day-block"])
    parser.add_argument("--size", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--steps", type=int, help="training steps; default those of the run")
    chosen = parser.parse_args()
    experiment = open_experiment(chosen.run, "networks")
    table = experiment.place / "networks.csv"
    steps = chosen.steps or experiment.job.config.surrogate.steps
    for kind in chosen.kind:
        for size in chosen.size:
            known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=["name"])
            name = f"{kind}-{size}-{steps}"
            if name not in set(known["name"]):
                made = pd.DataFrame([measured(experiment, kind, size, steps)])
                pd.concat([known, made], ignore_index=True).to_csv(table, index=False)
    print(pd.read_csv(table).to_string(index=False))


def measured(experiment: Experiment, kind: str, size: str, steps: int) -> dict[str, float | str]:
    """One network: minutes it took to train, its weights, and medians over towers of its skill."""
    job, name = experiment.job, f"{kind}-{size}-{steps}"
    own = {k: v for k, v in job.config.surrogate.model_dump().items() if k in SHARED}
    config = surrogate_config({"kind": kind, **own, **SIZES[size], "steps": steps})
    here = replace(
        experiment, job=replace(job, config=job.config.model_copy(update={"surrogate": config}))
    )
    folder = here.surrogate(name).parent
    if folder.exists():
        raise SystemExit(f"{folder}: a training was cut, its time is not known; delete the folder")
    begin = time.perf_counter()
    trained = train_surrogate(here, name, RichProgress(Console()), {"models_trained": 0})
    minutes = (time.perf_counter() - begin) / 60.0
    judged = pd.read_csv(folder / "fidelity.csv")
    medians = judged.groupby(["task", "metric"])["value"].median()
    skill = {
        f"{metric} {task}": float(medians[task, metric])
        for task in job.config.tasks
        for metric in ("r2", "rmse_over_sd")
    }
    return {"name": name, "weights": weights(trained), "minutes": minutes, **skill}


def weights(trained: Surrogate) -> int:
    """Numbers that training moves."""
    return sum(x.size for x in jax.tree.leaves(eqx.filter(trained, eqx.is_inexact_array)))


if __name__ == "__main__":
    main()
