"""From the settings of a land model to the model."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mdpl.config_model import (
    ExecutableConfig,
    MatsiroConfig,
    ModelConfig,
    PythonConfig,
    RecordedConfig,
    SuewsConfig,
    SupplyConfig,
    settings_named,
)
from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.callable import CallableModel
from mdpl.lsm.model import LandModel, ParameterSpace


def open_model(settings: ModelConfig) -> LandModel:
    """The land model that a configuration names.

    Raises:
        ConfigError, ModelError: it is not there, or not one.
    """
    opened: LandModel = OPENERS[type(settings)](settings)
    return opened


def named(text: str) -> LandModel:
    """The land model of a name (``matsiro``, ``suews``), a file (YAML, Python) or a folder.

    Raises:
        ConfigError, ModelError: there is none.
    """
    return open_model(settings_named(text))


def _matsiro(settings: MatsiroConfig) -> LandModel:
    from mdpl.lsm.matsiro.mixture import Mixture
    from mdpl.lsm.matsiro.model import Matsiro

    return Matsiro(
        newton_steps=settings.newton_steps,
        default_cycles=settings.default_cycles,
        member_cycles=settings.member_cycles,
        supply={code: _supply(options) for code, options in settings.supply.items()},
        mixtures={code: Mixture(**dict(m)) for code, m in settings.mixtures.items()},
    )


def _supply(options: SupplyConfig) -> Any:
    from mdpl.lsm.matsiro.place import SupplyOptions

    depth = float("inf") if options.water_table is None else options.water_table
    return SupplyOptions(options.irrigation_target, options.irrigation_below, depth)


def _suews(settings: SuewsConfig) -> LandModel:
    from mdpl.lsm.suews import suews

    return suews()


def _python(settings: PythonConfig) -> LandModel:
    return from_file(settings.file, settings.object)


def _executable(settings: ExecutableConfig) -> LandModel:
    from mdpl.lsm.executable.model import open_adapter

    return open_adapter(settings.adapter, settings.work)


def _recorded(settings: RecordedConfig) -> LandModel:
    from mdpl.lsm.recorded import open_recorded

    return open_recorded(settings.folder)


OPENERS: Mapping[type, Callable[[Any], LandModel]] = {
    MatsiroConfig: _matsiro,
    SuewsConfig: _suews,
    PythonConfig: _python,
    ExecutableConfig: _executable,
    RecordedConfig: _recorded,
}
"""Settings -> what opens the land model."""


def from_file(path: Path, name: str = "model") -> LandModel:
    """The land model of a Python file, which is executed.

    Raises:
        ConfigError: there is no such file.
        ModelError: it fails, or holds no land model of this name.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such Python file; give model.file the place of your model")
    source = path.read_bytes()
    spec = importlib.util.spec_from_file_location(f"mdpl_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: expected a Python file (.py)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's own code
        raise ModelError(f"{path}: fails with {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not (isinstance(found, LandModel) and isinstance(found.parameters, ParameterSpace)):
        raise ModelError(
            f"{path}: expected a land model called {name!r} with parameters (a ParameterSpace) and "
            "simulate, found "
            f"{'nothing' if found is None else type(found).__name__}; see docs/your_model.md"
        )
    if isinstance(found, CallableModel):
        digest = hashlib.sha256(source).hexdigest()
        return replace(found, sources={**found.sources, path.name: digest})
    return found
