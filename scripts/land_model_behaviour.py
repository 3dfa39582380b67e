"""Where the column with its default parameters errs: bias by month and by time of day.

Usage: python scripts/land_model_behaviour.py --sites DIR [--site CODE ...] [--out FILE.md]

Writes docs/land_model_behaviour.md. Only what stands between its two marker comments is
replaced; words around them are kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from markers import filled

from mdpl.lsm.matsiro.model import Matsiro
from mdpl.sites.catalogue import open_sites
from mdpl.sites.qc import measured
from mdpl.sites.site import Site

PAGE = Path(__file__).parents[1] / "docs" / "land_model_behaviour.md"
FLUXES = ("Qle", "Qh")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SEASONS = ("DJF", "MAM", "JJA", "SON")
HOURS = tuple(f"{h}–{h + 3} h" for h in range(0, 24, 3))
NOON = (10, 14)
FEW = 20
"""Means over fewer steps are not shown."""

HEAD = """# What the column does at towers without calibration

<!-- tables: begin -->
<!-- tables: end -->

## What the column does badly, and why
"""
ABOUT = f"""Bias, model minus measured, W m⁻², of latent (Qle) and sensible heat (Qh): default
parameters, the whole record at its own time step, raw fluxes, measured steps only (qc = 0). In
brackets the number of steps; a dash: fewer than {FEW}. Hours are local standard time, seasons
calendar months. At towers whose record flags filled values as measured, these count too. Fluxes
as measured do not close the energy balance: a tower's Qle + Qh is mostly less than Rnet − Qg, so
that some positive bias of their sum is the tower's.

Made by `python scripts/land_model_behaviour.py --sites FOLDER`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=Path, help="folder of PLUMBER2 pairs; default: embedded")
    parser.add_argument("--site", action="append", help="tower code, may be repeated; default all")
    parser.add_argument("--out", type=Path, default=PAGE, help="page to write")
    chosen = parser.parse_args()
    sites = open_sites(chosen.sites, chosen.site)
    runs = Matsiro().simulate_each(sites, [None] * len(sites), (*FLUXES, "Rnet", "Qg"))
    errors = {s.code: error(s, run) for s, run in zip(sites, runs, strict=True)}
    noon = energy(sites, runs)
    parts = [ABOUT, overview(sites, errors), noon, *(tower(s, errors[s.code]) for s in sites)]
    old = chosen.out.read_text(encoding="utf-8") if chosen.out.exists() else HEAD
    chosen.out.write_text(filled(old, "\n".join(parts), "tables"), encoding="utf-8")
    print(chosen.out)


def error(site: Site, run: xr.Dataset) -> pd.DataFrame:
    """Model minus measured: columns flux, value (W m-2), month, season, hours, sun (local season).

    ``sun`` is the season in the tower's hemisphere: DJF stands for winter everywhere.
    """
    moment = pd.DatetimeIndex(site.time)
    season = (moment.month.to_numpy() % 12) // 3
    southern = float(site.attributes["latitude"]) < 0
    about = {
        "month": moment.month.to_numpy() - 1,
        "season": season,
        "sun": (season + 2) % 4 if southern else season,
        "hours": moment.hour.to_numpy() // 3,
    }
    tables = []
    for flux in FLUXES:
        if flux in site.fluxes:
            value = run[flux].values - site.fluxes[flux].values
            table = pd.DataFrame({"flux": flux, "value": value, **about})
            tables.append(table[measured(site, flux)])
    return pd.concat(tables, ignore_index=True)


def tower(site: Site, table: pd.DataFrame) -> str:
    """Both tables of one tower."""
    begin, end = (str(site.time[i].astype("datetime64[D]")) for i in (0, -1))
    months = [(flux, table[table["flux"] == flux]) for flux in FLUXES]
    days = [
        (f"{flux}, {name}", table[(table["flux"] == flux) & (table["season"] == i)])
        for flux in FLUXES
        for i, name in enumerate(SEASONS)
    ]
    return "\n".join(
        [
            f"### {site.code} ({site.pft}), {begin} to {end}\n",
            *markdown("month", MONTHS, [(n, cells(t, "month", MONTHS)) for n, t in months]),
            *markdown("hours", HOURS, [(n, cells(t, "hours", HOURS)) for n, t in days if len(t)]),
        ]
    )


