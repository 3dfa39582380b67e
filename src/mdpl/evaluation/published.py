"""Scores of other people's runs: published tables of metrics, and files of model output.

A table of metrics is of the whole record its authors had. Where that is not ours, a comparison is
only indicative; `read_table` says so by number of values and spread of the observations, which
agree to the last digit if the records are one.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr

from mdpl.errors import ModelError
from mdpl.evaluation.scores import COLUMNS
from mdpl.sites.qc import same_unit
from mdpl.sites.site import UNITS, Site

PUBLISHED_COLUMNS = (*COLUMNS, "same_record", "record")
"""Those of the table of scores; whether the record is ours, and in words how we know."""

NEEDED = ("site", "period", "variable", "n", "bias", "rmse", "r", "nme", "std_obs", "std_mod")
"""Columns of a table of metrics; ``period`` is first and last year, such as ``2005-2005``."""

METRIC_NAMES = ("rmse", "r", "bias", "nme", "sd_ratio", "std_obs")
SAME = 1e-3
"""Largest relative difference of n and of the observed spread within one record."""

_CARBON = 1e6 / 12.011e-3
"""kg of carbon -> umol of CO2."""

NAMES: dict[str, tuple[tuple[str, float], ...]] = {
    "Qle": (("Qle", 1.0), ("hfls", 1.0)),
    "Qh": (("Qh", 1.0), ("hfss", 1.0)),
    "GPP": (("GPP", 1.0), ("gpp", 1.0)),
    "NEE": (("NEE", 1.0), ("nee", 1.0), ("nep", -1.0)),
}
"""A flux under its names in ALMA and CMIP (CalLMIP), and the sign that makes it ours."""

CARBON_UNITS = (
    ("umol m-2 s-1", 1.0),
    ("kgC m-2 s-1", _CARBON),
    ("kg m-2 s-1", _CARBON),
    ("gC m-2 s-1", 1e-3 * _CARBON),
    ("gC m-2 d-1", 1e-3 * _CARBON / 86400.0),
)
"""Units of carbon fluxes and what makes umol m-2 s-1 of them; ALMA's kg is of carbon."""


@dataclass(frozen=True)
class Output:
    """Fluxes a model's authors put into a file.

    Attributes:
        model: its name.
        daily: whether values are daily means.
        fluxes: dims ``(time,)``, in `UNITS`; on the tower's axis, or stamped at midnight.
    """

    model: str
    daily: bool
    fluxes: xr.Dataset


def read_table(path: Path, ours: pd.DataFrame, model: str | None = None) -> pd.DataFrame:
    """Published metrics at the towers of a run.

    Args:
        path: CSV with columns `NEEDED`, or JSON with ``sites``, a list of ``site``, ``period``
            and ``metrics`` (flux -> the other columns).
        ours: our scores, for the towers, fluxes and what our records are.
        model: default the file's name without ``_metrics`` or ``_data``.

    Returns:
        Columns `PUBLISHED_COLUMNS`, resolution ``native``, period ``all``. Metrics are those of
        `METRIC_NAMES`; towers and fluxes that we have not are left out.

    Raises:
        ModelError: the file is absent, unreadable, of another form, or has none of our towers.
    """
    table = _metrics_json(path) if path.suffix == ".json" else _metrics_csv(path)
    name = model or path.stem.removesuffix("_metrics").removesuffix("_data")
    native = ours[(ours["resolution"] == "native") & (ours["period"] == "all") & (ours["n"] > 0)]
    record = native[native["metric"] == "std_obs"].drop_duplicates(["site", "flux"])
    both = record.merge(
        table[table["n"] > 0],
        left_on=["site", "flux"],
        right_on=["site", "variable"],
        suffixes=("_ours", ""),
    )
    if both.empty:
        raise ModelError(
            f"{path}: expected scores at {', '.join(dict.fromkeys(ours['site']))}; it has none of "
            f"them among its {table['site'].nunique()} towers; is it the right table?"
        )
    both["sd_ratio"] = both["std_mod"] / both["std_obs"]
    rows = []
    for row in both.to_dict("records"):
        same, words = _same_record(row)
        for metric in METRIC_NAMES:
            place = (row["site"], row["pft"], name, row["flux"], "native", "all", metric)
            rows.append((*place, float(row[metric]), int(row["n"]), same, words))
    return pd.DataFrame(rows, columns=list(PUBLISHED_COLUMNS))


