"""What each stage of a run is made from, as a key: of equal keys, one result will do for both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from mdpl.job import Job
from mdpl.lsm.offers import sources_of
from mdpl.sites.site import Site

FORMAT = 2
"""Raised when MdPL makes something else of the same configuration and data."""

BY_TOWER = ("supply", "mixtures")
"""Settings of the land model that are given by tower."""

UNUSED = ("prior_widths",)
"""Settings of the generator that change nothing while empty: runs made before they were there
stand."""

ENDS = ("rounds", "tolerance")
"""Settings that say when rounds end: the rounds themselves stand whatever they are."""

PLACES = ("file", "adapter", "folder", "work")
"""Settings of the land model that say where it lies; what lies there is known by its content."""


@dataclass(frozen=True)
class Keys:
    """Keys of a run.

    Attributes:
        towers: tower -> key of its land-model runs.
        stages: stage -> key.
        ends: when rounds end, which is no part of what a round is.
    """

    towers: Mapping[str, str]
    stages: Mapping[str, str]
    ends: str


def keys_of(job: Job) -> Keys:
    """Keys of a run's stages.

    Each holds the sections of the configuration it depends on, the content of the towers' records
    (as read, so that other names or places of the same files change nothing) and the key of what
    it takes from the stages before.
    """
    config = job.config.model_dump(mode="json")
    towers = {site.code: _runs_of(job, config, site) for site in job.sites}
    training = [site.code for site in job.training]
    fluxes = {site.code: _series(site.fluxes) for site in job.sites}
    sizes = {k: config["ensemble"][k] for k in ("seed", "unseen")}
    judged = {k: config["ensemble"][k] for k in ("failures", "most_failures")}
    stages = {"ensemble": _hash("ensemble", towers, training, judged)}
    stages["surrogate"] = _hash(
        "surrogate", {c: towers[c] for c in training}, sizes, config["tasks"], config["surrogate"]
    )
    daily = {code: _series(found) for code, found in job.daily.items()}
    choice = {k: config["sites"][k] for k in ("flux", "daily_model_error", "select")}
    learnt = {k: v for k, v in config["generator"].items() if k not in UNUSED or v}
    stages["calibrate"] = _hash(
        stages["surrogate"], towers, training, fluxes, daily, choice, learnt
    )
    ends = _hash({k: config["refine"][k] for k in ENDS})
    each = {k: v for k, v in config["refine"].items() if k not in ENDS}
    stages["refine"] = _hash(stages["calibrate"], each)
    stages["evaluate"] = _hash(stages["refine"], ends, config["evaluation"])
    stages["report"] = _hash(stages["evaluate"], config)
    return Keys(towers, stages, ends)


def _runs_of(job: Job, config: Mapping[str, Any], site: Site) -> str:
    """What the land model's default and perturbed runs of a tower depend on."""
    model = {
        k: v.get(site.code) if k in BY_TOWER else v
        for k, v in config["model"].items()
        if k not in ("parameters", "ranges", *PLACES)
    }
    made_of = dict(sorted(sources_of(job.model).items()))
    space = [(p.name, p.lower, p.upper, p.scale) for p in job.space]
    design = {k: config["ensemble"][k] for k in ("members", "design", "seed", "absurd")}
    design["resample"] = config["ensemble"]["failures"] == "resample"
    known = {k: _rounded(v) for k, v in sorted(site.attributes.items())}
    outputs, forcing = sorted(job.outputs), _series(site.forcing)
    return _hash(site.code, model, made_of, space, design, outputs, known, forcing)


def _series(dataset: xr.Dataset) -> str:
    """Content of series in single precision, below which libraries may differ."""
    digest = hashlib.sha256()
    digest.update(dataset["time"].values.astype("datetime64[s]").astype("int64").tobytes())
    for name in sorted(map(str, dataset.data_vars)):
        digest.update(name.encode())
        digest.update(dataset[name].values.astype("float32").tobytes())
    return digest.hexdigest()


def _rounded(value: object) -> str:
    return f"{float(value):.6g}" if isinstance(value, int | float | np.number) else str(value)


def _hash(*parts: object) -> str:
    text = json.dumps([FORMAT, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
