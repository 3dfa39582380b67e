"""Daily observed fluxes with their uncertainties, in the form of CalLMIP (phase 1, protocol v2).

One file a tower, ``<CODE>_daily_aggregated_*.nc``: ``<flux>_daily`` and the standard deviation
``<flux>_uc_daily``, one value a calendar day in local standard time, missing where more than a
quarter of the day was filled. Heat fluxes are daily means, NEE is a daily sum of carbon.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.qc import same_unit

CARBON_PER_MOLE = 12.0
"""g, as the files were made with (their attribute ``scaling_factor_NEE``)."""

_PER_DAY = 1e6 / CARBON_PER_MOLE / 86400.0
_UNITS = {
    "Qle": ((("W m-2", 1.0),)),
    "Qh": ((("W m-2", 1.0),)),
    "NEE": (("gC m-2 d-1", _PER_DAY), ("umol m-2 s-1", 1.0)),
}
"""Units of the files and what makes `mdpl.sites.site.UNITS` of them."""


@dataclass(frozen=True)
class Daily:
    """Daily observations of one tower.

    Attributes:
        code: tower code.
        days: calendar days without gaps, shape (day,), datetime64[D].
        values: flux -> daily mean, shape (day,), NaN where missing; units of `UNITS`.
        sd: flux -> standard deviation of its random error, shape (day,), NaN where ``values`` is.
        source: file name.
        sha256: of the file.
    """

    code: str
    days: np.ndarray
    values: Mapping[str, np.ndarray]
    sd: Mapping[str, np.ndarray]
    source: str
    sha256: str

    def on(self, days: np.ndarray) -> Daily:
        """The same on other days; NaN where the file has none."""
        place = np.searchsorted(self.days, days)
        inside = (place < self.days.size) & (days >= self.days[0])
        at = np.where(inside, place, 0)

        def cut(series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {k: np.where(inside, v[at], np.nan) for k, v in series.items()}

        return Daily(self.code, days, cut(self.values), cut(self.sd), self.source, self.sha256)


def find_daily(folder: Path, code: str) -> Path:
    """The file of one tower.

    Raises:
        SiteError: no such folder, or not exactly one file.
    """
    if not folder.is_dir():
        raise SiteError(f"{folder}: no such folder of daily observations; see sites.daily")
    found = sorted(folder.glob(f"{code}_daily_aggregated_*.nc"))
    if len(found) != 1:
        names = ", ".join(p.name for p in found) or "none"
        raise SiteError(
            f"{folder}: expected one file {code}_daily_aggregated_*.nc, found {names}; leave the "
            "tower out, or give sites.daily another folder"
        )
    return found[0]


def read_daily(path: Path, code: str) -> Daily:
    """Read the daily observations of one tower.

    Raises:
        SiteError: the file is unreadable, of another tower, has no flux, another unit, or days
            that are not consecutive.
    """
    try:
        with netCDF4.Dataset(path) as file:
            own = str(getattr(file, "site_code", code))
            if own != code:
                raise SiteError(f"{path}: expected observations of {code}, found those of {own}")
            days = _days(file, path)
            pairs = {
                f: _pair(file, f, days.size, path) for f in _UNITS if f"{f}_daily" in file.variables
            }
    except OSError as error:
        raise SiteError(f"{path}: expected a NetCDF file; {error}") from error
    if not pairs:
        raise SiteError(f"{path}: expected Qle_daily, Qh_daily or NEE_daily; found none of them")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    values = {flux: pair[0] for flux, pair in pairs.items()}
    return Daily(code, days, values, {f: pair[1] for f, pair in pairs.items()}, path.name, digest)


def _days(file: netCDF4.Dataset, path: Path) -> np.ndarray:
    if "time" not in file.variables or not hasattr(file["time"], "units"):
        raise SiteError(f"{path}: expected a variable 'time' with units; found none")
    axis = file["time"]
    try:
        stamps = netCDF4.num2date(axis[:], axis.units, getattr(axis, "calendar", "standard"))
        texts = [stamp.isoformat()[:10] for stamp in np.ravel(np.asarray(stamps))]
        days = np.array(texts, dtype="datetime64[D]")
    except (AttributeError, ValueError) as error:
        raise SiteError(f"{path}: time cannot be read ({axis.units!r}; {error})") from error
    if days.size < 2 or not (np.diff(days) == np.timedelta64(1, "D")).all():
        raise SiteError(
            f"{path}: expected consecutive days, leap days included; found {days.size} values "
            "that are not"
        )
    return days


def _pair(file: netCDF4.Dataset, flux: str, size: int, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values and standard deviations; a value without a usable uncertainty does not count."""
    values, sd = (_series(file, f"{flux}{part}_daily", flux, size, path) for part in ("", "_uc"))
    known = np.isfinite(values) & np.isfinite(sd) & (sd > 0)
    return np.where(known, values, np.nan), np.where(known, sd, np.nan)


def _series(file: netCDF4.Dataset, name: str, flux: str, size: int, path: Path) -> np.ndarray:
    if name not in file.variables:
        raise SiteError(f"{path}: expected {name}; found {', '.join(file.variables)}")
    variable = file[name]
    if variable.size != size:
        raise SiteError(f"{path}: {name}: expected {size} days, found shape {variable.shape}")
    found = str(getattr(variable, "units", ""))
    for unit, factor in _UNITS[flux]:
        if same_unit(found, unit):
            return factor * np.ma.filled(variable[:].astype(float), np.nan).reshape(-1)
    expected = " or ".join(unit for unit, _ in _UNITS[flux])
    raise SiteError(f"{path}: {name}: expected unit {expected}, found {found!r}; convert it")
