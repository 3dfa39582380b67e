"""Which steps of a tower's record are learnt from and which are kept to judge.

Two rules, by the length of the record:

- *two years or more*: the last year is held out. It begins at the midnight one calendar year
  before the record's end, so a record that ends with a calendar year holds out that year
  (366 days if it is a leap year), and any other one its last 365 or 366 days.
- *shorter*: alternate blocks of ten calendar days from the record's first day; the first,
  third, ... are learnt from, the second, fourth, ... judged. Both periods see all seasons, and
  neighbouring blocks are not independent: such towers test the fit, not another year.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mdpl.errors import SiteError

BLOCK_DAYS = 10
TWO_YEARS = np.timedelta64(2 * 365 - 1, "D")
"""A day of grace for records cut by a shift of time zone."""

PERIODS = ("calibration", "validation", "all")


@dataclass(frozen=True)
class Periods:
    """The split of one record.

    Attributes:
        calibration, validation: bool, shape (time,); together they are the whole record.
        rule: the split in words, for reports.
    """

    calibration: np.ndarray
    validation: np.ndarray
    rule: str

    @property
    def all(self) -> np.ndarray:
        return np.ones_like(self.calibration)

    def masks(self) -> dict[str, np.ndarray]:
        """Period name -> bool mask, in the order of `PERIODS`."""
        return {name: getattr(self, name) for name in PERIODS}


def split(time: np.ndarray) -> Periods:
    """Split a record into calibration and validation (rules in the module's docstring).

    Args:
        time: start of each step, shape (time,), datetime64, ascending, evenly spaced.

    Raises:
        SiteError: the record is shorter than two blocks.
    """
    time = np.asarray(time).astype("datetime64[ns]")
    if time.size < 2:
        raise SiteError(f"expected a record of at least two steps to split, found {time.size}")
    end = pd.Timestamp(time[-1] + (time[1] - time[0])).ceil("D")
    if end - pd.Timestamp(time[0]) >= pd.Timedelta(TWO_YEARS):
        return _last_year(time, end)
    return _alternate_blocks(time)


def _last_year(time: np.ndarray, end: pd.Timestamp) -> Periods:
    start = end - pd.DateOffset(years=1)
    validation = time >= start.to_datetime64()
    return Periods(~validation, validation, f"last year held out, from {start:%Y-%m-%d}")


def _alternate_blocks(time: np.ndarray) -> Periods:
    days = time.astype("datetime64[D]")
    block = (days - days[0]).astype(int) // BLOCK_DAYS
    if block[-1] < 1:
        raise SiteError(
            f"expected a record of more than {BLOCK_DAYS} days to split into alternate blocks, "
            f"found {days[0]} to {days[-1]}; use a longer record"
        )
    validation = block % 2 == 1
    return Periods(~validation, validation, f"alternate blocks of {BLOCK_DAYS} days")
