"""A land model of one line and a soil that dries by the day; a run calibrates it as a user's."""

import numpy as np
from scipy.signal import lfilter

from mdpl.lsm.callable import CallableModel
from mdpl.lsm.model import Parameter, ParameterSpace

SPACE = ParameterSpace(
    (
        Parameter("uptake", "1", "share of energy in latent heat", 0.1, 0.9, 0.5, "test"),
        Parameter("drying", "d", "half-life of rain", 0.5, 20.0, 4.0, "test", "log"),
        Parameter("albedo", "1", "of the ground", 0.05, 0.4, 0.2, "test"),
    )
)  # fmt: skip


def fluxes(site, values):
    kept = 0.5 ** (site.step_seconds / 86400 / values["drying"])
    rain = site.forcing["Precip"].values * site.step_seconds
    water = lfilter([1.0], [1.0, -kept], rain)
    wet = water / (water + 5.0)
    energy = (1 - values["albedo"]) * site.forcing["SWdown"].values - 20.0
    latent = values["uptake"] * np.maximum(energy, 0) * (0.3 + 0.7 * wet)
    carbon = 0.05 * latent
    return {"Qle": latent, "Qh": energy - latent, "GPP": carbon, "NEE": 2.0 - carbon}


HEAT = {"Qle": "W m-2", "Qh": "W m-2"}
CARBON = {"GPP": "umol m-2 s-1", "NEE": "umol m-2 s-1"}
model = CallableModel("small", SPACE, fluxes, outputs=HEAT | CARBON, batch=64)
