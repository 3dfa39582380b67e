"""Libraries that only the rivals need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mdpl.errors import ConfigError


def library(name: str) -> Any:
    """Import an optional library.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"this way of calibrating needs the library {name}, which is not installed; "
            "give: pip install 'mdpl[rivals]'"
        ) from error
