"""Other ways of calibrating beside the run: what they reach, at which cost, how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mdpl.errors import RunError
from mdpl.files import read_table
from mdpl.report.cells import Row, Table, csv_uri, num, text, whole
from mdpl.report.contents import NUMBERS, REFERENCE, Contents
from mdpl.report.style import (
    FAINT,
    INK,
    LEARNT,
    WIDTH,
    Plot,
    count,
    flux_colour,
    flux_label,
    handle,
)

MDPL = "mdpl"
NAMES = {MDPL: "MdPL", "direct": "direct", "sce-ua": "SCE-UA", "cma-es": "CMA-ES",
         "es-mda": "ES-MDA"}  # fmt: skip
COLOURS = {"direct": "#332288", "sce-ua": "#b9892f", "cma-es": "#cc6677", "es-mda": "#882255"}


@dataclass(frozen=True)
class Rivals:
    """What was calibrated in other ways.

    Attributes:
        methods: site, method, flux, rmse, lsm_runs, seconds, objective; over `towers` alone.
        history: site, method, lsm_runs, objective (the least so far), of the same towers.
        coverage: of the intervals of ES-MDA, at every tower that has them; may be empty.
        towers: those that every method was given.
    """

    methods: pd.DataFrame
    history: pd.DataFrame
    coverage: pd.DataFrame
    towers: tuple[str, ...]


def read(folder: Path) -> Rivals | None:
    """Rivals of a run folder; None if there are none, or no tower that all were given.

    Raises:
        RunError: a table is absent, or lacks a tower.
        DamageError: one is unreadable, or has text for a number.
    """

    def table(path: Path, method: str = "...") -> pd.DataFrame:
        return read_table(path, again=f"mdpl rivals --method {method}", numbers=NUMBERS)

    place = folder / "rivals"
    if not (place / "methods.csv").is_file():
        return None
    methods = table(place / "methods.csv")
    each = [set(rows["site"]) for _, rows in methods.groupby("method")]
    towers = tuple(sorted(set.intersection(*each)))
    if not towers:
        return None
    rivals = [m for m in dict.fromkeys(methods["method"]) if m not in (REFERENCE, MDPL)]
    history = []
    for method in rivals:
        path = place / method / "history.csv"
        history.append(table(path, method).assign(method=method))
        if lacking := sorted(set(towers) - set(history[-1]["site"])):
            again = f"give 'mdpl rivals {folder} --method {method}' again"
            raise RunError(f"{path}: nothing of {', '.join(lacking)}; {again}")
    covered = place / "es-mda/coverage.csv"
    return Rivals(
        methods[methods["site"].isin(towers)],
        pd.concat(history).query("site in @towers"),
        table(covered, "es-mda") if "es-mda" in rivals else pd.DataFrame(),
        towers,
    )


def plots(contents: Contents) -> list[Plot | None]:
    """The figure of the rivals, if there are any."""
    found = read(contents.folder)
    return [] if found is None else [cost_and_gain(contents, found)]


def cost_and_gain(contents: Contents, found: Rivals) -> Plot:
    """The misfit reached by number of land-model runs, and the gain in validation."""
    shown = [m for m in NAMES if m in set(found.methods["method"])]
    figure = Figure(figsize=(WIDTH, 4.1 + 0.32 * len(shown)), layout="constrained")
    top, low = figure.subplots(2, 1, height_ratios=[2.6, 0.6 + 0.32 * len(shown)])
    _search(top, found)
    _gains(low, contents, found, shown)
    handles = [handle("o", flux_colour(f), f) for f in _fluxes(contents, found)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    number = len(found.towers)
    return Plot(
        "rivals",
        figure,
        "Above: least objective so far (misfit to the calibration data and prior) over that of the "
        "default parameters, by land-model runs a tower; median of towers. MdPL's runs are its "
        "ensemble and rounds, shared by all its towers. Below: gain over the default in "
        "validation, dots: towers, ticks: medians. Land-model runs, towers' own step, "
        f"{contents.basis}; {count(number, 'towers')}.",
        "Misfit by land-model runs, and validation gains, of ways to calibrate",
    )


def _search(axes: Axes, found: Rivals) -> None:
    first = found.methods.drop_duplicates(["site", "method"]).set_index(["method", "site"])
    usual = first.loc[REFERENCE]["objective"]
    for method, rows in found.history.groupby("method"):
        runs = np.unique(rows["lsm_runs"])
        ratio = [
            (own.set_index("lsm_runs")["objective"].reindex(runs).ffill() / usual[code]).to_numpy()
            for code, own in rows.groupby("site")
        ]
        complete = np.isfinite(ratio).all(axis=0)
        axes.step(
            runs[complete],
            np.median(np.array(ratio)[:, complete], axis=0),
            where="post",
            color=COLOURS[str(method)],
            label=NAMES[str(method)],
        )
    own = first.loc[MDPL]
    axes.plot(
        own["lsm_runs"].median(),
        (own["objective"] / usual).median(),
        "D",
        ms=7,
        color=LEARNT,
        mec="white",
        label=NAMES[MDPL],
    )
    axes.axhline(1, color=FAINT, lw=0.9, ls=(0, (4, 3)))
    axes.set_xscale("log")
    axes.set(xlabel="land-model runs a tower", ylabel="objective / default's")
    axes.legend(loc="upper right")


def _gains(axes: Axes, contents: Contents, found: Rivals, shown: list[str]) -> None:
    wide = found.methods.pivot_table(index="site", columns=["flux", "method"], values="rmse")
    fluxes = _fluxes(contents, found)
    for row, method in enumerate(shown):
        for k, flux in enumerate(fluxes):
            gain = 100 * (1 - wide[flux, method] / wide[flux, REFERENCE])
            at = row + 0.3 * (k - (len(fluxes) - 1) / 2)
            colour = flux_colour(flux)
            axes.plot(gain, np.full(len(gain), at), "o", ms=3.5, color=colour, alpha=0.6)
            axes.plot(gain.median(), at, "|", ms=11, mew=2.2, color=colour)
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_yticks(range(len(shown)), [NAMES[m] for m in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel("dRMSE (%), positive = error reduced")


def _fluxes(contents: Contents, found: Rivals) -> list[str]:
    """Fluxes learnt from that any of the towers measures."""
    return [f for f in contents.targeted if f in set(found.methods["flux"])]


def tables(contents: Contents) -> list[Table]:
    """Methods side by side, and the coverage of the smoother's intervals."""
    found = read(contents.folder)
    if found is None:
        return []
    return [_methods(contents, found), *([_coverage(found)] if len(found.coverage) else [])]


