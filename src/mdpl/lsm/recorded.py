"""A land model that is run elsewhere: its runs are looked up, and asked for where they lack.

The folder of such a model holds

- ``parameters.csv``: name, lower, upper, default, and unit, scale (linear, log), meaning, source;
  defaults of IGBP classes in columns such as ``default_ENF``;
- ``designs/*.csv``: site, run (a number) and a column for every parameter: what was or is to be
  run. ``designs/ensemble.csv`` is the ensemble, where the user brings one;
- ``runs/<site>.nc``: dims (run, time) with a coordinate ``run``, or ``runs/<site>_<run>.nc``,
  dims (time): what the model gave, ALMA names and units, on the tower's time axis.

Where MdPL needs a run that is not there, it writes a further design and says so; once the runs
are put there, the same command goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import ConfigError, ModelError
from mdpl.files import NETCDF, write_atomic
from mdpl.lsm.callable import collect
from mdpl.lsm.model import Parameter, ParameterSpace
from mdpl.lsm.offers import Asked
from mdpl.sites.site import Site, unit_of

MATCH = 1e-6
"""Part of a parameter's range by which the same parameter may differ in a table."""

ENSEMBLE = "ensemble.csv"


class NotRunYet(ModelError):
    """Runs are asked for that the user has yet to make."""


@dataclass(frozen=True)
class RecordedModel:
    """Runs of a land model on disk, behind the `LandModel` contract.

    Attributes:
        outputs: name -> unit of what the runs hold.
    """

    folder: Path
    parameters: ParameterSpace
    outputs: Mapping[str, str]
    sources: Mapping[str, str]
    batch: int = 16

    @property
    def name(self) -> str:
        return self.folder.name

    def simulate(
        self, site: Site, values: np.ndarray | None = None, outputs: Sequence[str] | None = None
    ) -> xr.Dataset:
        """Look runs up (see `LandModel.simulate`).

        Raises:
            NotRunYet: some are not there; they are asked for.
        """
        self.ask([(site, values)])
        names = tuple(self.outputs) if outputs is None else tuple(outputs)
        rows = self._rows(site, values)
        design = self._design(site.code)
        runs = [self._read(site, number, names) for number in self._numbers(design, rows)]
        return collect(site, runs, {name: self.outputs[name] for name in names})

    def ask(self, asked: Asked) -> None:
        """Make sure that runs are there, and ask for all that are not in one table.

        Raises:
            NotRunYet: some are not there.
        """
        wanted, lacking = [], 0
        following: dict[str, int] = {}
        for site, values in asked:
            design = self._design(site.code)
            rows = self._rows(site, values)
            known = {int(n) for n in design["run"]} if len(design) else set()
            there = self._there(site.code)
            following.setdefault(site.code, max(known, default=-1) + 1)
            for row, number in zip(rows, self._numbers(design, rows), strict=True):
                if number < 0:
                    wanted.append((site.code, following[site.code], *row))
                    following[site.code] += 1
                elif number not in there:
                    lacking += 1
        if wanted:
            columns = ["site", "run", *self.parameters.names]
            path = self.folder / f"designs/asked_{self._next_table():04d}.csv"
            write_atomic(path, pd.DataFrame(wanted, columns=columns).to_csv(index=False))
            raise NotRunYet(
                f"{self.name}: {len(wanted)} runs are needed: {path} says which. Run your model "
                f"with them, put the outputs into {self.folder / 'runs'}, and give the same "
                "command again"
            )
        if lacking:
            raise NotRunYet(
                f"{self.name}: {lacking} runs of {self.folder / 'designs'} are not in "
                f"{self.folder / 'runs'} yet; put them there (<site>.nc or <site>_<run>.nc) and "
                "give the same command again"
            )

    def _next_table(self) -> int:
        """Number of the next table of runs asked for: one more than the largest there is."""
        stems = (path.stem for path in (self.folder / "designs").glob("asked_*.csv"))
        numbers = [int(s.removeprefix("asked_")) for s in stems if s[6:].isdigit()]
        return max(numbers, default=-1) + 1

    def design(self, site: Site) -> np.ndarray | None:
        """The user's own ensemble at a tower, physical values (member, parameter); None: none."""
        path = self.folder / "designs" / ENSEMBLE
        if not path.exists():
            return None
        own = _table(path, ("site", "run", *self.parameters.names))
        rows = own[own["site"].astype(str) == site.code][list(self.parameters.names)]
        return rows.to_numpy(dtype=float)

    def _rows(self, site: Site, values: np.ndarray | None) -> np.ndarray:
        if values is None:
            values = self.parameters.defaults(site.attributes)
        rows = np.atleast_2d(np.asarray(values, dtype=float))
        self.parameters.check(rows)
        return rows

    def _design(self, code: str) -> pd.DataFrame:
        columns = ("site", "run", *self.parameters.names)
        paths = sorted((self.folder / "designs").glob("*.csv"))
        tables = [_table(p, columns)[list(columns)].assign(table=p.name) for p in paths]
        if not tables:
            return pd.DataFrame(columns=list(columns))
        every = pd.concat(tables, ignore_index=True)
        own = every[every["site"].astype(str) == code]
        self._check_numbers(own, code)
        return own

    def _check_numbers(self, design: pd.DataFrame, code: str) -> None:
        """A run's number stands for one parameter set."""
        names = list(self.parameters.names)
        span = self.parameters.upper - self.parameters.lower
        for run, rows in design[design["run"].duplicated(keep=False)].groupby("run"):
            if (np.ptp(rows[names].to_numpy(dtype=float), axis=0) / span > MATCH).any():
                raise ModelError(
                    f"{self.folder / 'designs'}: run {run} of {code} has different parameters in "
                    f"{' and '.join(rows['table'].unique())}; give every run a number of its own"
                )

    def _numbers(self, design: pd.DataFrame, rows: np.ndarray) -> list[int]:
        """The run of each parameter set; -1 where none was planned."""
        if not len(design):
            return [-1] * len(rows)
        planned = design[list(self.parameters.names)].to_numpy(dtype=float)
        span = self.parameters.upper - self.parameters.lower
        found = []
        for row in rows:
            off = np.abs((planned - row) / span).max(axis=1)
            best = int(off.argmin())
            found.append(int(design["run"].iloc[best]) if off[best] <= MATCH else -1)
        return found

    def _there(self, code: str) -> set[int]:
        found = set()
        whole = self.folder / f"runs/{code}.nc"
        if whole.exists():
            with NETCDF, _open(whole) as file:
                found |= {int(n) for n in file["run"].values}
        for path in (self.folder / "runs").glob(f"{code}_*.nc"):
            number = path.stem.removeprefix(f"{code}_")
            if number.isdigit():
                found.add(int(number))
        return found

    def _read(self, site: Site, number: int, names: Sequence[str]) -> dict[str, np.ndarray] | str:
        single = self.folder / f"runs/{site.code}_{number}.nc"
        path = single if single.exists() else self.folder / f"runs/{site.code}.nc"
        with NETCDF, _open(path) as file:
            run = file if single.exists() else file.sel(run=number)
            lacking = [name for name in names if name not in run]
            if lacking:
                raise ModelError(f"{path}: no {lacking[0]}; expected {', '.join(names)}")
            if "time" in run.coords and len(run["time"]) == len(site.time):
                off = run["time"].values.astype("datetime64[s]") != site.time.astype("M8[s]")
                if off.any():
                    raise ModelError(
                        f"{path}: time of step {int(off.argmax())} is "
                        f"{run['time'].values[off.argmax()]}, expected {site.time[off.argmax()]}: "
                        "the start of each interval in local standard time"
                    )
            return {name: run[name].values for name in names}


