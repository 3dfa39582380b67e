"""The LSTM benchmark: it learns what takes memory, sees only what it may, and can be cut."""

from contextlib import contextmanager
from dataclasses import replace

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import ModelError, RunError
from mdpl.evaluation import lessons, lstm
from mdpl.evaluation.lstm import LstmSettings
from mdpl.evaluation.periods import split
from mdpl.progress import SilentProgress
from mdpl.sites.attributes import climate
from mdpl.sites.site import Site

QUICK = LstmSettings(
    hidden=12, window_days=3, warmup_days=1, batch=8, steps=12, judge_every=4, checkpoint_every=5
)


def tower(code, seed=0, days=60, step_minutes=30, noise=5.0):
    """Latent heat follows sunlight and how much sun there was in the past hours."""
    rng = np.random.default_rng(seed)
    per_day = 1440 // step_minutes
    time = pd.date_range("2010-01-01", periods=days * per_day, freq=f"{step_minutes}min").values
    hour = (np.arange(time.size) % per_day) * 24 / per_day
    cloud = np.repeat(rng.random(days * 4), per_day // 4)
    sun = 900 * np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * cloud
    forcing = {
        "SWdown": sun,
        "LWdown": 300 + rng.normal(0, 10, time.size),
        "Tair": 285 + 5 * np.sin((hour - 9) / 12 * np.pi),
        "Qair": np.full(time.size, 0.006),
        "Wind": 1 + rng.random(time.size),
        "Psurf": np.full(time.size, 1e5),
        "Precip": np.where(rng.random(time.size) < 0.02, 1e-4, 0.0),
        "CO2air": np.full(time.size, 400.0),
        "LAI": np.full(time.size, 2.0),
    }
    past = np.convolve(sun, np.ones(per_day // 4) * 4 / per_day)[: time.size]
    fluxes = {"Qle": 0.5 * past, "Qh": 0.4 * sun - 20}
    data = {k: ("time", v + rng.normal(0, noise, time.size)) for k, v in fluxes.items()}
    data["Qle_qc"] = ("time", (rng.random(time.size) < 0.2).astype(float))
    data["Qle"][1][data["Qle_qc"][1] > 0] = 1e4
    met = xr.Dataset({k: ("time", v) for k, v in forcing.items()}, {"time": time})
    place = {"igbp": "GRA", "land_cover": 9, "elevation": 100.0 + seed, "canopy_height": 0.5}
    return Site(code, met, xr.Dataset(data, {"time": time}), {**place, **climate(met)}, {})


@pytest.fixture(scope="module")
def towers():
    return [tower(f"AA-{i}", i) for i in range(4)]


def residual(site, simulation, flux):
    good = site.fluxes[flux].values < 5e3
    error = simulation[flux].values[good] - site.fluxes[flux].values[good]
    return error.std() / site.fluxes[flux].values[good].std()


def test_memory_is_learnt_at_towers_never_seen(towers):
    settings = replace(QUICK, steps=120, batch=12, learning_rate=2e-2, attributes=False)
    network = lstm.train(lessons.others(towers, ["AA-3"]), settings)
    new = tower("BB-New", 20)
    simulation = lstm.predict(network, new)
    assert residual(new, simulation, "Qle") < 0.35
    assert residual(new, simulation, "Qh") < 0.25
    assert simulation["Qle"].dims == ("time",) and simulation["Qle"].attrs["units"] == "W m-2"
    np.testing.assert_array_equal(simulation["time"], new.time)


def test_windows_cover_the_record_in_order(towers):
    """A network that forgets at once gives the same in short windows and in one over all."""
    network = lstm.train(lessons.others(towers, ["AA-3"]), replace(QUICK, steps=1))
    size = network.settings.hidden
    forgets = network.weights.bias.at[size : 2 * size].set(-40.0)
    blind = network.weights._replace(bias=forgets, recur=0 * network.weights.recur)
    short = replace(network, weights=blind)
    one = replace(short, settings=replace(QUICK, window_days=60))
    np.testing.assert_allclose(
        lstm.predict(short, towers[0])["Qle"], lstm.predict(one, towers[0])["Qle"], rtol=1e-4
    )


def test_only_what_may_be_seen_is_seen(towers):
    """Fluxes of other periods, filled values and kept-apart towers do not touch the weights."""
    inside = [split(site.time).calibration for site in towers]
    spoilt = []
    for site, mask in zip(towers, inside, strict=True):
        fluxes = site.fluxes.copy(deep=True)
        fluxes["Qh"].values[~mask] = 777.0
        fluxes["Qle"].values[(~mask) | (fluxes["Qle_qc"].values > 0)] = -777.0
        spoilt.append(replace(site, fluxes=fluxes))
    one, other = (lstm.train(lessons.in_site(ts), QUICK) for ts in (towers, spoilt))
    for a, b in zip(jax.tree.leaves(one.weights), jax.tree.leaves(other.weights), strict=True):
        np.testing.assert_array_equal(a, b)
    for lesson, mask in zip(lessons.in_site(towers), inside, strict=True):
        assert not (lesson.counts & lesson.judges).any()
        assert not (lesson.counts | lesson.judges)[~mask].any()
        assert 0.1 < lesson.judges.sum() / (lesson.counts | lesson.judges).sum() < 0.5
    apart = lessons.others(towers, ["AA-1"])[1]
    assert not apart.counts.any() and apart.judges.any()


def test_cut_and_resumed_is_the_same_training(towers, tmp_path):
    taught = lessons.others(towers, ["AA-0"])
    whole = lstm.train(taught, QUICK)

    class Cut(SilentProgress):
        @contextmanager
        def task(self, description, total):
            done = []

            class Bar:
                def advance(self, n):
                    done.append(n)
                    if len(done) == 8:
                        raise KeyboardInterrupt

                def note(self, text):
                    pass

            yield Bar()

    with pytest.raises(KeyboardInterrupt):
        lstm.train(taught, QUICK, folder=tmp_path, progress=Cut())
    assert 0 < len(pd.read_csv(tmp_path / "history.csv")) < QUICK.steps
    resumed = lstm.train(taught, QUICK, folder=tmp_path)
    for a, b in zip(jax.tree.leaves(whole.weights), jax.tree.leaves(resumed.weights), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(RunError, match="another training"):
        lstm.train(lessons.others(towers, ["AA-1"]), QUICK, folder=tmp_path)


def test_hourly_towers_beside_half_hourly_ones(towers):
    hourly = tower("HH-One", 7, step_minutes=60)
    network = lstm.train(lessons.others([*towers, hourly], ["AA-0"]), QUICK)
    assert network.step_seconds == 1800
    assert lstm.predict(network, hourly).sizes["time"] == hourly.time.size


def test_a_half_hourly_tower_among_hourly_ones_can_be_left_out(towers):
    hourly = [tower(f"HH-{i}", i, step_minutes=60) for i in range(3)]
    taught = lessons.others(hourly, ["HH-2"])
    coarse = lstm.train(taught, QUICK)
    assert coarse.step_seconds == 3600
    with pytest.raises(ModelError, match=r"AA-0: expected a step that is a multiple of 3600 s"):
        lstm.predict(coarse, towers[0])
    fine = lstm.train(taught, replace(QUICK, step_seconds=1800))
    assert lstm.predict(fine, towers[0]).sizes["time"] == towers[0].time.size


def test_folds_leave_every_tower_out_once():
    codes = [f"T{i}" for i in range(13)]
    for number in (5, 13, 40):
        groups = lessons.folds(codes, number)
        assert sorted(code for group in groups for code in group) == sorted(codes)
        assert len(groups) == min(number, 13)
        assert max(map(len, groups)) - min(map(len, groups)) <= 1
    assert lessons.folds(codes, 5, seed=1) != lessons.folds(codes, 5, seed=2)


def test_every_tower_says_once_when_to_stop_and_is_else_learnt_from(towers):
    rounds = lessons.rotations(towers)
    judging = np.array([[lesson.judges.any() for lesson in taught] for taught in rounds])
    learning = np.array([[lesson.counts.any() for lesson in taught] for taught in rounds])
    assert len(rounds) == min(lessons.EVERY, len(towers))
    assert (judging.sum(axis=0) == 1).all()
    assert (judging != learning).all()


def test_what_cannot_be_learnt_is_refused(towers):
    with pytest.raises(ModelError, match="0 and 4 towers"):
        lstm.train(lessons.others(towers, [s.code for s in towers]), QUICK)
    dark = [replace(s, fluxes=s.fluxes.drop_vars("Qh")) for s in towers]
    with pytest.raises(ModelError, match=r"no measured Qh at AA-0, AA-1, AA-2"):
        lstm.train(lessons.others(dark, ["AA-3"]), QUICK)
    with pytest.raises(ModelError, match=r"of 90 days.*AA-0.*shorten window_days"):
        lstm.train(lessons.others(towers, ["AA-3"]), replace(QUICK, window_days=90))
