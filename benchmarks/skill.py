"""Skill of the column with its default parameters beside published runs of other land models.

Usage: python benchmarks/skill.py --sites DIR [--published FILE_metrics.csv ...] [--site CODE ...]
       [--set NAME=VALUE ...] [--out table.csv]

Every tower's full record at its own time step, raw fluxes, measured steps only (qc = 0). A
published file has columns site, period, variable, n, bias, rmse, r, nme, std_obs and std_mod of
one model (its name is the file's) over the same kind of steps. Where its record is not the
tower's own (other years, or other steps) the comparison is indicative, and marked so.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.evaluation.metrics import METRICS
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.simulation import assignments
from mdpl.sites.catalogue import open_sites
from mdpl.sites.qc import measured
from mdpl.sites.site import UNITS, Site

FLUXES = ("Qle", "Qh", "GPP", "NEE")
MEASURES = {"rmse": "RMSE", "bias": "bias", "r": "r", "nme": "NME", "sd": "SD of the model"}
OURS, OBSERVED, THEIRS = "ours", "observed", "others' record"
PUBLISHED = ("site", "period", "variable", "n", "bias", "rmse", "r", "nme", "std_mod")
SAME_STEPS = 1e-3
"""Records of one period are the same if their numbers of steps differ by less than this share."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=Path, help="folder of PLUMBER2 pairs; default: embedded")
    parser.add_argument("--site", action="append", help="tower code, may be repeated; default all")
    parser.add_argument("--published", type=Path, nargs="+", default=[], metavar="FILE.csv")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--out", type=Path, help="CSV with a row for each tower, flux and model")
    chosen = parser.parse_args()
    sites = open_sites(chosen.sites, chosen.site)
    runs = simulate(sites, assignments(chosen.set))
    own = pd.DataFrame([row for pair in zip(sites, runs, strict=True) for row in rows(*pair)])
    table = beside(own, {path: published(path) for path in chosen.published})
    if chosen.set:
        print(f"ours: defaults but {', '.join(chosen.set)}\n")
    for flux in FLUXES:
        if flux in set(table["flux"]):
            print(text(table[table["flux"] == flux], flux))
    if chosen.out:
        table.to_csv(chosen.out, index=False)


def simulate(sites: Sequence[Site], values: Mapping[str, float]) -> list[xr.Dataset]:
    """Run all towers with their defaults but for the given parameters."""
    model = Matsiro()
    given = np.array(list(values.values()), dtype=float)
    full = [model.parameters.complete(tuple(values), given, site.attributes) for site in sites]
    outputs = [flux for flux in FLUXES if flux in model.outputs]
    return model.simulate_each(sites, full, outputs)


def rows(site: Site, run: xr.Dataset) -> list[dict]:
    """Scores of a run: a row for each flux that both it and the tower have."""
    found = []
    for flux in FLUXES:
        if flux not in run or flux not in site.fluxes or measured(site, flux).sum() < 2:
            continue
        keep = measured(site, flux)
        m, o = run[flux].values[keep], site.fluxes[flux].values[keep]
        scores = {name: METRICS[name](m, o) for name in ("rmse", "bias", "r", "nme")}
        about = {"site": site.code, "igbp": site.pft, "period": years(site.time), "flux": flux}
        spread = {"sd": float(np.std(m)), "sd_observed": float(np.std(o)), "n": int(keep.sum())}
        found.append({**about, "model": OURS, **scores, **spread, "same_record": True})
    return found


def years(time: np.ndarray) -> str:
    """First and last year of a record, as ``2008-2009``."""
    return "-".join(str(time[i].astype("datetime64[Y]")) for i in (0, -1))


def published(path: Path) -> pd.DataFrame:
    """Scores of another model, with our names of columns."""
    table = pd.read_csv(path)
    if missing := set(PUBLISHED) - set(table.columns):
        raise SystemExit(f"{path}: expected columns {', '.join(PUBLISHED)}; lacks {missing}")
    table = table.rename(columns={"variable": "flux", "std_mod": "sd", "std_obs": "sd_observed"})
    return table[table["n"] > 0].assign(model=path.stem.removesuffix("_metrics"))


def beside(own: pd.DataFrame, others: Mapping[Path, pd.DataFrame]) -> pd.DataFrame:
    """Our rows, and below them those of other models at the same towers and fluxes."""
    parts = [own]
    for other in others.values():
        here = own[["site", "flux", "igbp", "period", "n"]]
        both = other.merge(here, on=["site", "flux"], suffixes=("", "_own"))
        same = (both["period"] == both["period_own"]) & (
            (both["n"] - both["n_own"]).abs() <= SAME_STEPS * both["n_own"]
        )
        parts.append(both.assign(same_record=same)[own.columns])
    return pd.concat(parts, ignore_index=True)


def text(table: pd.DataFrame, flux: str) -> str:
    """The table of one flux: a block a measure, a line a tower, a column a model."""
    models = list(dict.fromkeys(table["model"]))
    about = table[table["model"] == OURS].set_index("site")
    indexed = table.set_index(["site", "model"])
    records = {site: record(indexed, site, models) for site in about.index}
    lines = [f"{flux} ({UNITS[flux]}), raw, qc = 0, full record"]
    for measure, label in MEASURES.items():
        wide = table.pivot(index="site", columns="model", values=measure)[models]
        if measure == "sd":
            wide = wide.assign(**{OBSERVED: about["sd_observed"]})
        digits = 3 if measure in ("r", "nme") else 2
        heads = [f"{name:>{max(9, len(name))}}" for name in wide.columns]
        lines.append(f"\n  {label:<20}{'n':>8}  {THEIRS:<14}" + "  ".join(heads))
        for site in wide.index:
            named = f"{site} {about['igbp'][site]}"
            start = f"  {named:<20}{about['n'][site]:>8,}  {records[site]:<14}"
            lines.append(start + _cells(wide.loc[site], heads, digits))
        lines += [
            f"  {name:<44}" + _cells(values, heads, digits)
            for name, values in summaries(wide, records).items()
        ]
    return "\n".join(lines) + "\n"


def record(indexed: pd.DataFrame, site: str, models: Sequence[str]) -> str:
    """Whether the other models ran the record we ran."""
    there = [
        bool(indexed.loc[(site, m), "same_record"])
        for m in models[1:]
        if (site, m) in indexed.index
    ]
    return "none" if not there else "same" if all(there) else "other years"


def summaries(wide: pd.DataFrame, records: Mapping[str, str]) -> dict[str, pd.Series]:
    """Medians and means over all towers, over those every model has, and over same records.

    A model that lacks one of the towers has none over all.
    """
    common = wide.dropna()
    same = common[[records[site] == "same" for site in common.index]]
    found = {}
    for name, rows_ in (("all", wide), ("in common", common), ("same record", same)):
        if len(rows_) and not (name == "in common" and len(common) == len(wide)):
            found[f"median, {name} ({len(rows_)})"] = rows_.median(skipna=False)
            found[f"mean, {name} ({len(rows_)})"] = rows_.mean(skipna=False)
    return found


def _cells(values: pd.Series, heads: Sequence[str], digits: int) -> str:
    cells = ("-" if np.isnan(value) else f"{value:.{digits}f}" for value in values)
    return "  ".join(f"{cell:>{len(head)}}" for cell, head in zip(cells, heads, strict=True))


if __name__ == "__main__":
    main()
