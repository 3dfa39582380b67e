"""MdPL: a generator trained through the frozen multi-task surrogate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mdpl.calibration.calibration import Calibration
from mdpl.config_learning import GeneratorConfig
from mdpl.generator.network import save_generator
from mdpl.generator.train import TowerObservations, train
from mdpl.lsm.model import ParameterSpace
from mdpl.progress import Progress
from mdpl.sites.attributes import numeric
from mdpl.sites.site import Site
from mdpl.surrogate.network import Surrogate


def calibrate(
    surrogate: Surrogate,
    space: ParameterSpace,
    sites: Sequence[Site],
    towers: Sequence[TowerObservations],
    config: GeneratorConfig,
    folder: Path,
    progress: Progress,
) -> Calibration:
    """Train g_z on some towers and apply it to all.

    No run of the land model is made here: those of the ensemble are its stage's.

    Args:
        space: parameters that are free.
        sites: towers to give parameters to; free parameters (``config.kind``) exist only at
            those learnt from.
        towers: what the generator may learn from.
        folder: for checkpoints, history and the trained generator.
    """
    begin = time.monotonic()
    generator, _ = train(surrogate, towers, config, folder=folder, progress=progress)
    save_generator(generator, config, folder / "generator.eqx")
    known = {tower.tensors.code for tower in towers}
    given = [s for s in sites if config.kind != "free" or s.code in known]
    defaults = {site.code: space.defaults(site.attributes) for site in given}
    unit = {
        site.code: generator.parameters(
            site.code, describe(site), space.to_unit(defaults[site.code])
        )
        for site in given
    }
    seconds = time.monotonic() - begin
    return Calibration("mdpl", space, unit, defaults, models_trained=1, seconds=seconds)


def describe(site: Site) -> Mapping[str, float | str]:
    """What the generator is told of a tower."""
    return {**numeric(site), "land_cover": float(site.land_cover)}
