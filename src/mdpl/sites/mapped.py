"""Any table of half-hours, by a mapping (YAML) that says which column is what, in which unit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mdpl.errors import SiteError
from mdpl.plain_yaml import parse
from mdpl.sites.csv_files import header, parse_stamps, read_columns
from mdpl.sites.network import Column, record_of
from mdpl.sites.places import COLUMNS as PLACE_COLUMNS
from mdpl.sites.places import value_of
from mdpl.sites.qc import check_unit
from mdpl.sites.record import COMPANIONS, FLUXES, Record
from mdpl.sites.site import FORCING

_UNITS: dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    "Tair": {"degC": lambda x: x, "K": lambda x: x - 273.15},
    "Psurf": {"kPa": lambda x: x, "hPa": lambda x: x / 10.0, "Pa": lambda x: x / 1000.0},
    "VPD": {"hPa": lambda x: x, "kPa": lambda x: 10.0 * x, "Pa": lambda x: x / 100.0},
    "RH": {"%": lambda x: x, "1": lambda x: 100.0 * x},
    "Qair": {"kg kg-1": lambda x: x, "g kg-1": lambda x: x / 1000.0},
    "Precip": {"mm": lambda x: x},
    "Ustar": {"m s-1": lambda x: x},
    "CO2air": {"ppm": lambda x: x, "mol mol-1": lambda x: 1e6 * x},
    "NEE": {"umol m-2 s-1": lambda x: x, "g C m-2 s-1": lambda x: x / 12.01e-6},
    "GPP": {"umol m-2 s-1": lambda x: x, "g C m-2 s-1": lambda x: x / 12.01e-6},
}
"""Units a column may have, and the way to those `mdpl.sites.network.record_of` takes."""

PLACE = frozenset(PLACE_COLUMNS.values()) - {"site"}
"""What a mapping may say of the place."""

_NAMES = (*FORCING, *FLUXES, *COMPANIONS, "Qle_cor", "Qh_cor", "Qle_uc", "Qh_uc", "NEE_uc")


class ColumnMapping(BaseModel):
    """Where a variable is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str = Field(description="name of the column")
    unit: str | None = Field(None, description="unit; null = that of the networks")
    qc: str | None = Field(None, description="column of flags")
    measured: tuple[float, ...] = Field((0.0,), description="flags that mean measured")


class Mapping(BaseModel):
    """A table and what its columns are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{2,20}$")]
    file: str = Field(description="the table, in the folder of the mapping")
    below_names: Annotated[int, Field(ge=0, le=20)] = Field(
        0, description="lines between the names of the columns and the data, such as units"
    )
    time: str = Field(description="column of time stamps, local standard time")
    time_format: str = Field("%Y-%m-%d %H:%M:%S", description="as of strptime")
    stamp: Literal["start", "middle", "end"] = "start"
    place: dict[str, float | str | date] = Field(
        {}, description="latitude, longitude, elevation, igbp …"
    )
    columns: dict[str, ColumnMapping | str]


def read_mapping(path: Path) -> Mapping:
    """Read and check a mapping.

    Raises:
        SiteError: not YAML, or not a mapping; the message names the key.
    """
    try:
        found = Mapping.model_validate(parse(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise SiteError(f"{path.name}: cannot be read as YAML: {str(error)[:200]}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise SiteError(f"{path.name}: {where}: {first['msg']}") from error
    unknown = sorted(set(found.columns) - set(_NAMES))
    if unknown:
        raise SiteError(
            f"{path.name}: columns: {unknown[0]} is no variable of ours; known: {', '.join(_NAMES)}"
        )
    strange = sorted(set(found.place) - set(PLACE))
    if strange:
        raise SiteError(
            f"{path.name}: place: {strange[0]} is nothing we ask of a tower; known: "
            f"{', '.join(sorted(PLACE))}"
        )
    if Path(found.file).name != found.file:
        raise SiteError(
            f"{path.name}: file: expected a name in the folder of the mapping, found {found.file!r}"
        )
    return found


def read_mapped(path: Path) -> Record:
    """Read the table a mapping describes.

    Raises:
        SiteError: as `read_mapping` and `mdpl.sites.csv_files` have it; a column that is not
            there, or a unit that is not known.
    """
    mapping = read_mapping(path)
    table = path.parent / mapping.file
    names, skip, _ = header(table)
    chosen = {
        our: ColumnMapping(column=c) if isinstance(c, str) else c
        for our, c in mapping.columns.items()
    }
    wanted = {c.column for c in chosen.values()} | {c.qc for c in chosen.values() if c.qc}
    for name in (mapping.time, *sorted(wanted)):
        if name not in names:
            raise SiteError(f"{path.name}: {table.name} has no column {name!r}")
    lines = [*range(skip), *range(skip + 1, skip + 1 + mapping.below_names)]
    numbers = read_columns(table, sorted(wanted), lines)
    stamps = _stamps(table, mapping, lines)
    columns = {our: _column(path, our, c, numbers) for our, c in chosen.items()}
    place = {n: value_of(n, str(value), path.name) for n, value in mapping.place.items()}
    return record_of(mapping.site, stamps, columns, (table, path), place)


def _stamps(table: Path, mapping: Mapping, lines: list[int]) -> np.ndarray:
    text = pd.read_csv(table, skiprows=lines, usecols=[mapping.time], dtype=str)[mapping.time]
    stamps = parse_stamps(text, table, mapping.time, mapping.time_format)
    unique = np.unique(stamps)
    step = np.median(np.diff(unique).astype(np.int64)) if unique.size > 1 else 0.0
    back = {"start": 0.0, "middle": 0.5, "end": 1.0}[mapping.stamp]
    return stamps - np.timedelta64(int(back * step), "ns")


def _column(path: Path, our: str, mapping: ColumnMapping, numbers: pd.DataFrame) -> Column:
    known = _UNITS.get(our)
    values = numbers[mapping.column].to_numpy()
    if mapping.unit is not None and known is None:
        check_unit(our.removesuffix("_uc"), mapping.unit, f"{path.name}: columns.{our}")
    if mapping.unit is not None and known is not None:
        if mapping.unit not in known:
            raise SiteError(
                f"{path.name}: columns.{our}.unit: expected one of {', '.join(known)}, found "
                f"{mapping.unit!r}"
            )
        values = known[mapping.unit](values)
    if mapping.qc is None:
        return Column(values)
    flag = numbers[mapping.qc].to_numpy()
    good = np.isin(flag, mapping.measured)
    return Column(values, np.where(good, 0.0, np.where(np.isfinite(flag), 1.0, np.nan)))
