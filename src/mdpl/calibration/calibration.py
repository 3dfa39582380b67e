"""What every way of learning parameters gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from mdpl.lsm.model import ParameterSpace

COLUMNS = ("site", "model", "parameter", "value", "default", "lower", "upper", "unit", "spread")


@dataclass(frozen=True)
class Calibration:
    """Parameters learnt, by tower.

    Attributes:
        method: short name, such as ``mdpl``.
        space: parameters that were free, with their bounds.
        unit: tower code -> point in the unit cube of ``space``, (parameter,).
        defaults: tower code -> default values, physical, (parameter,).
        models_trained: networks trained on the way.
        lsm_runs: land-model runs that the learning itself made.
        seconds: that it took.
        objective: Eq. 2 at the parameters learnt, from the land model itself; NaN if not known.
        members: tower code -> answers of an ensemble whose mean ``unit`` is, (member, parameter).
    """

    method: str
    space: ParameterSpace
    unit: Mapping[str, np.ndarray]
    defaults: Mapping[str, np.ndarray]
    models_trained: int = 0
    lsm_runs: int = 0
    seconds: float = 0.0
    objective: float = float("nan")
    members: Mapping[str, np.ndarray] = field(default_factory=dict)

    def values(self, code: str) -> np.ndarray:
        """Learnt values of a tower in physical units, (parameter,)."""
        return self.space.from_unit(self.unit[code])

    def spread(self, code: str) -> np.ndarray:
        """Standard deviation over the ensemble, physical units, (parameter,); NaN without one."""
        each = self.members.get(code)
        if each is None or len(each) < 2:
            return np.full(len(self.space), np.nan)
        return np.std(self.space.from_unit(each), axis=0, ddof=1)

    def table(self) -> pd.DataFrame:
        """One row a tower and parameter, columns `COLUMNS`."""
        rows = [
            (code, self.method, p.name, value, default, p.lower, p.upper, p.unit, spread)
            for code in self.unit
            for p, value, default, spread in zip(
                self.space,
                self.values(code),
                self.defaults[code],
                self.spread(code),
                strict=True,
            )
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))
