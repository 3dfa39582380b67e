"""What a check may say of a record, and what all it says amounts to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mdpl.sites.qc import stamp
from mdpl.sites.record import Record

Severity = Literal["remark", "warning", "serious", "fatal"]
Verdict = Literal["good", "usable", "doubtful", "unusable"]

SEVERITIES: tuple[Severity, ...] = ("remark", "warning", "serious", "fatal")
"""A remark is worth knowing; a warning asks for care with results; serious means the data are
probably not what they are called; fatal means that no land model can be driven or judged."""

VERDICTS: tuple[Verdict, ...] = ("good", "usable", "doubtful", "unusable")
"""By the worst finding: remark, warning, serious, fatal."""


@dataclass(frozen=True)
class Finding:
    """Something a check found.

    Attributes:
        check: what kind of thing, such as ``clock``.
        severity: one of `SEVERITIES`.
        variable: which it is about; empty for the whole record.
        text: what was expected, what was found, what to do.
        start: when it begins, where it has a time.
        value: the number behind it, in the unit the text gives.
    """

    check: str
    severity: Severity
    variable: str
    text: str
    start: np.datetime64 | None = None
    value: float | None = None

    def row(self) -> dict[str, str | float]:
        """As a row of a table."""
        return {
            "check": self.check,
            "severity": self.severity,
            "variable": self.variable,
            "text": self.text,
            "start": "" if self.start is None else stamp(self.start),
            "value": "" if self.value is None else float(f"{self.value:.6g}"),
        }


Check = Callable[[Record], Iterator[Finding]]
"""Looks at a record and tells what it found; nothing if all is well or it cannot tell."""


def verdict(findings: Sequence[Finding]) -> Verdict:
    """What a record is good for, by its worst finding."""
    worst = max((SEVERITIES.index(f.severity) for f in findings), default=0)
    return VERDICTS[worst]


def by_weight(findings: Sequence[Finding]) -> list[Finding]:
    """Worst first, otherwise in the order found."""
    return sorted(findings, key=lambda f: -SEVERITIES.index(f.severity))
