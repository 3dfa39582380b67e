"""One flux tower: its forcing, its observed fluxes and what is known of the place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import xarray as xr

from mdpl.errors import SiteError

FORCING = ("SWdown", "LWdown", "Tair", "Qair", "Wind", "Psurf", "Precip", "CO2air", "LAI")
"""ALMA names every land model is driven by, in the units of `UNITS`."""

_NAME = re.compile(r"\w[\w.\-]{0,63}")

UNITS = {
    "SWdown": "W m-2",
    "LWdown": "W m-2",
    "Tair": "K",
    "Qair": "kg kg-1",
    "Wind": "m s-1",
    "Psurf": "Pa",
    "Precip": "kg m-2 s-1",
    "CO2air": "ppm",
    "LAI": "m2 m-2",
    "Qle": "W m-2",
    "Qh": "W m-2",
    "Rnet": "W m-2",
    "Qg": "W m-2",
    "GPP": "umol m-2 s-1",
    "NEE": "umol m-2 s-1",
}


def unit_of(name: str) -> str:
    """Unit of a variable by name: ``Qle_cor``, ``Qle_uc`` are in that of Qle, flags in none."""
    if name.endswith("_qc"):
        return "1"
    return UNITS[name.removesuffix("_uc").removesuffix("_cor")]


def dataset_of(series: Mapping[str, np.ndarray], time: np.ndarray) -> xr.Dataset:
    """Series (time,) as a dataset with the units of their names."""
    return xr.Dataset(
        {name: ("time", values, {"units": unit_of(name)}) for name, values in series.items()},
        coords={"time": ("time", time)},
    )


@dataclass(frozen=True)
class Site:
    """A flux tower.

    Attributes:
        code: tower code, such as ``DE-Tha``.
        forcing: dims ``(time,)``, float64, the variables of `FORCING` without NaN, in `UNITS`.
        fluxes: dims ``(time,)``, same time axis; observed ``Qle``, ``Qh`` and, where the tower
            has them, ``Rnet Qg GPP NEE``, ``Qle_cor Qh_cor`` and random uncertainties
            ``<flux>_uc``, float64 with NaN where missing;
            each may have its ``<name>_qc`` (float64, 0 = measured, > 0 = filled).
        attributes: numbers and texts known of the place (see `mdpl.sites.attributes`).
        sources: where the data come from, for provenance: file name -> sha256.
        forcing_qc: forcing variable -> its flags, shape (time,), where the files have them.

    Time is local standard time and the stamp is the start of the interval (PLUMBER2).

    Raises:
        SiteError: the code cannot be the name of a file.
    """

    code: str
    forcing: xr.Dataset
    fluxes: xr.Dataset
    attributes: Mapping[str, float | str]
    sources: Mapping[str, str]
    forcing_qc: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.code):
            raise SiteError(
                f"{self.code[:60]!r} is no name for a tower: expected letters, digits, "
                "and - _ . between them, such as DE-Tha"
            )

    @property
    def time(self) -> np.ndarray:
        """Start of each interval, local standard time, shape (time,), datetime64[ns]."""
        return self.forcing["time"].values

    @cached_property
    def fingerprint(self) -> str:
        """Tells this tower's weather, and what is known of the place, from any other's."""
        digest = hashlib.sha256(repr((self.code, sorted(self.attributes.items()))).encode())
        for series in (self.time, *(self.forcing[name].values for name in FORCING)):
            digest.update(series.tobytes())
        return digest.hexdigest()

    @property
    def step_seconds(self) -> int:
        """Length of one interval, s."""
        return int((self.time[1] - self.time[0]) / np.timedelta64(1, "s"))

    @property
    def steps_per_day(self) -> int:
        return 86400 // self.step_seconds

    def first_days(self, days: int) -> Site:
        """The same tower with the first days of its record only."""
        span = {"time": slice(0, days * self.steps_per_day)}
        flags = {name: values[span["time"]] for name, values in self.forcing_qc.items()}
        return replace(
            self, forcing=self.forcing.isel(span), fluxes=self.fluxes.isel(span), forcing_qc=flags
        )

    @property
    def land_cover(self) -> int:
        """SiB2/MATSIRO land-cover class, 1-9 (see `mdpl.sites.attributes`)."""
        return int(self.attributes["land_cover"])

    @property
    def pft(self) -> str:
        """IGBP short name, such as ``ENF``."""
        return str(self.attributes["igbp"])
