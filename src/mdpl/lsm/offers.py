"""What a land model may offer beyond the contract, and what is done where it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xarray as xr

from mdpl.errors import ModelError
from mdpl.lsm.model import FAILURE, LandModel
from mdpl.sites.site import Site

BATCH = 64
"""Members run, and stored, together, unless a model says otherwise (``batch``)."""

HEAT = {"Qle": "W m-2", "Qh": "W m-2"}


def name_of(model: LandModel) -> str:
    """``name``, or that of its class."""
    return str(getattr(model, "name", type(model).__name__))


def outputs_of(model: LandModel) -> Mapping[str, str]:
    """``outputs``: name -> unit of what it computes; the heat fluxes unless it says."""
    found: Mapping[str, str] = getattr(model, "outputs", HEAT)
    return found


def recommended(model: LandModel) -> tuple[str, ...]:
    """``recommended``: parameters calibrated unless the user names others; all unless it says."""
    return tuple(getattr(model, "recommended", model.parameters.names))


def batch_of(model: LandModel) -> int:
    """``batch``: members it runs at a time; 1 for a program that takes one set."""
    return int(getattr(model, "batch", BATCH))


def sources_of(model: LandModel) -> Mapping[str, str]:
    """``sources``: files it is made of -> sha256, for provenance; none unless it says."""
    found: Mapping[str, str] = getattr(model, "sources", {})
    return found


Asked = Sequence[tuple[Site, np.ndarray | None]]
"""Towers, and parameter sets to be run there; None means the defaults."""


def ask(model: LandModel, asked: Asked) -> None:
    """``ask(asked)``: tells a model that is run by hand all that it will be asked to simulate."""
    if by_hand(model):
        model.ask(asked)  # type: ignore[attr-defined]


def by_hand(model: LandModel) -> bool:
    """Whether it is run by hand, so that all should be asked for at once."""
    return hasattr(model, "ask")


def design(model: LandModel, site: Site) -> np.ndarray | None:
    """``design(site)``: an ensemble that the model brings, (member, parameter), or None."""
    return model.design(site) if hasattr(model, "design") else None


def prepare(model: LandModel, sites: Sequence[Site]) -> None:
    """``prepare(sites)``: what is quicker for several towers together, before they are run."""
    if hasattr(model, "prepare"):
        model.prepare(sites)


def simulate_each(
    model: LandModel,
    sites: Sequence[Site],
    values: Sequence[np.ndarray | None],
    outputs: Sequence[str] | None = None,
) -> Iterator[xr.Dataset]:
    """``simulate_each``: several towers, one parameter set each, in their order.

    A model without it runs tower by tower, as many at a time as there are cores.

    Args:
        values: physical values, (parameter,) for each tower; None means its defaults.

    Returns:
        for each tower what `LandModel.simulate` gives, without the member axis.

    Raises:
        ModelError: a run failed.
    """
    if hasattr(model, "simulate_each"):
        yield from model.simulate_each(sites, values, outputs)
        return
    ask(model, list(zip(sites, values, strict=True)))
    rows = [None if v is None else np.asarray(v, dtype=float)[None] for v in values]
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        runs = [
            pool.submit(model.simulate, site, row, outputs)
            for site, row in zip(sites, rows, strict=True)
        ]
        for site, run in zip(sites, runs, strict=True):
            made = run.result()
            reason = failures(made)[0]
            if reason:
                raise ModelError(f"{name_of(model)} at {site.code}: the run failed: {reason}")
            yield made.drop_vars(FAILURE, errors="ignore").isel(member=0)
    except (KeyboardInterrupt, GeneratorExit):  # the latter where the caller was interrupted
        stop(model)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def stop(model: LandModel) -> None:
    """``stop()``: ends what the model runs outside this process."""
    if hasattr(model, "stop"):
        model.stop()


def failures(run: xr.Dataset) -> list[str]:
    """Why each member of a run failed; empty text where it did not or nothing is known."""
    if FAILURE in run:
        return [str(reason) for reason in run[FAILURE].values]
    return [""] * run.sizes["member"]


def keeping(model: LandModel, folder: Path | None) -> LandModel:
    """``keeping(folder)``: the same model, whose runs leave their files in a folder."""
    if folder is None or not hasattr(model, "keeping"):
        return model
    kept: LandModel = model.keeping(folder)
    return kept
