"""A Python function as a land model: its runs, its failures, its place in a file."""

import gc
import pickle
import time

import numpy as np
import pytest

import toy_bucket
from mdpl.config_model import PythonConfig
from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.callable import CallableModel
from mdpl.lsm.model import LandModel, Parameter, ParameterSpace
from mdpl.lsm.offers import failures, outputs_of, recommended, simulate_each
from mdpl.lsm.opening import named, open_model

SPACE = ParameterSpace(
    (
        Parameter("share", "1", "of the sun", 0.0, 1.0, {"DBF": 0.3, "other": 0.6}, "test"),
        Parameter("shift", "W m-2", "added", -9.0, 9.0, 1.0, "test"),
    )
)


def fluxes(site, values):
    sun = site.forcing["SWdown"].values
    if values["share"] > 0.9:
        raise ArithmeticError("too bright")
    latent = values["share"] * sun + values["shift"]
    return {"Qle": latent if values["share"] < 0.8 else latent[:5], "Qh": sun - latent}


MODEL = CallableModel("line", SPACE, fluxes)


def test_runs_are_those_of_the_function_in_order():
    site = toy_bucket.site(days=4)
    values = np.array([[0.2, 0.0], [0.7, 5.0]])
    run = MODEL.simulate(site, values)
    assert isinstance(MODEL, LandModel)
    sun = site.forcing["SWdown"].values
    np.testing.assert_array_equal(run["Qle"], [0.2 * sun, 0.7 * sun + 5.0])
    assert run["Qle"].dims == ("member", "time") and run["Qh"].attrs["units"] == "W m-2"
    assert failures(run) == ["", ""]
    assert set(MODEL.simulate(site, values, ["Qh"]).data_vars) == {"Qh"}


def test_defaults_may_be_named_by_igbp_class():
    site = toy_bucket.site(days=3)  # ENF, which only 'other' serves
    sun = site.forcing["SWdown"].values
    np.testing.assert_allclose(MODEL.simulate(site)["Qle"].values[0], 0.6 * sun + 1.0)
    assert SPACE["share"].default_for({"land_cover": 2, "igbp": "DBF"}) == 0.3


def test_what_a_function_raises_is_the_reason_of_a_failed_member():
    run = MODEL.simulate(toy_bucket.site(days=3), np.array([[0.5, 0], [0.95, 0], [0.85, 0]]))
    first, raised, short = failures(run)
    assert first == "" and raised == "ArithmeticError: too bright"
    assert short == "Qle: expected 72 steps, found shape (5,)"
    assert np.isfinite(run["Qle"].values[0]).all()
    assert np.isnan(run["Qle"].values[1:]).all() and np.isnan(run["Qh"].values[1:]).all()


@pytest.mark.parametrize("given", ["dry", [[1.0], [1.0, 2.0]]])
def test_what_is_no_series_of_numbers_is_a_failed_member(given):
    model = CallableModel("m", SPACE, lambda site, values: {"Qle": given, "Qh": given})
    (told,) = failures(model.simulate(toy_bucket.site(days=3), np.array([[0.5, 0.0]])))
    assert told.startswith("Qle: expected numbers, (time,)")


def test_values_out_of_bounds_never_run():
    with pytest.raises(ModelError, match=r"parameter share: expected a value in \[0, 1\]"):
        MODEL.simulate(toy_bucket.site(days=3), np.array([[1.5, 0.0]]))


def test_several_towers_come_in_their_order_and_a_failed_run_is_an_error():
    sites = [toy_bucket.site(f"XX-{i}", days=3 + i, seed=i) for i in range(3)]
    runs = list(simulate_each(MODEL, sites, [None, np.array([0.1, 0.0]), None]))
    assert [run.sizes["time"] for run in runs] == [72, 96, 120]
    np.testing.assert_allclose(runs[1]["Qle"], 0.1 * sites[1].forcing["SWdown"])
    with pytest.raises(ModelError, match=r"line at XX-0: the run failed: ArithmeticError"):
        list(simulate_each(MODEL, sites[:1], [np.array([0.95, 0.0])]))


def test_what_waits_is_not_run_after_an_interrupt(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    ran = []

    class Slow:
        parameters = SPACE
        stopped = False

        def simulate(self, site, values=None, outputs=None):
            ran.append(site.code)
            time.sleep(0.2)
            return MODEL.simulate(site, values, outputs)

        def stop(self):
            self.stopped = True

    model, sites = Slow(), [toy_bucket.site(f"XX-{i}", days=3) for i in range(9)]
    with pytest.raises(KeyboardInterrupt):
        for _ in simulate_each(model, sites, [None] * 9):
            raise KeyboardInterrupt
    gc.collect()
    assert model.stopped and len(ran) <= 3


def test_a_model_that_offers_nothing_more_is_asked_for_nothing_more():
    class Bare:
        parameters = SPACE
        simulate = MODEL.simulate

    assert recommended(Bare()) == ("share", "shift")
    assert dict(outputs_of(Bare())) == {"Qle": "W m-2", "Qh": "W m-2"}


def test_survives_the_way_to_another_process():
    again = pickle.loads(pickle.dumps(MODEL))
    site = toy_bucket.site(days=3)
    np.testing.assert_array_equal(again.simulate(site)["Qle"], MODEL.simulate(site)["Qle"])


GOOD = """
from mdpl.lsm.callable import CallableModel
from mdpl.lsm.model import Parameter, ParameterSpace

def fluxes(site, values):
    sun = site.forcing["SWdown"].values
    return {"Qle": values["share"] * sun, "Qh": (1 - values["share"]) * sun}

mine = CallableModel(
    "mine", ParameterSpace((Parameter("share", "1", "of sun", 0, 1, 0.5, "test"),)), fluxes
)
"""


def test_a_file_holds_a_model_and_its_text_is_noted(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(GOOD)
    model = open_model(PythonConfig(file=path, object="mine"))
    assert model.name == "mine"
    before = model.sources["mine.py"]
    path.write_text(GOOD.replace("0.5", "0.6"))
    assert open_model(PythonConfig(file=path, object="mine")).sources["mine.py"] != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "x = 1",
            r"called 'model' with parameters \(a ParameterSpace\) and simulate, found nothing",
        ),
        ("model = 3", "found int"),
        ("1 / 0", "fails with ZeroDivisionError"),
        ("import sys\nsys.exit(2)", "fails with SystemExit"),
        ("class M:\n  parameters = 3\n  def simulate(self, *_): ...\nmodel = M()", "found M"),
        ("def (", "fails with SyntaxError"),
    ],
)
def test_a_file_without_a_model_says_what_is_missing(tmp_path, text, said):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(ModelError, match=said):
        named(str(path))


def test_a_name_nobody_knows(tmp_path):
    with pytest.raises(ConfigError, match="no land model 'clm'"):
        named("clm")
    with pytest.raises(ConfigError, match="no such Python file"):
        named(str(tmp_path / "gone.py"))
