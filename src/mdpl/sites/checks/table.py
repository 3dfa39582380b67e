"""All checks, in the order a report tells them: a new one is a function and a line here."""

from __future__ import annotations

from mdpl.sites.checks import (
    axis,
    carbon,
    completeness,
    energy,
    flags,
    humidity,
    ranges,
    steps,
    stuck,
    sun,
    water,
)
from mdpl.sites.checks.finding import Check

CHECKS: tuple[Check, ...] = (
    axis.time_axis,
    axis.calendar,
    completeness.place,
    completeness.forcing_gaps,
    completeness.measured_shares,
    ranges.stated_units,
    ranges.left_in,
    ranges.ranges,
    ranges.carbon_units,
    ranges.pressure_and_elevation,
    ranges.precipitation_amount,
    humidity.humidity,
    sun.clock,
    sun.hemisphere,
    sun.radiation_amount,
    sun.flux_clock,
    stuck.standstill,
    stuck.straight_lines,
    stuck.copied_days,
    steps.steps,
    energy.energy_closure,
    energy.heat_flux_signs,
    energy.swapped,
    energy.corrected_as_raw,
    carbon.carbon_signs,
    water.other_water,
    flags.synthesised,
    flags.synthetic_longwave,
    flags.constants,
    flags.unflagged_filling,
    flags.missing_called_measured,
    flags.inverted,
)
