"""One small run that learnt from daily observations in CalLMIP's form."""

import numpy as np
import pytest

from callmip_form import BEFORE, write_daily
from mdpl import pipeline
from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.config_model import MatsiroConfig
from mdpl.evaluation.full_day import daily_means
from mdpl.experiments import virtual_study
from mdpl.progress import SilentProgress
from mdpl.sites.catalogue import open_sites

STUDY = virtual_study.Study(trained=1, unseen=1, days=24, seed=5)
QUICK = {"steps": 8, "days_per_batch": 10, "checkpoint_every": 100}


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Run folder, configuration, and folder of daily observations."""
    base = tmp_path_factory.mktemp("exports")
    virtual_study.make(base / "study", STUDY, SilentProgress())
    (base / "daily").mkdir()
    rng = np.random.default_rng(0)
    for site in open_sites(base / "study/towers", None):
        means = daily_means(site.fluxes, ("Qle", "Qh"))
        first = means["time"].values[0].astype("datetime64[D]") - BEFORE
        fluxes = {
            name: np.concatenate([rng.normal(50, 9, BEFORE), means[name].values + 5])
            for name in ("Qle", "Qh")
        }
        fluxes["NEE"] = rng.normal(-2, 1, fluxes["Qle"].size)
        fluxes["NEE"][BEFORE + 3] = np.nan
        sd = rng.uniform(1, 9, fluxes["Qle"].size)
        write_daily(
            base / "daily", site.code, str(first), **{k: (v, sd) for k, v in fluxes.items()}
        )
    config = Config(
        tasks=("Qle", "Qh", "NEE"),
        sites=SitesConfig(
            folder=base / "study/towers", held_out=STUDY.held_out, daily=base / "daily"
        ),
        model=MatsiroConfig(default_cycles=1, member_cycles=0),
        ensemble=EnsembleConfig(members=8),
        surrogate=DayBlockConfig(hidden=6, width=8, tower=4, **QUICK),
        generator=GeneratorConfig(evaluate_every=4, ensemble=2, learning_rate=0.2, **QUICK),
        refine=RefineConfig(rounds=0),
    )
    pipeline.run(config, base / "run", SilentProgress())
    return base / "run", config, base / "daily"
