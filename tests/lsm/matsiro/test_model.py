"""The column as a land model at a tower: contract and gradients."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import engine, restart
from mdpl.lsm.matsiro.forcing import prepare
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.lsm.matsiro.place import build
from mdpl.lsm.model import LandModel
from mdpl.sites.catalogue import open_sites
from mdpl.sites.virtual import draw_climates, virtual_forcing


@pytest.fixture(scope="module")
def model():
    return Matsiro(default_cycles=1, member_cycles=0)


@pytest.fixture(scope="module")
def wet_summer():
    """Three warm weeks of a record, humid enough for base flow to matter."""
    base = open_sites(None, ["FR-Hes"])[0]
    return virtual_forcing(base, "V-Wet", draw_climates(1, seed=3)[0], first_day=150, days=21)


def test_it_is_a_land_model(model):
    assert isinstance(model, LandModel)
    assert {"Qle", "Qh", "GPP"} <= set(model.outputs)


def test_simulation_closes_and_stands_on_the_tower_axis(model, wet_summer):
    run = model.simulate(wet_summer)
    assert dict(run.sizes) == {"member": 1, "time": 21 * 48, "layer": 5}
    np.testing.assert_array_equal(run["time"].values, wet_summer.time)
    assert float(abs(run["EnergyResidual"]).max()) < 1e-9
    assert float(abs(run["WaterResidual"]).max()) < 1e-9
    balance = run["Rnet"] - run["Qh"] - run["Qle"] - run["Qg"]
    assert float(abs(balance).max()) < 1e-9


def test_member_results_do_not_depend_on_the_batch(model, wet_summer):
    rng = np.random.default_rng(0)
    values = PARAMETERS.from_unit(rng.random((10, len(PARAMETERS))))
    together = model.simulate(wet_summer, values)
    alone = model.simulate(wet_summer, values[7])
    np.testing.assert_allclose(together["Qle"][7], alone["Qle"][0], atol=1e-6)


def test_towers_side_by_side_run_as_if_alone(model, wet_summer):
    base = open_sites(None, ["US-Tw3"])[0]
    short = virtual_forcing(base, "V-Dry", draw_climates(1, seed=4)[0], first_day=200, days=9)
    values = PARAMETERS.from_unit(np.full(len(PARAMETERS), 0.4))
    longer, shorter = model.simulate_each([wet_summer, short], [None, values])
    for site, given, together in ((wet_summer, None, longer), (short, values, shorter)):
        alone = model.simulate(site, given).isel(member=0)
        for name in ("Qle", "Qh", "SoilMoist"):
            np.testing.assert_allclose(together[name], alone[name], atol=1e-6)
        np.testing.assert_array_equal(together["time"].values, site.time)


def test_more_towers_than_a_batch_are_not_mixed_up(model):
    base = open_sites(None, ["FR-Hes"])[0]
    climate = draw_climates(1, seed=3)[0]
    count = engine.BATCH + 3
    sites = [
        virtual_forcing(base, f"V-{i:02d}", climate, first_day=100 + 5 * i, days=2 + i % 3)
        for i in range(count)
    ]
    runs = model.simulate_each(sites, [None] * count, ("Qle",))
    for i in (0, engine.BATCH, count - 1):
        alone = model.simulate(sites[i], outputs=("Qle",)).isel(member=0)
        np.testing.assert_allclose(runs[i]["Qle"], alone["Qle"], atol=1e-6)
        np.testing.assert_array_equal(runs[i]["time"], sites[i].time)


def test_a_run_carried_on_from_a_file_is_the_run_that_was_not_cut(model, frosty_year, tmp_path):
    site = frosty_year.first_days(40)
    cut = 25 * site.steps_per_day
    rest = replace(
        site,
        forcing=site.forcing.isel(time=slice(cut, None)),
        fluxes=site.fluxes.isel(time=slice(cut, None)),
    )
    values = PARAMETERS.defaults(site.attributes)
    whole = model.simulate(site, values).isel(member=0)
    first, state = model.carry_on(site.first_days(25), values, model.spun_up(site, values))
    restart.save(state, tmp_path / "state.nc")
    second, _ = model.carry_on(rest, values, restart.load(tmp_path / "state.nc"))
    assert float(whole["SWE"].max()) > 1
    for name in ("Qle", "Qh", "SoilMoist", "SWE", "GPP"):
        joined = np.concatenate([first[name].values, second[name].values], axis=-1)
        np.testing.assert_array_equal(joined, whole[name].values, err_msg=name)


def test_an_equilibrium_belongs_to_one_weather_and_one_place(model, wet_summer):
    own = model.simulate(wet_summer, outputs=("SoilMoist",))
    sandy = replace(wet_summer, attributes={**wet_summer.attributes, "sand": 90.0, "clay": 3.0})
    rainy = replace(
        wet_summer, forcing=wet_summer.forcing.assign(Precip=5 * wet_summer.forcing["Precip"])
    )
    for site in (sandy, rainy):
        again = model.simulate(site, outputs=("SoilMoist",))
        anew = Matsiro(default_cycles=1, member_cycles=0).simulate(site, outputs=("SoilMoist",))
        np.testing.assert_array_equal(again["SoilMoist"], anew["SoilMoist"])
        assert not np.allclose(again["SoilMoist"], own["SoilMoist"])


def test_the_loop_over_time_is_one_function(model, wet_summer):
    """As kernels of its own a step would cost several times as much (decision 10)."""
    where = model._place(wet_summer)
    values = np.repeat(PARAMETERS.defaults(wet_summer.attributes)[None], engine.BATCH, axis=0)
    column = build(jnp.asarray(values), where)
    state = engine.start_state(column, np.full(engine.BATCH, 285.0), np.full(engine.BATCH, 40.0))
    piece = engine.chunk(prepare(wet_summer, float(where.reference_height)), 0)
    program = engine.compiled(model.newton_steps)
    text = program.lower(column, state, piece, np.full(engine.BATCH, 1800.0)).compile().as_text()
    main = text[text.index("\nENTRY ") :]
    assert "xla_cpu_small_call" in text and " while(" not in main


def test_values_outside_bounds_are_refused_by_name(model, wet_summer):
    values = PARAMETERS.defaults(wet_summer.attributes)
    values[PARAMETERS.names.index("vmax")] = 999
    with pytest.raises(ModelError, match=r"vmax.*\[8, 200\].*999"):
        model.simulate(wet_summer, values)
    with pytest.raises(ModelError, match="has no output Nope"):
        model.simulate(wet_summer, outputs=["Nope"])


@pytest.fixture(scope="module")
def frosty_year():
    """A year cold enough for a long winter under snow."""
    base = open_sites(None, ["FR-Hes"])[0]
    cold = replace(draw_climates(1, seed=3)[0], delta_Tair=-7.0)
    return virtual_forcing(base, "V-Cold", cold, days=min(365, len(base.time) // 48))


@pytest.mark.slow
def test_water_of_a_year_closes(model, frosty_year):
    """Case 15: what fell less what left is what is stored, snow included."""
    run = model.simulate(frosty_year).isel(member=0)
    assert float(run["SWE"].max()) > 5 and float(run["SWE"].min()) == 0
    came = run["Rainf"] + run["Snowf"] + run["Qirrig"] + run["Qgw"]
    went = sum(run[n] for n in ("ESoil", "ECanop", "TVeg", "SubSnow", "Qs", "Qsb"))
    stored = run["SoilMoist"].sum("layer") + run["SWE"] + run["CanopInt"]
    gained = ((came - went) * frosty_year.step_seconds)[1:].sum()
    np.testing.assert_allclose(gained, stored[-1] - stored[0], atol=1e-6)
    assert float(abs(run["EnergyResidual"]).max()) < 1e-9
    assert float(abs(run["SnowHeatResidual"]).max()) < 1e-6


RESPIRATION = {"soil_respiration", "temperature_sensitivity", "plant_respiration"}
"""They act on no flux but net ecosystem exchange."""

SNOW = {"snow_full_cover", "snow_conductivity", "snow_albedo_old"}
"""They need snow."""

BASE_FLOW = {"drainage"}
"""It needs a water table, which a loam need not have."""


@pytest.mark.slow
@pytest.mark.parametrize("season", ["warm", "snowy"])
def test_reverse_mode_agrees_with_central_differences(
    model, wet_summer, frosty_year, season, two_gradients
):
    """Case 33: every parameter, three weeks, heat fluxes and carbon."""
    site = wet_summer
    if season == "snowy":
        snow = model.simulate(frosty_year, outputs=["SWE"])["SWE"].values[0]
        first = int(np.argmax(snow > 0.5 * snow.max())) // 48
        cold = replace(draw_climates(1, seed=3)[0], delta_Tair=-7.0)
        base = open_sites(None, ["FR-Hes"])[0]
        site = virtual_forcing(base, "V-Snow", cold, first_day=first, days=21)
    reverse, differences = two_gradients(model, site, ("Qle", "Qh", "NEE"))
    assert np.isfinite(reverse).all()
    wrong = {}
    for i, name in enumerate(PARAMETERS.names):
        largest = np.abs(differences).max(axis=1)
        scale = np.maximum(np.abs(differences[:, i]), 1e-4 * largest)
        error = np.abs(reverse[:, i] - differences[:, i]) / scale
        if error.max() > 1e-3:
            wrong[name] = error
    assert not wrong, {k: [f"{x:.1e}" for x in v] for k, v in wrong.items()}
    idle = {name for i, name in enumerate(PARAMETERS.names) if not reverse[:2, i].any()}
    without = RESPIRATION | (SNOW if season == "warm" else set())
    assert without <= idle <= without | BASE_FLOW
    silent = {name for i, name in enumerate(PARAMETERS.names) if not reverse[2, i].any()}
    assert silent <= (SNOW if season == "warm" else set()) | BASE_FLOW
