"""What a run folder holds, read for the report; nothing but the folder is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mdpl.errors import RunError
from mdpl.evaluation.given_days import GIVEN_DAY
from mdpl.evaluation.resolution import Coverage
from mdpl.evaluation.scores import COLUMNS, gains, masks
from mdpl.files import load_dataset, read_json, read_table
from mdpl.plain_yaml import parse

REFERENCE = "default"
PARAMETER_COLUMNS = (
    "site",
    "model",
    "parameter",
    "value",
    "default",
    "lower",
    "upper",
    "unit",
)
EXCESS = ("default", "learnt", "floor", "removed")
NUMBERS = {
    *EXCESS, "value", "n", "lower", "upper", "rmse", "truth", "dRMSE", "dR", "promised",
    "delivered", "gap", "rmse_over_sd", "lsm", "surrogate", "cosine", "sobol", "contraction",
    "correlation", "towers", "worse", "own", "transferred", "kept", "share", "elsewhere",
    "distance", "weight", "prior", "gain", "loss", "reference_value", "difference", "low",
    "high", "rank", "models", "mean_lsm", "mean_surrogate", "sd_lsm", "r", "seed", "mean", "sd",
    "least", "most", "lsm_runs", "seconds", "objective", "coverage", "width", "days", "level",
}  # fmt: skip
"""Columns that hold numbers in every table that has them."""

EXTRA = {
    "flux_choice": (
        "experiments/flux-choice/gains.csv",
        ("site", "model", "flux", "resolution", "period", "dRMSE", "choice"),
    ),
    "selection": ("selection.csv", ("site", "taken", "why")),
    "rounds": ("rounds.csv", ("round", "site", "flux", "period", "promised", "delivered", "gap")),
    "audit": ("audit/fidelity.csv", ("kind", "site", "task", "metric", "value")),
    "where": ("audit/where.csv", ("site", "task", "by", "part", "rmse_over_sd")),
    "slopes": ("audit/slopes.csv", ("site", "point", "parameter", "lsm", "surrogate")),
    "cosines": ("audit/cosines.csv", ("site", "point", "cosine")),
    "identifiability": (
        "experiments/identifiability/table.csv",
        ("site", "parameter", "sobol", "contraction", "partner", "correlation", "verdict"),
    ),
    "cloud": ("audit/cloud.csv", ("site", "nearest", "outside", "at_bound")),
}
"""Optional tables: name -> file and columns."""

MASK = "measured steps only (qc = 0)"
NEEDED = ("config.yaml", "manifest.json", "sites.json", "parameters.csv", "scores.csv")


@dataclass(frozen=True)
class Tower:
    """One entry of ``sites.json``; anything it does not say is empty."""

    code: str
    attributes: Mapping[str, Any]
    why: str
    role: str
    years: float
    measured: Mapping[str, int]
    split: str = ""

    @property
    def pft(self) -> str:
        return str(self.attributes.get("igbp", ""))

    def number(self, name: str) -> float:
        value = self.attributes.get(name)
        return float(value) if isinstance(value, int | float) else np.nan


@dataclass(frozen=True)
class Series:
    """Observed and modelled fluxes of one tower.

    Attributes:
        time: start of each step, shape (time,), local standard time.
        observed, measured: flux -> shape (time,); only measured steps count.
        modelled: model -> flux -> shape (time,).
        masks: period -> bool, shape (time,).
        variant, split: raw or corrected fluxes; how the record was split.
        drivers: SWdown (W m-2), VPD (hPa) and SoilMoist (kg m-2, uppermost metre of the default
            run), each shape (time,); those the folder holds.
    """

    code: str
    time: np.ndarray
    observed: Mapping[str, np.ndarray]
    measured: Mapping[str, np.ndarray]
    modelled: Mapping[str, Mapping[str, np.ndarray]]
    masks: Mapping[str, np.ndarray]
    variant: str
    split: str
    drivers: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """All tables of a run; optional ones are empty when their file is absent.

    Attributes:
        extra: the tables of `EXTRA` by name.
    """

    folder: Path
    config: str
    manifest: Mapping[str, Any]
    towers: Mapping[str, Tower]
    timings: Mapping[str, Mapping[str, float]]
    scores: pd.DataFrame
    gains: pd.DataFrame
    parameters: pd.DataFrame
    promised: pd.DataFrame
    fidelity: pd.DataFrame
    recovery: pd.DataFrame
    excess: pd.DataFrame
    extra: Mapping[str, pd.DataFrame]
    learnt: str
    variant: str

    @property
    def basis(self) -> str:
        """Mask and variant in words, for captions."""
        return f"{MASK}, {self.variant} fluxes" if self.variant else MASK

    @property
    def fluxes(self) -> list[str]:
        """Fluxes with at least one scored value, in the order of ``scores.csv``."""
        return list(dict.fromkeys(self.scores.loc[self.scores["n"] > 0, "flux"]))

    @property
    def land_model(self) -> str:
        """Kind of the land model, such as ``matsiro``; the built-in one if not said."""
        settings = parse(self.config)
        model = settings.get("model") if isinstance(settings, dict) else None
        return str((model or {}).get("kind", "matsiro"))

    @property
    def targeted(self) -> list[str]:
        """Fluxes that were learnt from; all of them if the configuration does not say."""
        settings = parse(self.config)
        tasks = settings.get("tasks") if isinstance(settings, dict) else None
        return [flux for flux in self.fluxes if not tasks or flux in tasks]

    @property
    def coverage(self) -> Coverage:
        """What makes a day and a month of the run's scores."""
        settings = parse(self.config)
        given = settings.get("evaluation") if isinstance(settings, dict) else None
        return Coverage(**(given or {}))

    @property
    def target_resolution(self) -> str:
        """Resolution of what was learnt from: daily observations where there are any."""
        return GIVEN_DAY if GIVEN_DAY in set(self.scores["resolution"]) else "native"

    @property
    def beyond_standard(self) -> list[str]:
        """What the land model was given beyond its standard scheme, a line a tower and option."""
        settings = parse(self.config)
        model = settings.get("model") if isinstance(settings, dict) else None
        lines = []
        for option in ("supply", "mixtures"):
            for code, given in ((model or {}).get(option) or {}).items():
                said = ", ".join(f"{name} {value}" for name, value in given.items() if value)
                lines.append(f"{code}: {option} ({said})")
        return lines

    @property
    def pfts(self) -> list[str]:
        """PFTs of all towers, sorted."""
        known = {tower.pft for tower in self.towers.values()} | set(self.scores["pft"])
        return sorted(str(pft) for pft in known)


