"""Whether the column closes its budgets and stays physical with any parameters: a table.

Usage: python scripts/land_model_trials.py [--sites DIR] [--sets 200] [--days 60] [--out FILE.md]

Runs every kind of hard weather (`mdpl.lsm.hard_weather`) and every tower's whole record with
jointly drawn parameter sets, and writes the farthest of every step to docs/land_model_trials.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from markers import filled

from mdpl.lsm.hard_weather import HARD, record
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.sites.catalogue import open_sites
from mdpl.sites.site import Site

PAGE = Path(__file__).parents[1] / "docs" / "land_model_trials.md"
BATCH = 32
NAMES = (
    "Qle", "Qh", "Rnet", "Qg", "EnergyResidual", "WaterResidual", "SnowHeatResidual", "VegT",
    "BaresoilT", "SoilTemp", "SoilMoist", "Unsolved",
)  # fmt: skip
HEADINGS = (
    "record", "energy, W m⁻²", "water, kg m⁻²", "snow heat, W m⁻²", "Qle, W m⁻²", "Qh, W m⁻²",
    "leaves − air, K", "ground − air, K", "soil, K", "top soil, kg m⁻²", "unsolved, %",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=Path, help="folder of PLUMBER2 pairs; default: embedded")
    parser.add_argument("--sets", type=int, default=200, help="parameter sets in each")
    parser.add_argument("--days", type=int, default=60, help="length of each hard record")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to fill")
    chosen = parser.parse_args()
    hard = [record(code, chosen.days) for code in HARD]
    parts = []
    for sites in (hard, open_sites(chosen.sites)):
        rows = [_line(HEADINGS), _line(["---", *["---:"] * (len(HEADINGS) - 1)])]
        for site in sites:
            rows.append(_line([site.code, *farthest(site, chosen.sets)]))
            print(rows[-1], flush=True)
        parts.append("\n".join(rows))
    page = chosen.out.read_text(encoding="utf-8")
    for name, table in zip(("weather", "towers"), parts, strict=True):
        page = filled(page, table, name)
    chosen.out.write_text(page, encoding="utf-8")


def farthest(site: Site, sets: int) -> list[str]:
    """The farthest that any parameter set gets at any step, in the order of `HEADINGS`."""
    model = Matsiro(default_cycles=1, member_cycles=0)
    values = PARAMETERS.from_unit(np.random.default_rng(5).random((sets, len(PARAMETERS))))
    spans, unsolved = [], 0.0
    for first in range(0, sets, BATCH):
        run = model.simulate(site, values[first : first + BATCH], NAMES)
        spans.append(_spans(run, site.forcing["Tair"].values))
        unsolved += float(run["Unsolved"].mean()) * run.sizes["member"]
    low, high = (np.array(edge) for edge in zip(*(s.T for s in spans), strict=True))
    least, most = low.min(axis=0), high.max(axis=0)
    residuals = np.maximum(-least, most)[:4]
    return [
        *(f"{r:.0e}" if r else "0" for r in (residuals[:2].max(), *residuals[2:])),
        *(f"{a:z.0f} to {b:z.0f}" for a, b in zip(least[4:-1], most[4:-1], strict=True)),
        f"{least[-1]:.1f} to {most[-1]:.1f}",
        f"{100 * unsolved / sets:.2g}",
    ]


def _spans(run: xr.Dataset, air: np.ndarray) -> np.ndarray:
    """Least and most of what is looked at, (quantity, 2); residuals first."""
    looked_at = (
        run["Rnet"] - run["Qle"] - run["Qh"] - run["Qg"],
        run["EnergyResidual"], run["WaterResidual"], run["SnowHeatResidual"],
        run["Qle"], run["Qh"], run["VegT"] - air, run["BaresoilT"] - air, run["SoilTemp"],
        run["SoilMoist"].isel(layer=0),
    )  # fmt: skip
    return np.array([(float(x.min()), float(x.max())) for x in looked_at])


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |".replace("| -", "| −").replace(" to -", " to −")


if __name__ == "__main__":
    main()
