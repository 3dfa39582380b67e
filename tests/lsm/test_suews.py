"""SUEWS in process: it keeps to the contract, and a short run calibrates it at a real tower.

Needs the extra ``suews``, whose pandas is older than that of ``dev``: an environment of its own.
"""

import pytest

pytest.importorskip("supy")

import pandas as pd

from mdpl import pipeline
from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.config_model import SuewsConfig
from mdpl.lsm.examine import examine
from mdpl.lsm.suews import suews
from mdpl.progress import SilentProgress
from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FREE = ("g_max", "g_q_base", "g_q_shape", "max_conductance", "soil_store", "albedo", "ohm_a1")


@pytest.fixture(scope="module")
def summer():
    """Two months of summer of a tower that ships."""
    from dataclasses import replace

    site = open_sites(None, ["FR-Hes"])[0]
    first = 150 * site.steps_per_day
    later = {"time": slice(first, None)}
    site = replace(
        site, forcing=site.forcing.isel(later), fluxes=site.fluxes.isel(later), forcing_qc={}
    )
    return site.first_days(60)


def test_keeps_to_the_contract(summer):
    answers = list(examine(suews(), summer.first_days(6)))
    assert [a for a in answers if a.passed is False] == []
    assert len(answers) == 8


def test_is_calibrated_end_to_end(summer, tmp_path):
    (tmp_path / "sites").mkdir()
    write_pair(summer, tmp_path / "sites")
    config = Config(
        sites=SitesConfig(folder=tmp_path / "sites"),
        model=SuewsConfig(parameters=FREE),
        ensemble=EnsembleConfig(members=14),
        surrogate=DayBlockConfig(steps=150, days_per_batch=20, window_days=60, warmup_days=0),
        generator=GeneratorConfig(kind="free", steps=150, window_days=60, warmup_days=0),
        refine=RefineConfig(rounds=0),
    )
    pipeline.run(config, tmp_path / "run", SilentProgress())
    scores = pd.read_csv(tmp_path / "run/scores.csv")
    kept = scores[(scores["metric"] == "rmse") & (scores["resolution"] == "native")]
    rmse = kept.pivot_table(index=["flux", "period"], columns="model", values="value")
    own = rmse.xs("calibration", level="period").loc[["Qle", "Qh"]]
    assert (own["mdpl"] < own["default"]).all(), own
    learnt = pd.read_csv(tmp_path / "run/parameters.csv")
    assert set(learnt["parameter"]) == set(FREE)
    assert (tmp_path / "run/report.html").exists()
