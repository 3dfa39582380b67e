"""What the network's tables do not say: where a tower stands, on what, and for which years."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.errors import SiteError
from mdpl.sites.attributes import LAND_COVER

TABLE = "sites.csv"
"""Name of a user's table beside the records: one row a tower."""

COLUMNS = {
    "site": "site",
    "latitude": "latitude",
    "lat": "latitude",
    "longitude": "longitude",
    "lon": "longitude",
    "elevation": "elevation",
    "igbp": "igbp",
    "IGBP_veg_short": "igbp",
    "canopy_height": "canopy_height",
    "z_canopy": "canopy_height",
    "reference_height": "reference_height",
    "z_obs": "reference_height",
    "utc_offset": "utc_offset",
    "first": "first",
    "last": "last",
    "name": "name",
}
"""Column -> our name; the forms are ours and that of PLUMBER2's table of 170 towers. ``first`` and
``last`` are the days a record is cut to."""

_BADM = {
    "LOCATION_LAT": "latitude",
    "LOCATION_LONG": "longitude",
    "LOCATION_ELEV": "elevation",
    "IGBP": "igbp",
    "UTC_OFFSET": "utc_offset",
    "HEIGHTC": "canopy_height",
    "SITE_NAME": "name",
}
_NEEDED = ("latitude", "longitude", "elevation")
_TEXTS = ("igbp", "name", "first", "last")


LIMITS = {
    "latitude": (-90.0, 90.0),
    "longitude": (-180.0, 180.0),
    "elevation": (-500.0, 9000.0),
    "utc_offset": (-12.0, 14.0),
    "canopy_height": (0.0, 150.0),
    "reference_height": (0.0, 500.0),
}
"""What numbers of a place may be: degrees, m, h."""


def check_place(place: Mapping[str, float | str], where: str) -> None:
    """Refuse a place that is nowhere on Earth, or of no vegetation we know.

    Args:
        place: what is known of it; missing numbers are NaN or absent.
        where: file or tower for the message.

    Raises:
        SiteError: naming what is wrong.
    """
    for name, (low, high) in LIMITS.items():
        value = float(value_of(name, str(place.get(name, "nan")), where))
        unknown = np.isnan(value) and name not in _NEEDED
        if not (low <= value <= high or unknown):
            raise SiteError(
                f"{where}: {name}: expected {low:g} to {high:g}, found {value:g}; correct it"
            )
    igbp = str(place["igbp"])
    if igbp not in LAND_COVER:
        raise SiteError(
            f"{where}: igbp: expected one of {', '.join(sorted(LAND_COVER))}, found {igbp!r}; "
            "correct it (IGBP_veg_short in PLUMBER2 files) or leave the tower out"
        )


def read_places(folder: Path) -> dict[str, dict[str, float | str]]:
    """Places by tower: from the networks' BADM tables (``*BIF*.csv``) and ``sites.csv``.

    What ``sites.csv`` says comes first.

    Raises:
        SiteError: a table that cannot be read, a tower twice, or text where numbers belong.
    """
    places: dict[str, dict[str, float | str]] = {}
    for path in sorted([*folder.glob("*BIF*.csv"), *folder.glob("*BADM*.csv")]):
        for code, place in _badm(path).items():
            places.setdefault(code, {}).update(place)
    if (folder / TABLE).is_file():
        for code, place in read_table(folder / TABLE).items():
            places.setdefault(code, {}).update(place)
    return places


def read_table(path: Path) -> dict[str, dict[str, float | str]]:
    """A table of places, one row a tower, with columns out of `COLUMNS`; others are ignored."""
    frame = _table(path)
    frame = frame.rename(columns={c: COLUMNS[c] for c in frame.columns if c in COLUMNS})
    if "site" not in frame:
        raise SiteError(f"{path}: expected a column site; found {', '.join(frame.columns[:8])}")
    twice = frame["site"][frame["site"].duplicated()]
    if len(twice):
        raise SiteError(f"{path}: tower {twice.iloc[0]} is there twice; keep one row")
    known = [n for n in frame.columns if n in set(COLUMNS.values()) and n != "site"]
    return {
        str(row["site"]).strip(): {
            n: value_of(n, str(row[n]).strip(), str(path)) for n in known if _said(row[n])
        }
        for _, row in frame.iterrows()
    }


def _badm(path: Path) -> Mapping[str, dict[str, float | str]]:
    frame = _table(path)
    if not {"SITE_ID", "VARIABLE", "DATAVALUE"} <= set(frame.columns):
        raise SiteError(f"{path}: expected columns SITE_ID, VARIABLE and DATAVALUE (BADM)")
    places: dict[str, dict[str, float | str]] = {}
    for code, variable, value in frame[["SITE_ID", "VARIABLE", "DATAVALUE"]].to_numpy():
        if variable in _BADM and _said(value):
            name = _BADM[variable]
            places.setdefault(str(code), {}).setdefault(name, value_of(name, str(value), str(path)))
    return places


def _table(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: cannot be read as a table: {str(error)[:200]}") from error
    return frame.rename(columns=lambda c: str(c).strip())


def _said(value: object) -> bool:
    return isinstance(value, str) and value.strip() not in ("", "-9999", "NA", "NaN")


def value_of(name: str, text: str, where: str) -> float | str:
    """A number, or a text where `COLUMNS` wants one.

    Raises:
        SiteError: text for a number.
    """
    if name in _TEXTS:
        return text
    try:
        return float(text)
    except ValueError as error:
        raise SiteError(f"{where}: {name}: expected a number, found {text[:40]!r}") from error