def read(folder: Path) -> Contents:
    """Read a run folder.

    Raises:
        RunError: a needed file is absent or unreadable, or the scores hold no learnt model.
    """
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise RunError(
            f"run folder {folder}: a report needs {', '.join(NEEDED)}; missing "
            f"{', '.join(missing)}. Run the stages before the report first (mdpl evaluate RUN)"
        )
    scores = _read(folder / "scores.csv", COLUMNS, "mdpl evaluate")
    sites = read_json(folder / "sites.json")
    about = {code: _about(folder, code) for code in sites}
    return Contents(
        folder=folder,
        config=(folder / "config.yaml").read_text(encoding="utf-8"),
        manifest=read_json(folder / "manifest.json"),
        towers={k: _tower(k, v, about[k].get("split", "")) for k, v in sites.items()},
        timings=read_json(folder / "timings.json"),
        scores=scores,
        gains=gains(scores, REFERENCE),
        parameters=_read(folder / "parameters.csv", PARAMETER_COLUMNS, "mdpl calibrate"),
        promised=_optional(folder / "promised.csv", ("site", "flux", "period", "rmse")),
        fidelity=_optional(
            folder / "surrogate" / "fidelity.csv", ("site", "task", "metric", "value")
        ),
        recovery=_optional(folder / "recovery.csv", ("site", "parameter", "truth", "learnt")),
        excess=_optional(folder / "excess.csv", ("site", "role", "flux", *EXCESS)),
        extra={name: _optional(folder / file, columns) for name, (file, columns) in EXTRA.items()},
        learnt=_learnt(scores, folder),
        variant=" and ".join(sorted({a["variant"] for a in about.values() if "variant" in a})),
    )


