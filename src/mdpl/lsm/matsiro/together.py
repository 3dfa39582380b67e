"""Several towers as the columns of one batch."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from mdpl.lsm.matsiro import engine
from mdpl.lsm.matsiro.forcing import prepare
from mdpl.lsm.matsiro.place import Place, build, stack
from mdpl.lsm.matsiro.state import Forcing
from mdpl.sites.site import Site


class Together:
    """Several towers as the columns of one batch, shorter records padded at their end."""

    def __init__(self, sites: Sequence[Site], values: np.ndarray, places: Sequence[Place]):
        own = [prepare(s, float(p.reference_height)) for s, p in zip(sites, places, strict=True)]
        self.column = build(jnp.asarray(values), stack(places))
        self.records = _stack(own)
        self.years = _stack([first_year(r, s) for r, s in zip(own, sites, strict=True)])
        self.dt = np.array([s.step_seconds for s in sites])


def _stack(records: Sequence[Forcing]) -> Forcing:
    longest = max(r.Tair.shape[0] for r in records)
    padded = [engine.pad_time(r, longest) for r in records]
    return Forcing(*(np.concatenate(a, axis=1) for a in zip(*padded, strict=True)))


def first_year(record: Forcing, site: Site) -> Forcing:
    """The year a spin-up runs through again and again."""
    steps = min(len(site.time), 365 * site.steps_per_day)
    return Forcing(*(a[:steps].copy() for a in record))
