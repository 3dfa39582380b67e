"""Tower records in PLUMBER2 form: a ``*_Met.nc`` and a ``*_Flux.nc`` for each tower."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from mdpl.errors import SiteError
from mdpl.sites.attributes import describe
from mdpl.sites.places import check_place
from mdpl.sites.qc import check_forcing, check_unit, stamp, without_spikes
from mdpl.sites.site import FORCING, UNITS, Site, dataset_of
from mdpl.sites.solar import detect_utc_offset

REQUIRED_FLUXES = ("Qle", "Qh")
OPTIONAL_FLUXES = (
    *("Rnet", "Qg", "GPP", "NEE", "Qle_cor", "Qh_cor"),
    *("Qle_uc", "Qh_uc", "NEE_uc", "Qle_cor_uc", "Qh_cor_uc"),
)

_FLUXES = (*REQUIRED_FLUXES, *OPTIONAL_FLUXES)
_STEPS = (1800, 3600)
_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_TIME_UNITS = re.compile(
    r"(?P<unit>second|minute|hour|day)s? since (?P<date>\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[ T](?P<clock>\d{1,2}:\d{2}(?::\d{2})?)(?:\.0*)?)?"
)
_LONGEST_SECONDS = 1000 * 366 * 86400
_CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
MISSING = -9999.0


def find_pairs(folder: Path, codes: Sequence[str] | None = None) -> dict[str, tuple[Path, Path]]:
    """The towers of a folder: code -> (met file, flux file), sorted by code.

    Files are named ``<CODE>_<years>_<NETWORK>_Met.nc`` and ``..._Flux.nc``; what stands before
    the first underscore is the code, and a pair agrees in all before ``_Met`` or ``_Flux``.

    Args:
        codes: look at these towers only, so that trouble with others does not matter.

    Raises:
        SiteError: no such folder, no records in it, an unknown code, one file of a pair
            missing, or two records for one code.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SiteError(f"{folder}: expected a folder of tower records; there is none")
    stems: dict[str, dict[str, list[str]]] = {}
    for kind in ("Met", "Flux"):
        for path in sorted(folder.glob(f"[!.]*_{kind}.nc")):
            stem = path.name.removesuffix(f"_{kind}.nc")
            by_kind = stems.setdefault(stem.split("_")[0], {"Met": [], "Flux": []})
            by_kind[kind].append(stem)
    if not stems:
        raise SiteError(
            f"{folder}: expected files named <CODE>_<years>_<NETWORK>_Met.nc and _Flux.nc; "
            "found none; give the folder that holds them"
        )
    for code in codes or ():
        if code not in stems:
            raise SiteError(f"no tower {code!r} in {folder}; available: {', '.join(sorted(stems))}")
    wanted = sorted(stems if codes is None else set(codes))
    return {code: _pair(folder, code, stems[code]["Met"], stems[code]["Flux"]) for code in wanted}


def read_pair(met: Path, flux: Path) -> Site:
    """Read one tower, checked; values are those of the files, widened to float64.

    Forcing variables are those of `FORCING` (``Precip`` may be given as ``Rainf`` + ``Snowf``);
    fluxes are Qle, Qh and, where present, `OPTIONAL_FLUXES`, each with its ``_qc``. Where one file
    covers more time than the other, both are cut to the shorter. The time zone is the global
    attribute ``utc_offset`` where a file has it (PLUMBER2 has not), otherwise found from the
    radiation (`mdpl.sites.solar.detect_utc_offset`).

    Raises:
        SiteError: unreadable file, variable missing, wrong unit, gap or impossible value in the
            forcing, irregular time axis, time axes that do not match, place unknown.
    """
    met, flux = Path(met), Path(flux)
    met_file, flux_file = _read(met, _with_qc(FORCING)), _read(flux, _with_qc(_FLUXES))
    start, stop = _common_period(met_file, flux_file)
    forcing = _forcing(met_file)
    fluxes, spikes = _fluxes(flux_file)
    time = slice(start, stop)
    forcing, fluxes = forcing.sel(time=time), fluxes.sel(time=time)
    place = _place(met_file) | spikes
    if "utc_offset" not in place:
        place["utc_offset"] = detect_utc_offset(
            float(place["latitude"]),
            float(place["longitude"]),
            forcing["time"].values,
            met_file.step,
            forcing["SWdown"].values,
        )
    try:
        attributes = describe(forcing, place)
    except SiteError as error:
        raise SiteError(f"{met.name}: {error}") from error
    return Site(
        code=met.name.split("_")[0],
        forcing=forcing,
        fluxes=fluxes,
        attributes=attributes,
        sources={path.name: sha256(path) for path in (met, flux)},
        forcing_qc={
            name: met_file.values[f"{name}_qc"][np.isin(met_file.time, forcing["time"].values)]
            for name in FORCING
            if f"{name}_qc" in met_file.values
        },
    )


