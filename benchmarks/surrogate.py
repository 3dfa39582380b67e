"""What the surrogate costs beside the land model, for the same site-years.

Usage: python benchmarks/surrogate.py RUN [--members 64]
RUN is a finished run folder; its first tower and its surrogate are used.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mdpl import job as jobs
from mdpl.runs import open_run
from mdpl.surrogate.store import load_surrogate


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Least wall seconds over repeats, after one warm-up."""
    jax.block_until_ready(work())
    found = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(work())
        found.append(time.perf_counter() - begin)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--members", type=int, default=64)
    chosen = parser.parse_args()
    folder = open_run(chosen.run)
    job = jobs.open_job(folder.config)
    site = job.training[0]
    surrogate = load_surrogate(folder / "surrogate/surrogate.eqx")
    tensors = jobs.tensors(job, folder)[site.code]
    unit = np.random.default_rng(0).random((chosen.members, len(job.space)))
    values = job.model.parameters.complete(
        job.space.names, job.space.from_unit(unit), site.attributes
    )
    years = chosen.members * len(site.time) / site.steps_per_day / 365.25
    land = seconds(lambda: job.model.simulate(site, values, job.outputs).load(), 1)
    network = seconds(lambda: surrogate.predict(tensors, unit))
    print(f"{site.code}, {chosen.members} members, {years:.0f} site-years")
    print(f"land model, with {job.model.member_cycles} years of spin-up: {land:.2f} s")
    print(f"surrogate: {network:.2f} s; land model over surrogate: {land / network:.2f}")


if __name__ == "__main__":
    main()
