"""The built-in land model: MATSIRO's column behind the `LandModel` contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import Array

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import engine
from mdpl.lsm.matsiro.column import march
from mdpl.lsm.matsiro.forcing import prepare
from mdpl.lsm.matsiro.parameters import PARAMETERS, RECOMMENDED, Place, build, place
from mdpl.lsm.matsiro.state import Forcing, State
from mdpl.lsm.model import ParameterSpace
from mdpl.sites.site import Site

DAY = 86400


@dataclass(frozen=True)
class Matsiro:
    """MATSIRO for one tower column, batched over parameter sets.

    Attributes:
        passes: passes of the surface solution in a step (n_outer).
        default_cycles: years the default column cycles the first year of the record before it
            counts as in equilibrium with the tower.
        member_cycles: years every parameter set runs from that equilibrium before its record.
    """

    passes: int = 5
    default_cycles: int = 6
    member_cycles: int = 1
    _equilibria: dict[tuple, State] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        return "matsiro"

    @property
    def parameters(self) -> ParameterSpace:
        return PARAMETERS

    @property
    def recommended(self) -> tuple[str, ...]:
        """Parameters calibrated unless the user names others."""
        return RECOMMENDED

    @property
    def outputs(self) -> Mapping[str, str]:
        return {name: unit for name, (unit, _, _) in engine.OUTPUTS.items()}

    def simulate(
        self, site: Site, values: np.ndarray | None = None, outputs: Sequence[str] | None = None
    ) -> xr.Dataset:
        """Run one tower with one or more parameter sets (see `LandModel.simulate`)."""
        values = self._values(site, values)
        names = self._names(outputs)
        parts = []
        for first in range(0, len(values), engine.BATCHES[-1]):
            parts.append(self._batch(site, values[first : first + engine.BATCHES[-1]], names))
        data = {name: np.concatenate([p[name] for p in parts]) for name in names}
        return _dataset(data, site.time, self.name)

    def simulate_each(
        self,
        sites: Sequence[Site],
        values: Sequence[np.ndarray | None],
        outputs: Sequence[str] | None = None,
    ) -> list[xr.Dataset]:
        """Run several towers side by side, one parameter set each; quicker than one by one.

        Args:
            values: physical values, (parameter,) for each tower; None means its defaults.

        Returns:
            for each tower what `simulate` gives, without the member axis.
        """
        self.equilibrate(sites)
        names = self._names(outputs)
        full = [self._values(s, v)[0] for s, v in zip(sites, values, strict=True)]
        done: dict[int, xr.Dataset] = {}
        # A few columns cost nearly what one does; many towers are quickest all at once.
        size = engine.BATCHES[0] if len(sites) <= 2 * engine.BATCHES[0] else engine.BATCHES[-1]
        order = sorted(range(len(sites)), key=lambda i: len(sites[i].time))
        for first in range(0, len(order), size):
            group = order[first : first + size]
            some = [sites[i] for i in group]
            runs = self._side_by_side(some, np.stack([full[i] for i in group]), names)
            done.update(zip(group, runs, strict=True))
        return [done[i] for i in range(len(sites))]

    def equilibrate(self, sites: Sequence[Site]) -> None:
        """Bring several towers to their default equilibrium side by side, and remember it."""
        todo = [s for s in sites if _key(s) not in self._equilibria]
        for first in range(0, len(todo), engine.BATCHES[-1]):
            self._equilibrate(todo[first : first + engine.BATCHES[-1]])

    def differentiable(
        self, site: Site, outputs: Sequence[str] = ("Qle", "Qh"), steps: int | None = None
    ) -> Callable[[Array], dict[str, Array]]:
        """The run of one tower as a function JAX can differentiate.

        Starts from the default equilibrium, without further spin-up, so that the gradient is
        that of the record alone.

        Args:
            steps: run only the first steps of the record.

        Returns:
            a function from values (column, parameter) to outputs (time, column).
        """
        self.equilibrate([site])
        where = place(site.attributes)
        record = prepare(site, float(where.reference_height))
        length = steps or len(site.time)
        fold = site.steps_per_day
        days = length // fold
        record = Forcing(*(jnp.asarray(a[: days * fold].reshape(days, fold, 1)) for a in record))
        state = self._equilibria[_key(site)]
        keep = engine.keep(self._names(outputs))
        dt = jnp.asarray(float(site.step_seconds))

        def run(values: Array) -> dict[str, Array]:
            column = build(values, where)
            columns = values.shape[0]
            start = jax.tree.map(lambda a: jnp.repeat(a, columns, axis=-1), state)

            @jax.checkpoint
            def day(now: State, piece: Forcing) -> tuple[State, dict[str, Array]]:
                return march(column, now, piece, dt, self.passes, keep, remat=True)

            _, out = jax.lax.scan(day, start, record)
            return {k: v.reshape((days * fold, *v.shape[2:])) for k, v in out.items()}

        return run

    def _values(self, site: Site, values: np.ndarray | None) -> np.ndarray:
        if values is None:
            return PARAMETERS.defaults(site.land_cover)[None]
        values = np.atleast_2d(np.asarray(values, dtype=float))
        PARAMETERS.check(values)
        return values

    def _names(self, outputs: Sequence[str] | None) -> tuple[str, ...]:
        names = tuple(engine.OUTPUTS) if outputs is None else tuple(outputs)
        unknown = [n for n in names if n not in engine.OUTPUTS]
        if unknown:
            raise ModelError(
                f"{self.name} has no output {', '.join(unknown)}; it has: "
                f"{', '.join(engine.OUTPUTS)}"
            )
        return names

    def _batch(
        self, site: Site, values: np.ndarray, names: tuple[str, ...]
    ) -> dict[str, np.ndarray]:
        self.equilibrate([site])
        where = place(site.attributes)
        column = build(jnp.asarray(values), where)
        record = prepare(site, float(where.reference_height))
        dt = np.full(len(values), site.step_seconds)
        state = jax.tree.map(
            lambda a: jnp.repeat(a, len(values), axis=-1), self._equilibria[_key(site)]
        )
        year = _first_year(record, site)
        for _ in range(self.member_cycles):
            state, _ = engine.run(column, state, year, dt, (), self.passes)
        return engine.run(column, state, record, dt, names, self.passes)[1]

    def _side_by_side(
        self, sites: Sequence[Site], values: np.ndarray, names: tuple[str, ...]
    ) -> list[xr.Dataset]:
        together = _Together(sites, values)
        states = [self._equilibria[_key(s)] for s in sites]
        state = jax.tree.map(lambda *a: jnp.concatenate(a, axis=-1), *states)
        for _ in range(self.member_cycles):
            state, _ = engine.run(
                together.column, state, together.years, together.dt, (), self.passes
            )
        out = engine.run(together.column, state, together.records, together.dt, names, self.passes)[
            1
        ]
        runs = []
        for i, site in enumerate(sites):
            own = {name: a[i : i + 1, ..., : len(site.time)] for name, a in out.items()}
            runs.append(_dataset(own, site.time, self.name).isel(member=0))
        return runs

    def _equilibrate(self, sites: Sequence[Site]) -> None:
        values = np.stack([PARAMETERS.defaults(s.land_cover) for s in sites])
        together = _Together(sites, values)
        warm = np.array([float(s.forcing["Tair"].mean()) for s in sites])
        co2 = np.array(
            [float((s.forcing["CO2air"] * s.forcing["Psurf"]).mean()) * 1e-6 for s in sites]
        )
        state = engine.start_state(together.column, warm, co2)
        for _ in range(self.default_cycles):
            state, _ = engine.run(
                together.column, state, together.years, together.dt, (), self.passes
            )
        for i, site in enumerate(sites):
            self._equilibria[_key(site)] = jax.tree.map(lambda a, i=i: a[..., i : i + 1], state)


class _Together:
    """Several towers as the columns of one batch, shorter records padded at their end."""

    def __init__(self, sites: Sequence[Site], values: np.ndarray):
        places = [place(s.attributes) for s in sites]
        own = [prepare(s, float(p.reference_height)) for s, p in zip(sites, places, strict=True)]
        self.column = build(
            jnp.asarray(values), Place(*(jnp.stack(a) for a in zip(*places, strict=True)))
        )
        self.records = _stack(own)
        self.years = _stack([_first_year(r, s) for r, s in zip(own, sites, strict=True)])
        self.dt = np.array([s.step_seconds for s in sites])


def _stack(records: Sequence[Forcing]) -> Forcing:
    longest = max(r.Tair.shape[0] for r in records)
    padded = [engine.pad_time(r, longest) for r in records]
    return Forcing(*(np.concatenate(a, axis=1) for a in zip(*padded, strict=True)))


def _key(site: Site) -> tuple:
    return (site.code, str(site.time[0]), len(site.time), float(site.forcing["Tair"].sum()))


def _first_year(record: Forcing, site: Site) -> Forcing:
    steps = min(len(site.time), 365 * site.steps_per_day)
    return Forcing(*(a[:steps].copy() for a in record))


def _dataset(data: Mapping[str, np.ndarray], time: np.ndarray, model: str) -> xr.Dataset:
    ds = xr.Dataset(attrs={"model": model, "Conventions": "ALMA"})
    for name, array in data.items():
        unit, long_name, _ = engine.OUTPUTS[name]
        dims = ("member", "time") if array.ndim == 2 else ("member", "layer", "time")
        ds[name] = (dims, array, {"units": unit, "long_name": long_name})
    return ds.assign_coords(time=time)
