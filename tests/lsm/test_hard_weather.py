"""Weather at the limits is what it is called, and a land model that breaks in it is found."""

import numpy as np
import pytest

from budgets import budgets_close
from mdpl.errors import ModelError
from mdpl.lsm.callable import CallableModel
from mdpl.lsm.hard_weather import HARD, record, withstand
from mdpl.lsm.model import Parameter, ParameterSpace
from mdpl.lsm.recorded import RecordedModel
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure

SPACE = ParameterSpace((Parameter("share", "1", "of the sun", 0.1, 0.9, 0.4, "test"),))


@pytest.mark.parametrize(
    ("code", "name", "least", "most"),
    [
        ("polar-night", "SWdown", 0.0, 0.0),
        ("snow-at-233-K", "Tair", 228.0, 238.0),
        ("thaw-and-frost", "Tair", 264.0, 282.0),
        ("desert", "Precip", 0.0, 0.0),
        ("dense-leaves-at-318-K", "Tair", 313.0, 323.0),
        ("dense-leaves-at-318-K", "LAI", 8.0, 8.0),
        ("rain-of-200-mm-an-hour", "Precip", 0.0, 200.0 / 3600.0),
        ("no-wind", "Wind", 0.0, 0.0),
        ("no-leaves", "LAI", 0.0, 0.0),
        ("saturated-soil", "Precip", 2.0 / 3600.0, 2.0 / 3600.0),
    ],
)
def test_each_is_what_it_is_called(code, name, least, most):
    found = record(code).forcing[name].values
    np.testing.assert_allclose([found.min(), found.max()], [least, most], atol=0.01)


def test_the_sun_is_up_by_day_and_air_holds_the_vapour_it_is_said_to():
    site = record("monsoon", days=3)
    hour = np.arange(144) % 48 / 2
    sun = site.forcing["SWdown"].values
    assert (sun[(hour < 6) | (hour >= 18)] == 0).all() and (
        sun[(hour >= 6) & (hour < 18)] > 0
    ).all()
    vapour = vapour_pressure(site.forcing["Qair"].values, site.forcing["Psurf"].values)
    most = saturation_vapour_pressure(site.forcing["Tair"].values)
    np.testing.assert_allclose(vapour, 0.95 * most, rtol=1e-12)


def breaks(when, how):
    def run(site, values):
        sun = 0.7 * site.forcing["SWdown"].values
        latent = values["share"] * sun
        if when(site.forcing):
            latent = how(latent)
        return {"Qle": latent, "Qh": sun - latent}

    return CallableModel("m", SPACE, run)


def divides(latent):
    return np.where(np.arange(latent.size) == 7, np.nan, latent)


def stops(latent):
    raise RuntimeError("no convergence in the canopy")


@pytest.mark.parametrize(
    ("when", "how", "code", "said"),
    [
        (lambda f: float(f["Wind"].max()) == 0, divides, "no-wind", "Qle"),
        (lambda f: float(f["Tair"].max()) > 322, lambda x: x + 2000, "dense-leaves-at-318-K",
         "Qle from 2000"),
        (lambda f: float(f["LAI"].max()) == 0, stops, "no-leaves", "no convergence in the canopy"),
    ],
)  # fmt: skip
def test_a_model_that_breaks_is_told_where(when, how, code, said):
    found = {c.name: c for c in withstand(breaks(when, how), days=2)}
    assert list(found) == list(HARD)
    assert [name for name, c in found.items() if not c.passed] == [code]
    assert said in found[code].found


def test_one_that_stops_altogether_is_told_too():
    class Stops:
        parameters = SPACE

        def simulate(self, site, values=None, outputs=None):
            raise ModelError(f"{site.code}: expected a licence")

    assert all(not c.passed and "a licence" in c.found for c in withstand(Stops(), days=2))


def test_a_flux_it_does_not_give_is_told():
    model = CallableModel(
        "m", SPACE, lambda site, values: {"Qle": site.forcing["SWdown"].values},
        outputs={"Qle": "W m-2"},
    )  # fmt: skip
    assert {(c.passed, c.found) for c in withstand(model, days=2)} == {(False, "no Qh")}


def test_nothing_is_asked_of_one_that_is_run_by_hand(tmp_path):
    model = RecordedModel(tmp_path, SPACE, {"Qle": "W m-2", "Qh": "W m-2"}, {})
    assert [c.passed for c in withstand(model)] == [None]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("code", HARD)
def test_the_column_closes_its_budgets_in_all_of_them(code):
    budgets_close(record(code, days=10), 16)


@pytest.mark.full
@pytest.mark.parametrize("code", HARD)
def test_the_column_closes_its_budgets_with_two_hundred_parameter_sets(code):
    budgets_close(record(code, days=60), 200)
