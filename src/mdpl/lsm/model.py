"""The contract between MdPL and any land surface model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import xarray as xr

from mdpl.errors import ModelError
from mdpl.sites.site import Site

Attributes = Mapping[str, float | str]
"""What is known of a tower's place (see `mdpl.sites.attributes`)."""


@dataclass(frozen=True)
class Parameter:
    """One calibratable number of a land model.

    Attributes:
        name, unit, meaning: what it is.
        lower, upper: bounds in physical units; the same for every tower.
        scale: ``log`` maps the unit interval to the bounds geometrically.
        default: one value, or a value by land-cover class (1-9), or by IGBP short name
            (``"ENF"``; ``"other"`` stands for those not named).
        source: where bounds and default come from.
        of_place: default from the attributes of a tower; None from it means ``default``.
    """

    name: str
    unit: str
    meaning: str
    lower: float
    upper: float
    default: float | Mapping[int, float] | Mapping[str, float]
    source: str
    scale: Literal["linear", "log"] = "linear"
    of_place: Callable[[Attributes], float | None] | None = None

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ModelError(
                f"parameter {self.name}: expected lower < upper, found "
                f"{self.lower:g} and {self.upper:g}; swap or widen the range"
            )
        if self.scale == "log" and self.lower <= 0:
            raise ModelError(
                f"parameter {self.name}: a log scale needs a lower bound above 0, "
                f"found {self.lower:g}; raise it or use a linear scale"
            )

    def default_for(self, attributes: Attributes) -> float:
        """Default at a tower, from its attributes (``land_cover`` at least)."""
        known = None if self.of_place is None else self.of_place(attributes)
        if known is not None:
            return known
        if not isinstance(self.default, Mapping):
            return float(self.default)
        for key in (attributes.get("land_cover"), attributes.get("igbp"), "other"):
            if key in self.default:
                return float(self.default[key])  # type: ignore[index]
        raise ModelError(
            f"parameter {self.name}: no default for IGBP class {attributes.get('igbp')} "
            f"(land-cover class {attributes.get('land_cover')}); "
            f"known: {', '.join(map(str, self.default))}"
        )


