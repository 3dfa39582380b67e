"""Where in the weather a model is wrong: residuals in bins of a driver."""

from __future__ import annotations

import numpy as np
import pandas as pd

EDGES = {
    "SWdown": (0.0, 10.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0, 1200.0),
    "VPD": (0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 14.0, 18.0, 24.0, 30.0, 40.0, 60.0),
    "SoilMoist": tuple(np.arange(0.0, 101.0, 10.0)),
}
"""Bins: W m-2, hPa, and percent of the tower's own steps that are drier."""
DAYLIGHT = 10.0
"""W m-2 of SWdown above which a step counts for the drivers other than SWdown."""
LEAST_STEPS = 30
COLUMNS = ("driver", "low", "high", "centre", "median", "q25", "q75", "n")


def percentile_rank(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Percent of the counted values below each value, shape (time,); ties share the lower end."""
    ordered = np.sort(values[counts])
    return 100.0 * np.searchsorted(ordered, values, side="left") / max(ordered.size, 1)


def binned(driver: str, values: np.ndarray, residual: np.ndarray) -> pd.DataFrame:
    """Median and quartiles of residuals in the bins `EDGES` of a driver.

    Args:
        values: the driver, shape (step,), in the units of `EDGES`.
        residual: model minus observation, shape (step,).

    Returns:
        columns `COLUMNS`; bins with fewer than `LEAST_STEPS` steps are left out.
    """
    edges = np.asarray(EDGES[driver])
    place = np.digitize(values, edges) - 1
    place[values == edges[-1]] = edges.size - 2
    rows = []
    for i in range(edges.size - 1):
        own = residual[place == i]
        if own.size >= LEAST_STEPS:
            low, middle, high = np.percentile(own, [25, 50, 75])
            centre = float(np.median(values[place == i]))
            rows.append((driver, edges[i], edges[i + 1], centre, middle, low, high, own.size))
    return pd.DataFrame(rows, columns=list(COLUMNS))