def read_series(contents: Contents, code: str) -> Series | None:
    """Series of one tower from ``observations/`` and ``simulations/``; None if not kept.

    Raises:
        RunError: a simulation has another time axis than the observations.
    """
    path = contents.folder / "observations" / f"{code}.nc"
    if not path.is_file():
        return None
    observed = load_dataset(path)
    fluxes = [flux for flux in contents.fluxes if flux in observed]
    modelled = {}
    for model in (REFERENCE, contents.learnt):
        simulation = contents.folder / "simulations" / model / f"{code}.nc"
        if simulation.is_file():
            modelled[model] = _simulated(simulation, fluxes, observed["time"].values)
    return Series(
        code=code,
        time=observed["time"].values,
        observed={flux: observed[flux].values for flux in fluxes},
        measured={flux: observed[f"{flux}_measured"].values == 1 for flux in fluxes},
        modelled=modelled,
        masks=masks(observed),
        variant=str(observed.attrs.get("variant", "raw")),
        split=str(observed.attrs.get("split", "")),
        drivers=_drivers(contents.folder, code, observed["time"].values),
    )


def each_series(contents: Contents) -> Iterator[Series]:
    """Series of every tower that the folder keeps, with both models."""
    for code in dict.fromkeys(contents.scores["site"]):
        found = read_series(contents, str(code))
        if found is not None and {REFERENCE, contents.learnt} <= set(found.modelled):
            yield found


def _drivers(folder: Path, code: str, time: np.ndarray) -> dict[str, np.ndarray]:
    """The weather in ``drivers/``, and the soil water of the default run."""
    found: dict[str, np.ndarray] = {}
    path = folder / f"drivers/{code}.nc"
    if path.is_file():
        file = load_dataset(path)
        if np.array_equal(file["time"].values, time):
            found = {name: file[name].values for name in ("SWdown", "VPD")}
    path = folder / f"simulations/{REFERENCE}/{code}.nc"
    if path.is_file():
        file = load_dataset(path)
        if {"SoilMoist", "layer_thickness"} <= set(file.variables):
            bottom = np.cumsum(file["layer_thickness"].values)
            found["SoilMoist"] = file["SoilMoist"].values[bottom <= 1.01].sum(axis=0)
    return found


def _simulated(path: Path, fluxes: list[str], time: np.ndarray) -> dict[str, np.ndarray]:
    found = load_dataset(path)
    if not np.array_equal(found["time"].values, time):
        raise RunError(
            f"{path}: expected the {time.size} time steps of the observations, found "
            f"{found.sizes['time']} other ones; run mdpl evaluate RUN again"
        )
    return {flux: found[flux].values for flux in fluxes if flux in found}


def _learnt(scores: pd.DataFrame, folder: Path) -> str:
    others = [model for model in dict.fromkeys(scores["model"]) if model != REFERENCE]
    if not others:
        raise RunError(
            f"{folder / 'scores.csv'}: expected scores of {REFERENCE!r} and of a learnt model, "
            f"found only {REFERENCE!r}; run mdpl calibrate RUN and mdpl evaluate RUN first"
        )
    return "mdpl" if "mdpl" in others else others[0]


def _tower(code: str, entry: Mapping[str, Any], split: str) -> Tower:
    measured = entry.get("measured", entry.get("n_measured", {}))
    return Tower(
        code=code,
        attributes=entry.get("attributes", entry),
        why=str(entry.get("why", "")),
        role=str(entry.get("role", "")).replace("_", " "),
        years=float(entry.get("years", np.nan)),
        measured=measured if isinstance(measured, Mapping) else {"steps": int(measured)},
        split=split,
    )


def _about(folder: Path, code: str) -> dict[str, str]:
    """Attributes of a tower's observations: variant and split."""
    path = folder / "observations" / f"{code}.nc"
    if not path.is_file():
        return {}
    return {str(key): str(value) for key, value in load_dataset(path).attrs.items()}


def experiment_tables(
    folder: Path, name: str, files: Sequence[str]
) -> dict[str, pd.DataFrame] | None:
    """Tables of an experiment of a run, by name; None if it was not made (there is none).

    Raises:
        RunError: one of them is absent.
        DamageError: one is unreadable, or has text for a number.
    """
    place = folder / f"experiments/{name}"
    if not any((place / f"{f}.csv").is_file() for f in files):
        return None
    again = f"mdpl experiment {name}"
    return {f: read_table(place / f"{f}.csv", again=again, numbers=NUMBERS) for f in files}


def _optional(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    return _read(path, columns) if path.is_file() else pd.DataFrame(columns=list(columns))


def _read(path: Path, columns: tuple[str, ...], again: str = "") -> pd.DataFrame:
    return read_table(path, columns, again, numbers=NUMBERS)
