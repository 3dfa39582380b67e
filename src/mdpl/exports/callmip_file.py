"""Writes one file as CalLMIP phase 1 wants it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import netCDF4
import numpy as np

from mdpl import __version__
from mdpl.exports.variables import VARIABLES
from mdpl.runs import writing

FILL = 1e38
"""As in CalLMIP's template."""

PHASE = "Phase1b"

Stage = Literal["Prior", "Posterior"]
Kind = Literal["Calibration", "Validation"]


@dataclass(frozen=True)
class Content:
    """What goes into a file.

    Attributes:
        model: name and version, such as ``MATSIRO.v1``.
        scenario: 1-6.
        code, latitude, longitude: of the tower, degrees.
        days: shape (day,), consecutive, datetime64[D].
        values: CMIP name -> shape (day,), NaN where there is none.
        uncertainty: CMIP name -> standard deviation of the posterior, shape (day,).
        notes: further global attributes.
    """

    model: str
    scenario: int
    stage: Stage
    kind: Kind
    code: str
    latitude: float
    longitude: float
    days: np.ndarray
    values: Mapping[str, np.ndarray]
    uncertainty: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """``<model>.<version>_Phase1b_Scen<n>_<Site>_<Cal|Val>_<Prior|Posterior>.nc``."""
        parts = (self.model, PHASE, f"Scen{self.scenario}", self.code, self.kind[:3], self.stage)
        return "_".join(parts) + ".nc"


def write(content: Content, folder: Path) -> Path:
    """Write a file whole or not at all; its path.

    Raises:
        RunError: the folder cannot be written.
    """
    path = folder / content.name
    temporary = folder / f".{content.name}.part"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        # The classic form of the template; scalars may be named like dimensions in it.
        with netCDF4.Dataset(temporary, "w", format="NETCDF3_CLASSIC") as file:
            _place(file, content)
            _time(file, content.days)
            for variable in VARIABLES:
                if variable.name in content.values:
                    about = (variable.units, variable.long_name, variable.source)
                    _series(file, variable.name, content.values[variable.name], *about)
                if variable.name in content.uncertainty:
                    told = f"{variable.long_name}: standard deviation of the posterior"
                    about = (variable.units, told, variable.source)
                    _series(
                        file,
                        f"{variable.name}_post_unc",
                        content.uncertainty[variable.name],
                        *about,
                    )
            file.setncatts(_attributes(content))
        temporary.replace(path)
    return path


def _place(file: netCDF4.Dataset, content: Content) -> None:
    for name, size in (("lon", 1), ("lat", 1), ("time", content.days.size)):
        file.createDimension(name, size)
    for short, long, degrees, value in (
        ("lat", "latitude", "degrees_north", content.latitude),
        ("lon", "longitude", "degrees_east", content.longitude),
    ):
        file.createVariable(short, "f8", ())[...] = value
        axis = file.createVariable(long, "f8", (short,))
        axis.setncatts({"standard_name": long, "long_name": long, "units": degrees})
        axis[:] = value


def _time(file: netCDF4.Dataset, days: np.ndarray) -> None:
    """Noon of each day since the first of January of the first year."""
    origin = days[0].astype("datetime64[Y]").astype("datetime64[D]")
    axis = file.createVariable("time", "f8", ("time",))
    axis.long_name = "time"
    axis.units = f"days since {origin} 00:00:00"
    axis.calendar = "standard"
    axis[:] = (days - origin).astype(float) + 0.5


def _series(
    file: netCDF4.Dataset, name: str, values: np.ndarray, units: str, long_name: str, source: str
) -> None:
    variable = file.createVariable(name, "f8", ("time", "lat", "lon"), fill_value=FILL)
    variable.long_name = long_name
    variable.units = units
    variable.nameInCode = source
    variable.coordinates = "latitude longitude"
    variable[:] = np.where(np.isfinite(values), values, FILL).reshape(-1, 1, 1)


def _attributes(content: Content) -> dict[str, str]:
    return {
        "title": f"{content.model} output for CalLMIP phase 1, {content.code}",
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "Conventions": "CF-1.6",
        "source": f"MdPL {__version__}",
        "Model": content.model,
        "CalLMIP_Phase": PHASE,
        "Calibration_Scenario": f"Scen{content.scenario}",
        "Calibration_stage": content.stage,
        "Cal_Val": content.kind,
        **content.notes,
    }
