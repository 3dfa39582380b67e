"""Cells, rows and tables of the report, as a template can print and a script can sort."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mdpl.report.style import number
from mdpl.report.style import percent as as_percent


@dataclass(frozen=True)
class Cell:
    """One cell: its text, what to sort by, and how it looks (CSS classes)."""

    text: str
    sort: float | str = ""
    css: str = ""


@dataclass(frozen=True)
class Row:
    """One row of cells; ``data`` are attributes the page filters by."""

    cells: tuple[Cell, ...]
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table: caption, column heads, rows, and its CSV for download, as shown if none is given."""

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    csv: str = ""

    def __post_init__(self) -> None:
        if not self.csv:
            shown = [[cell.sort for cell in row.cells] for row in self.rows]
            object.__setattr__(self, "csv", csv_uri(pd.DataFrame(shown, columns=list(self.heads))))


def csv_uri(frame: pd.DataFrame) -> str:
    """A table as a data URI, so that it can be saved from the page without a server."""
    raw = frame.to_csv(index=False).encode("utf-8")
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(raw).decode("ascii")


def text(words: str, css: str = "") -> Cell:
    return Cell(str(words), str(words), css)


def num(value: float, digits: int = 3, css: str = "") -> Cell:
    value = float(value)
    known = bool(np.isfinite(value))
    return Cell(number(value, digits), value if known else "", f"num {css}".strip())


def whole(value: float, css: str = "") -> Cell:
    """A count."""
    return Cell(f"{value:,.0f}", float(value), f"num {css}".strip())


def percent(fraction: float) -> Cell:
    fraction += 0.0  # of minus nought, nought
    css = " better" if fraction > 0 else " worse" if fraction < 0 else ""
    return Cell(as_percent(fraction), float(fraction) if np.isfinite(fraction) else "", f"num{css}")