def open_recorded(folder: Path) -> RecordedModel:
    """The model of a folder (see above).

    Raises:
        ConfigError: ``parameters.csv`` is missing or no such table.
        ModelError: a parameter makes no sense.
    """
    path = folder / "parameters.csv"
    table = _table(path, ("name", "lower", "upper", "default"))
    if table.empty:
        raise ConfigError(f"{path}: expected a row a parameter, found none")
    space = ParameterSpace(tuple(_parameter(path, row) for row in table.to_dict("records")))
    space.check_defaults()
    return RecordedModel(folder, space, _outputs(folder), {path.name: _digest(path)})


def _parameter(path: Path, row: Mapping) -> Parameter:
    said = {str(k): v for k, v in row.items() if not pd.isna(v)}
    name, scale = str(said.get("name", "without a name")), str(said.get("scale", "linear"))

    def number(key: str) -> float:
        try:
            return float(said[key])
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{path}: parameter {name}: {key}: expected a number, found "
                f"{said.get(key, 'nothing')!r}"
            ) from error

    if scale not in ("linear", "log"):
        raise ConfigError(
            f"{path}: parameter {name}: scale: expected linear or log, found {scale!r}"
        )
    usual = {k.removeprefix("default_"): number(k) for k in said if k.startswith("default_")}
    default = number("default")
    return Parameter(
        name,
        str(said.get("unit", "1")),
        str(said.get("meaning", name)),
        number("lower"),
        number("upper"),
        {**usual, "other": default} if usual else default,
        str(said.get("source", "the user's")),
        "log" if scale == "log" else "linear",
    )


def _outputs(folder: Path) -> Mapping[str, str]:
    """What the first run holds; the heat fluxes while there is none."""
    for path in sorted((folder / "runs").glob("*.nc")):
        with NETCDF, _open(path) as file:
            return {str(n): _unit(str(n)) for n, v in file.data_vars.items() if "time" in v.dims}
    return {"Qle": "W m-2", "Qh": "W m-2"}


def _unit(name: str) -> str:
    try:
        return unit_of(name)
    except KeyError:
        return "1"


def _open(path: Path) -> xr.Dataset:
    try:
        return xr.open_dataset(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as NetCDF ({error})") from error


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: expected a table (CSV); {error}") from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ConfigError(
            f"{path}: expected columns {', '.join(columns)}; {', '.join(lacking)} is missing"
        )
    if "run" in columns and not pd.api.types.is_integer_dtype(table["run"]) and len(table):
        raise ConfigError(f"{path}: run: expected whole numbers, one a run")
    return table


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
