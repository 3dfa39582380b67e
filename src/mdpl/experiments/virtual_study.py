"""Virtual towers whose hidden parameters follow from their attributes: do they come back?

Every step but the truth is that of a real study: the towers are written as PLUMBER2 pairs and
calibrated by the pipeline, which is told nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.config import Config
from mdpl.ensemble.sensitivity import strength
from mdpl.ensemble.store import EnsembleStore
from mdpl.evaluation import scores as scoring
from mdpl.evaluation.periods import split
from mdpl.files import read_table, write_sealed
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.model import ParameterSpace
from mdpl.progress import Progress
from mdpl.sites.attributes import numeric
from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.site import Site
from mdpl.sites.virtual import draw_climates, observe, virtual_forcing

DRIVERS: dict[str, Callable[[float], float]] = {
    "Tair_mean": float,
    "aridity": np.log,
    "LAI_max": np.log,
}
"""Attributes the hidden parameters depend on, and on which scale; the generator is not told."""

FLUXES = ("Qle", "Qh")
"""What a virtual tower measures."""

HIDDEN = (
    "vmax", "bb_slope", "t_high", "psi_stress", "root_depth", "leaf_heat", "leaf_nir",
    "ground_albedo", "canopy_capacity", "soil_resistance", "soil_conductivity", "soil_b",
)  # fmt: skip
"""Parameters hidden and looked for: the recommended ones but those that latent and sensible heat
cannot tell from others here (``bb_intercept`` from ``bb_slope``, ``extinction`` from ``vmax``,
``leaf_drag`` from ``leaf_heat``); these keep their defaults, in the truth as in the learning."""

REACH = 0.35
"""Furthest a hidden parameter lies from its default, in the unit cube."""


CYCLES = 6
"""Spin-up cycles at most, of the truth and of whoever looks for it: fewer than usual, for speed."""


@dataclass(frozen=True)
class Study:
    """How many towers, how long, and what the generator never sees.

    Attributes:
        trained, unseen: towers to learn from, and towers kept apart to judge by.
        days: length of each record.
        seed: of climates, hidden parameters and observation errors.
    """

    trained: int = 40
    unseen: int = 16
    days: int = 120
    seed: int = 1

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(f"VT-{i:02d}" for i in range(1, self.trained + self.unseen + 1))

    @property
    def held_out(self) -> tuple[str, ...]:
        """Every third or so, so that they lie among the others."""
        places = np.linspace(1, len(self.codes) - 2, self.unseen).round().astype(int)
        return tuple(self.codes[i] for i in places)


def make(folder: Path, study: Study, progress: Progress) -> None:
    """Write the towers (``towers/``), their true fluxes (``truth/``) and ``truth.csv``.

    ``truth.csv`` (site, parameter, truth, default) comes last: where it is, all is there.
    """
    if (folder / "truth.csv").exists():
        return
    model = Matsiro(default_cycles=CYCLES)
    space = model.parameters.subset(HIDDEN)
    sites = _places(study)
    (folder / "towers").mkdir(parents=True, exist_ok=True)
    truth = space.from_unit(hidden(sites, space, study.seed))
    full = [
        model.parameters.complete(space.names, values, site.attributes)
        for site, values in zip(sites, truth, strict=True)
    ]
    rows = []
    with progress.task("virtual towers", len(sites)) as task:
        simulated = model.simulate_each(sites, full)
        for i, (site, fluxes) in enumerate(zip(sites, simulated, strict=True)):
            write_pair(observe(site, fluxes, noise_seed=study.seed + i), folder / "towers")
            _keep(fluxes[list(FLUXES)], folder / f"truth/{site.code}.nc")
            default = space.defaults(site.attributes)
            rows += [
                (site.code, name, *pair)
                for name, *pair in zip(space.names, truth[i], default, strict=True)
            ]
            task.advance(1)
    table = pd.DataFrame(rows, columns=["site", "parameter", "truth", "default"])
    write_sealed(folder / "truth.csv", table.to_csv(index=False))


def hidden(sites: Sequence[Site], space: ParameterSpace, seed: int) -> np.ndarray:
    """Hidden parameters in the unit cube, shape (site, parameter).

    Each is the class default plus ``REACH`` times the hyperbolic tangent of a random combination
    of the standardised `DRIVERS`.
    """
    drivers = np.array([[DRIVERS[name](numeric(site)[name]) for name in DRIVERS] for site in sites])
    score = (drivers - drivers.mean(axis=0)) / drivers.std(axis=0)
    weights = np.random.default_rng(seed).normal(size=(len(DRIVERS), len(space)))
    weights /= np.linalg.norm(weights, axis=0)
    default = np.array([space.to_unit(space.defaults(site.attributes)) for site in sites])
    return np.clip(default + REACH * np.tanh(score @ weights), 0.02, 0.98)


def recovery(folder: Path, config: Config) -> pd.DataFrame:
    """True, learnt and default parameters, the most sensitive parameter first.

    Returns:
        site, parameter, truth, learnt, default, role, sensitivity (see
        `mdpl.ensemble.sensitivity.strength`; mean over trained towers and fluxes).
    """
    learnt = read_table(folder / "parameters.csv")[["site", "parameter", "value"]]
    table = read_table(folder / "truth.csv").merge(learnt, on=["site", "parameter"])
    table = table.rename(columns={"value": "learnt"})
    table["role"] = np.where(table["site"].isin(config.sites.held_out), "held_out", "train")
    table["sensitivity"] = table["parameter"].map(_sensitivity(folder, config))
    columns = ["site", "parameter", "truth", "learnt", "default", "role", "sensitivity"]
    return table.sort_values("sensitivity", ascending=False, kind="stable")[columns]


def excess(folder: Path, config: Config) -> pd.DataFrame:
    """How much of the default run's excess error over the noise floor the learnt run lost.

    The floor is the score of the true simulation against the noisy observations. Towers learnt
    from are judged on their validation steps, the others on all of them.

    Returns:
        site, role, flux, default, learnt, floor (RMSE, W m-2, native step), removed.
    """
    scored = read_table(folder / "scores.csv")
    truth = pd.concat(_truth_scores(folder, config), ignore_index=True)
    every = pd.concat([scored, truth], ignore_index=True)
    chosen = every[(every["metric"] == "rmse") & (every["resolution"] == "native")]
    held = chosen["site"].isin(config.sites.held_out)
    chosen = chosen[chosen["period"] == np.where(held, "all", "validation")]
    table = chosen.pivot(index=["site", "flux"], columns="model", values="value").reset_index()
    table = table.rename(columns={"mdpl": "learnt", "truth": "floor"})
    table["role"] = np.where(table["site"].isin(config.sites.held_out), "held_out", "train")
    gap = table["default"] - table["floor"]
    table["removed"] = (table["default"] - table["learnt"]) / gap
    return table[["site", "role", "flux", "default", "learnt", "floor", "removed"]]


def _places(study: Study) -> list[Site]:
    """The towers before anything was measured: weather, vegetation, attributes."""
    bases = open_sites(None, None)
    rng = np.random.default_rng(study.seed)
    sites = []
    climates = draw_climates(len(study.codes), study.seed)
    for i, (code, climate) in enumerate(zip(study.codes, climates, strict=True)):
        base = bases[i % len(bases)]
        last = base.time.size // base.steps_per_day - study.days
        first = _season(base, study.days) + int(rng.integers(-20, 21))
        place = virtual_forcing(base, code, climate, int(np.clip(first, 0, last)), study.days)
        sites.append(replace(place, code=code))
    return sites


def _season(site: Site, days: int) -> int:
    """First day of the sunniest stretch with at least its share of the year's rain.

    A record is spun up by cycling it: without rain of its own the soil would dry out for good.
    """

    def sums(name: str) -> np.ndarray:
        whole = site.time.size // site.steps_per_day * site.steps_per_day
        daily = site.forcing[name].values[:whole].reshape(-1, site.steps_per_day).sum(axis=1)
        return np.convolve(daily, np.ones(days), mode="valid") / daily.sum() * daily.size / days

    sun, rain = sums("SWdown"), sums("Precip")
    return int(np.argmax(np.where(rain >= 1, sun, -np.inf)))


def true_fluxes(folder: Path, code: str) -> xr.Dataset:
    """What a virtual tower would have measured without noise and gaps."""
    with xr.open_dataset(folder / f"truth/{code}.nc") as file:
        return file.load()


def _truth_scores(folder: Path, config: Config) -> list[pd.DataFrame]:
    return [
        scoring.score(
            site,
            "truth",
            true_fluxes(folder, site.code),
            FLUXES,
            config.sites.flux,
            split(site.time),
        )
        for site in open_sites(config.sites.folder, None)
    ]


def _sensitivity(folder: Path, config: Config) -> pd.Series:
    store = EnsembleStore(folder / "ensemble.zarr")
    found = []
    for site in open_sites(config.sites.folder, None):
        if site.code in config.sites.held_out:
            continue
        runs = store.site(site.code)
        unit = runs.unit[runs.usable]
        found += [strength(unit, runs.read(flux, runs.usable)) for flux in config.tasks]
    return pd.Series(np.nanmean(found, axis=0), index=list(runs.names))


def _keep(dataset: xr.Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.to_netcdf(path)
