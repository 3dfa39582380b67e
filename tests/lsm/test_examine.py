"""The check of a land model passes an honest one and finds what is wrong with others."""

import numpy as np
import pytest

import toy_bucket
from mdpl.lsm.callable import CallableModel
from mdpl.lsm.examine import examine
from mdpl.lsm.model import Parameter, ParameterSpace

SPACE = ParameterSpace(
    (
        Parameter("share", "1", "of the sun", 0.1, 0.9, 0.4, "test"),
        Parameter("shift", "W m-2", "added", -9.0, 9.0, 1.0, "test"),
    )
)


def honest(site, values):
    sun = 0.7 * site.forcing["SWdown"].values
    latent = values["share"] * sun
    return {"Qle": latent, "Qh": sun - latent + values["shift"]}


def answers(model):
    found = {a.name: a for a in examine(model, toy_bucket.site(days=6))}
    return {name for name, a in found.items() if a.passed is False}, found


def model(function, **more):
    return CallableModel("m", SPACE, function, **more)


def test_an_honest_model_passes():
    failed, found = answers(model(honest))
    assert not failed and len(found) == 8
    assert "share" in found["every parameter moves an output"].found


def with_inert(site, values):
    return honest(site, values | {"shift": 0.0})


def upside_down(site, values):
    return {name: -series for name, series in honest(site, values).items()}


def in_other_units(site, values):
    return {name: 24 * series for name, series in honest(site, values).items()}


def in_mass(site, values):
    return {name: series / 2.5e6 for name, series in honest(site, values).items()}


def fails(site, values):
    raise RuntimeError("no restart file")


def unclosed(site, values):
    made = honest(site, values)
    return made | {"Rnet": made["Qle"] + made["Qh"] + 30.0, "Qg": 0 * made["Qh"]}


@pytest.mark.parametrize(
    ("function", "question", "said"),
    [
        (with_inert, "every parameter moves an output", "shift moves nothing"),
        (upside_down, "units and signs are plausible", "Qh is -|Qle is -|upwards counts"),
        (in_other_units, "units and signs are plausible", "mean Qle|mean Qh|above SWdown"),
        (in_mass, "units and signs are plausible", r"Qle \+ Qh is .* of sun: W m-2"),
        (fails, "a run with the defaults", "RuntimeError: no restart file"),
        (unclosed, "the energy balance closes", "mean 30"),
    ],
)
def test_finds_what_is_wrong(function, question, said):
    import re

    more = dict.fromkeys(("Qle", "Qh", "Rnet", "Qg"), "W m-2") if function is unclosed else None
    failed, found = answers(model(function, **({"outputs": more} if more else {})))
    assert question in failed
    assert re.search(said, found[question].found)


def test_units_that_are_declared_are_read():
    wrong = model(honest, outputs={"Qle": "kg m-2 s-1", "Qh": "W m-2"})
    failed, found = answers(wrong)
    assert "units and signs are plausible" in failed
    assert "kg m-2 s-1" in found["units and signs are plausible"].found


def test_finds_chance_and_members_that_mix():
    rng = np.random.default_rng(0)

    def by_chance(site, values):
        made = honest(site, values)
        return made | {"Qle": made["Qle"] + rng.random(len(made["Qle"]))}

    failed, _ = answers(model(by_chance))
    assert "same input, same output" in failed

    class Mixed:
        parameters = SPACE

        def simulate(self, site, values=None, outputs=None):
            if values is not None:
                values = np.repeat(values[:1], len(values), axis=0)
            return model(honest).simulate(site, values, outputs)

    failed, _ = answers(Mixed())
    assert "a member is its own, whatever runs beside it" in failed


def test_finds_that_bounds_are_not_kept():
    class Lax:
        parameters = SPACE

        def simulate(self, site, values=None, outputs=None):
            inside = None if values is None else np.clip(values, SPACE.lower, SPACE.upper)
            return model(honest).simulate(site, inside, outputs)

    failed, _ = answers(Lax())
    assert failed == {"values out of bounds are refused"}
