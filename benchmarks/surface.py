"""The surface by Newton steps and by relaxed passes, against the solution (decision 6).

Usage: python benchmarks/surface.py [--columns 128]

A summer month and one under snow of a tower, random parameter sets, with the wind as measured and
at 1 m/s. Every scheme runs the whole month on its own; told is how far its fluxes are from those
of 200 Newton steps at most.
"""

from __future__ import annotations

import argparse

import jax
import numpy as np
from column import SEASONS, blocks, columns

from mdpl.lsm.matsiro import engine, search

SCHEMES = (("1 pass", 0, 1), ("3 passes", 0, 3), ("5 passes", 0, 5), ("8 passes", 0, 8),
           ("Newton, 20 steps", 20, 5), ("Newton, 200 steps", 200, 5))  # fmt: skip
"""Name, Newton steps at most, relaxed passes after them; the last is the reference."""

FLUXES = ("Qh", "Qle", "GPP")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--columns", type=int, default=128)
    number = parser.parse_args().columns
    cases = [(season, wind) for season in SEASONS for wind in ("as measured", "1 m/s")]
    found: dict[tuple[str, tuple[str, str]], dict[str, np.ndarray]] = {}
    for scheme, most, passes in SCHEMES:
        search.PASSES = passes
        engine.compiled.cache_clear()
        jax.clear_caches()
        for case in cases:
            found[scheme, case] = run(number, *case, most)
        print(f"{scheme}: run", flush=True)
    print("| case | scheme | RMS Qh, Qle (W m-2), GPP | beyond 1 W m-2 | worst Qh | unsolved |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for case in cases:
        truth = found[SCHEMES[-1][0], case]
        for scheme, _, _ in SCHEMES:
            print(row(scheme, case, found[scheme, case], truth))


def run(number: int, season: str, wind: str, most: int) -> dict[str, np.ndarray]:
    """Fluxes of a month, (column, time)."""
    column, state, record = columns(number, *SEASONS[season])
    if wind != "as measured":
        record = record._replace(Wind=np.full_like(record.Wind, 1.0))
    parts = [
        engine.run(c, s, record, np.array([1800.0]), (*FLUXES, "Unsolved"), most)[1]
        for c, s in blocks(number, (column, state))
    ]
    return {name: np.concatenate([p[name] for p in parts]) for name in (*FLUXES, "Unsolved")}


def row(
    scheme: str, case: tuple[str, str], got: dict[str, np.ndarray], truth: dict[str, np.ndarray]
) -> str:
    off = {name: got[name] - truth[name] for name in FLUXES}
    rms = ", ".join(f"{np.sqrt(np.mean(off[name] ** 2)):.2g}" for name in FLUXES)
    beyond = np.mean((np.abs(off["Qh"]) > 1.0) | (np.abs(off["Qle"]) > 1.0))
    return (
        f"| {case[0]}, wind {case[1]} | {scheme} | {rms} | {beyond:.2%} | "
        f"{np.abs(off['Qh']).max():.0f} | {np.mean(got['Unsolved']):.2%} |"
    )


if __name__ == "__main__":
    main()
