"""How the available energy is shared: evaporative fraction and Bowen ratio.

Of sums, never means of ratios, which a denominator near zero would spoil: the evaporative fraction
is sum(Qle) / sum(Qle + Qh), the Bowen ratio sum(Qh) / sum(Qle), over steps at which both fluxes
were measured.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

SEASONS = ("DJF", "MAM", "JJA", "SON")
MIDDAY = (9, 15)
"""Hours, local standard time, that count in the seasons."""
LEAST_STEPS = 40
LEAST_FLUX = 20.0
"""W m-2: below this mean of Qle + Qh there is hardly anything to share."""
COLUMNS = ("by", "part", "series", "evaporative_fraction", "bowen_ratio", "n")


def partition(
    time: np.ndarray, series: Mapping[str, tuple[np.ndarray, np.ndarray]], counts: np.ndarray
) -> pd.DataFrame:
    """Evaporative fraction and Bowen ratio by season (midday hours) and by hour (whole period).

    Args:
        time: start of each step, shape (time,), datetime64, local standard time.
        series: name -> (Qle, Qh), each shape (time,).
        counts: steps at which both fluxes count, shape (time,).

    Returns:
        columns `COLUMNS`; ``by`` is ``season`` or ``hour``. A part is left out where it has fewer
        than `LEAST_STEPS` steps, a value is NaN where a series has less than `LEAST_FLUX` to share.
    """
    hour = (time.astype("datetime64[h]").astype(int) % 24).astype(int)
    month = time.astype("datetime64[M]").astype(int) % 12 + 1
    season = (month % 12) // 3
    midday = (hour >= MIDDAY[0]) & (hour < MIDDAY[1])
    parts = [("season", name, midday & (season == i)) for i, name in enumerate(SEASONS)]
    parts += [("hour", str(h), hour == h) for h in range(24)]
    rows = []
    for by, part, inside in parts:
        chosen = inside & np.asarray(counts, dtype=bool)
        n = int(chosen.sum())
        if n < LEAST_STEPS:
            continue
        for name, (qle, qh) in series.items():
            latent, sensible = float(qle[chosen].mean()), float(qh[chosen].mean())
            enough = latent + sensible > LEAST_FLUX
            fraction = latent / (latent + sensible) if enough else np.nan
            bowen = sensible / latent if enough and latent > 0 else np.nan
            rows.append((by, part, name, fraction, bowen, n))
    return pd.DataFrame(rows, columns=list(COLUMNS))
