"""Figures and tables of E1's seeds and of experiment A's parameter sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mdpl.report.cells import Row, Table, csv_uri, num, percent, text, whole
from mdpl.report.contents import Contents, experiment_tables
from mdpl.report.style import (
    FAINT,
    INK,
    LEARNT,
    WIDTH,
    Plot,
    count,
    flux_label,
    long_name,
    pft_colours,
    pft_handles,
    sentence,
)
from mdpl.report.tables import FIDELITY

FILES = {"calibrate": ("gains", "spread", "towers"), "fidelity": ("fidelity", "sets")}
"""Experiment -> its tables, in ``experiments/<name>/``."""

Tables = Mapping[str, pd.DataFrame]


def read(folder: Path) -> dict[str, Tables]:
    """The experiments of a run folder that were made.

    Raises:
        RunError: a table is unreadable or absent.
    """
    made = {name: experiment_tables(folder, name, files) for name, files in FILES.items()}
    return {name: found for name, found in made.items() if found is not None}


def plots(contents: Contents, name: str, found: Tables) -> list[Plot | None]:
    """Figures of an experiment."""
    if name == "calibrate":
        return [seeds(contents, found, flux) for flux in contents.targeted]
    return [unseen_sets(contents, found, flux) for flux in contents.targeted]


def tables(name: str, found: Tables) -> list[Table]:
    """Tables of an experiment."""
    if name == "calibrate":
        return [seed_spread(found), seed_towers(found)]
    return [unseen_towers(found)]


def seeds(contents: Contents, found: Tables, flux: str) -> Plot | None:
    """dRMSE of every tower with every seed."""
    gains = found["gains"].query(
        "flux == @flux and period == 'validation' and resolution == 'native'"
    )
    wide = 100 * gains.pivot(index="site", columns="seed", values="dRMSE").dropna(how="all")
    if wide.empty:
        return None
    wide = wide.loc[wide.median(axis=1).sort_values().index]
    rows = np.arange(len(wide))
    figure = Figure(figsize=(WIDTH, 1.35 + 0.26 * len(wide)), layout="constrained")
    axes = figure.add_subplot()
    axes.hlines(rows, wide.min(axis=1), wide.max(axis=1), color=LEARNT, lw=2.2, alpha=0.45)
    for seed in wide:
        axes.plot(wide[seed], rows, "o", ms=4.5, mfc=LEARNT if seed == 0 else "white", mec=LEARNT)
        axes.axvline(wide[seed].median(), color=LEARNT, lw=0.8, ls=(0, (4, 3)))
    axes.axvline(0, color=INK, lw=0.9)
    pft = contents.towers
    names = [f"{code} {pft[code].pft}" if code in pft else str(code) for code in wide.index]
    axes.set_yticks(rows, names)
    axes.grid(False, axis="y")
    axes.set(xlabel="dRMSE (%), positive = error reduced", title=sentence(long_name(flux)))
    return Plot(
        f"seeds_{flux}",
        figure,
        f"dRMSE of {long_name(flux)} with {wide.shape[1]} seeds of surrogate and generator and the "
        "same ensemble; filled: the run of this report. Dashed: median over towers of each seed. "
        f"Land-model runs, validation period, half-hourly or hourly, {contents.basis}; "
        f"{count(len(wide), 'towers')}.",
        f"Spread of dRMSE of {flux} over seeds",
    )


def seed_spread(found: Tables) -> Table:
    """Median gains and their spread over seeds."""
    rows = [
        Row(
            (
                text(r["flux"], "key"),
                text(r["resolution"]),
                whole(r["towers"]),
                whole(r["seeds"]),
                *(percent(r[c]) for c in ("mean", "least", "most")),
                num(100 * r["sd"], 2),
                percent(r["worst"]),
                whole(r["worse"]),
                num(100 * r["kge_better_least"], 3),
                num(100 * r["kge_better_most"], 3),
            )
        )
        for r in found["spread"].to_dict("records")
    ]
    heads = (
        "Flux",
        "Resolution",
        "Towers",
        "Seeds",
        "Median dRMSE",
        "least",
        "most",
        "SD (points)",
    )
    more = ("Worst tower, any seed", "Towers below −5 %, most", "KGE better % least", "most")
    caption = "Median dRMSE over towers: mean and spread over seeds, validation period"
    return Table("seeds", caption, heads + more, tuple(rows), csv_uri(found["spread"]))


def seed_towers(found: Tables) -> Table:
    """Every tower's dRMSE over seeds."""
    rows = [
        Row(
            (
                text(r["site"], "key"),
                text(r["pft"]),
                text(r["flux"]),
                whole(r["seeds"]),
                *(percent(r[c]) for c in ("mean", "least", "most")),
                num(100 * r["sd"], 2),
            )
        )
        for r in found["towers"].to_dict("records")
    ]
    heads = ("Tower", "IGBP", "Flux", "Seeds", "Mean dRMSE", "least", "most", "SD (points)")
    caption = "dRMSE by tower over seeds, native resolution, validation period"
    return Table("seed_towers", caption, heads, tuple(rows), csv_uri(found["gains"]))