def find_output(place: Path, code: str) -> Path | None:
    """The file of one tower: itself, or the one in a folder whose name has the tower's code.

    Raises:
        ModelError: no such place, or several files of the tower.
    """
    if place.is_file():
        return place if code in place.name else None
    if not place.is_dir():
        raise ModelError(f"{place}: no such file or folder of model output")
    found = sorted(p for p in place.glob("*.nc") if code in p.name)
    if len(found) > 1:
        raise ModelError(
            f"{place}: expected one file of {code}, found {', '.join(p.name for p in found)}; "
            "put each model's output into a folder of its own"
        )
    return found[0] if found else None


def read_output(path: Path, site: Site, fluxes: Sequence[str], model: str | None = None) -> Output:
    """A model's fluxes at a tower from a NetCDF file in ALMA or CalLMIP form.

    The file may cover more than the tower's record. Steps are the tower's own (stamped at their
    start or their middle, local standard time) or days.

    Args:
        fluxes: those the file has not are left out.
        model: default the file's attribute ``Model`` (or ``model``), else its folder's name.

    Raises:
        ModelError: the file is unreadable, has none of the fluxes, other units, more than one
            point, or another time axis.
    """
    try:
        with netCDF4.Dataset(path) as file:
            file.set_auto_mask(True)
            time = _time(file, path)
            found = {flux: _flux(file, flux, time.size, path) for flux in fluxes}
            attributes = {key.lower(): str(file.getncattr(key)) for key in file.ncattrs()}
    except OSError as error:
        raise ModelError(f"{path}: expected a NetCDF file; {error}") from error
    values = {flux: series for flux, series in found.items() if series is not None}
    if not values:
        known = ", ".join(n for flux in fluxes for n, _ in NAMES.get(flux, ((flux, 1.0),)))
        raise ModelError(f"{path}: expected fluxes under the names {known}; found none of them")
    name = model or attributes.get("model") or path.parent.resolve().name
    data = xr.Dataset(
        {flux: ("time", series, {"units": UNITS[flux]}) for flux, series in values.items()},
        {"time": time},
    )
    if time.size > 1 and time[1] - time[0] == np.timedelta64(1, "D"):
        midnights = time.astype("datetime64[D]").astype("datetime64[ns]")
        return Output(name, True, data.assign_coords(time=midnights))
    return Output(name, False, _on_axis(data, site, path))


