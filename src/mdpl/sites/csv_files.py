"""Half-hourly tables of the networks: finding columns, reading them, parsing their stamps."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.errors import SiteError

MISSING = (-9999.0, -6999.0, -99999.0)
"""Marks of missing values the networks use."""

CODE = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}-[A-Za-z0-9]{3}(?![A-Za-z0-9])")
"""A tower code, such as ``DE-Tha``, anywhere in a name."""

STAMP_COLUMNS = ("TIMESTAMP_START", "TIMESTAMP_END", "TIMESTAMP")
_HEAD_LINES = 100
_LONGEST_LINE = 1_000_000


def header(path: Path) -> tuple[list[str], int, list[str]]:
    """Column names, number of lines before them, and the comment lines there.

    Raises:
        SiteError: no text, no line of column names, or a column twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline=None) as stream:
            comments: list[str] = []
            for line_number in range(_HEAD_LINES):
                line = stream.readline(_LONGEST_LINE)
                if len(line) == _LONGEST_LINE:
                    raise SiteError(f"{path.name}: line {line_number + 1} is too long for a table")
                if not line:
                    break
                if line.startswith("#") or not line.strip(" ,\r\n"):
                    comments.append(line.strip())
                    continue
                names = [name.strip() for name in next(csv.reader(io.StringIO(line)))]
                twice = sorted({n for n in names if n and names.count(n) > 1})
                if twice:
                    raise SiteError(
                        f"{path.name}: column {twice[0]} is there twice; rename or remove one"
                    )
                return names, line_number, comments
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise SiteError(f"{path.name}: expected a table as text; {_short(error)}") from error
    raise SiteError(f"{path.name}: expected a line of column names; the file has none")


def read_columns(path: Path, names: Sequence[str], skip: int | list[int]) -> pd.DataFrame:
    """Columns as float64, NaN where missing; stamps stay text.

    Args:
        skip: lines before the names of the columns, or the numbers of lines to leave out.

    Raises:
        SiteError: no rows, rows that are too long or cut, or text where numbers belong.
    """
    stamps = [n for n in names if n in STAMP_COLUMNS]
    try:
        frame = pd.read_csv(
            path,
            skiprows=skip,
            usecols=list(names),
            dtype=dict.fromkeys(stamps, str),
            encoding="utf-8-sig",
            skip_blank_lines=True,
            skipinitialspace=True,
            low_memory=False,
        )
    except (OSError, ValueError, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise SiteError(f"{path.name}: cannot be read as a table: {_short(error)}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise SiteError(
            f"{path.name}: the rows have more values than the head has names; mend the head"
        )
    if len(frame) < 2:
        raise SiteError(f"{path.name}: expected rows of half-hours, found {len(frame)}")
    for name in frame.columns.difference(stamps):
        frame[name] = _numbers(frame[name], path)
    return frame


def starts(path: Path, frame: pd.DataFrame) -> np.ndarray:
    """Start of each interval, from TIMESTAMP_START or else TIMESTAMP_END; datetime64[ns].

    Raises:
        SiteError: neither column, or stamps that are no ``YYYYMMDDhhmm``.
    """
    for name in STAMP_COLUMNS:
        if name not in frame:
            continue
        stamps = parse_stamps(frame[name], path, name)
        if name != "TIMESTAMP_END":
            return stamps
        unique = np.unique(stamps)
        step = np.median(np.diff(unique).astype(np.int64)) if unique.size > 1 else 0
        return stamps - np.timedelta64(int(step), "ns")
    raise SiteError(f"{path.name}: expected a column {' or '.join(STAMP_COLUMNS)}; found none")


def parse_stamps(column: pd.Series, path: Path, name: str, form: str = "%Y%m%d%H%M") -> np.ndarray:
    """Stamps of a text column.

    Raises:
        SiteError: naming the first row that does not have the form.
    """
    text = column.astype(str).str.strip()
    found = pd.to_datetime(text, format=form, errors="coerce")
    bad = found.isna().to_numpy()
    if bad.any():
        at = int(np.argmax(bad))
        raise SiteError(
            f"{path.name}: column {name}, row {at + 1}: expected a time like {form}, found "
            f"{text.iloc[at]!r}; the file may be cut: fetch it again"
        )
    return found.to_numpy().astype("datetime64[ns]")


def code_of(path: Path, comments: Iterable[str] = ()) -> str:
    """The tower a file is of, from its comments (``# Site: US-Tw3``) or its name.

    Raises:
        SiteError: no tower code in either, or two.
    """
    said = [c for c in comments if "site" in c.lower()]
    for text in (*said, path.name):
        found = sorted(set(CODE.findall(text)))
        if len(found) > 1:
            raise SiteError(f"{path.name}: expected one tower, found {', '.join(found)}")
        if found:
            return found[0]
    raise SiteError(f"{path.name}: expected a tower code such as DE-Tha in the name; found none")


def _numbers(column: pd.Series, path: Path) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce")
    bad = values.isna() & column.notna()
    text = column[bad].astype(str).str.strip()
    wrong = text[~text.str.lower().isin(("", "na", "nan", "null", "none"))]
    if len(wrong):
        raise SiteError(
            f"{path.name}: column {column.name}, row {int(wrong.index[0]) + 1}: expected a number, "
            f"found {wrong.iloc[0][:40]!r}"
        )
    numbers = values.to_numpy(dtype=np.float64, copy=True)
    numbers[np.isin(numbers, MISSING) | ~np.isfinite(numbers)] = np.nan
    return numbers


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
