"""Pytrees on disk: one line of JSON, then the arrays; written whole or not at all, no pickle."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from mdpl.config_learning import SurrogateConfig, surrogate_config
from mdpl.errors import DamageError, RunError
from mdpl.files import read_sealed, write_sealed
from mdpl.surrogate.network import Network, Scalers, Surrogate


def write_tree(path: Path, header: Mapping[str, Any], tree: Any) -> None:
    """Write a pytree so that a reader finds either the old file or the new one, never a part.

    Raises:
        RunError: the folder cannot be written.
    """
    file = io.BytesIO()
    file.write(json.dumps(header).encode() + b"\n")
    eqx.tree_serialise_leaves(file, tree)
    write_sealed(path, file.getvalue())


def read_header(path: Path) -> dict[str, Any]:
    """The JSON line of a file written by `write_tree`.

    Raises:
        DamageError: the file is absent, something else, or not what was written.
    """
    try:
        header = json.loads(read_sealed(path).partition(b"\n")[0])
    except (ValueError, RecursionError) as error:
        raise DamageError(
            f"{path}: expected a file of stored weights, found none that can be read ({error}); "
            "delete it and train again"
        ) from error
    if not isinstance(header, dict):
        raise DamageError(f"{path}: expected a JSON header, found {type(header).__name__}")
    return header


def read_tree(path: Path, like: Any) -> Any:
    """Read the arrays of a file written by `write_tree` into the structure of ``like``.

    Raises:
        DamageError: the arrays are cut short, of another shape, or not what was written.
    """
    try:
        return eqx.tree_deserialise_leaves(io.BytesIO(read_sealed(path).partition(b"\n")[2]), like)
    except (OSError, ValueError, RuntimeError, EOFError, TypeError, SyntaxError) as error:
        raise DamageError(
            f"{path}: the stored arrays do not fit or are cut short ({error}); "
            "delete the file and train again"
        ) from error


def save_surrogate(surrogate: Surrogate, config: SurrogateConfig, path: Path) -> None:
    """Write a surrogate with all that is needed to read it back."""
    header = {
        "config": config.model_dump(mode="json"),
        "tasks": surrogate.tasks,
        "parameters": surrogate.parameter_names,
        "dynamic": surrogate.dynamic_names,
        "summary": surrogate.summary_names,
    }
    write_tree(path, header, surrogate)


def load_surrogate(path: Path) -> Surrogate:
    """Read a surrogate written by `save_surrogate`.

    Raises:
        RunError: there is none, or it is damaged.
    """
    header = read_header(path)
    try:
        config = surrogate_config(header["config"])
        tasks, parameters, dynamic, summary = (
            tuple(header[key]) for key in ("tasks", "parameters", "dynamic", "summary")
        )
        sizes = len(parameters), len(dynamic), len(summary), len(tasks)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not a stored surrogate ({error}); train it again") from error
    fast, slow, outputs = (jnp.zeros(n, dtype=jnp.float32) for n in sizes[1:])
    scalers = Scalers(fast, fast, slow, slow, outputs)
    names = tasks, parameters, dynamic, summary
    like = Surrogate(Network(config, *sizes), scalers, *names, config.window_days)
    stored: Surrogate = read_tree(path, like)
    return stored
