"""Ensembles are stored as they come, taken up where they stopped, and tell failures apart."""

from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import xarray as xr

from mdpl.config import ClusterConfig
from mdpl.ensemble.run import BATCH, Plan, run_ensemble
from mdpl.ensemble.store import DONE, FAILED, PENDING, EnsembleStore
from mdpl.ensemble.workers import threads
from mdpl.errors import ModelError, RunError
from mdpl.lsm.model import Parameter, ParameterSpace
from mdpl.progress import SilentProgress
from mdpl.sites.site import Site

SPACE = ParameterSpace(
    (
        Parameter("gain", "1", "multiplies the sun", 0.0, 2.0, 1.0, "test"),
        Parameter("offset", "W m-2", "adds to it", 1.0, 100.0, 10.0, "test", "log"),
    )
)


@dataclass
class Line:
    """Qle = gain * SWdown + offset; counts its runs, and breaks when told to."""

    stop_after: int = 10**6
    broken: tuple[float, float] = (9.0, 9.0)
    ran: list[int] = field(default_factory=list)
    name: str = "line"
    parameters: ParameterSpace = SPACE
    outputs = {"Qle": "W m-2", "Qh": "W m-2"}

    def simulate(self, site, values=None, outputs=None):
        if len(self.ran) >= self.stop_after:
            raise KeyboardInterrupt
        self.ran.append(len(values))
        sun = site.forcing["SWdown"].values
        qle = values[:, :1] * sun + values[:, 1:]
        low, high = self.broken
        qle[(values[:, 0] > low) & (values[:, 0] < high)] = np.nan
        data = {"Qle": qle, "Qh": 0.5 * qle}
        return xr.Dataset({k: (("member", "time"), data[k]) for k in outputs})


def tower(code="XX-One", steps=96):
    time = np.datetime64("2001-01-01", "ns") + np.arange(steps) * np.timedelta64(1800, "s")
    forcing = xr.Dataset({"SWdown": ("time", np.linspace(0, 500, steps))}, coords={"time": time})
    return Site(code, forcing, xr.Dataset(coords={"time": time}), {"land_cover": 1}, {})


PLAN = Plan(SPACE, 3 * BATCH, "sobol", 0, ("Qle", "Qh"))


def test_the_first_members_alone_and_then_the_rest(tmp_path):
    """None judged before all have run, and the same as in one go."""
    site, model = tower(), Line(broken=(0.0, 2.0))
    look = replace(PLAN, first=2)
    store = EnsembleStore(tmp_path / "failing.zarr")
    assert run_ensemble(model, [site], look, store, SilentProgress()) == 2
    assert (store.site(site.code).status[:2] == FAILED).all()
    sound, parts = EnsembleStore(tmp_path / "e.zarr"), EnsembleStore(tmp_path / "parts.zarr")
    run_ensemble(Line(), [site], PLAN, sound, SilentProgress())
    assert run_ensemble(Line(), [site], look, parts, SilentProgress()) == 2
    assert run_ensemble(Line(), [site], look, parts, SilentProgress()) == 0
    status = parts.site(site.code).status
    assert (status[:2] == DONE).all() and (status[2:] == PENDING).all()
    run_ensemble(Line(), [site], PLAN, parts, SilentProgress())
    a, b = (store.site(site.code) for store in (sound, parts))
    np.testing.assert_array_equal(a.read("Qle", a.usable), b.read("Qle", b.usable))
    assert len(b.usable) == PLAN.members


def test_every_member_is_what_the_model_gives(tmp_path):
    store, site = EnsembleStore(tmp_path / "e.zarr"), tower()
    assert run_ensemble(Line(), [site], PLAN, store, SilentProgress()) == PLAN.members
    runs = store.site("XX-One")
    physical = SPACE.from_unit(runs.unit)
    expected = physical[:, :1] * site.forcing["SWdown"].values + physical[:, 1:]
    np.testing.assert_allclose(runs.read("Qle", runs.usable), expected, rtol=1e-6)
    assert (runs.status == DONE).all()


