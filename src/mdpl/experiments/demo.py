"""The demonstration: hidden parameters of virtual towers, then two real towers."""

from __future__ import annotations

from pathlib import Path

from mdpl import pipeline
from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.config_model import MatsiroConfig
from mdpl.experiments import virtual_study
from mdpl.files import write_atomic
from mdpl.memory import give_back
from mdpl.progress import Progress

SURROGATE = DayBlockConfig(steps=1000, days_per_batch=30)
GENERATOR = GeneratorConfig(steps=900, days_per_batch=60, prior_weight=2e-4)
"""Next to no pull towards the defaults: here the land model can be exactly right."""
REAL_SURROGATE = DayBlockConfig(steps=500)


def demo(folder: Path, progress: Progress) -> Path:
    """Learn from virtual towers, show what came back, then calibrate at the towers that ship.

    The virtual study stays in ``virtual/`` of the run folder, a run folder of its own (``mdpl
    report`` makes its page); what it found is copied beside the real run, whose report shows
    both. Given again, it goes on.

    Returns:
        path of the report.
    """
    place = folder / "virtual"
    study = virtual_study.Study()
    progress.stage("virtual towers: their hidden parameters")
    virtual_study.make(place, study, progress)
    virtual = virtual_config(place, study)
    pipeline.run(virtual, place, progress, report=False)
    for name, table in (
        ("recovery.csv", virtual_study.recovery(place, virtual)),
        ("excess.csv", virtual_study.excess(place, virtual)),
    ):
        write_atomic(folder / name, table.to_csv(index=False))
    give_back(programs=True)
    progress.stage("real towers")
    return pipeline.run(real_config(), folder, progress)


def virtual_config(folder: Path, study: virtual_study.Study) -> Config:
    """What the pipeline is told of the virtual towers."""
    return Config(
        title="Virtual towers with hidden parameters",
        sites=SitesConfig(folder=(folder / "towers").resolve(), held_out=study.held_out),
        model=MatsiroConfig(parameters=virtual_study.HIDDEN, default_cycles=virtual_study.CYCLES),
        ensemble=EnsembleConfig(members=32),
        surrogate=SURROGATE,
        generator=GENERATOR,
        refine=RefineConfig(rounds=0),
    )


def real_config() -> Config:
    """A quick calibration at the towers that come with MdPL, with a shorter spin-up than usual."""
    return Config(
        title="MdPL demo: FR-Hes and US-Tw3",
        model=MatsiroConfig(default_cycles=virtual_study.CYCLES),
        ensemble=EnsembleConfig(members=64),
        surrogate=REAL_SURROGATE,
        refine=RefineConfig(rounds=1, members=8, steps=150),
    )
