"""Speed of the column as ensembles run it, and reverse mode against forward.

Usage: python benchmarks/column.py [--steps 20] [--repeats 3]
       python benchmarks/column.py --years 1 3     memory of a gradient by 64 sets, by record length
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mdpl.lsm.matsiro import engine
from mdpl.lsm.matsiro.forcing import prepare
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.place import build, place
from mdpl.lsm.matsiro.state import Forcing, State
from mdpl.sites.catalogue import open_sites

STEPS = engine.CHUNK_STEPS
SEASONS = {"summer": (9000, 285.0, 0.0), "under snow": (0, 268.0, 100.0)}
"""First step of FR-Hes's record, temperature of the start (K) and its snow (kg m-2)."""

OUTPUTS = ("Qle", "Qh", "GPP", "SWE", "Unsolved")


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
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--years", type=int, nargs="+", help="gradients of so long records only")
    chosen = parser.parse_args()
    for years in chosen.years or ():
        seconds, memory = long_gradient(years, 64, chosen.steps)
        print(
            f"gradient of {years} years by 64 sets: {seconds:.0f} s; so far at most {memory:.2f} GB"
        )
    if chosen.years:
        return
    for season in SEASONS:
        begin = time.perf_counter()
        out = run_all(engine.BATCH, season, chosen.steps)()
        compiled = time.perf_counter() - begin
        found = speed(chosen.columns, season, chosen.steps, chosen.repeats)
        print(
            f"{season}: {chosen.columns} columns in blocks of {engine.BATCH}, {found / 1e6:.3f} "
            f"million column-steps a second and core; first run {compiled:.1f} s; snow on "
            f"{np.mean(out['SWE'] > 0):.0%}, unsolved {np.mean(out['Unsolved']):.2%}"
        )
    forward, reverse, compiled = gradients(chosen.steps, chosen.repeats)
    print(
        f"gradient of mean Qle, a month, {engine.BATCH} columns, over its forward run: "
        f"{reverse / forward:.2f}; first gradient {compiled:.1f} s"
    )


def speed(number: int, season: str, steps: int, repeats: int) -> float:
    """Column-steps a processor second, run in blocks as ensembles are."""
    return number * STEPS / measure(run_all(number, season, steps), repeats)[1]


def run_all(number: int, season: str, steps: int) -> Callable[[], dict[str, np.ndarray]]:
    """A month of so many columns; the outputs of the last block."""
    column, state, record = columns(number, *SEASONS[season])

    def run() -> dict[str, np.ndarray]:
        for mine in blocks(number, (column, state)):
            _, out = engine.run(*mine, record, np.array([1800.0]), OUTPUTS, steps)
        return out

    return run


def blocks(number: int, tree: Any) -> Iterator[Any]:
    """What belongs to so many columns, in blocks as ensembles run them."""
    for first in range(0, number, engine.BATCH):
        yield jax.tree.map(
            lambda a, i=first: a[..., i : i + engine.BATCH] if a.shape[-1:] == (number,) else a,
            tree,
        )


def columns(batch: int, first: int, temperature: float, snow: float) -> tuple[Any, State, Forcing]:
    """Random parameters at FR-Hes, a state to start from and a month of forcing."""
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


def gradients(steps: int, repeats: int) -> tuple[float, float, float]:
    """Wall seconds of a month forward, of the gradients by all parameters, and of the first."""
    site = open_sites(None, ["FR-Hes"])[0].first_days(30)
    model = Matsiro(newton_steps=steps, default_cycles=1, member_cycles=0)
    unit = 0.1 + 0.8 * np.random.default_rng(0).random((engine.BATCH, len(PARAMETERS)))
    values = PARAMETERS.from_unit(unit)
    even = {"Qle": np.full((len(unit), len(site.time)), 1.0 / len(site.time))}

    def both() -> None:
        model.vjp(site, values, ("Qle",))[1](even)

    forward = measure(lambda: model.simulate(site, values, ("Qle",)), repeats)[0]
    begin = time.perf_counter()
    both()
    first = time.perf_counter() - begin
    return forward, measure(both, repeats)[0], first


def long_gradient(years: int, sets: int, steps: int) -> tuple[float, float]:
    """Wall seconds of a gradient by every parameter set, and the peak memory of the process, GB."""
    year = open_sites(None, ["FR-Hes"])[0].first_days(365)
    length = np.timedelta64(365, "D")

    def longer(data: xr.Dataset) -> xr.Dataset:
        parts = [data.assign_coords(time=data["time"] + k * length) for k in range(years)]
        return xr.concat(parts, "time")

    site = replace(year, forcing=longer(year.forcing), fluxes=longer(year.fluxes))
    values = PARAMETERS.from_unit(np.random.default_rng(0).random((sets, len(PARAMETERS))))
    even = {"Qle": np.full((engine.BATCH, len(site.time)), 1.0 / len(site.time))}
    model = Matsiro(newton_steps=steps)
    begin = time.perf_counter()
    for block in blocks(sets, values.T):
        model.vjp(site, block.T, ("Qle",))[1](even)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return time.perf_counter() - begin, peak / 2**20


if __name__ == "__main__":
    main()
