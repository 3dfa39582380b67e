"""Soil hydraulic parameters from texture (MATSIRO.md 3.2)."""

import numpy as np
import pytest

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import texture


def test_cosby_regressions():
    # Cosby et al. (1984) in their units: inches per hour and centimetres.
    soil = texture.from_fractions(43.0, 18.0)
    np.testing.assert_allclose(soil.b, 5.772, rtol=1e-12)
    np.testing.assert_allclose(soil.porosity, 0.43482, rtol=1e-12)
    np.testing.assert_allclose(soil.psi_sat * 100, -(10**1.3167), rtol=1e-12)
    np.testing.assert_allclose(soil.k_sat / (0.0254 / 3600), 10**-0.2261, rtol=1e-5)


def test_cosby_takes_arrays_and_orders_the_soils():
    soil = texture.from_fractions(np.array([92.0, 43.0, 22.0]), [3.0, 18.0, 58.0])
    assert all(np.shape(x) == (3,) for x in soil)
    assert (np.diff(soil.b) > 0).all()
    assert (np.diff(soil.porosity) > 0).all()
    assert (np.diff(soil.psi_sat) < 0).all()
    assert (np.diff(soil.k_sat) < 0).all()
    assert np.shape(texture.from_fractions([20.0, 30.0], 10.0).b) == (2,)


@pytest.mark.parametrize(
    ("sand", "clay", "message"),
    [
        (-1.0, 20.0, "sand: .* found -1"),
        (20.0, 130.0, "clay: .* found 130"),
        (np.nan, 20.0, "sand: .* found nan"),
        ([10.0, 70.0], 40.0, r"sand \+ clay: .* found 110"),
    ],
)
def test_impossible_fractions_are_named(sand, clay, message):
    with pytest.raises(ModelError, match=message):
        texture.from_fractions(sand, clay)


def test_classes():
    assert texture.from_class("Sandy_Clay-loam") == (7.12, 0.420, -0.299, 6.3e-6)
    assert texture.from_class("silt") == texture.from_class("silt loam")
    assert len(texture.CLAPP_HORNBERGER) == 11
    assert texture.SIB2[3] == (5.39, 0.45, -0.15, 7.0e-6)
    with pytest.raises(ModelError, match=r"soil_texture: .*'peat'"):
        texture.from_class("peat")


@pytest.mark.parametrize("table", [texture.CLAPP_HORNBERGER, texture.SIB2])
def test_tables_are_soils(table):
    for soil in table.values():
        assert 4 < soil.b < 12
        assert 0.39 < soil.porosity < 0.5
        assert -0.8 < soil.psi_sat < 0
        assert 9e-7 < soil.k_sat < 2e-4


def test_table_and_regressions_agree_in_kind():
    # Mean composition of two classes (Cosby et al. 1984, table 2).
    for name, sand, clay in (("sandy loam", 58, 10), ("clay loam", 32, 34)):
        row, fitted = texture.from_class(name), texture.from_fractions(sand, clay)
        np.testing.assert_allclose(fitted.b, row.b, rtol=0.15)
        np.testing.assert_allclose(fitted.porosity, row.porosity, rtol=0.1)
        np.testing.assert_allclose(np.log10(fitted.k_sat), np.log10(row.k_sat), atol=0.8)


def test_dry_heat_capacity():
    np.testing.assert_allclose(texture.dry_heat_capacity([0.45, 0.0]), [1.155e6, 2.1e6])
