"""A land model that is a Python function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from mdpl.errors import ModelError
from mdpl.lsm.model import FAILURE, ParameterSpace
from mdpl.lsm.offers import HEAT
from mdpl.sites.site import Site

Series = Mapping[str, Any] | xr.Dataset
"""Output name -> values (time,)."""


@dataclass(frozen=True)
class CallableModel:
    """A function that runs one parameter set at one tower, behind the `LandModel` contract.

    Runs one after another, for compiled models often keep their state in one place; use a cluster
    of processes to run several at a time.

    Attributes:
        function: from a tower and parameter values by name (physical units) to series of the
            outputs on the tower's time axis. What it raises is the reason of a failed run.
        outputs: name -> unit of what it gives, ALMA names.
        recommended: parameters calibrated unless the user names others; empty means all.
        sources: files it is made of -> sha256.
        batch: runs stored together.
    """

    name: str
    parameters: ParameterSpace
    function: Callable[[Site, dict[str, float]], Series]
    outputs: Mapping[str, str] = field(default_factory=lambda: dict(HEAT))
    recommended: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    batch: int = 1
    _one_at_a_time: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.recommended:
            object.__setattr__(self, "recommended", self.parameters.names)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_one_at_a_time"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _one_at_a_time=threading.Lock())

    def simulate(
        self, site: Site, values: np.ndarray | None = None, outputs: Sequence[str] | None = None
    ) -> xr.Dataset:
        """Run the function for each parameter set (see `LandModel.simulate`)."""
        space = self.parameters
        names = tuple(self.outputs) if outputs is None else tuple(outputs)
        unknown = [name for name in names if name not in self.outputs]
        if unknown:
            raise ModelError(
                f"{self.name}: no output {', '.join(unknown)}; it has {', '.join(self.outputs)}"
            )
        rows = space.defaults(site.attributes)[None] if values is None else np.atleast_2d(values)
        space.check(rows)
        with self._one_at_a_time:
            runs = [
                self._run(site, dict(zip(space.names, map(float, row), strict=True)))
                for row in rows
            ]
        return collect(site, runs, {name: self.outputs[name] for name in names})

    def _run(self, site: Site, values: dict[str, float]) -> Series | str:
        try:
            return self.function(site, values)
        except Exception as error:  # whatever a model raises is the reason of its failure
            return f"{type(error).__name__}: {error}"


def collect(site: Site, runs: Sequence[Series | str], outputs: Mapping[str, str]) -> xr.Dataset:
    """Runs of a tower as one dataset, dims (member, time), with the reasons of those that failed.

    Args:
        runs: series by name, or why there are none.
        outputs: name -> unit of what to keep.
    """
    length = len(site.time)
    data = {name: np.full((len(runs), length), np.nan) for name in outputs}
    reasons = np.full(len(runs), "", dtype=object)
    for member, run in enumerate(runs):
        reasons[member] = run if isinstance(run, str) else _take(run, member, data)
        if reasons[member]:
            for array in data.values():
                array[member] = np.nan
    kept: dict[str, Any] = {
        name: (("member", "time"), array, {"units": outputs[name]}) for name, array in data.items()
    }
    if reasons.any():
        kept[FAILURE] = ("member", reasons.astype(str))
    return xr.Dataset(kept, coords={"time": site.time})


def _take(run: Series, member: int, data: Mapping[str, np.ndarray]) -> str:
    """Copy a run's series into its rows; why it cannot be, or empty text."""
    for name, array in data.items():
        if name not in run:
            return f"gave no {name}"
        try:
            found = np.asarray(run[name], dtype=float).squeeze()
        except (TypeError, ValueError) as error:
            return f"{name}: expected numbers, (time,): {error}"
        if found.shape != array.shape[1:]:
            return f"{name}: expected {array.shape[1]} steps, found shape {found.shape}"
        array[member] = found
        bad = ~np.isfinite(found)
        if bad.any():
            return f"{name} is not finite at {bad.sum()} steps, the first of them {bad.argmax()}"
    return ""