def _metrics_csv(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a table of published metrics (CSV); {error}") from error
    return _checked(table, path)


def _metrics_json(path: Path) -> pd.DataFrame:
    try:
        sites = json.loads(path.read_text(encoding="utf-8"))["sites"]
        rows = [
            {"site": site["site"], "period": site["period"], "variable": flux, **metrics}
            for site in sites
            for flux, metrics in site["metrics"].items()
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: expected published metrics as JSON, with 'sites' that have 'site', 'period' "
            f"and 'metrics'; {type(error).__name__}: {error}"
        ) from error
    return _checked(pd.DataFrame(rows), path)


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    absent = [name for name in NEEDED if name not in table]
    if absent:
        raise ModelError(
            f"{path}: expected columns {', '.join(NEEDED)}; missing {', '.join(absent)}, found "
            f"{', '.join(map(str, table.columns)) or 'none'}"
        )
    numbers = [name for name in NEEDED if name not in ("site", "period", "variable")]
    try:
        return table.assign(**{name: pd.to_numeric(table[name]) for name in numbers})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: expected numbers in {', '.join(numbers)}; {error}") from error


def _same_record(row: Mapping[Hashable, Any]) -> tuple[bool, str]:
    n, ours, spread = row["n"], row["n_ours"], row["value"]
    same = abs(n - ours) <= SAME * ours and abs(row["std_obs"] - spread) <= SAME * spread
    if same:
        return True, f"same record ({row['period']})"
    return False, (
        f"other record: indicative (theirs {row['period']}, n = {int(n)}, sd {row['std_obs']:.4g}; "
        f"ours n = {int(ours)}, sd {spread:.4g})"
    )


def _time(file: netCDF4.Dataset, path: Path) -> np.ndarray:
    """Time stamps to the second, datetime64[ns], shape (time,)."""
    if "time" not in file.variables or not hasattr(file["time"], "units"):
        raise ModelError(f"{path}: expected a variable 'time' with units; found none")
    axis = file["time"]
    calendar = getattr(axis, "calendar", "standard")
    try:
        stamps = netCDF4.num2date(np.asarray(axis[:]), axis.units, calendar)
        texts = [stamp.isoformat(timespec="milliseconds") for stamp in np.ravel(np.asarray(stamps))]
        exact = np.array(texts, dtype="datetime64[ms]")
    except ValueError as error:
        raise ModelError(f"{path}: time cannot be read ({axis.units!r}; {error})") from error
    return (exact + np.timedelta64(500, "ms")).astype("datetime64[s]").astype("datetime64[ns]")


def _flux(file: netCDF4.Dataset, flux: str, steps: int, path: Path) -> np.ndarray | None:
    """A flux in our unit and sign, shape (time,), NaN where masked; None if the file has none."""
    for name, sign in NAMES.get(flux, ((flux, 1.0),)):
        if name not in file.variables:
            continue
        variable = file[name]
        if variable.size != steps or variable.dimensions[:1] != ("time",):
            raise ModelError(
                f"{path}: {name}: expected one point, dims (time, ...) of size {steps}, found "
                f"{dict(zip(variable.dimensions, variable.shape, strict=True))}; cut it out first"
            )
        values = np.ma.filled(variable[:].astype(float), np.nan).reshape(-1)
        return sign * _factor(flux, name, getattr(variable, "units", None), path) * values
    return None


def _factor(flux: str, name: str, found: str | None, path: Path) -> float:
    accepted = ((UNITS[flux], 1.0),) if UNITS[flux] == "W m-2" else CARBON_UNITS
    for unit, factor in accepted:
        if found is not None and same_unit(found, unit):
            return factor
    units = " or ".join(unit for unit, _ in accepted)
    raise ModelError(
        f"{path}: {name}: expected unit {units}, found {found!r}; convert it and correct 'units'"
    )


def _on_axis(data: xr.Dataset, site: Site, path: Path) -> xr.Dataset:
    """The tower's record cut out of a file."""
    time, step = data["time"].values, np.timedelta64(site.step_seconds, "s")
    if time.size < 2 or time[1] - time[0] != step:
        found = f"{(time[1] - time[0]) / np.timedelta64(1, 's'):g} s" if time.size > 1 else "one"
        raise ModelError(
            f"{path}: expected the {site.step_seconds} s steps of {site.code}, or days; found "
            f"{found}"
        )
    offset = (time[0] - site.time[0]) % step
    if offset == step / 2:
        time = time - offset
    place = np.searchsorted(time, site.time[0])
    cut = slice(place, place + site.time.size)
    if not np.array_equal(time[cut], site.time):
        have = time[cut]
        lacking = site.time[~np.isin(site.time, have)]
        first = lacking[0] if lacking.size else site.time[0]
        raise ModelError(
            f"{path}: expected every step of {site.code} from {site.time[0]} to {site.time[-1]}, "
            f"stamped at its start in local standard time; found {time[0]} to {time[-1]}, without "
            f"{first}; leap days stay, and stamps at the end of a step must be moved to its start"
        )
    return data.isel(time=cut).assign_coords(time=site.time)
