"""What a tower and its class give to a column (MATSIRO.md 3.1)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.lsm.matsiro.constants import SOIL_THICKNESS
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.place import build, place, root_profile
from mdpl.sites.attributes import CANOPY_HEIGHT, land_cover


def about(igbp, **more):
    return {
        "land_cover": land_cover(igbp), "igbp": igbp, "canopy_height": CANOPY_HEIGHT[igbp],
        "reference_height": 40.0, **more,
    }  # fmt: skip


def depth_above(shares, share):
    """Depth (m) above which a share of the roots lies."""
    bottom = np.cumsum(SOIL_THICKNESS)
    return np.interp(share, np.concatenate([[0], np.cumsum(shares)]), np.concatenate([[0], bottom]))


def test_roots_are_zengs_and_sum_to_one():
    """Y(z) = 1 - (exp(-az) + exp(-bz)) / 2, here of grassland, over the depth of the soil."""
    shares = np.asarray(root_profile(jnp.array([10.739]), jnp.array([2.608]), jnp.ones(1)))[:, 0]
    z = np.concatenate([[0], np.cumsum(SOIL_THICKNESS)])
    cumulative = 1 - 0.5 * (np.exp(-10.739 * z) + np.exp(-2.608 * z))
    np.testing.assert_allclose(shares, np.diff(cumulative) / cumulative[-1], rtol=1e-12)
    assert shares.sum() == pytest.approx(1.0, abs=1e-12)


def test_a_larger_root_depth_puts_roots_deeper():
    a, b = jnp.array([6.706]), jnp.array([2.175])
    depths = [
        depth_above(np.asarray(root_profile(a, b, jnp.array([stretch])))[:, 0], 0.5)
        for stretch in (0.5, 1.0, 2.0, 3.0)
    ]
    assert np.all(np.diff(depths) > 0)


@pytest.mark.parametrize("igbp", sorted(CANOPY_HEIGHT))
def test_every_class_makes_a_whole_column(igbp):
    attributes = about(igbp)
    column = build(jnp.asarray(PARAMETERS.defaults(attributes)[None]), place(attributes))
    for path, leaf in jax.tree_util.tree_flatten_with_path(column)[0]:
        if "supply" not in jax.tree_util.keystr(path):
            assert np.isfinite(leaf).all(), path
    assert 0 <= float(column.canopy_base[0]) < float(column.canopy_height[0])
    for reflected, passed in ((column.r_vis, column.t_vis), (column.r_nir, column.t_nir)):
        assert 0 < float(reflected[0] + passed[0]) < 1
    assert bool(column.leaf.is_c4[0]) == (land_cover(igbp) == 6)


@pytest.mark.parametrize(("canopy", "mast", "found"), [(20, 40, 40), (20, 21, 22), (25, 6, 27)])
def test_the_reference_height_is_above_the_canopy(canopy, mast, found):
    made = place(about("EBF", canopy_height=canopy, reference_height=mast))
    assert float(made.reference_height) == found and float(made.canopy_height) == canopy


def test_texture_of_the_tower_counts():
    loam, sand = place(about("GRA")), place(about("GRA", sand=90.0, clay=3.0))
    assert float(loam.porosity) != float(sand.porosity)
