"""Humidity and density of air (Bolton 1980; MATSIRO.md 2.1)."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from mdpl.lsm.matsiro.constants import R_AIR, T_MELT


def saturation_pressure(temperature: Any, xp: Any = jnp) -> Any:
    """Saturation vapour pressure over water, Pa; temperature in K."""
    return 611.2 * xp.exp(17.67 * (temperature - T_MELT) / (temperature - 29.65))


def saturation_humidity(temperature: Any, pressure: Any) -> Any:
    """Saturation specific humidity q*, kg kg-1."""
    e = saturation_pressure(temperature)
    return 0.622 * e / (pressure - 0.378 * e)


def vapour_pressure(humidity: Any, pressure: Any) -> Any:
    """Vapour pressure of air, Pa, from specific humidity."""
    return humidity * pressure / (0.622 + 0.378 * humidity)


def air_density(temperature: Any, humidity: Any, pressure: Any) -> Any:
    """Density of moist air, kg m-3."""
    return pressure / (R_AIR * temperature * (1.0 + 0.608 * humidity))


def vapour_pressure_deficit(
    temperature: np.ndarray, humidity: np.ndarray, pressure: np.ndarray
) -> np.ndarray:
    """Vapour pressure deficit, Pa, never negative."""
    deficit = saturation_pressure(temperature, np) - vapour_pressure(humidity, pressure)
    return np.maximum(deficit, 0.0)
