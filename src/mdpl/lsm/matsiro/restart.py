"""The state of a column as a file: save it at the end of one run, start another from it."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mdpl.errors import ModelError
from mdpl.lsm.matsiro.constants import SOIL_THICKNESS
from mdpl.lsm.matsiro.snow import bare
from mdpl.lsm.matsiro.state import State, Unknowns


def save(state: State, path: Path, site: str = "") -> None:
    """Write the state of one or more columns (NetCDF, one variable an item).

    Args:
        site: code of the tower they stand at, if one.
    """
    about = {"model": "matsiro", "layer_thickness_m": SOIL_THICKNESS, "site": site}
    dataset = xr.Dataset(attrs=about)
    for name, value in _items(state).items():
        dims = ("column",) if value.ndim == 1 else (f"layer_of_{len(value)}", "column")
        dataset[name] = (dims, np.asarray(value))
    dataset.to_netcdf(path)


def load(path: Path, site: str = "") -> State:
    """Read what `save` wrote.

    Args:
        site: code of the tower that it shall be of; empty takes any.

    Raises:
        ModelError: the file is missing, damaged, or of another model, layering or tower.
    """
    try:
        with xr.open_dataset(path) as dataset:
            own = str(dataset.attrs.get("site", ""))
            layers = np.atleast_1d(dataset.attrs.get("layer_thickness_m", []))
            lacking = sorted(set(_items(_like(1))) - set(map(str, dataset.data_vars)))
            if lacking:
                raise ModelError(f"{path}: not a saved state, it lacks {', '.join(lacking)}")
            found = {name: jnp.asarray(dataset[name].values, float) for name in _items(_like(1))}
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{path}: expected a state that MdPL saved; {error}") from error
    if site and own and site != own:
        raise ModelError(f"{path}: the state of tower {own}, expected one of {site}")
    columns = np.atleast_1d(found["canopy_water"]).size
    wanted = _items(_like(columns))
    if not np.array_equal(layers, SOIL_THICKNESS):
        raise ModelError(
            f"{path}: soil layers of {layers} m, expected {SOIL_THICKNESS}; "
            "the state is of another column"
        )
    for name, value in wanted.items():
        if found[name].shape != value.shape:
            raise ModelError(
                f"{path}: {name} has shape {found[name].shape}, expected {value.shape}; "
                "the state is of a column with other layers"
            )
        if not np.isfinite(found[name]).all():
            raise ModelError(f"{path}: {name} is not finite; the state is damaged")
    return jax.tree.unflatten(jax.tree.structure(_like(columns)), [found[n] for n in wanted])


def _items(state: State) -> dict[str, jax.Array]:
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {".".join(str(key.name) for key in path): value for path, value in leaves}


def _like(columns: int) -> State:
    """A state of the right shapes."""
    one = jnp.zeros(columns)
    layers = jnp.zeros((len(SOIL_THICKNESS), columns))
    guess = Unknowns(*[one] * len(Unknowns._fields))
    return State(guess, guess, layers, layers, layers, one, one, bare(one))
