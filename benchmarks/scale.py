"""How ensembles grow: overhead of a task, of dask beside threads, and cost by towers and members.

Usage: python benchmarks/scale.py tasks [--count 10000] [--milliseconds 10]
       python benchmarks/scale.py column [--days 60] [--towers 4 8 16] [--members 32 64]
           [--through threads local] [--figure FILE.svg]

``tasks`` runs a model that only waits, through threads and through a local dask cluster, and says
what a task costs beyond its own time, and how the memory of this process grows. ``column`` runs
the built-in column at virtual towers and says how its cost follows towers and members; the figure
has seconds against column-years, with a straight line through nought.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from mdpl.config import ClusterConfig
from mdpl.ensemble.run import Plan, run_ensemble
from mdpl.ensemble.store import EnsembleStore
from mdpl.experiments import virtual_study
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.model import Parameter, ParameterSpace
from mdpl.progress import SilentProgress
from mdpl.report.style import FAINT, INK, LEARNT, STYLE
from mdpl.sites.catalogue import open_sites
from mdpl.sites.site import Site

SPACE = ParameterSpace((Parameter("gain", "1", "multiplies the sun", 0.0, 2.0, 1.0, "none"),))


@dataclass
class Waiting:
    """A land model whose run takes a set time, as a program's would that runs elsewhere."""

    seconds: float
    parameters: ParameterSpace = SPACE
    outputs: dict = field(default_factory=lambda: {"Qle": "W m-2", "Qh": "W m-2"})

    def simulate(self, site: Site, values: np.ndarray, outputs: tuple[str, ...]) -> xr.Dataset:
        time.sleep(self.seconds * len(values))
        sun = values[:, :1] * site.forcing["SWdown"].values
        return xr.Dataset(dict.fromkeys(outputs, (("member", "time"), sun)))


def tasks(count: int, milliseconds: float) -> None:
    site = open_sites()[0].first_days(2)
    for cluster in (ClusterConfig(workers=2), ClusterConfig(kind="local", workers=2)):
        for number in (count // 10, count):
            plan = Plan(SPACE, number, "latin_hypercube", 0, ("Qle", "Qh"), batch=1)
            model = Waiting(milliseconds / 1000.0)
            before, begin = _memory(), time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                store = EnsembleStore(Path(folder) / "e.zarr")
                run_ensemble(model, [site], plan, store, SilentProgress(), cluster)
                taken = time.perf_counter() - begin
            own = number * milliseconds / 1000.0 / 2
            print(
                f"{cluster.kind}: {number} tasks of {milliseconds:g} ms on two workers: "
                f"{taken:.1f} s, {1000 * (taken - own) / number:.2f} ms a task beyond its own "
                f"time; memory of this process grew by {_memory() - before:.0f} MB"
            )


class Measured(NamedTuple):
    """One ensemble of the column."""

    through: str
    towers: int
    members: int
    seconds: float


def column(days: int, towers: list[int], members: list[int], through: list[str]) -> list[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        study = virtual_study.Study(trained=max(towers), unseen=0, days=days)
        virtual_study.make(Path(folder), study, SilentProgress())
        sites = open_sites(Path(folder) / "towers")
    model = Matsiro(default_cycles=1, member_cycles=0)
    model.prepare(sites)
    space = model.parameters.subset(model.recommended)
    found = []
    clusters = [ClusterConfig(kind=kind, workers=2) for kind in through]
    model.simulate(sites[0], None, ("Qle",))  # compiles
    for number in towers:
        for size in members:
            plan = Plan(space, size, "sobol", 0, ("Qle", "Qh", "GPP"))
            for cluster in clusters:
                with tempfile.TemporaryDirectory() as folder:
                    store = EnsembleStore(Path(folder) / "e.zarr")
                    begin = time.perf_counter()
                    run_ensemble(model, sites[:number], plan, store, SilentProgress(), cluster)
                    taken = time.perf_counter() - begin
                found.append(Measured(cluster.kind, number, size, taken))
                speed = number * size * len(sites[0].time) / taken
                print(
                    f"{cluster.kind}: {number} towers x {size} members x {days} days: "
                    f"{taken:.1f} s, {speed:,.0f} column-steps a second, peak memory "
                    f"{_memory():.0f} MB",
                    flush=True,
                )
    return found


def draw(found: list[Measured], days: int, path: Path) -> None:
    """Seconds against column-years, by towers."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        years = np.array([m.towers * m.members * days / 365 for m in found])
        seconds = np.array([m.seconds for m in found])
        rate = float((years @ seconds) / (years @ years))
        ends = np.array([0.0, years.max()])
        axes.plot(ends, rate * ends, color=FAINT, lw=0.9, ls=(0, (4, 3)), label="in proportion")
        for through, marker in (("threads", "o"), ("local", "D")):
            for number, face in zip(
                sorted({m.towers for m in found}), ("white", LEARNT, INK), strict=False
            ):
                here = [m.through == through and m.towers == number for m in found]
                if any(here):
                    axes.plot(
                        years[here], seconds[here], marker, mfc=face, mec=LEARNT,
                        label=f"{number} towers, {'dask' if through == 'local' else through}",
                    )  # fmt: skip
        axes.set(xlabel="column-years (towers × members × years)", ylabel="seconds, two cores")
        axes.set(xlim=(0, None), ylim=(0, None))
        axes.legend(frameon=False)
        figure.savefig(path)


def _memory() -> float:
    """Highest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_subparsers(dest="what", required=True)
    waiting = what.add_parser("tasks")
    waiting.add_argument("--count", type=int, default=10_000)
    waiting.add_argument("--milliseconds", type=float, default=10.0)
    land = what.add_parser("column")
    land.add_argument("--days", type=int, default=60)
    land.add_argument("--towers", type=int, nargs="+", default=[4, 8, 16])
    land.add_argument("--members", type=int, nargs="+", default=[32, 64])
    land.add_argument("--through", nargs="+", default=["threads", "local"])
    land.add_argument("--figure", type=Path)
    chosen = parser.parse_args()
    if chosen.what == "tasks":
        tasks(chosen.count, chosen.milliseconds)
    else:
        found = column(chosen.days, chosen.towers, chosen.members, chosen.through)
        if chosen.figure:
            draw(found, chosen.days, chosen.figure)


if __name__ == "__main__":
    main()
