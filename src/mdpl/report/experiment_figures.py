"""Figures and tables of the experiments that learn: single task, transfer, untargeted fluxes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from mdpl.report.cells import Row, Table, csv_uri, num, percent, text, whole
from mdpl.report.contents import Contents, experiment_tables
from mdpl.report.style import (
    DEFAULT,
    FAINT,
    INK,
    LEARNT,
    WIDTH,
    WORSE,
    Plot,
    count,
    flux_colour,
    handle,
    long_name,
    place_labels,
    sentence,
    units,
)

FILES = {
    "single-task": ("scores", "gains", "paired"),
    "transfer": ("transfer", "shares", "by_pft", "verdicts"),
    "untargeted": ("gains", "front"),
}
"""Experiment -> its tables, in ``experiments/<name>/``."""

Tables = Mapping[str, pd.DataFrame]

SCOPES = {"class": ("D", "other towers of its PFT"), "across": ("o", "all other towers")}
OTHERS = "#5b6fb5"


def read(folder: Path) -> dict[str, Tables]:
    """The experiments of a run folder that were made.

    Raises:
        RunError: a table is unreadable, or one of an experiment is absent.
    """
    made = {name: experiment_tables(folder, name, files) for name, files in FILES.items()}
    return {name: found for name, found in made.items() if found is not None}


def plots(contents: Contents, name: str, tables: Tables) -> list[Plot | None]:
    """Figures of an experiment."""
    if name == "single-task":
        return [single_task(contents, tables, flux) for flux in contents.targeted]
    if name == "transfer":
        return [transfer(contents, tables), foreseen(contents, tables)]
    return [trade_off(contents, tables)]


def tables(name: str, found: Tables) -> list[Table]:
    """Tables of an experiment."""
    if name == "single-task":
        return [single_medians(found), single_paired(found)]
    if name == "transfer":
        return [transfer_pfts(found), transfer_shares(found), transfer_verdicts(found)]
    return [untargeted(found), front(found)]


def single_task(contents: Contents, found: Tables, flux: str) -> Plot | None:
    """Difference of RMSE, multi-task minus single-task, by resolution."""
    table = found["paired"].query("site == 'all' and flux == @flux").iloc[::-1]
    if table.empty:
        return None
    figure = Figure(figsize=(WIDTH, 1.1 + 0.3 * len(table)), layout="constrained")
    axes = figure.add_subplot()
    rows = np.arange(len(table))
    colours = np.where(table["high"] < 0, LEARNT, np.where(table["low"] > 0, WORSE, FAINT))
    axes.hlines(rows, table["low"], table["high"], color=colours, lw=2.4)
    axes.scatter(table["difference"], rows, s=34, c=colours, edgecolors="white", zorder=3)
    axes.axvline(0, color=INK, lw=0.9)
    names = list(table["resolution"] + " " + table["reference"].map(_model))
    axes.set_yticks(rows, names)
    axes.grid(False, axis="y")
    axes.set(
        xlabel=f"RMSE of multi-task minus single-task ({units(flux)})",
        title=sentence(long_name(flux)),
    )
    return Plot(
        f"single_task_{flux}",
        figure,
        f"Difference of RMSE of {long_name(flux)}, the land model with parameters of the "
        "multi-task model minus that with parameters of a model of one flux, mean over towers, "
        "with the 95 % interval of a paired bootstrap over towers and blocks of 10 measured days "
        "(of months at monthly resolution); left of zero multi-task is better, grey where the "
        f"interval holds zero. Validation period, {contents.basis}; "
        f"{count(table['towers'], 'towers')}.",
        f"Multi-task against single-task models for {flux}",
    )


def transfer(contents: Contents, found: Tables) -> Plot | None:
    """Gain of own and of transferred parameters at each tower left out."""
    table = found["verdicts"]
    codes = sorted(table["site"].unique(), reverse=True)
    figure = Figure(figsize=(WIDTH, 1.3 + 0.27 * len(codes)), layout="constrained")
    axes = figure.add_subplot()
    row = {code: i for i, code in enumerate(codes)}
    own = table.drop_duplicates("site")
    axes.barh(own["site"].map(row), 100 * own["own"], height=0.6, color=LEARNT, alpha=0.45)
    for scope, (marker, _) in SCOPES.items():
        part = table[table["scope"] == scope]
        for trusted, face in ((True, OTHERS), (False, "white")):
            chosen = part[part["trusted"] == trusted]
            axes.plot(
                100 * chosen["transferred"],
                chosen["site"].map(row),
                marker,
                ms=6,
                mfc=face,
                mec=OTHERS,
            )
    axes.axvline(0, color=INK, lw=0.9)
    pft = own.set_index("site")["pft"]
    axes.set_yticks(range(len(codes)), [f"{code} {pft[code]}" for code in codes])
    axes.grid(False, axis="y")
    axes.set(xlabel="dRMSE (%), mean of the fluxes learnt from")
    handles = [handle(m, OTHERS, f"from {words}") for m, words in SCOPES.values()]
    handles.append(handle("s", LEARNT, "own parameters"))
    handles.append(handle("o", OTHERS, "warned against", hollow=True))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return Plot(
        "transfer",
        figure,
        "Gain over the default parameters of each tower's own parameters (bars) and of parameters "
        "from generators that learnt from other towers (symbols; hollow where the attributes said "
        "beforehand that the tower lies outside). dRMSE, mean of the fluxes learnt from, towers' "
        f"own step, validation period, {contents.basis}; {count(len(codes), 'towers')}.",
        "Gains of own and transferred parameters by tower",
    )


def foreseen(contents: Contents, found: Tables) -> Plot | None:
    """Gain lost by transfer against the distance to the nearest tower learnt from."""
    table = found["verdicts"]
    lost = 100 * (table["transferred"] - table["own"])
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    words = []
    for scope, (marker, about) in SCOPES.items():
        for trusted, face in ((True, OTHERS), (False, "white")):
            here = (table["scope"] == scope) & (table["trusted"] == trusted)
            x, y = table.loc[here, "distance"], lost[here]
            axes.plot(x, y, marker, ms=6, mfc=face, mec=OTHERS)
        here = table["scope"] == scope
        if here.sum() > 2:
            rank = float(spearmanr(table.loc[here, "distance"], lost[here]).statistic)
            words.append(f"{rank:.2f} from {about} (n = {int(here.sum())})".replace("-", "−"))
    axes.set(
        xlabel="distance to the nearest tower learnt from (SD of attributes)",
        ylabel="gain transferred − own (% points)",
    )
    place_labels(axes, table["distance"], lost, list(table["site"]))
    said = f"Rank correlation {'; '.join(words)}. " if words else ""
    return Plot(
        "transfer_distance",
        figure,
        "What transfer loses against the tower's own parameters, by the distance of its attributes "
        "to the nearest tower learnt from, root mean square in the generator's standardised space. "
        f"Diamonds: {SCOPES['class'][1]}; circles: {SCOPES['across'][1]}; hollow: warned against. "
        f"{said}Mean dRMSE of the fluxes learnt from, validation period, {contents.basis}.",
        "Loss by transfer against attribute distance",
    )


def trade_off(contents: Contents, found: Tables) -> Plot | None:
    """Gain of GPP against gain of the heat fluxes over the grid."""
    table = found["front"]
    wide = table.pivot(index="model", columns="flux", values="gain")
    about = table.drop_duplicates("model").set_index("model").loc[wide.index]
    usual = float(table["prior"].iloc[0])
    figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    axes.axvline(0, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    for flux in contents.targeted:
        _points(axes, 100 * wide["GPP"], 100 * wide[flux], about["best"], flux_colour(flux))
    names = [
        f"GPP × {w:g}" if p == usual else f"prior {p:g}"
        for w, p in zip(about["weight"], about["prior"], strict=True)
    ]
    top = 100 * wide[contents.targeted].max(axis=1)
    place_labels(axes, 100 * wide["GPP"], top, names)
    axes.set(xlabel="GPP: median dRMSE (%)", ylabel="heat fluxes: median dRMSE (%)")
    handles = [handle("o", flux_colour(flux), flux) for flux in contents.targeted]
    handles.append(handle("o", DEFAULT, "another point is better", hollow=True))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    towers = table.groupby("flux")["towers"].max()
    return Plot(
        "trade_off",
        figure,
        "What GPP gains and the heat fluxes keep, by the weight of GPP as a further task (the heat "
        f"fluxes have weight one, the prior {usual:g}) and, without GPP, by the weight of the "
        "prior. Hollow: another point is at least as good in GPP and in the mean of the heat "
        "fluxes. Medians over towers of dRMSE against the defaults, land-model runs, towers' own "
        f"step, validation period, {contents.basis}; "
        + ", ".join(f"{flux} at {n} towers" for flux, n in towers.items())
        + ".",
        "Trade-off between GPP and the heat fluxes",
    )


def single_medians(found: Tables) -> Table:
    """Median dRMSE and KGE of every model by flux and resolution."""
    gains = found["gains"].query("period == 'validation'")
    scores = found["scores"].query("period == 'validation' and metric == 'kge'")
    by = ["flux", "resolution", "model"]
    medians = scores.groupby(by, sort=False)["value"].agg(["median", "count"])
    medians["dRMSE"] = gains.groupby(by)["dRMSE"].median()
    table = medians.reset_index().rename(columns={"median": "kge", "count": "towers"})
    rows = [
        Row(
            (
                text(r["flux"], "key"),
                text(r["resolution"]),
                text(_model(r["model"])),
                whole(r["towers"]),
                percent(r["dRMSE"]),
                num(r["kge"]),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("Flux", "Resolution", "Parameters of", "Towers", "dRMSE", "KGE")
    caption = "Multi-task and single-task models: medians over towers, validation period"
    return Table("single_task", caption, heads, tuple(rows), csv_uri(table))


def single_paired(found: Tables) -> Table:
    """Paired differences over all towers."""
    table = found["paired"].query("site == 'all'")
    rows = [
        Row(
            (
                text(r["flux"], "key"),
                text(r["resolution"]),
                text(_model(r["reference"])),
                num(r["value"]),
                num(r["reference_value"]),
                num(r["difference"]),
                num(r["low"]),
                num(r["high"]),
                whole(r["towers"]),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("Flux", "Resolution", "Against", "RMSE multi-task", "RMSE single-task")
    more = ("Difference", "95 % from", "to", "Towers")
    caption = "RMSE of multi-task minus single-task, paired bootstrap, validation period"
    return Table("single_task_paired", caption, heads + more, tuple(rows), csv_uri(found["paired"]))


def transfer_pfts(found: Tables) -> Table:
    """Own and transferred gains by PFT."""
    table = found["by_pft"]
    rows = [
        Row(
            (
                text(r["pft"], "key"),
                text(SCOPES[r["scope"]][1]),
                text(r["flux"]),
                whole(r["towers"]),
                percent(r["own"]),
                percent(r["transferred"]),
                num(r["kept"], 2),
                whole(r["worse"]),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("PFT", "Learnt from", "Flux", "Towers", "dRMSE own", "transferred", "Share kept")
    caption = "Transferred parameters by PFT: medians over towers, validation period"
    return Table(
        "transfer", caption, (*heads, "Worse than default"), tuple(rows), csv_uri(found["transfer"])
    )


def transfer_shares(found: Tables) -> Table:
    """What every way to transfer promised, and how many towers took it."""
    ways = ["scope", "kind", "share"]
    table = (
        found["shares"]
        .groupby(ways, sort=False, as_index=False)
        .agg(promised=("promised", "mean"), chosen=("chosen", "sum"), towers=("site", "size"))
    )
    rows = [
        Row(
            (
                text(SCOPES[r["scope"]][1], "key"),
                text(r["kind"]),
                num(r["share"], 2),
                num(r["promised"], 3),
                whole(r["chosen"]),
                whole(r["towers"]),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("Learnt from", "Generator", "Share of the way", "Promised RMSE over default's")
    caption = (
        "How much of what other towers taught was taken: mean over the towers left out by the "
        "surrogate, calibration period; each tower takes what promises most at the others, of "
        "which those most alike count most"
    )
    return Table(
        "transfer_shares",
        caption,
        (*heads, "Taken at", "of"),
        tuple(rows),
        csv_uri(found["shares"]),
    )


def transfer_verdicts(found: Tables) -> Table:
    """What was foreseen of every transfer, and what came of it."""
    table = found["verdicts"]
    rows = [
        Row(
            (
                text(r["site"], "key"),
                text(SCOPES[r["scope"]][1]),
                whole(r["towers"]),
                num(r["distance"], 2),
                text("" if pd.isna(r["outside"]) else r["outside"], "prose"),
                percent(r["own"]),
                percent(r["transferred"]),
                text("good" if r["good"] else "not good"),
                text("right" if r["right"] else "wrong"),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("Tower left out", "Learnt from", "Towers", "Distance", "Outside in", "dRMSE own")
    more = ("transferred", "Transfer", "Foreseen")
    caption = "What the attributes said beforehand, and whether it was right"
    return Table("transfer_verdicts", caption, heads + more, tuple(rows), csv_uri(table))


def untargeted(found: Tables) -> Table:
    """Gains of the run itself in fluxes it did not learn from, by tower."""
    table = found["gains"].query(
        "model == 'mdpl' and resolution == 'native' and period == 'validation' "
        "and flux in ('GPP', 'NEE')"
    )
    table = table.dropna(subset=["dRMSE"])
    middle = table.groupby("flux", sort=False)[["dRMSE", "dR"]].median().reset_index()
    middle = middle.assign(site="median", pft="")
    rows = [
        Row(
            (
                text(r["site"], "key"),
                text(r["pft"]),
                text(r["flux"]),
                percent(r["dRMSE"]),
                percent(r["dR"]),
            )
        )
        for r in pd.concat([middle, table]).to_dict("records")
    ]
    heads = ("Tower", "PFT", "Flux", "dRMSE", "dR")
    caption = "Carbon fluxes with the run's parameters, which did not learn from them; validation"
    return Table("untargeted", caption, heads, tuple(rows), csv_uri(table))


def front(found: Tables) -> Table:
    """Every point of the grid."""
    table = found["front"]
    rows = [
        Row(
            (
                num(r["weight"], 2, "key"),
                num(r["prior"], 2),
                text(r["flux"]),
                whole(r["towers"]),
                percent(r["gain"]),
                whole(r["worse"]),
                percent(-r["loss"]),
                text("yes" if r["best"] else ""),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("GPP weight", "Prior weight", "Flux", "Towers", "dRMSE", "Worse than default")
    more = ("Against GPP weight 0", "On the front")
    caption = "GPP as a further task, and the prior: medians over towers, validation period"
    return Table("front", caption, heads + more, tuple(rows), csv_uri(table))


def _points(axes: Axes, x: pd.Series, y: pd.Series, best: pd.Series, colour: str) -> None:
    chosen = best.to_numpy(dtype=bool)
    ends = x[chosen].sort_values().index
    axes.plot(x[ends], y[ends], "-", color=colour, lw=1, alpha=0.5)
    axes.plot(x[chosen], y[chosen], "o", ms=6, color=colour)
    axes.plot(x[~chosen], y[~chosen], "o", ms=6, mfc="white", mec=colour)


def _model(name: str) -> str:
    return f"dPL({name.removeprefix('dpl-')})" if name.startswith("dpl-") else name
