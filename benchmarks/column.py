"""Speed of the column: batches against each other, and reverse mode against forward.

Usage: python benchmarks/column.py [--steps 20] [--repeats 3]
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mdpl.lsm.matsiro import engine
from mdpl.lsm.matsiro.column import march
from mdpl.lsm.matsiro.forcing import prepare
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.place import build, place
from mdpl.lsm.matsiro.state import Forcing, State
from mdpl.sites.catalogue import open_sites

STEPS = 480
BATCHES = (8, 64, 256, 1024)
SEASONS = {"summer": (9000, 285.0, 0.0), "under snow": (0, 268.0, 30.0)}
"""First step of FR-Hes's record, temperature of the start (K) and its snow (kg m-2)."""

OUTPUTS = ("Qle", "Qh", "GPP")


def measure(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Least wall seconds and least processor seconds over repeats, after one warm-up."""
    jax.block_until_ready(work())
    wall, processor = [], []
    for _ in range(repeats):
        begin, busy = time.perf_counter(), time.process_time()
        jax.block_until_ready(work())
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - busy)
    return min(wall), min(processor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20, help="Newton steps at most")
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    keep = engine.keep((*OUTPUTS, "SWE", "Unsolved"))
    run = jax.jit(functools.partial(march, most=chosen.steps, keep=keep))
    for season, (first, temperature, amount) in SEASONS.items():
        speeds = {}
        for batch in BATCHES:
            column, state, record = columns(batch, first, temperature, amount)
            work = functools.partial(run, column, state, record, jnp.full(batch, 1800.0))
            begin = time.perf_counter()
            out = jax.block_until_ready(work())[1]
            compiled = time.perf_counter() - begin
            wall, processor = measure(work, chosen.repeats)
            speeds[batch] = batch * STEPS / processor / 1e6
            print(
                f"{season}, batch {batch:5d}: {batch * STEPS / wall / 1e6:.3f} million "
                f"column-steps a second, {speeds[batch]:.3f} a second and core; first run "
                f"{compiled:.1f} s; snow on {float((out['SWE'] > 0).mean()):.0%}, unsolved "
                f"{float(out['Unsolved'].mean()):.2%}"
            )
        print(f"{season}: batch 64 over batch 1024: {speeds[64] / speeds[1024]:.2f}")
    forward, reverse = gradients(chosen.steps, chosen.repeats)
    print(
        f"gradient of mean Qle, ten days, 64 columns, over its forward run: {reverse / forward:.2f}"
    )


def columns(batch: int, first: int, temperature: float, snow: float) -> tuple[Any, State, Forcing]:
    """Random parameters at FR-Hes, a state to start from and ten days of forcing."""
    site = open_sites(None, ["FR-Hes"])[0]
    where = place(site.attributes)
    record = prepare(site, float(where.reference_height))
    record = Forcing(*(a[first : first + STEPS] for a in record))
    unit = np.random.default_rng(0).random((batch, len(PARAMETERS)))
    column = build(jnp.asarray(PARAMETERS.from_unit(unit)), where)
    state = engine.start_state(column, np.full(batch, temperature), np.full(batch, 40.0))
    pack = state.snow._replace(
        amount=state.snow.amount + snow, temperature=jnp.minimum(state.snow.temperature, 270.0)
    )
    return column, state._replace(snow=pack) if snow else state, record


def gradients(steps: int, repeats: int) -> tuple[float, float]:
    """Wall seconds of ten days forward, and of the gradient by all parameters."""
    site = open_sites(None, ["FR-Hes"])[0]
    run = Matsiro(newton_steps=steps, default_cycles=1).differentiable(site, ("Qle",), steps=STEPS)
    unit = 0.1 + 0.8 * np.random.default_rng(0).random((64, len(PARAMETERS)))
    values = jnp.asarray(PARAMETERS.from_unit(unit))
    mean = jax.jit(lambda v: run(v)["Qle"].mean())
    slope = jax.jit(jax.grad(mean))
    return (
        measure(lambda: mean(values), repeats)[0],
        measure(lambda: slope(values), repeats)[0],
    )


if __name__ == "__main__":
    main()
