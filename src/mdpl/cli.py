"""The command line, ``mdpl``: says in words what went wrong, or where to look when it went well."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mdpl import (
    __version__,
    cli_ensemble,
    cli_experiments,
    cli_exports,
    cli_model,
    cli_sites,
    cli_surrogate,
)
from mdpl.cli_tools import complain as _complain
from mdpl.cli_tools import keep_compiled as _keep_compiled
from mdpl.cli_tools import out as _out
from mdpl.cli_tools import progress as _progress
from mdpl.cli_tools import resumable as _resumable
from mdpl.cli_tools import say as _say
from mdpl.errors import ConfigError, MdplError, RunError
from mdpl.report import processes

if TYPE_CHECKING:
    from xarray import Dataset

app = typer.Typer(
    help="Calibrate a land surface model at flux towers by learning (MdPL).",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_sites.app, name="sites")
app.add_typer(cli_model.app, name="model")
app.add_typer(cli_ensemble.app, name="ensemble")
app.add_typer(cli_surrogate.app, name="surrogate")
app.add_typer(cli_experiments.app, name="experiment")
app.add_typer(cli_exports.app, name="export")

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="configuration (YAML)")]
RunFolderArgument = Annotated[Path, typer.Argument(metavar="RUN", help="run folder")]

SHOWN = ("Qle", "Qh", "Rnet", "Qg", "GPP", "TVeg", "ESoil", "ECanop", "AvgSurfT")
"""Outputs whose means ``simulate`` prints, of those a land model has."""

SitesFolder = Annotated[
    Path | None,
    typer.Option("--sites", help="folder of PLUMBER2 pairs; without it, the towers that ship"),
]


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="show the version and stop")] = False,
) -> None:
    if version:
        _out.print(f"mdpl {__version__}")
        raise typer.Exit


@app.command()
def init(
    out: Annotated[Path, typer.Option("--out", help="configuration to write")],
    sites: SitesFolder = None,
    site: Annotated[
        list[str] | None, typer.Option("--site", help="tower code, may be repeated; default all")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            help="land model: matsiro, suews, an adapter (YAML), a Python file, or a folder of runs"
        ),
    ] = "matsiro",
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing file")] = False,
) -> None:
    """Write a commented configuration."""
    from mdpl.config import template
    from mdpl.config_model import settings_named
    from mdpl.files import write_atomic
    from mdpl.sites.catalogue import open_sites

    if out.exists() and not force:
        raise RunError(f"{out}: exists already; choose another --out, or add --force")
    found = open_sites(sites, site)
    write_atomic(out, template(sites.resolve() if sites else None, site, settings_named(model)))
    codes = ", ".join(s.code for s in found)
    _say(f"{out}: {len(found)} towers ({codes})")
    _say(f"next: mdpl check {out}")


@app.command()
def check(config: ConfigFile) -> None:
    """Say what a configuration would run, and what is wrong with its data."""
    from mdpl.check import examine
    from mdpl.config import load

    findings = examine(load(config))
    if findings.towers:
        table = Table(title=f"{len(findings.towers)} towers")
        columns = list(dict.fromkeys(k for row in findings.towers for k in row))
        for name in columns:
            table.add_column(name)
        for row in findings.towers:
            table.add_row(*(escape(str(row.get(name, ""))) for name in columns))
        _out.print(table)
    for note in findings.notes:
        _say(f"note: {note}")
    if findings.problems:
        raise MdplError("\n".join(findings.problems))
    _say(
        f"would run at most {findings.lsm_runs:,} land-model simulations and train "
        f"{findings.models} models"
    )


@app.command()
def run(
    config: ConfigFile,
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="run folder")],
    redo: Annotated[
        bool,
        typer.Option(
            "--redo",
            help="throw away runs of the ensemble, and experiments, that depend on what changed",
        ),
    ] = False,
) -> None:
    """Do everything: ensemble, surrogate, generator, land model again, scores, report.

    Given again, it goes on where it stopped; with a changed configuration or changed data, it
    redoes what depends on the change.
    """
    from mdpl import pipeline
    from mdpl.config import load

    with _resumable():
        _finish(pipeline.run(load(config), out, _progress(), redo=redo))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="RUN", help="run folder")] = Path(
        "mdpl-demo"
    ),
) -> None:
    """Recover hidden parameters of virtual towers, then calibrate at two real ones."""
    from mdpl.experiments.demo import demo as make

    with _resumable():
        _finish(make(out, _progress()))


@app.command()
def calibrate(folder: RunFolderArgument) -> None:
    """Train the parameter generator through the surrogate."""
    _stage("calibrate", folder)


@app.command()
def refine(folder: RunFolderArgument) -> None:
    """Run the land model at the learnt parameters, and learn again where it disagrees."""
    _stage("refine", folder)


@app.command()
def evaluate(folder: RunFolderArgument) -> None:
    """Run the land model with the learnt parameters, and score it."""
    _stage("evaluate", folder)


@app.command()
def report(folder: RunFolderArgument) -> None:
    """Write the report of a run."""
    _stage("report", folder)
    _finish(folder / "report.html")


@app.command()
def rivals(
    folder: RunFolderArgument,
    method: Annotated[
        str, typer.Option("--method", help="direct, sce-ua, cma-es or es-mda (ES-MDA)")
    ],
    site: Annotated[
        list[str] | None, typer.Option("--site", help="tower code, may be repeated; default all")
    ] = None,
    lsm_runs: Annotated[
        int | None, typer.Option("--lsm-runs", min=1, help="land-model runs a tower may cost")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="seed of the search")] = 0,
) -> None:
    """Calibrate the towers of a finished run in another way, one by one, and compare.

    Given again, it goes on where it stopped.
    """
    from mdpl.experiments import rivals_table
    from mdpl.experiments.rivals import calibrate

    with _resumable():
        calibrate(folder, method, _progress(), codes=site, lsm_runs=lsm_runs, seed=seed)
    table, towers = rivals_table.summary(rivals_table.keep(folder))
    shown = Table(title=f"validation at {len(towers)} towers: {', '.join(towers)}")
    for heading in ("method", "LSM runs a tower", "seconds a tower", "objective"):
        shown.add_column(heading)
    fluxes = [flux for flux in rivals_table.FLUXES if flux in table]
    for flux in fluxes:
        shown.add_column(f"RMSE {flux}, W m-2")
    for name, row in table.iterrows():
        cells = [f"{row['lsm_runs']:,.0f}", f"{row['seconds']:,.0f}", f"{row['objective']:.4f}"]
        shown.add_row(str(name), *cells, *(f"{row[flux]:.2f}" for flux in fluxes))
    _out.print(shown)
    _stage("report", folder)
    _finish(folder / "report.html")


@app.command()
def simulate(
    code: Annotated[str, typer.Argument(metavar="SITE", help="tower code")],
    out: Annotated[Path, typer.Option("--out", help="NetCDF file to write")],
    sites: SitesFolder = None,
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="land model, as for 'mdpl model check'")
    ] = "matsiro",
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="a parameter, may be repeated"),
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(
            help="CSV with columns parameter and value (and site), such as parameters.csv"
        ),
    ] = None,
    from_state: Annotated[
        Path | None, typer.Option(help="start from a saved state instead of a spin-up")
    ] = None,
    save_state: Annotated[
        Path | None, typer.Option(help="save the state at the end of the run (NetCDF)")
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="draw the run into this folder, as PNG and SVG"),
    ] = None,
) -> None:
    """Run a land model once at one tower."""
    from mdpl.lsm.opening import named
    from mdpl.simulation import assignments, from_table, simulate_to_file

    if plots and model != "matsiro":
        raise ConfigError(f"--plots draws runs of matsiro only, not of {model}; leave it out")
    values = from_table(parameters, code) if parameters else {}
    values |= assignments(assign or [])
    _keep_compiled()
    with _out.status(f"{code}: spin-up and run"):
        dataset = simulate_to_file(
            code, sites, values, out, model=named(model), start=from_state, end=save_state
        )
    table = Table(title=f"{code}: means over {dataset.sizes['time']:,} steps")
    for heading in ("variable", "mean", "unit", ""):
        table.add_column(heading)
    for name in [n for n in SHOWN if n in dataset] or list(map(str, dataset.data_vars)):
        about = dataset[name].attrs
        mean = f"{float(dataset[name].mean()):.4g}"
        table.add_row(name, mean, about.get("units", ""), about.get("long_name", ""))
    _out.print(table)
    _say(str(out))
    if plots:
        _draw_land(dataset, code, sites, plots)


def main() -> None:
    """Entry point: a user's mistake ends in one message and exit code 1."""
    processes.allow()
    try:
        app()
    except MdplError as error:
        if os.environ.get("MDPL_DEBUG"):
            raise
        _complain(f"error: {error}")
        sys.exit(1)


def _stage(name: str, folder: Path) -> None:
    from mdpl import pipeline

    with _resumable():
        pipeline.run_stage(name, folder, _progress())


def _draw_land(dataset: Dataset, code: str, sites: Path | None, folder: Path) -> None:
    from mdpl.report.land_figures import draw
    from mdpl.sites.catalogue import open_sites

    for path in draw(dataset, open_sites(sites, [code])[0], folder):
        if path.suffix == ".png":
            _say(str(path))


def _finish(page: Path) -> None:
    _say("report:")
    _say(str(page))
