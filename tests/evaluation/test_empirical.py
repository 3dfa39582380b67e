"""Empirical benchmarks: a known law comes back, and nothing of the judged tower is seen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import ModelError
from mdpl.evaluation.empirical import (
    EMPIRICAL,
    STEPS_A_CLUSTER,
    Empirical,
    fit,
    predictors,
    simulate,
)
from mdpl.evaluation.scores import score
from mdpl.sites.site import Site

BY_NAME = {benchmark.name: benchmark for benchmark in EMPIRICAL}


def tower(code, seed=0, days=60, law=None, noise=0.0):
    """A tower whose fluxes follow its weather by ``law(predictors by name)``."""
    rng = np.random.default_rng(seed)
    time = pd.date_range("2010-01-01", periods=days * 48, freq="30min").values
    hour = (np.arange(time.size) % 48) / 2
    forcing = {
        "SWdown": 900 * np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * rng.random(time.size),
        "LWdown": 300 + 30 * rng.normal(size=time.size),
        "Tair": 285 + 8 * np.sin((hour - 9) / 12 * np.pi) + rng.normal(0, 3, time.size),
        "Qair": 0.006 + 0.001 * rng.random(time.size),
        "Wind": 1 + 4 * rng.random(time.size),
        "Psurf": np.full(time.size, 1e5),
        "Precip": np.where(rng.random(time.size) < 0.05, 1e-4, 0.0),
        "CO2air": np.full(time.size, 400.0),
        "LAI": np.full(time.size, 2.0),
    }
    site = Site(
        code,
        xr.Dataset({k: ("time", v) for k, v in forcing.items()}, {"time": time}),
        xr.Dataset(coords={"time": time}),
        {"igbp": "GRA", "land_cover": 9},
        {},
    )
    law = law or linear
    names = ("SWdown", "Tair", "RH")
    known = dict(zip(names, predictors(site, names).T, strict=True))
    fluxes = {
        flux: ("time", law(known, flux) + rng.normal(0, noise + 1e-9, time.size))
        for flux in ("Qle", "Qh")
    }
    return replace(site, fluxes=xr.Dataset(fluxes, {"time": time}))


def linear(known, flux):
    slope = {"Qle": 0.3, "Qh": 0.4}[flux]
    return slope * known["SWdown"] + 2.0 * (known["Tair"] - 285)


def rmse(site, simulation, flux="Qle"):
    table = score(site, "x", simulation, (flux,))
    chosen = table.query("metric == 'rmse' and resolution == 'native' and period == 'all'")
    return chosen["value"].item()


def test_regressions_are_least_squares():
    towers = [tower("AA-One", 1, noise=20.0), tower("AA-Two", 2, noise=20.0)]
    found = fit(BY_NAME["2lin"], towers).regressions["Qh"]
    x = np.concatenate([predictors(s, ("SWdown", "Tair")) for s in towers])
    y = np.concatenate([s.fluxes["Qh"].values for s in towers])
    mean, sd = x.mean(axis=0), x.std(axis=0)
    design = np.column_stack([np.ones(len(x)), (x - mean) / sd])
    expected = np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients[0], expected, rtol=1e-8)


def test_a_linear_law_comes_back_at_a_tower_never_seen():
    trained = fit(BY_NAME["2lin"], [tower("AA-One", 1), tower("AA-Two", 2)])
    new = tower("BB-New", 3)
    simulation = simulate(trained, new)
    assert rmse(new, simulation) < 0.5
    assert rmse(new, simulate(fit(BY_NAME["1lin"], [tower("AA-One", 1)]), new)) > 5.0
    np.testing.assert_array_equal(simulation["time"], new.time)
    assert simulation.attrs["trained_on"] == "AA-One AA-Two"
    assert simulation["Qle"].attrs["units"] == "W m-2"


def test_clusters_follow_a_bend_a_plane_cannot():
    def bent(known, flux):
        dry = known["RH"] < 0.5
        return known["SWdown"] * np.where(dry, 0.1, 0.5) + 40 * dry

    seen = [tower(f"AA-{i}", i, law=bent) for i in range(3)]
    new = tower("BB-New", 9, law=bent)
    errors = {name: rmse(new, simulate(fit(BY_NAME[name], seen), new)) for name in BY_NAME}
    assert errors["3km27"] < 0.5 * errors["2lin"]


def test_filled_values_and_the_judged_tower_change_nothing():
    seen = tower("AA-One", 1)
    filled = np.random.default_rng(0).random(seen.time.size) < 0.3
    fluxes = seen.fluxes.copy(deep=True)
    fluxes["Qle"].values[filled] = 9e3
    fluxes["Qle_qc"] = ("time", filled.astype(float))
    trained = fit(BY_NAME["2lin"], [replace(seen, fluxes=fluxes)], ("Qle",))
    assert rmse(tower("BB-New", 2), simulate(trained, tower("BB-New", 2))) < 0.5


def test_fewer_clusters_where_steps_do_not_suffice_and_it_is_said():
    short = tower("AA-One", days=20)
    trained = fit(BY_NAME["6km729"], [short])
    assert trained.clusters == 20 * 48 // STEPS_A_CLUSTER
    about = simulate(trained, short).attrs
    assert (about["clusters"], about["clusters_asked_for"]) == (9, 729)


def test_seeds_decide():
    towers, new = [tower("AA-One", 1, noise=30.0)], tower("BB-New", 2)
    one, same, other = (simulate(fit(BY_NAME["3km27"], towers, seed=s), new) for s in (0, 0, 1))
    xr.testing.assert_identical(one, same)
    assert not np.array_equal(one["Qle"], other["Qle"])


def test_no_flux_beyond_what_a_cluster_saw():
    def steep(known, flux):
        return np.minimum(5.0 * known["SWdown"], 300.0)

    seen, new = tower("AA-One", 1, law=steep), tower("BB-New", 2, law=steep)
    found = simulate(fit(Empirical("1lin", ("SWdown",)), [seen]), new)["Qle"].values
    assert 250 < found.max() < 300.001


def test_night_gives_no_slope_to_sunlight():
    """In a dark cluster sunlight varies by nothing; its slope must not be noise over nothing."""
    dark = tower("AA-One", 1, noise=5.0)
    forcing = dark.forcing.copy(deep=True)
    forcing["SWdown"].values[:] = np.random.default_rng(0).normal(0, 1e-6, dark.time.size)
    forcing["SWdown"].values[0] = 1e-3
    seen = replace(dark, forcing=forcing)
    slopes = fit(BY_NAME["3km27"], [seen, tower("AA-Two", 2)]).regressions["Qh"].coefficients
    assert np.abs(slopes).max() < 5e3


def test_fluxes_nobody_measured_are_left_out_and_nothing_at_all_is_refused():
    seen = tower("AA-One")
    assert set(fit(BY_NAME["1lin"], [seen], ("Qle", "GPP")).regressions) == {"Qle"}
    with pytest.raises(ModelError, match=r"1lin: expected at least 20 .* GPP .* AA-One"):
        fit(BY_NAME["1lin"], [seen], ("GPP",))
    with pytest.raises(ModelError, match="none"):
        fit(BY_NAME["1lin"], [])