def unseen_sets(contents: Contents, found: Tables, flux: str) -> Plot | None:
    """Mean and error of every parameter set, land model against surrogate."""
    own = found["sets"].query("task == @flux")
    if own.empty:
        return None
    colours = pft_colours([*contents.pfts, *own["pft"]])
    towers = own.drop_duplicates("site").sort_values("pft")
    figure = Figure(figsize=(WIDTH, 3.1 + 0.26 * len(towers)), layout="constrained")
    ratios = [2.7, 0.5 + 0.26 * len(towers)]
    top, low = figure.subplots(2, 1, height_ratios=ratios)
    for pft, part in own.groupby("pft"):
        top.plot(part["mean_lsm"], part["mean_surrogate"], "o", ms=3, color=colours[str(pft)])
    top.axline((own["mean_lsm"].mean(),) * 2, slope=1, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    top.set(xlabel=f"land model, mean {flux_label(flux)}", ylabel="surrogate")
    top.set_title(sentence(long_name(flux)))
    for row, t in enumerate(towers.to_dict("records")):
        part = own[own["site"] == t["site"]]
        ratio = part["rmse"] / part["sd_lsm"]
        low.plot(ratio, np.full(len(part), row), "|", ms=8, color=colours[t["pft"]], alpha=0.6)
        low.plot(ratio.median(), row, "D", ms=5, color=INK, mec="white")
    low.set_yticks(range(len(towers)), towers["site"] + " " + towers["pft"])
    low.set_xlim(left=0)
    low.set_ylim(-0.6, len(towers) - 0.4)
    low.grid(False, axis="y")
    low.set_xlabel("RMSE of a set / SD of its land-model run")
    shown = (
        pft_handles(towers["pft"])
        if not contents.pfts
        else [h for h in pft_handles(contents.pfts) if h.get_label() in set(towers["pft"])]
    )
    figure.legend(handles=shown, loc="outside lower center", ncols=5)
    sets = own.groupby("site").size()
    return Plot(
        f"unseen_sets_{flux}",
        figure,
        f"Surrogate against land model, {long_name(flux)}, at jointly perturbed parameter sets "
        "nobody trained on. Above: means over the record; below: a tick a set, diamond: median. "
        f"Half-hourly or hourly, whole record, every step; n = {sets.min()} to {sets.max()} sets "
        f"at each of {len(towers)} towers.",
        f"Surrogate against land model at unseen parameters, {flux}",
    )


def unseen_towers(found: Tables) -> Table:
    """Fidelity by tower."""
    table = found["fidelity"]
    wide = table.pivot(index=["site", "pft", "task"], columns="metric", values="value")
    rows = [
        Row(
            (
                text(r["site"], "key"),
                text(r["pft"]),
                text(r["task"]),
                *(num(r[m]) for m in FIDELITY),
            )
        )
        for r in wide.reset_index().to_dict("records")
    ]
    heads = ("Tower", "PFT", "Flux", *FIDELITY.values())
    caption = "Surrogate against land model at parameter sets nobody trained on, one tower a PFT"
    return Table("unseen_sets", caption, heads, tuple(rows), csv_uri(found["sets"]))
