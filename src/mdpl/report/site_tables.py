"""The outcome of checks as tables: CSV for eyes and spreadsheets, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mdpl.files import write_atomic
from mdpl.sites.checks.examine import Examination


def towers_table(examinations: Sequence[Examination]) -> pd.DataFrame:
    """One row a tower: verdict, reasons and the numbers of the summary."""
    return pd.DataFrame(
        [
            {"site": e.code, "verdict": e.verdict, "reasons": e.reasons, **e.summary}
            for e in examinations
        ]
    )


def findings_table(examinations: Sequence[Examination]) -> pd.DataFrame:
    """One row a finding, worst first within a tower."""
    columns = ["site", "check", "severity", "variable", "text", "start", "value"]
    rows = [{"site": e.code, **f.row()} for e in examinations for f in e.findings]
    return pd.DataFrame(rows, columns=columns)


def write_tables(examinations: Sequence[Examination], folder: Path) -> list[Path]:
    """Write ``towers.csv``, ``findings.csv``, ``completeness.csv`` and all of it as ``sites.json``.

    Raises:
        RunError: the folder cannot be written.
    """
    shares = pd.DataFrame([{"site": e.code, **row} for e in examinations for row in e.shares])
    written = []
    for name, table in (
        ("towers.csv", towers_table(examinations)),
        ("findings.csv", findings_table(examinations)),
        ("completeness.csv", shares),
    ):
        write_atomic(folder / name, table.to_csv(index=False))
        written.append(folder / name)
    write_atomic(
        folder / "sites.json",
        json.dumps({e.code: _tree(e) for e in examinations}, indent=1, allow_nan=False),
    )
    return [*written, folder / "sites.json"]


def _tree(e: Examination) -> dict[str, Any]:
    return {
        "verdict": e.verdict,
        "reasons": e.reasons,
        "summary": _plain(e.summary),
        "findings": [_plain(f.row()) for f in e.findings],
        "completeness": [_plain(row) for row in e.shares],
        "closure": [_plain(row) for row in e.closure],
        "sources": dict(e.record.sources) if e.record else {},
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}