def _methods(contents: Contents, found: Rivals) -> Table:
    fluxes = _fluxes(contents, found)
    errors = found.methods.pivot_table(index=["method", "site"], columns="flux", values="rmse")
    first = found.methods.drop_duplicates(["method", "site"]).groupby("method")
    rows = [
        Row(
            (
                text({REFERENCE: "default", **NAMES}[method], "key"),
                whole(len(found.towers)),
                whole(first["lsm_runs"].mean()[method]),
                num(first["seconds"].mean()[method] / 60.0, 2),
                num(first["objective"].median()[method]),
                *(num(errors.loc[method][f].median()) for f in fluxes),
            )
        )
        for method in (REFERENCE, *NAMES)
        if method in errors.index.get_level_values(0)
    ]
    heads = ("Method", "Towers", "LSM runs a tower", "Minutes a tower", "Objective")
    caption = (
        "Ways to calibrate, medians over the towers all were given: objective, and RMSE in "
        "validation, native resolution"
    )
    more = tuple(f"RMSE {flux_label(f)}" for f in fluxes)
    return Table("rivals", caption, heads + more, tuple(rows), csv_uri(found.methods))


def _coverage(found: Rivals) -> Table:
    rows = [
        Row(
            (
                text(str(flux), "key"),
                text(str(period)),
                whole(own["site"].nunique()),
                whole(own["days"].sum()),
                num(100 * own["coverage"].median()),
                num(100 * own["coverage"].min()),
                num(100 * own["coverage"].max()),
                num(own["width"].median()),
            )
        )
        for (flux, period), own in found.coverage.groupby(["flux", "period"], sort=False)
    ]
    level = 100 * found.coverage["level"].iloc[0]
    heads = ("Flux", "Period", "Towers", "Days", "Covered %, median", "least", "most", "Width")
    caption = (
        f"Measured daily means inside the {level:.0f} % interval of ES-MDA, observation error and "
        "the land model's own error included; width in the flux's unit, median over towers"
    )
    return Table("coverage", caption, heads, tuple(rows), csv_uri(found.coverage))
