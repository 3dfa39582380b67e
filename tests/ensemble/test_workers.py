"""Batches run on dask as they do in threads, also where a worker dies on the way."""

import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import toy_line
from mdpl.config import ClusterConfig
from mdpl.ensemble.run import Failures, Plan, run_batch, run_ensemble
from mdpl.ensemble.store import DONE, EnsembleStore
from mdpl.ensemble.workers import open_workers
from mdpl.errors import ConfigError, ModelError, RunError
from mdpl.lsm.callable import CallableModel
from mdpl.progress import SilentProgress
from mdpl.sites.site import Site
from toy_line import SPACE, Line, brittle

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

TWENTY = [pytest.param(number, marks=pytest.mark.full) for number in range(1, 21)]
PLAN = Plan(SPACE, 24, "sobol", 0, ("Qle", "Qh"), batch=4)


def equal(found, expected):
    for one, other in zip(expected, found, strict=True):
        assert (other.status == DONE).all()
        np.testing.assert_array_equal(one.read("Qle", one.usable), other.read("Qle", other.usable))


def tower(code):
    time = np.datetime64("2001-01-01", "ns") + np.arange(48) * np.timedelta64(1800, "s")
    forcing = xr.Dataset({"SWdown": ("time", np.linspace(0, 500, 48))}, coords={"time": time})
    return Site(code, forcing, xr.Dataset(coords={"time": time}), {"land_cover": 1}, {})


def runs(folder, model, cluster, plan=PLAN):
    store, sites = EnsembleStore(folder), [tower("XX-One"), tower("XX-Two")]
    made = run_ensemble(model, sites, plan, store, SilentProgress(), cluster)
    return made, [store.site(site.code) for site in sites]


LOCAL = ClusterConfig(kind="local", workers=2)


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, *TWENTY])
def test_processes_store_what_threads_store_and_a_dead_worker_costs_nothing(tmp_path, first):
    _, expected = runs(tmp_path / "a.zarr", Line(), ClusterConfig(workers=1))
    mortal = Line(tmp_path / "note", first=random.Random(first).randrange(6) if first else 0)
    made, found = runs(tmp_path / "b.zarr", mortal, LOCAL)
    assert made == 48 and (tmp_path / "note").exists()
    equal(found, expected)


@pytest.mark.slow
def test_a_worker_that_dies_every_time_is_an_error_that_says_where(tmp_path):
    deadly = Line(tmp_path / "note", always=True)
    # Several batches are in hand at once; which of them is given up first is dask's choice.
    told = r"Line at XX-One: the worker died each time members (\d+) to (\d+) ran"
    with pytest.raises(RunError, match=told) as caught:
        runs(tmp_path / "a.zarr", deadly, ClusterConfig(kind="local", workers=1))
    first, last = map(int, re.search(told, str(caught.value)).groups())
    assert first % PLAN.batch == 0 and last == first + PLAN.batch - 1


@pytest.mark.slow
def test_a_scheduler_at_an_address_is_used_and_left_running(tmp_path):
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        there = ClusterConfig(kind="address", address=cluster.scheduler_address)
        made, _ = runs(tmp_path / "a.zarr", Line(), there)
        assert made == 48
        assert runs(tmp_path / "a.zarr", Line(), there)[0] == 0
        with Client(cluster) as client:
            assert client.submit(lambda: 5).result() == 5


@contextmanager
def scheduler(folder):
    """A scheduler and one worker as processes of their own; the scheduler, and its address."""
    told = folder / "scheduler.json"
    told.unlink(missing_ok=True)
    at = ["--scheduler-file", str(told), "--no-dashboard"]
    makes = {
        "dask_scheduler": ["--host", "127.0.0.1", "--port", "0"],
        "dask_worker": ["--nthreads", "1", "--no-nanny", "--death-timeout", "60"],
    }
    environment = {**os.environ, "PYTHONPATH": str(Path(toy_line.__file__).parent)}
    with open(folder / "log", "a") as log:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{name}", *at, *options],
                env=environment, cwd=folder, stdout=log, stderr=log,
            )
            for name, options in makes.items()
        ]  # fmt: skip
        try:
            # dask makes the file before it has written it.
            while not told.exists() or not told.read_text().rstrip().endswith("}"):
                assert started[0].poll() is None, (folder / "log").read_text()
                time.sleep(0.02)
            yield started[0], json.loads(told.read_text())["address"]
        finally:
            for process in started:
                process.kill()
                process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *TWENTY])
def test_a_scheduler_that_is_killed_is_told_and_nothing_finished_is_lost(tmp_path, seed):
    # What the worker has in hand it may finish still: two batches, each too long to go with others.
    enough, store = random.Random(seed).randrange(4, 32), EnsembleStore(tmp_path / "b.zarr")
    codes = ["XX-One", "XX-Two"]

    def kill(process):
        while store.finished(codes) < enough:
            time.sleep(0.005)
        process.kill()

    with scheduler(tmp_path) as (process, address):
        killing = threading.Thread(target=kill, args=[process], daemon=True)
        killing.start()
        with pytest.raises(
            RunError, match=rf"dask scheduler {address} went away; what is finished"
        ):
            runs(store.path, Line(slow=0.3), ClusterConfig(kind="address", address=address))
        killing.join(timeout=60)
    before = store.finished(codes)
    assert 0 < before < 48
    with scheduler(tmp_path) as (_, address):
        there = ClusterConfig(kind="address", address=address)
        made, found = runs(store.path, Line(), there)
    assert made == 48 - before
    equal(found, runs(tmp_path / "a.zarr", Line(), ClusterConfig(workers=1))[1])


