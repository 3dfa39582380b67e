"""AmeriFlux BASE and European Fluxes Database tables, whose columns carry their position."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.sites.csv_files import STAMP_COLUMNS, code_of, header, read_columns, starts
from mdpl.sites.network import Column, record_of
from mdpl.sites.record import Record

COLUMNS = {
    "SWdown": ("SW_IN",),
    "LWdown": ("LW_IN",),
    "Tair": ("TA",),
    "VPD": ("VPD", "VPD_PI"),
    "RH": ("RH",),
    "Psurf": ("PA",),
    "Wind": ("WS",),
    "Precip": ("P",),
    "CO2air": ("CO2",),
    "Qle": ("LE",),
    "Qh": ("H",),
    "Rnet": ("NETRAD",),
    "Qg": ("G",),
    "NEE": ("NEE", "NEE_PI", "FC"),
    "GPP": ("GPP", "GPP_PI"),
    "Ustar": ("USTAR",),
}
"""Our name -> base names, in the order of preference (AmeriFlux: Data Variables)."""

FILLED = {"Qle": ("LE_PI_F", "LE_F"), "Qh": ("H_PI_F", "H_F"), "NEE": ("NEE_PI_F", "FC_PI_F")}
"""Columns the investigators filled; they stand in, flagged 1, where the measured one is missing."""

_GPP_FILLED = ("GPP_PI_F", "GPP_F")
_POSITION = re.compile(r"^(?P<name>.+?)(?:_(?P<h>\d+)_(?P<v>\d+)_(?P<r>\d+|A)|_(?P<layer>\d+))?$")
_ENOUGH = 0.05


def is_base(names: list[str]) -> bool:
    """Whether a header is that of such a table."""
    plain = {_parse(name)[0] for name in names}
    return bool(plain & set(STAMP_COLUMNS)) and {"LE", "H"} <= plain


def read_base(path: Path) -> Record:
    """Read a table: of each variable the sensor highest up that has data.

    A column is ``<name>_<horizontal>_<vertical>_<replicate>``, vertical 1 the highest; soil heat
    flux is the mean of all plates. Where a table has no TIMESTAMP_START (European Fluxes
    Database) turbulent fluxes that failed the steady-state and turbulence test (SSITC 2; Foken et
    al. 2004) are taken out; the investigators of AmeriFlux BASE have filtered theirs.

    Raises:
        SiteError: as `mdpl.sites.csv_files` has it.
    """
    names, skip, comments = header(path)
    stamps = [n for n in names if n in STAMP_COLUMNS]
    plain = {base for bases in (*COLUMNS.values(), *FILLED.values()) for base in bases}
    plain |= {f"{n}_SSITC_TEST" for n in ("LE", "H", "FC")} | set(_GPP_FILLED)
    wanted = [n for n in names if _parse(n)[0] in plain and n not in stamps]
    frame = read_columns(path, [*stamps, *wanted], skip)
    columns, notes = {}, []
    for our, bases in COLUMNS.items():
        found = _choose(frame, wanted, bases, all_of_them=our == "Qg")
        if found is None:
            continue
        values, said = found
        columns[our] = Column(values)
        notes.append(f"{our} from {said}")
    if "TIMESTAMP_START" not in names:
        columns = _tested(frame, wanted, columns)
    columns = _with_fillings(frame, wanted, columns)
    return record_of(
        code_of(path, comments), starts(path, frame), columns, (path,), notes=tuple(notes)
    )


def _parse(name: str) -> tuple[str, tuple[int, int, int]]:
    """Base name and (vertical, horizontal, replicate) for the order of preference."""
    match = _POSITION.match(name)
    if match is None or (match["h"] is None and match["layer"] is None):
        return name, (0, 0, 0)
    if match["layer"]:
        return match["name"], (int(match["layer"]), 1, 1)
    replicate = 0 if match["r"] == "A" else int(match["r"])
    return match["name"], (int(match["v"]), int(match["h"]), replicate)


def _choose(
    frame: pd.DataFrame, names: Sequence[str], bases: Sequence[str], all_of_them: bool = False
) -> tuple[np.ndarray, str] | None:
    for base in bases:
        here = sorted((n for n in names if _parse(n)[0] == base), key=lambda n: _parse(n)[1])
        here = [n for n in here if frame[n].notna().mean() > _ENOUGH]
        if here and all_of_them:
            return frame[here].mean(axis=1).to_numpy(), " and ".join(here)
        if here:
            return frame[here[0]].to_numpy(), here[0]
    return None


def _tested(
    frame: pd.DataFrame, names: Sequence[str], columns: dict[str, Column]
) -> dict[str, Column]:
    kept = dict(columns)
    for our, test in (("Qle", "LE"), ("Qh", "H"), ("NEE", "FC")):
        found = _choose(frame, names, (f"{test}_SSITC_TEST",))
        if found is not None and our in kept:
            kept[our] = Column(np.where(found[0] <= 1, kept[our].values, np.nan))
    return kept


def _with_fillings(
    frame: pd.DataFrame, names: Sequence[str], columns: dict[str, Column]
) -> dict[str, Column]:
    whole = dict(columns)
    for our, bases in FILLED.items():
        found = _choose(frame, names, bases)
        if found is None or our not in whole:
            continue
        seen = np.isfinite(whole[our].values)
        values = np.where(seen, whole[our].values, found[0])
        whole[our] = Column(values, np.where(seen, 0.0, np.where(np.isfinite(values), 1.0, np.nan)))
    found = _choose(frame, names, _GPP_FILLED)
    if "GPP" not in whole and found is not None and "NEE" in columns:
        seen = np.isfinite(columns["NEE"].values)
        whole["GPP"] = Column(found[0], np.where(seen, 0.0, 1.0))
    return whole