@dataclass(frozen=True)
class _File:
    """What was read of one file: variables float64 (time,), units, time, place."""

    path: Path
    values: Mapping[str, np.ndarray]
    units: Mapping[str, str | None]
    time: np.ndarray
    step: int
    place: Mapping[str, float | str]


def _pair(folder: Path, code: str, met: list[str], flux: list[str]) -> tuple[Path, Path]:
    for kind, found in (("Met", met), ("Flux", flux)):
        if len(found) > 1:
            raise SiteError(
                f"{folder}: expected one record of {code}, found {len(found)} {kind} files: "
                f"{', '.join(found)}; keep one or move the others to a folder of their own"
            )
    for kind, other, here, there in (("Flux", "Met", met, flux), ("Met", "Flux", flux, met)):
        if here and here != there:
            found_instead = f"found {there[0]}_{kind}.nc instead" if there else "it is missing"
            raise SiteError(
                f"{folder}: {here[0]}_{other}.nc needs {here[0]}_{kind}.nc beside it; "
                f"{found_instead}; put it there or leave {code} out"
            )
    return folder / f"{met[0]}_Met.nc", folder / f"{flux[0]}_Flux.nc"


def _with_qc(names: Sequence[str]) -> tuple[str, ...]:
    return (*names, *(f"{name}_qc" for name in names))


