"""The rule by which a study takes towers, and why it takes or leaves each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mdpl.errors import SiteError
from mdpl.sites.catalogue import Tower
from mdpl.sites.checks.energy import closure
from mdpl.sites.checks.examine import examine
from mdpl.sites.checks.finding import Verdict
from mdpl.sites.record import FLUXES, Record


class Rule(BaseModel):
    """What a tower's record must be for the tower to be taken; null asks nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    years: Annotated[float, Field(gt=0)] | None = Field(
        None, description="least length of the record, years"
    )
    measured: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        {}, description="least measured share of all steps by flux, such as {Qle: 0.3, Qh: 0.3}"
    )
    verdict: tuple[Verdict, ...] | None = Field(
        None, description="verdicts of 'mdpl sites check' that will do, such as [good, usable]"
    )
    pft: tuple[str, ...] | None = Field(None, description="IGBP classes, such as [ENF, DBF]")
    closure: tuple[float, float] | None = Field(
        None,
        description="range of the energy-balance ratio, (Qle + Qh) / (Rnet - Qg) over the record; "
        "a tower that cannot tell it is left",
    )

    @field_validator("measured")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(FLUXES))
        if unknown:
            raise ValueError(f"expected fluxes out of {', '.join(FLUXES)}, found {unknown[0]}")
        return value

    @field_validator("closure")
    @classmethod
    def _upright(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError(f"expected [lower, upper] with lower < upper, found {list(value)}")
        return value


@dataclass(frozen=True)
class Choice:
    """Whether a tower is taken.

    Attributes:
        why: every clause of the rule it meets, or each it does not.
    """

    code: str
    taken: bool
    why: str


def select(towers: Sequence[Tower], rule: Rule) -> list[Choice]:
    """Apply a rule to towers, in their order; one whose files cannot be read is left."""
    return [_choice(tower, rule) for tower in towers]


def _choice(tower: Tower, rule: Rule) -> Choice:
    try:
        record = tower.record()
    except SiteError as error:
        return Choice(tower.code, False, f"cannot be read: {error}")
    clauses = list(_clauses(record, rule))
    failed = [text for met, text in clauses if not met]
    return Choice(tower.code, not failed, "; ".join(failed or [text for _, text in clauses]))


def _clauses(record: Record, rule: Rule) -> Iterator[tuple[bool, str]]:
    """Each clause: whether it is met, and what was found beside what was asked for."""
    if rule.years is not None:
        # Half a day of grace for records cut by a shift of time zone.
        met = record.years >= rule.years - 0.5 / 365
        yield met, f"{record.years:.2f} years (at least {rule.years:g})"
    for flux, least in rule.measured.items():
        share = float(record.measured(flux).mean()) if flux in record.series else 0.0
        yield share >= least, f"{share:.0%} of {flux} measured (at least {least:.0%})"
    if rule.pft is not None:
        own = str(record.place.get("igbp", "unknown"))
        yield own in rule.pft, f"class {own} (of {', '.join(rule.pft)})"
    if rule.closure is not None:
        low, high = rule.closure
        found = closure(record).get("all")
        told = "unknown" if found is None else f"{found.ratio:.2f}"
        met = found is not None and low <= found.ratio <= high
        yield met, f"energy-balance ratio {told} ({low:g} to {high:g})"
    if rule.verdict is not None:
        seen = examine(record)
        reasons = f": {seen.reasons}" if seen.reasons else ""
        asked = ", ".join(rule.verdict)
        yield seen.verdict in rule.verdict, f"verdict {seen.verdict}{reasons} (of {asked})"
