"""MdPL: a generator trained through the frozen multi-task surrogate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mdpl.calibration.calibration import Calibration
from mdpl.config_learning import GeneratorConfig
from mdpl.generator.known import describe
from mdpl.generator.network import save_generator
from mdpl.generator.train import TowerObservations, train
from mdpl.lsm.model import ParameterSpace
from mdpl.progress import Progress
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
        folder: for checkpoints, history and the trained generators; the second and further ones
            of an ensemble in ``1/``, ``2/``, ...
    """
    begin = time.monotonic()
    learnt = {tower.tensors.code for tower in towers}
    given = [s for s in sites if config.kind != "free" or s.code in learnt]
    defaults = {site.code: space.defaults(site.attributes) for site in given}
    known = {site.code: describe(site) for site in given}
    answers = []
    for number in range(config.ensemble):
        own = config.model_copy(update={"seed": config.seed + number})
        place = folder / str(number) if number else folder
        generator, _ = train(surrogate, towers, own, folder=place, progress=progress)
        save_generator(generator, own, place / "generator.eqx")
        answers.append(
            {
                code: generator.parameters(code, known[code], space.to_unit(values))
                for code, values in defaults.items()
            }
        )
    members = {code: np.stack([answer[code] for answer in answers]) for code in defaults}
    return Calibration(
        method="mdpl",
        space=space,
        unit={code: each.mean(axis=0) for code, each in members.items()},
        defaults=defaults,
        models_trained=config.ensemble,
        seconds=time.monotonic() - begin,
        members=members,
    )