@dataclass(frozen=True)
class ParameterSpace:
    """An ordered set of parameters and its map to and from the unit cube."""

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ModelError(f"parameters named twice: {', '.join(twice)}")

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise ModelError(f"unknown parameter {name!r}; this model has: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(p.name for p in self.parameters)

    @property
    def lower(self) -> np.ndarray:
        return np.array([p.lower for p in self.parameters])

    @property
    def upper(self) -> np.ndarray:
        return np.array([p.upper for p in self.parameters])

    @property
    def is_log(self) -> np.ndarray:
        return np.array([p.scale == "log" for p in self.parameters])

    def subset(self, names: Sequence[str]) -> ParameterSpace:
        """The named parameters, in the order given."""
        return ParameterSpace(tuple(self[name] for name in names))

    def narrow(self, ranges: Mapping[str, tuple[float, float]]) -> ParameterSpace:
        """The same parameters within narrower bounds, given in physical units by name.

        Raises:
            ModelError: a range is upside down or leaves the parameter's own bounds.
        """
        changed = {}
        for name, (low, high) in ranges.items():
            own = self[name]
            if not own.lower <= low < high <= own.upper:
                raise ModelError(
                    f"parameter {name}: expected a range inside [{own.lower:g}, {own.upper:g}] "
                    f"{own.unit} with the lower end first, found [{low:g}, {high:g}]"
                )
            changed[name] = replace(own, lower=low, upper=high)
        return ParameterSpace(tuple(changed.get(p.name, p) for p in self.parameters))

    def check_defaults(self) -> None:
        """Refuse defaults outside the bounds, naming the parameter."""
        for p in self.parameters:
            usual = p.default.values() if isinstance(p.default, Mapping) else [p.default]
            if not all(p.lower <= value <= p.upper for value in usual):
                raise ModelError(
                    f"parameter {p.name}: expected defaults within [{p.lower:g}, {p.upper:g}], "
                    f"found {', '.join(f'{v:g}' for v in usual)}"
                )

    def defaults(self, attributes: Attributes) -> np.ndarray:
        """Default values at a tower, from its attributes, shape (parameter,)."""
        return np.array([p.default_for(attributes) for p in self.parameters])

    def complete(
        self, names: Sequence[str], values: np.ndarray, attributes: Attributes
    ) -> np.ndarray:
        """Put values of some parameters into the defaults of a tower.

        Args:
            names: parameters that ``values`` (..., len(names)) gives, physical units.

        Returns:
            all parameters, shape (..., parameter).
        """
        values = np.asarray(values, dtype=float)
        full = np.broadcast_to(self.defaults(attributes), (*values.shape[:-1], len(self))).copy()
        for i, name in enumerate(names):
            self[name]
            full[..., self.names.index(name)] = values[..., i]
        return full

    def from_unit(self, unit: np.ndarray) -> np.ndarray:
        """Map points of the unit cube, shape (..., parameter), to physical values."""
        unit = np.clip(np.asarray(unit, dtype=float), 0.0, 1.0)
        low, high, log = self.lower, self.upper, self.is_log
        linear = low + unit * (high - low)
        ratio = np.where(log, high / np.where(log, low, 1.0), 1.0)
        values = np.where(log, low * ratio**unit, linear)
        return np.clip(values, low, high)

    def slope(self, unit: np.ndarray) -> np.ndarray:
        """Derivative of `from_unit` by each parameter, shaped as ``unit``; inside the cube."""
        low, high, log = self.lower, self.upper, self.is_log
        ratio = np.where(log, high / np.where(log, low, 1.0), math.e)
        return np.where(log, self.from_unit(unit) * np.log(ratio), high - low)

    def to_unit(self, values: np.ndarray) -> np.ndarray:
        """Map physical values, shape (..., parameter), to the unit cube.

        Raises:
            ModelError: a value lies outside its bounds.
        """
        values = np.asarray(values, dtype=float)
        self.check(values)
        low, high, log = self.lower, self.upper, self.is_log
        safe_low = np.where(log, low, 1.0)
        ratio = np.where(log, high / safe_low, math.e)
        in_log = np.log(np.where(log, values, 1.0) / safe_low) / np.log(ratio)
        return np.where(log, in_log, (values - low) / (high - low))

    def check(self, values: np.ndarray) -> None:
        """Refuse values outside the bounds, naming the parameter."""
        values = np.asarray(values, dtype=float)
        if values.shape[-1:] != (len(self),):
            raise ModelError(
                f"expected {len(self)} parameter values in the last axis, "
                f"found shape {values.shape}"
            )
        flat = values.reshape(-1, len(self))
        slack = 1e-9 * (self.upper - self.lower)
        bad = ~((flat >= self.lower - slack) & (flat <= self.upper + slack))
        if bad.any():
            row, column = (int(i[0]) for i in np.nonzero(bad))
            p = self.parameters[column]
            raise ModelError(
                f"parameter {p.name}: expected a value in [{p.lower:g}, {p.upper:g}] {p.unit}, "
                f"found {flat[row, column]:g}"
            )


FAILURE = "failure"
"""Data variable of a run, (member,), text: why a member failed; empty where it did not."""


@runtime_checkable
class LandModel(Protocol):
    """What a land surface model must offer to take part: its parameters, and a run.

    It may offer more (see `mdpl.lsm.offers`): ``name``, ``outputs``, ``recommended``, ``batch``,
    ``sources``, ``prepare`` and ``simulate_each``.
    """

    @property
    def parameters(self) -> ParameterSpace: ...

    def simulate(
        self, site: Site, values: np.ndarray | None = None, outputs: Sequence[str] | None = None
    ) -> xr.Dataset:
        """Run the model at one tower.

        Args:
            values: physical parameter values, shape (member, parameter) in the order of
                ``parameters``; None means one member with the defaults of the site.
            outputs: which outputs to keep; None means all.

        Returns:
            dims ``(member, time)`` (plus ``layer`` for profiles), on the site's time axis, ALMA
            names and units, at least ``Qle`` and ``Qh`` (W m-2, upwards positive). A member that
            failed holds NaN; `FAILURE` may say why.
        """
        ...


@runtime_checkable
class DifferentiableModel(LandModel, Protocol):
    """A land model that gives the slopes of its outputs, as the built-in column does."""

    def vjp(
        self, site: Site, values: np.ndarray, outputs: Sequence[str] = ("Qle", "Qh")
    ) -> tuple[dict[str, np.ndarray], Callable[[Mapping[str, np.ndarray]], np.ndarray]]:
        """What `simulate` gives, and how slopes by it become slopes by the values.

        Args:
            values: physical values, (member, parameter).

        Returns:
            outputs (member, time), and a function from a function's slope by every output,
            (member, time), to its slope by every value, (member, parameter).
        """
        ...