def overview(sites: Sequence[Site], errors: dict[str, pd.DataFrame]) -> str:
    """Median over towers of the bias by season of the tower's hemisphere and time of day."""
    names = ("winter", "spring", "summer", "autumn")
    lines = []
    for flux in FLUXES:
        for i, name in enumerate(names):
            each = pd.DataFrame(
                {
                    code: _means(t[(t["flux"] == flux) & (t["sun"] == i)])
                    for code, t in errors.items()
                }
            )
            median, towers = each.median(axis=1), each.notna().sum(axis=1)
            lines.append(
                (
                    f"{flux}, {name}",
                    [_cell(median.get(h, np.nan), towers.get(h, 0)) for h in range(len(HOURS))],
                )
            )
    title = (
        f"### Median over {len(sites)} towers\n\nSeasons of the tower's hemisphere; in brackets "
    )
    title += "the number of towers.\n"
    return "\n".join([title, *markdown("hours", HOURS, lines)])


def energy(sites: Sequence[Site], runs: Sequence[xr.Dataset]) -> str:
    """Where net radiation goes at summer noon, modelled and measured, at each tower that has it."""
    rows = [
        (f"{site.code} ({site.pft})", _shares(site, run, keep))
        for site, run in zip(sites, runs, strict=True)
        if {"Rnet", *FLUXES} <= set(site.fluxes)
        and (keep := _summer_noon(site) & _all_measured(site, ("Rnet", *FLUXES))).sum() >= FEW
    ]
    title = (
        f"### Where the energy goes at summer noon\n\nW m⁻², means from {NOON[0]} to {NOON[1]} h "
        "over steps at which all was measured (Qg over those of them at which it was, too).\n"
    )
    of = ("Rnet", "Qg", "Qle + Qh")
    names = [f"{what}, {whose}" for what in of for whose in ("model", "tower")]
    return "\n".join(
        [title, *markdown("tower", [*names, "Qle + Qh of Rnet, tower", "steps"], rows)]
    )


def _summer_noon(site: Site) -> np.ndarray:
    moment = pd.DatetimeIndex(site.time)
    summer = (12, 1, 2) if float(site.attributes["latitude"]) < 0 else (6, 7, 8)
    return np.asarray(
        moment.month.isin(summer) & (moment.hour >= NOON[0]) & (moment.hour < NOON[1])
    )


def _all_measured(site: Site, fluxes: Sequence[str]) -> np.ndarray:
    return np.logical_and.reduce([measured(site, flux) for flux in fluxes])


def _shares(site: Site, run: xr.Dataset, keep: np.ndarray) -> list[str]:
    """Cells of a tower: net radiation, ground heat and turbulent fluxes, modelled and measured."""
    buried = keep & measured(site, "Qg") if "Qg" in site.fluxes else np.zeros_like(keep)
    turbulent = [sum(d[f].values[keep].mean() for f in FLUXES) for d in (run, site.fluxes)]
    return [
        *_pair(run, site, "Rnet", keep),
        *(_pair(run, site, "Qg", buried) if buried.sum() >= FEW else ("–", "–")),
        *(f"{t:.0f}" for t in turbulent),
        f"{turbulent[1] / site.fluxes['Rnet'].values[keep].mean():.0%}",
        f"{int(keep.sum()):,}",
    ]


def _pair(run: xr.Dataset, site: Site, flux: str, keep: np.ndarray) -> tuple[str, ...]:
    return tuple(f"{data[flux].values[keep].mean():.0f}" for data in (run, site.fluxes))


def _means(table: pd.DataFrame) -> pd.Series:
    groups = table.groupby("hours")["value"]
    return groups.mean()[groups.size() >= FEW]


def cells(table: pd.DataFrame, by: str, names: Sequence[str]) -> list[str]:
    """Bias and number of steps of each class."""
    groups = table.groupby(by)["value"]
    mean, n = groups.mean(), groups.size()
    return [_cell(mean[i], n[i]) if n.get(i, 0) >= FEW else "–" for i in range(len(names))]


def _cell(value: float, n: int) -> str:
    if np.isnan(value):
        return "–"
    whole = round(value)
    return f"{whole:+d} ({n:,})".replace("-", "−") if whole else f"0 ({n:,})"


def markdown(corner: str, names: Sequence[str], rows: Sequence[tuple[str, list[str]]]) -> list[str]:
    """Lines of a table, with an empty one behind it."""
    lines = [f"| {corner} | " + " | ".join(names) + " |"]
    lines.append("| --- |" + " ---: |" * len(names))
    lines += [f"| {name} | " + " | ".join(row) + " |" for name, row in rows]
    return [*lines, ""]


if __name__ == "__main__":
    main()
