"""A run that learns from daily observations scores, promises and reports what it learnt from."""

import numpy as np
import pandas as pd
import pytest

from mdpl.check import examine
from mdpl.errors import ConfigError, SiteError
from mdpl.evaluation.full_day import daily_means
from mdpl.experiments import flux_choice, identifiability, rivals
from mdpl.files import load_dataset
from mdpl.job import open_job
from mdpl.progress import SilentProgress
from mdpl.report import page
from mdpl.sites.daily import find_daily, read_daily

pytestmark = pytest.mark.slow  # the run they share

CODE = "VT-01"


def test_scores_at_given_days_are_those_of_the_files(finished):
    run, _, daily = finished
    scores = pd.read_csv(run / "scores.csv").query("resolution == 'given_day' and site == @CODE")
    assert set(scores["flux"]) == {"Qle", "Qh", "NEE"}
    assert set(scores["variant"]) == {"given"}
    simulated = load_dataset(run / f"simulations/mdpl/{CODE}.nc")
    means = daily_means(simulated, ("NEE",))
    days = means["time"].values.astype("datetime64[D]")
    observed = read_daily(find_daily(daily, CODE), CODE).on(days).values["NEE"]
    error = np.sqrt(np.nanmean((means["NEE"].values - observed) ** 2))
    learnt = scores.query("flux == 'NEE' and metric == 'rmse' and model == 'mdpl'")
    own = learnt[learnt["period"] == "all"]
    assert own["value"].item() == pytest.approx(error)
    assert own["n"].item() == days.size - 1
    validation = (days - days[0]).astype(int) // 10 % 2 == 1
    validation[3] = True  # the day without NEE is of calibration; so it is in neither count
    apart = scores.query("flux == 'NEE' and metric == 'rmse' and model == 'default'")
    assert apart.set_index("period")["n"].to_dict() == {
        "calibration": int((~validation).sum()),
        "validation": int(validation.sum()) - 1,
        "all": days.size - 1,
    }


def test_promised_is_compared_with_what_was_learnt_from(finished):
    run, *_ = finished
    rounds = pd.read_csv(run / "rounds.csv")
    assert set(rounds["flux"]) == {"Qle", "Qh", "NEE"}
    scores = pd.read_csv(run / "scores.csv").query(
        "model == 'mdpl' and metric == 'rmse' and resolution == 'given_day'"
    )
    both = rounds.merge(scores, on=["site", "flux", "period"])
    assert len(both) == len(rounds) == 2 * 3 * 3
    np.testing.assert_allclose(both["delivered"], both["value"])
    names = set(pd.read_csv(run / "parameters.csv")["parameter"])
    assert {"soil_respiration", "plant_respiration", "temperature_sensitivity"} <= names
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "<option>given_day</option>" in html


def test_what_a_file_cannot_teach_is_refused_before_any_work(finished, tmp_path):
    _, config, _ = finished
    assert examine(config).towers[0]["NEE days"] == 23
    empty = config.sites.model_copy(update={"daily": tmp_path})
    with pytest.raises(SiteError, match="VT-01_daily_aggregated"):
        open_job(config.model_copy(update={"sites": empty}))
    half_hourly = config.sites.model_copy(update={"daily": None})
    with pytest.raises(ConfigError, match="no measured NEE"):
        open_job(config.model_copy(update={"sites": half_hourly}))


def test_what_works_on_single_steps_is_refused(finished):
    run = finished[0]
    with pytest.raises(ConfigError, match="rivals: works on the steps of a record"):
        rivals.calibrate(run, "direct", SilentProgress())
    with pytest.raises(ConfigError, match="identifiability: works on the steps"):
        identifiability.run(run, SilentProgress())


def test_the_report_shows_what_the_choice_of_fluxes_does(finished):
    run = finished[0]
    opened = flux_choice.prepare(run)
    assert flux_choice.plan(opened).left() == (0, 0)
    gains = flux_choice.run(opened, SilentProgress())
    own = gains.query("flux == 'Qle' and period == 'validation' and resolution == 'native'")
    page.build(run)
    table = (run / "report.html").read_text(encoding="utf-8").split('id="table-flux_choice"')[1]
    shown = 100 * own["dRMSE"].median()
    assert f"{abs(shown):.1f}" in table[: table.index("</table>")]
    with pytest.raises(ConfigError, match="leave --relearn away"):
        flux_choice.prepare(run, relearn=True)