@dataclass
class Counting:
    """Threads that note how many tasks they were given."""

    tasks: int = 0

    @contextmanager
    def __call__(self, settings):
        with threads(2) as inner:

            def submit(*given):
                self.tasks += 1
                return inner.submit(*given)

            yield replace(inner, submit=submit)


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(60.0, 12, 30), (0.0, 96, 96)])
def test_short_batches_are_handed_over_together_and_long_ones_alone(
    tmp_path, monkeypatch, seconds, fewest, most
):
    counting, model = Counting(), Line()
    monkeypatch.setattr("mdpl.ensemble.run.open_workers", counting)
    monkeypatch.setattr("mdpl.ensemble.run.HAND_OVER", seconds)
    store, sites = EnsembleStore(tmp_path / "e.zarr"), [tower(), tower("XX-Two")]
    plan = replace(PLAN, members=48, batch=1)
    assert run_ensemble(model, sites, plan, store, SilentProgress()) == 96
    assert model.ran == [1] * 96
    assert fewest <= counting.tasks <= most
    for site in sites:
        assert (store.site(site.code).status == DONE).all()


def test_interrupted_and_repeated_runs_only_what_is_left(tmp_path):
    store, sites = EnsembleStore(tmp_path / "e.zarr"), [tower(), tower("XX-Two", 48)]
    with pytest.raises(KeyboardInterrupt):
        run_ensemble(
            Line(stop_after=2), sites, PLAN, store, SilentProgress(), ClusterConfig(workers=1)
        )
    left = sum(int((store.site(s.code).status == PENDING).sum()) for s in sites)
    assert 0 < left < 2 * PLAN.members
    second = Line()
    assert run_ensemble(second, sites, PLAN, store, SilentProgress()) == left == sum(second.ran)
    whole = EnsembleStore(tmp_path / "f.zarr")
    run_ensemble(Line(), sites, PLAN, whole, SilentProgress())
    for site in sites:
        a, b = store.site(site.code), whole.site(site.code)
        np.testing.assert_array_equal(a.read("Qh", a.usable), b.read("Qh", b.usable))


def test_failed_members_are_known_and_all_failed_is_an_error(tmp_path):
    store = EnsembleStore(tmp_path / "e.zarr")
    run_ensemble(Line(broken=(1.5, 3.0)), [tower()], PLAN, store, SilentProgress())
    runs = store.site("XX-One")
    failed = SPACE.from_unit(runs.unit)[:, 0] > 1.5
    np.testing.assert_array_equal(runs.status == FAILED, failed)
    with pytest.raises(ModelError, match="XX-Two: all of 192 members"):
        run_ensemble(Line(broken=(-1, 3)), [tower("XX-Two")], PLAN, store, SilentProgress())


def test_another_design_in_the_same_store_is_refused(tmp_path):
    store = EnsembleStore(tmp_path / "e.zarr")
    run_ensemble(Line(), [tower()], PLAN, store, SilentProgress())
    other = Plan(SPACE, PLAN.members, "sobol", 1, PLAN.outputs)
    with pytest.raises(RunError, match="XX-One holds runs of another design"):
        run_ensemble(Line(), [tower()], other, store, SilentProgress())


def test_batches_share_no_file(tmp_path):
    store = EnsembleStore(tmp_path / "e.zarr")
    made = store.create_site("XX-One", SPACE.names, PLAN.unit("XX-One"), 4, ("Qle",), BATCH)
    group = tmp_path / "e.zarr" / "XX-One"

    def batch(first):
        members = np.arange(first, first + BATCH)
        store.write("XX-One", members, {"Qle": np.ones((BATCH, 4))}, np.full(BATCH, DONE))
        return {p: p.read_bytes() for p in group.rglob("c/*") if p.is_file()}

    before = batch(0)
    assert before.items() < batch(BATCH).items()
    assert (store.site("XX-One").status == np.repeat([DONE, DONE, PENDING], BATCH)).all()
    assert made.outputs["Qle"].chunks[0] == BATCH
