"""Leaf area where a record has none: from a user's table, or a climatology of the class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.errors import SiteError

TABLE = "lai.csv"
"""Name of a user's table beside the records: site, LAI, and date or day_of_year."""

CLASS_LEAF_AREA = {
    "ENF": (4.5, 5.5),
    "EBF": (4.8, 4.8),
    "DNF": (0.8, 4.0),
    "DBF": (0.8, 5.1),
    "MF": (2.5, 5.0),
    "CSH": (1.2, 2.1),
    "OSH": (0.8, 1.5),
    "WSA": (1.0, 2.0),
    "SAV": (0.7, 1.7),
    "GRA": (0.6, 2.5),
    "CRO": (0.4, 3.6),
    "CVM": (0.6, 3.0),
    "WET": (1.0, 4.0),
    "BSV": (0.2, 0.6),
}
"""IGBP class -> LAI in winter and in the growing season, m2 m-2.

The higher numbers follow the biome means of Asner et al. (2003,
doi:10.1046/j.1466-822X.2003.00026.x), lowered where wetlands and savannas were sampled in their
densest stands; those of winter are round numbers of ours.
"""

_COURSE = ((1, 0.0), (90, 0.0), (150, 1.0), (260, 1.0), (320, 0.0), (366, 0.0))
"""Day of year and share of the way from winter to summer, north of the equator."""


def class_climatology(igbp: str, latitude: float, time: np.ndarray) -> np.ndarray:
    """LAI (time,) of a class: winter and growing season with straight lines in between.

    South of the equator half a year later; between the tropics the mean of both.

    Raises:
        SiteError: a class without vegetation.
    """
    if igbp not in CLASS_LEAF_AREA:
        raise SiteError(f"no leaf area for IGBP class {igbp!r}; give {TABLE}")
    low, high = CLASS_LEAF_AREA[igbp]
    if abs(latitude) < 23.4:
        return np.full(time.size, 0.5 * (low + high))
    day = _day_of_year(time)
    if latitude < 0:
        day = (day + 182) % 365 + 1
    days, share = zip(*_COURSE, strict=True)
    return low + (high - low) * np.interp(day, days, share)


def read_leaf_area(path: Path, code: str, time: np.ndarray) -> np.ndarray | None:
    """LAI (time,) of a tower from a table; None if the tower is not in it.

    Dates are interpolated, and held before the first and after the last; days of the year are a
    climatology and go round.

    Raises:
        SiteError: no columns site and LAI, neither date nor day_of_year, or values that cannot be.
    """
    try:
        frame = pd.read_csv(path, encoding="utf-8-sig").rename(columns=_heading)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: cannot be read as a table: {str(error)[:200]}") from error
    if not {"site", "LAI"} <= set(frame) or not {"date", "day_of_year"} & set(frame):
        raise SiteError(
            f"{path}: expected columns site, LAI and date or day_of_year, found "
            f"{', '.join(frame.columns[:8]) or 'none'}"
        )
    frame = frame[frame["site"].astype(str).str.strip() == code]
    if frame.empty:
        return None
    values = pd.to_numeric(frame["LAI"], errors="coerce").to_numpy(dtype=float)
    if not ((values >= 0) & (values <= 15)).all():
        raise SiteError(f"{path}: {code}: expected LAI from 0 to 15 in every row")
    if "date" in frame:
        dates = pd.to_datetime(frame["date"].astype(str), format="%Y-%m-%d", errors="coerce")
        if dates.isna().any():
            raise SiteError(f"{path}: {code}: expected dates like 2016-05-01 in every row")
        stamps = dates.to_numpy().astype("datetime64[ns]")
        order = np.argsort(stamps)
        return np.interp(time.astype(np.int64), stamps[order].astype(np.int64), values[order])
    day = pd.to_numeric(frame["day_of_year"], errors="coerce").to_numpy(dtype=float)
    if not ((day >= 1) & (day <= 366)).all():
        raise SiteError(f"{path}: {code}: expected day_of_year from 1 to 366 in every row")
    return np.interp(_day_of_year(time), day, values, period=365.25)


def _heading(text: object) -> str:
    name = str(text).strip().lower()
    return "LAI" if name == "lai" else name


def _day_of_year(time: np.ndarray) -> np.ndarray:
    return (time.astype("M8[D]") - time.astype("M8[Y]").astype("M8[D]")).astype(int) + 1