@pytest.mark.slow
def test_a_connection_found_broken_is_told_as_a_scheduler_that_went_away():
    from distributed.comm import CommClosedError

    told = pytest.raises(RunError, match="dask scheduler local went away; what is finished is kept")
    with told, open_workers(LOCAL):
        raise CommClosedError("in the middle of a question")


def test_an_address_nobody_answers_at_is_an_error(tmp_path):
    there = ClusterConfig(kind="address", address="tcp://127.0.0.1:9", timeout=0.5)
    with pytest.raises(RunError, match=r"no dask scheduler answers within 0.5 s"):
        runs(tmp_path / "a.zarr", Line(), there)


def test_an_address_belongs_to_its_kind():
    with pytest.raises(ValueError, match="belong together"):
        ClusterConfig(kind="address")
    with pytest.raises(ValueError, match="belong together"):
        ClusterConfig(kind="local", address="tcp://x:1")


def test_options_that_a_queue_does_not_know_are_an_error(tmp_path):
    wrong = ClusterConfig(kind="slurm", options={"core": 3})
    with pytest.raises(ConfigError, match=r"cluster.options: dask-jobqueue refuses them"):
        runs(tmp_path / "a.zarr", Line(), wrong)


BRITTLE = CallableModel("brittle", SPACE, brittle)


def planned(**failures):
    return Plan(SPACE, 24, "sobol", 0, ("Qle", "Qh"), batch=4, failures=Failures(**failures))


def test_failed_members_are_dropped_with_their_reasons(tmp_path):
    _, (one, _) = runs(tmp_path / "a.zarr", BRITTLE, None, planned())
    failed = SPACE.from_unit(one.unit)[:, 0] > 1.6
    np.testing.assert_array_equal(one.status != DONE, failed)
    reasons = EnsembleStore(tmp_path / "a.zarr").reasons("XX-One")
    assert sorted(reasons) == np.flatnonzero(failed).tolist()
    assert all("ArithmeticError: gain 1." in reason for reason in reasons.values())


def test_failed_members_are_run_elsewhere_and_a_repeated_run_knows_it(tmp_path):
    plan = planned(policy="resample")
    made, (one, _) = runs(tmp_path / "a.zarr", BRITTLE, None, plan)
    moved = SPACE.from_unit(one.design)[:, 0] > 1.6
    assert (one.unit[moved] != one.design[moved]).all()
    np.testing.assert_array_equal(one.unit[~moved], one.design[~moved])
    assert (one.status == DONE).mean() > 0.95 and made > 48
    np.testing.assert_allclose(
        one.read("Qh", one.usable)[:, -1],
        500 * SPACE.from_unit(one.unit[one.usable])[:, 0],
        rtol=1e-6,
    )


def test_a_resampled_ensemble_cut_and_given_again_is_the_one_that_was_not(tmp_path, monkeypatch):
    plan = planned(policy="resample")
    _, (whole, _) = runs(tmp_path / "a.zarr", BRITTLE, None, plan)
    for cut in (5, 9, 12, 13):
        calls = iter(range(1000))

        def falter(*args, calls=calls, cut=cut):
            if next(calls) == cut:
                raise KeyboardInterrupt
            return run_batch(*args)

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr("mdpl.ensemble.run.run_batch", falter)
            runs(tmp_path / "b.zarr", BRITTLE, ClusterConfig(workers=1), plan)
    _, (again, _) = runs(tmp_path / "b.zarr", BRITTLE, None, plan)
    np.testing.assert_array_equal(again.unit, whole.unit)
    np.testing.assert_array_equal(again.status, whole.status)
    made, (third, _) = runs(tmp_path / "b.zarr", BRITTLE, None, plan)
    assert made == 0 and (third.unit == whole.unit).all()
    assert len(np.unique(whole.unit, axis=0)) == 24


def test_nothing_stands_in_for_a_point_that_was_given(tmp_path):
    free = planned(policy="resample")
    given = {code: free.unit(code) for code in ("XX-One", "XX-Two")}
    made, (one, _) = runs(tmp_path / "a.zarr", BRITTLE, None, replace(free, points=given))
    np.testing.assert_array_equal(one.unit, one.design)
    assert made == 48 and len(one.usable) < 24


def test_too_many_failures_and_the_first_one_stop_a_run(tmp_path):
    with pytest.raises(ModelError, match=r"brittle at XX-One: \d of 24 members failed \(member"):
        runs(tmp_path / "a.zarr", BRITTLE, None, planned(most=0.05))
    with pytest.raises(ModelError, match=r"member \d+ failed: ArithmeticError: gain"):
        runs(tmp_path / "b.zarr", BRITTLE, None, planned(policy="abort"))


def test_the_first_failure_stops_batches_handed_over_together(tmp_path, monkeypatch):
    monkeypatch.setattr("mdpl.ensemble.run.HAND_OVER", 60.0)
    plan = replace(planned(policy="abort"), members=96, batch=1)
    with pytest.raises(ModelError, match=r"member \d+ failed: ArithmeticError: gain"):
        runs(tmp_path / "a.zarr", BRITTLE, ClusterConfig(workers=1), plan)
    assert len(EnsembleStore(tmp_path / "a.zarr").reasons("XX-One")) == 1


def test_absurd_magnitudes_are_failures(tmp_path):
    _, (one, _) = runs(tmp_path / "a.zarr", Line(), None, planned(absurd=600.0))
    peak = SPACE.from_unit(one.unit) @ [500.0, 1.0]
    np.testing.assert_array_equal(one.status == DONE, peak < 600.0)
    reasons = EnsembleStore(tmp_path / "a.zarr").reasons("XX-One")
    assert all("beyond 600" in reason for reason in reasons.values())