def _read(path: Path, names: Sequence[str]) -> _File:
    """The named variables of a file (those it has; Rainf and Snowf too if Precip is asked)."""
    wanted = [*names, *(("Rainf", "Snowf") if "Precip" in names else ())]
    with unreadable(path), netCDF4.Dataset(path) as nc:
        time, step = _time(nc, path)
        present = [name for name in wanted if name in nc.variables]
        values = {name: series_of(nc.variables[name], time, path) for name in present}
        units = {name: getattr(nc.variables[name], "units", None) for name in present}
        return _File(path, values, units, time, step, place_of(nc))


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Turn what the NetCDF library says against a file into words a user can act on."""
    try:
        yield
    except FileNotFoundError as error:
        raise SiteError(f"{path}: expected a NetCDF file; there is none") from error
    except (OSError, RuntimeError) as error:
        raise SiteError(
            f"{path}: expected a NetCDF file, found one that cannot be read ({error}); "
            "it may be truncated: fetch it again"
        ) from error


def _time(nc: netCDF4.Dataset, path: Path) -> tuple[np.ndarray, int]:
    """Start of each interval, and the step in s, rebuilt from whole seconds."""
    if "time" not in nc.variables:
        raise SiteError(f"{path.name}: expected a variable time; found none; is this PLUMBER2?")
    variable = nc.variables["time"]
    origin, seconds_a_unit = time_origin(variable, path)
    raw = time_numbers(variable, seconds_a_unit, path)
    stored = variable.dtype if variable.dtype.kind == "f" else np.dtype("f8")
    slack = 2 * float(np.spacing(np.abs(raw).max().astype(stored))) * seconds_a_unit
    seconds = np.rint(raw * seconds_a_unit).astype(np.int64)
    stamps = origin + seconds.astype("timedelta64[s]")
    step = _step(seconds, stamps, max(slack, 0.5), path)
    return stamps[0] + np.arange(raw.size) * np.timedelta64(step, "s").astype("m8[ns]"), step


def time_numbers(variable: netCDF4.Variable, seconds_a_unit: int, path: Path) -> np.ndarray:
    """The numbers of a time axis, in its own unit, shape (time,).

    Raises:
        SiteError: fewer than two, missing ones, no numbers, or some beyond a thousand years.
    """
    raw = np.ma.filled(np.ma.asarray(variable[:]).ravel().astype(float), np.nan)
    if raw.size < 2 or not np.isfinite(raw).all():
        raise SiteError(
            f"{path.name}: variable time: expected at least two time stamps without gaps, found "
            f"{raw.size} with {int((~np.isfinite(raw)).sum())} missing; mend the time axis"
        )
    if np.abs(raw).max() * seconds_a_unit > _LONGEST_SECONDS:
        raise SiteError(
            f"{path.name}: variable time: expected a date within a thousand years of the one in "
            f"its units, found {np.abs(raw).max():g} {variable.units!r}; mend the time axis"
        )
    return raw


def time_origin(variable: netCDF4.Variable, path: Path) -> tuple[np.datetime64, int]:
    units = str(getattr(variable, "units", "")).strip()
    calendar = str(getattr(variable, "calendar", "standard")).lower()
    if calendar not in _CALENDARS:
        raise SiteError(
            f"{path.name}: variable time: expected the Gregorian calendar, found {calendar!r}; "
            "towers have leap days: rewrite the time axis"
        )
    match = _TIME_UNITS.fullmatch(units)
    if match is None:
        raise SiteError(
            f"{path.name}: variable time: expected units 'seconds since YYYY-MM-DD HH:MM:SS' in "
            f"local standard time, found {units!r}; correct the attribute"
        )
    year, month, day = match["date"].split("-")
    hour, minute, *second = (match["clock"] or "0:00").split(":")
    text = f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}:{minute}:{second[0] if second else '00'}"
    try:
        return np.datetime64(text, "ns"), _SECONDS[f"{match['unit']}s"]
    except ValueError as error:
        raise SiteError(f"{path.name}: variable time: no such date in units {units!r}") from error


def _step(seconds: np.ndarray, stamps: np.ndarray, slack: float, path: Path) -> int:
    """Length of the interval, s, once it is plain that all are equal."""
    gaps = np.diff(seconds)
    if (gaps <= 0).any():
        at = int(np.argmax(gaps <= 0))
        what = "a duplicate time stamp" if gaps[at] == 0 else "time running backward"
        raise SiteError(
            f"{path.name}: variable time: expected increasing time stamps, found {what}: "
            f"{stamp(stamps[at + 1])} (step {at + 1}) after {stamp(stamps[at])}; "
            "remove the repeated steps or sort the record"
        )
    typical = float(np.median(gaps))
    step = min(_STEPS, key=lambda s: abs(s - typical))
    if abs(step - typical) > slack:
        raise SiteError(
            f"{path.name}: variable time: expected steps of 1800 or 3600 s, found {typical:g} s; "
            "average the record to half-hours or hours"
        )
    # Against the ideal axis, not the step before: single precision may wander by its spacing.
    odd = (np.abs(gaps - step) > 2 * slack) | (
        np.abs(seconds[1:] - seconds[0] - step * np.arange(1, seconds.size)) > 2 * slack
    )
    if odd.any():
        at = int(np.argmax(odd))
        raise SiteError(
            f"{path.name}: variable time: expected a step of {step} s throughout, found "
            f"{gaps[at]} s between {stamp(stamps[at])} and {stamp(stamps[at + 1])}; "
            "insert the missing steps or cut the record there"
        )
    return step


def series_of(variable: netCDF4.Variable, time: np.ndarray, path: Path) -> np.ndarray:
    """A variable as float64 (time,), NaN where missing; other dimensions must be of length 1.

    Raises:
        SiteError: other dimensions, or no numbers.
    """
    if variable.dtype == str or variable.dtype.kind not in "iuf":
        raise SiteError(
            f"{path.name}: variable {variable.name}: expected numbers, found type "
            f"{variable.dtype}; write it as a float"
        )
    values = np.ma.filled(np.ma.asarray(variable[:]).astype(np.float64), np.nan)
    if "time" not in variable.dimensions or values.size != time.size:
        raise SiteError(
            f"{path.name}: variable {variable.name}: expected one value a time step "
            f"({time.size}), found dimensions {variable.dimensions} of shape {values.shape}; "
            "write one tower a file"
        )
    values = values.reshape(-1)
    values[values == MISSING] = np.nan
    return values


def place_of(nc: netCDF4.Dataset) -> dict[str, float | str]:
    """What a file says of the place, from its scalar variables or else its attributes."""
    numbers = ("latitude", "longitude", "elevation", "reference_height", "canopy_height")
    place: dict[str, float | str] = {}
    for name in (*numbers, "utc_offset"):
        if name in nc.variables:
            found = np.ma.filled(np.ma.asarray(nc.variables[name][:]).astype(float), np.nan)
            value = float(found.ravel()[0])
        else:
            value = _number(getattr(nc, name, None))
        if np.isfinite(value) and value != MISSING:
            place[name] = value
    if "IGBP_veg_short" in nc.variables:
        found = nc.variables["IGBP_veg_short"][...]
        is_chars = getattr(found, "dtype", None) == np.dtype("S1")
        found = netCDF4.chartostring(np.ma.filled(found, b"")) if is_chars else found
        place["igbp"] = str(np.asarray(found).ravel()[0]).strip()
    elif hasattr(nc, "IGBP_veg_short"):
        place["igbp"] = str(nc.IGBP_veg_short).strip()
    texts = {"name": "site_name", "country": "country", "license": "license"}
    return place | {key: str(getattr(nc, attr)) for key, attr in texts.items() if hasattr(nc, attr)}


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return float("nan")


def _place(met: _File) -> dict[str, float | str]:
    for name in ("latitude", "longitude", "elevation", "igbp"):
        if name not in met.place:
            shown = "IGBP_veg_short" if name == "igbp" else name
            raise SiteError(
                f"{met.path.name}: expected a scalar variable {shown}; found none; add it"
            )
    check_place(met.place, met.path.name)
    return dict(met.place)


def _forcing(met: _File) -> xr.Dataset:
    series = {name: _forcing_variable(met, name) for name in FORCING}
    for name, values in series.items():
        check_forcing(name, values, met.time, met.path.name)
    return dataset_of(series, met.time)


def _forcing_variable(met: _File, name: str) -> np.ndarray:
    if name == "Precip" and name not in met.values and "Rainf" in met.values:
        parts = [part for part in ("Rainf", "Snowf") if part in met.values]
        for part in parts:
            check_unit("Precip", met.units[part], f"{met.path.name} ({part})")
        return np.sum([met.values[part] for part in parts], axis=0)
    if name not in met.values:
        instead = " (or Rainf and Snowf)" if name == "Precip" else ""
        raise SiteError(
            f"{met.path.name}: expected forcing variable {name}{instead} in {UNITS[name]}; "
            "the file has none; add it or leave the tower out"
        )
    check_unit(name, met.units[name], met.path.name)
    return met.values[name]


def _fluxes(flux: _File) -> tuple[xr.Dataset, dict[str, float | str]]:
    """Fluxes, and what is to be said of them."""
    for name in REQUIRED_FLUXES:
        if name not in flux.values:
            raise SiteError(
                f"{flux.path.name}: expected flux {name} in {UNITS[name]}; the file has none; "
                "add it or leave the tower out"
            )
    series = {}
    for name in _FLUXES:
        if name not in flux.values:
            continue
        check_unit(name, flux.units[name], flux.path.name)
        series[name] = flux.values[name]
        if f"{name}_qc" in flux.values:
            series[f"{name}_qc"] = flux.values[f"{name}_qc"]
    sound, spikes = without_spikes(series)
    return dataset_of(sound, flux.time), spikes


def _common_period(met: _File, flux: _File) -> tuple[np.datetime64, np.datetime64]:
    """First and last stamp both files have, when the axes differ in length only."""
    where = f"{met.path.name} and {flux.path.name}"
    if met.step != flux.step:
        raise SiteError(
            f"{where}: expected one time step, found {met.step} and {flux.step} s; "
            "average the finer record to the coarser"
        )
    first, last = max(met.time[0], flux.time[0]), min(met.time[-1], flux.time[-1])
    nested = any(first == f.time[0] and last == f.time[-1] for f in (met, flux))
    in_phase = (met.time[0] - flux.time[0]) % np.timedelta64(met.step, "s") == np.timedelta64(0)
    if not (nested and in_phase):
        raise SiteError(
            f"{where}: expected the same period, found {stamp(met.time[0])} to "
            f"{stamp(met.time[-1])} and {stamp(flux.time[0])} to {stamp(flux.time[-1])}; "
            "cut both to the period they share"
        )
    return first, last


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
