import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mdpl import pipeline, rounds
from mdpl.ensemble.design import around
from mdpl.ensemble.store import FAILED, EnsembleStore
from mdpl.job import open_job
from mdpl.progress import SilentProgress
from mdpl.rounds import agreed, gaps
from mdpl.runs import RunFolder, open_run
from mdpl.surrogate.windows import in_whole_days


def table(*gap: float, flux: str = "Qle", period: str = "calibration") -> pd.DataFrame:
    return pd.DataFrame(
        [(0, f"S{i}", flux, period, 1.0, 1.0, g) for i, g in enumerate(gap)],
        columns=["round", "site", "flux", "period", "promised", "delivered", "gap"],
    )


def test_agreement_asks_for_the_median_four_in_five_towers_and_none_far_off_of_every_flux():
    good = table(0.01, 0.02, 0.03, 0.04, 0.15)
    assert agreed(good, 0.05)
    assert not agreed(table(0.01, 0.02, 0.03, 0.04, 0.16), 0.05)
    assert not agreed(table(0.01, 0.02, 0.03, 0.1, 0.1), 0.05)
    assert not agreed(pd.concat([good, table(0.1, 0.1, flux="Qh")]), 0.05)
    assert agreed(pd.concat([good, table(0.9, period="validation")]), 0.05)


def test_a_run_that_failed_at_the_learnt_parameters_kept_no_promise(
    small_whole, small_config, tmp_path, monkeypatch
):
    assert not agreed(table(0.01, 0.02, 0.03, 0.04, np.nan).assign(delivered=np.nan), 0.05)
    unmeasured = table(0.01, 0.02, np.nan).assign(promised=[1.0, 1.0, np.nan])
    assert agreed(unmeasured.assign(delivered=unmeasured["promised"]), 0.05)
    folder = RunFolder(shutil.copytree(small_whole, tmp_path / "run"), small_config)
    job, store = open_job(small_config), EnsembleStore(folder / "rounds/1/ensemble.zarr")
    assert agreed(rounds._compare(job, folder, 0, store), 1e3)
    whole = EnsembleStore.site

    def failed(self, code):
        made = whole(self, code)
        lost = (code == job.training[0].code) & (np.arange(len(made.unit)) == 0)
        return replace(made, status=np.where(lost, FAILED, made.status))

    monkeypatch.setattr(EnsembleStore, "site", failed)
    assert not agreed(rounds._compare(job, folder, 0, store), 1e3)


def test_more_rounds_go_on_from_those_there_are_and_fewer_end_before(
    small_whole, small_config, tmp_path
):
    folder = shutil.copytree(small_whole, tmp_path / "run")
    first = (folder / "rounds/1/parameters.csv").read_bytes()

    def run(number):
        refine = small_config.refine.model_copy(update={"rounds": number})
        config = small_config.model_copy(update={"refine": refine})
        pipeline.run(config, folder, SilentProgress(), report=False)
        return open_run(folder).read_json("timings.json")["refine"]["lsm_runs"]

    before = open_run(folder).read_json("timings.json")["refine"]["lsm_runs"]
    assert run(2) == 2 * before
    assert (folder / "rounds/1/parameters.csv").read_bytes() == first
    second = (folder / "rounds/2/parameters.csv").read_bytes()
    assert (folder / "parameters.csv").read_bytes() == second != first
    assert set(pd.read_csv(folder / "rounds.csv")["round"]) == {0, 1, 2}
    assert run(1) == 2 * before
    assert (folder / "parameters.csv").read_bytes() == first
    assert rounds.settled(RunFolder(folder, small_config)) == 1
    assert (folder / "rounds/2/ensemble.zarr").exists()


def test_promise_and_delivery_are_of_the_same_steps(small_config):
    """A record that begins at noon: the surrogate answers whole days only."""
    job = open_job(small_config)
    site = job.training[0]
    late = slice(site.steps_per_day // 2, None)
    noon = replace(site, forcing=site.forcing.isel(time=late), fluxes=site.fluxes.isel(time=late))
    inside = in_whole_days(noon)
    assert not inside[0] and inside.sum() % noon.steps_per_day == 0
    series = np.stack([np.nan_to_num(noon.fluxes[t].values) + 5.0 for t in job.config.tasks])
    whole = rounds._target_rmse(job, noon, series, job.config.tasks)
    part = rounds._target_rmse(job, noon, np.where(inside, series, np.nan), job.config.tasks)
    assert np.isfinite(part["rmse"]).all()
    np.testing.assert_array_equal(part["rmse"], whole["rmse"])


def test_a_gap_is_relative_to_what_was_delivered_whichever_was_larger():
    columns = ["site", "flux", "period", "rmse"]
    promised = pd.DataFrame([("A", "Qh", "all", 20.0), ("B", "Qh", "all", 50.0)], columns=columns)
    delivered = pd.DataFrame([("B", "Qh", "all", 40.0), ("A", "Qh", "all", 25.0)], columns=columns)
    found = gaps(3, promised, delivered).set_index("site")
    assert found["gap"].to_dict() == pytest.approx({"A": 0.2, "B": 0.25})
    assert set(found["round"]) == {3}


def test_points_about_a_centre_stay_in_the_cube_and_keep_the_centre():
    centre = np.array([0.5, 0.01, 1.0, 0.98])
    points = around(centre, 4000, 0.1, seed=1)
    assert points.min() > 0 and points.max() < 1
    np.testing.assert_allclose(points[0], np.clip(centre, 1e-6, 1 - 1e-6))
    assert points[:, 0].std() == pytest.approx(0.1, rel=0.05)
    assert abs(points[:, 0].mean() - 0.5) < 0.01
    assert (around(centre, 5, 0.1, 1) == around(centre, 5, 0.1, 1)).all()
