"""A second vegetation and water from outside, as options of the land model."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.errors import ModelError
from mdpl.lsm.matsiro.mixture import Mixture
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS, VEGETATION
from mdpl.lsm.matsiro.place import SupplyOptions
from mdpl.sites.catalogue import open_sites
from mdpl.sites.virtual import draw_climates, virtual_forcing

MIXTURE = Mixture("GRA", share=0.4, leaves=0.5)


@pytest.fixture(scope="module")
def weeks():
    base = open_sites(None, ["FR-Hes"])[0]
    return virtual_forcing(base, "V-Mix", draw_climates(1, seed=3)[0], first_day=170, days=14)


def model(**options):
    return Matsiro(default_cycles=1, member_cycles=0, **options)


def test_leaf_area_of_the_tower_is_shared_out(weeks):
    first, second = MIXTURE.sites(weeks)
    mean = 0.6 * first.forcing["LAI"] + 0.4 * second.forcing["LAI"]
    np.testing.assert_allclose(mean, weeks.forcing["LAI"])
    np.testing.assert_allclose(second.forcing["LAI"], 0.5 * weeks.forcing["LAI"])
    assert second.pft == "GRA" and second.land_cover == 9 and first.land_cover == weeks.land_cover


def test_the_tower_sees_the_mean_of_both_kinds(weeks):
    mixed = model(mixtures={"V-Mix": MIXTURE})
    together = mixed.simulate_each([weeks], [None])[0]
    alone = model()
    first, second = MIXTURE.sites(weeks)
    values = PARAMETERS.defaults(weeks.attributes)
    theirs = np.asarray(MIXTURE.second_values(second, jnp.asarray(values)))
    a = alone.simulate(first, values).isel(member=0)
    b = alone.simulate(second, theirs).isel(member=0)
    for name in ("Qle", "Qh", "SoilMoist"):
        np.testing.assert_allclose(together[name], 0.6 * a[name] + 0.4 * b[name], atol=1e-6)
    assert float(abs(a["Qle"] - b["Qle"]).max()) > 20
    balance = together["Rnet"] - together["Qle"] - together["Qh"] - together["Qg"]
    assert float(abs(balance).max()) < 1e-9
    assert "GRA" in together.attrs["mixture"]


def test_the_second_kind_keeps_its_plants_and_shares_the_soil(weeks):
    _, second = MIXTURE.sites(weeks)
    unit = np.full(len(PARAMETERS), 0.3)
    values = PARAMETERS.from_unit(unit)
    theirs = np.asarray(MIXTURE.second_values(second, jnp.asarray(values)))
    own = PARAMETERS.defaults(second.attributes)
    for i, name in enumerate(PARAMETERS.names):
        assert theirs[i] == (own[i] if name in VEGETATION else values[i]), name


@pytest.mark.parametrize(("share", "leaves"), [(0.0, 1.0), (1.0, 1.0), (0.6, 2.0)])
def test_impossible_mixtures_are_refused(share, leaves):
    with pytest.raises(ModelError, match="mixture"):
        Mixture("GRA", share, leaves)


def test_water_from_outside_is_counted_and_said(weeks):
    dry = model().simulate_each([weeks], [None])[0]
    assert not dry["Qirrig"].any() and not dry["Qgw"].any() and "supply" not in dry.attrs
    for options, name in (
        (SupplyOptions(irrigation_target=0.95, irrigation_below=0.9), "Qirrig"),
        (SupplyOptions(water_table=0.5), "Qgw"),
    ):
        wet = model(supply={"V-Mix": options}).simulate_each([weeks], [None])[0]
        assert float(abs(wet[name]).sum()) > 0
        assert float(abs(wet["WaterResidual"]).max()) < 1e-9
        assert wet.attrs["supply"] == str(options)


def test_trees_taller_than_the_mast_are_as_tall_as_they_are(weeks):
    low = replace(
        weeks, attributes={**weeks.attributes, "reference_height": 2.0, "canopy_height": 0.3}
    )
    trees = Mixture("EBF", share=0.3, height=8.0)
    assert trees.sites(low)[1].attributes["canopy_height"] == 8.0
    run = model(mixtures={"V-Mix": trees}).simulate_each([low], [None])[0]
    assert np.isfinite(run["Qle"]).all() and float(run["Qle"].max()) > 20


@pytest.mark.parametrize("height", [0.0, -1.0])
def test_a_height_must_be_above_the_ground(height):
    with pytest.raises(ModelError, match="height above 0 m"):
        Mixture("GRA", share=0.3, height=height)


def test_supply_and_both_spin_ups_are_said_of_a_mixture(weeks):
    mixed = model(mixtures={"V-Mix": MIXTURE}, supply={"V-Mix": SupplyOptions(water_table=0.5)})
    about = mixed.simulate_each([weeks], [None])[0].attrs
    assert "water_table=0.5" in about["supply"] and "GRA" in about["mixture"]
    assert about["spinup_settled_second"] in ("True", "False") and "spinup_cycles_second" in about


def test_spin_up_says_how_it_ended(weeks):
    run = Matsiro(default_cycles=3, member_cycles=0).simulate_each([weeks], [None])[0]
    assert 1 <= int(run.attrs["spinup_cycles"]) <= 3
    assert run.attrs["spinup_settled"] in ("True", "False")
