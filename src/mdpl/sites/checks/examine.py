"""One record through all checks."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites.catalogue import Tower
from mdpl.sites.checks.completeness import shares
from mdpl.sites.checks.energy import closure
from mdpl.sites.checks.finding import Finding, Verdict, by_weight, verdict
from mdpl.sites.checks.table import CHECKS
from mdpl.sites.checks.water import water_year
from mdpl.sites.record import Record


@dataclass(frozen=True)
class Examination:
    """What was found about a tower's record.

    Attributes:
        code: tower code.
        findings: worst first.
        summary: one row of numbers: period, step, shares measured, closure, water.
        shares: rows of `mdpl.sites.checks.completeness.shares`.
        closure: rows of season and the numbers of `mdpl.sites.checks.energy.Closure`.
        record: what was examined; None if its files could not be read.
    """

    code: str
    findings: tuple[Finding, ...]
    summary: dict[str, str | float]
    shares: list[dict[str, str | float]]
    closure: list[dict[str, str | float]]
    record: Record | None = None

    @property
    def verdict(self) -> Verdict:
        return verdict(self.findings)

    @property
    def grounds(self) -> list[str]:
        """The checks behind the verdict."""
        return list(dict.fromkeys(f.check for f in self.findings if f.severity != "remark"))

    @property
    def reasons(self) -> str:
        """The findings behind the verdict, in short, with their variables."""
        worst = [f for f in self.findings if f.severity != "remark"]
        by_check: dict[str, list[str]] = {}
        for finding in worst:
            names = by_check.setdefault(finding.check, [])
            names += [n for n in finding.variable.split(", ") if n and n not in names]
        return "; ".join(f"{c} ({', '.join(n)})" if n else c for c, n in by_check.items())

    def without_record(self) -> Examination:
        """The same, lighter: for keeping many."""
        return replace(self, record=None)


def examine_tower(tower: Tower) -> Examination:
    """Read a tower's files and run every check; files nobody can read are a finding."""
    try:
        return examine(tower.record())
    except SiteError as error:
        return unreadable(tower.code, str(error))


def examine(record: Record) -> Examination:
    """Run every check of the table on a record."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        # Statistics of nothing are NaN, and every check says nothing of NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = [finding for check in CHECKS for finding in check(record)]
        balance = closure(record)
        rows = [{"season": s, **_rounded(vars(c))} for s, c in balance.items()]
        return Examination(
            record.code, tuple(by_weight(found)), _summary(record), shares(record), rows, record
        )


def unreadable(code: str, reason: str) -> Examination:
    """The examination of files nobody can read."""
    return Examination(code, (Finding("reading", "fatal", "", reason),), {}, [], [])


def _summary(record: Record) -> dict[str, str | float]:
    balance, year = closure(record).get("all"), water_year(record)
    return {
        "igbp": str(record.place.get("igbp", "")),
        "from": str(record.time[0].astype("M8[D]")),
        "to": str(record.time[-1].astype("M8[D]")),
        "step_minutes": record.step_seconds // 60,
        **{
            f"{name}_measured": round(float(record.measured(name).mean()), 3)
            for name in ("Qle", "Qh", "NEE")
            if name in record.series
        },
        **({"closure_slope": round(balance.slope, 3)} if balance else {}),
        **({"closure_ratio": round(balance.ratio, 3)} if balance else {}),
        **({"ET_mm": round(year.evaporation), "P_mm": round(year.precipitation)} if year else {}),
    }


def _rounded(numbers: dict) -> dict[str, str | float]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in numbers.items()}
