"""The least run there is: three virtual towers, 24 days, tiny networks, one round."""

from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig, dump
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.config_model import MatsiroConfig
from mdpl.experiments import virtual_study
from mdpl.runs import RunFolder, claim

STUDY = virtual_study.Study(trained=2, unseen=1, days=24, seed=3)
QUICK = {"steps": 8, "days_per_batch": 10, "checkpoint_every": 100}


def config_of(towers):
    """The configuration of a run at the virtual towers of a folder."""
    return Config(
        sites=SitesConfig(folder=towers, held_out=STUDY.held_out),
        model=MatsiroConfig(default_cycles=1, member_cycles=0),
        ensemble=EnsembleConfig(members=8),
        surrogate=DayBlockConfig(hidden=6, width=8, tower=4, **QUICK),
        generator=GeneratorConfig(evaluate_every=4, **QUICK),
        refine=RefineConfig(rounds=1, members=4, steps=4, tolerance=1e-6),
    )


def begun(path, config):
    """A run folder with nothing but its configuration."""
    claim(path)
    folder = RunFolder(path, config)
    folder.write("config.yaml", dump(config))
    return folder
