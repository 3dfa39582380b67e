"""A state on disk."""

import jax
import numpy as np
import pytest
import xarray as xr

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import restart


@pytest.fixture
def state(made):
    return made.any_state(np.random.default_rng(0), snowy=1.0, columns=3)


def test_a_state_comes_back_as_it_was(state, tmp_path):
    restart.save(state, tmp_path / "state.nc")
    again = restart.load(tmp_path / "state.nc")
    assert jax.tree.structure(again) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_state_is_of_its_tower(state, tmp_path):
    restart.save(state, tmp_path / "state.nc", "DE-Tha")
    restart.load(tmp_path / "state.nc", "DE-Tha")
    restart.load(tmp_path / "state.nc")
    with pytest.raises(ModelError, match="the state of tower DE-Tha, expected one of FR-Hes"):
        restart.load(tmp_path / "state.nc", "FR-Hes")


def test_every_item_of_the_state_is_saved(state, tmp_path):
    restart.save(state, tmp_path / "state.nc")
    with xr.open_dataset(tmp_path / "state.nc") as found:
        assert len(found) == len(jax.tree.leaves(state))
        assert {"soil_water", "snow.amount", "snow_side.zeta"} <= set(found)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda ds: ds.drop_vars("snow.amount"), "it lacks snow.amount"),
        (lambda ds: ds.isel(layer_of_5=slice(4)), "soil_.* has shape .4, 3., expected .5, 3."),
        (lambda ds: ds.where(ds["canopy_water"] < 0), "is not finite"),
        (lambda ds: xr.Dataset(), "not a saved state"),
    ],
)
def test_a_file_that_is_no_state_is_refused(state, tmp_path, damage, message):
    restart.save(state, tmp_path / "state.nc")
    with xr.open_dataset(tmp_path / "state.nc") as found:
        damaged = damage(found.load())
    damaged.to_netcdf(tmp_path / "damaged.nc")
    with pytest.raises(ModelError, match=message):
        restart.load(tmp_path / "damaged.nc")


@pytest.mark.parametrize(
    "variables", [{"name": ((), "a text")}, {"one": ((), 1.0)}, {"codes": ("x", [b"ab", b"cd"])}]
)
def test_another_netcdf_file_is_refused(tmp_path, variables):
    xr.Dataset(variables).to_netcdf(tmp_path / "other.nc")
    with pytest.raises(ModelError, match="not a saved state, it lacks"):
        restart.load(tmp_path / "other.nc")


def test_a_file_that_is_missing_or_no_dataset_is_refused(tmp_path):
    (tmp_path / "text.nc").write_text("no state")
    for name in ("nothing.nc", "text.nc"):
        with pytest.raises(ModelError, match=f"{name}: expected a state"):
            restart.load(tmp_path / name)
