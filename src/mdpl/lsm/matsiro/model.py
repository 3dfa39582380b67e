"""The built-in land model: MATSIRO's column behind the `LandModel` contract."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from mdpl.errors import ModelError
from mdpl.lsm.matsiro import adjoint, engine
from mdpl.lsm.matsiro.constants import RHO_WATER, SOIL_INTERFACE, SOIL_THICKNESS
from mdpl.lsm.matsiro.forcing import prepare
from mdpl.lsm.matsiro.mixture import Mixture, tower_of
from mdpl.lsm.matsiro.parameters import PARAMETERS, RECOMMENDED
from mdpl.lsm.matsiro.place import Place, SupplyOptions, build, place
from mdpl.lsm.matsiro.state import State
from mdpl.lsm.matsiro.together import Together, first_year
from mdpl.lsm.model import ParameterSpace
from mdpl.sites.site import Site

WATER_TOLERANCE = 1.0
"""kg m-2 that soil water down to 2 m and snow may change from one spin-up cycle to the next."""

HEAT_TOLERANCE = 0.1
"""K that the soil may change from one spin-up cycle to the next."""


class Spinup(NamedTuple):
    """How a tower came to its equilibrium."""

    state: State
    cycles: int
    water_change: float  # of the last cycle, kg m-2 of soil water to 2 m and snow
    heat_change: float  # of the last cycle, K, largest of the soil layers

    @property
    def settled(self) -> bool:
        return self.water_change < WATER_TOLERANCE and self.heat_change < HEAT_TOLERANCE


@dataclass(frozen=True)
class Matsiro:
    """MATSIRO for one tower column, batched over parameter sets.

    Attributes:
        newton_steps: steps of the surface solution at most, beside the last, exact one.
        default_cycles: times the default column cycles the first year of the record at most; it
            stops where the stores change by less than the tolerances from cycle to cycle.
        member_cycles: years every parameter set runs from that equilibrium before its record.
        supply: water from outside the standard scheme, by tower code.
        mixtures: a second kind of vegetation, by tower code.
    """

    newton_steps: int = 20
    default_cycles: int = 12
    member_cycles: int = 1
    supply: Mapping[str, SupplyOptions] = field(default_factory=dict)
    mixtures: Mapping[str, Mixture] = field(default_factory=dict)
    _equilibria: dict[str, Spinup] = field(default_factory=dict, repr=False, compare=False)

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
        mixture = self.mixtures.get(site.code)
        if mixture is not None:
            first, second = mixture.sites(site)
            theirs = np.asarray(mixture.second_values(second, jnp.asarray(values)))
            return mixture.mean(
                self.simulate(first, values, names), self.simulate(second, theirs, names)
            )
        parts = []
        for start in range(0, len(values), engine.BATCH):
            parts.append(self._batch(site, values[start : start + engine.BATCH], names))
        data = {name: np.concatenate([p[name] for p in parts]) for name in names}
        return self._dataset(data, site)

    def carry_on(
        self,
        site: Site,
        values: np.ndarray | None,
        state: State,
        outputs: Sequence[str] | None = None,
    ) -> tuple[xr.Dataset, State]:
        """Run one parameter set from a given state, without spin-up.

        Args:
            values: physical values, (parameter,); None means the tower's defaults.
            state: of one column, such as `mdpl.lsm.matsiro.restart.load` gives.

        Returns:
            what `simulate` gives, without the member axis, and the state at the end.
        """
        names = self._names(outputs)
        where = self._place(site)
        column = build(jnp.asarray(self._values(site, values)), where)
        record = prepare(site, float(where.reference_height))
        dt = np.array([site.step_seconds])
        last, data = engine.run(column, state, record, dt, names, self.newton_steps)
        return self._dataset(data, site).isel(member=0), last

    def spun_up(self, site: Site, values: np.ndarray) -> State:
        """State of one parameter set before its record: equilibrium and `member_cycles` years."""
        where = self._place(site)
        column = build(jnp.asarray(self._values(site, values)), where)
        year = first_year(prepare(site, float(where.reference_height)), site)
        state = self.spinup(site).state
        dt = np.array([site.step_seconds])
        for _ in range(self.member_cycles):
            state, _ = engine.run(column, state, year, dt, (), self.newton_steps)
        return state

    def spinup(self, site: Site) -> Spinup:
        """The tower's equilibrium with its default parameters, and how it was reached."""
        self.prepare([site])
        mixture = self.mixtures.get(site.code)
        return self._equilibria[(site if mixture is None else mixture.sites(site)[0]).fingerprint]

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
        names = self._names(outputs)
        full = [self._values(s, v)[0] for s, v in zip(sites, values, strict=True)]
        kinds: list[tuple[Site, np.ndarray]] = []
        for site, own in zip(sites, full, strict=True):
            mixture = self.mixtures.get(site.code)
            if mixture is None:
                kinds.append((site, own))
            else:
                first, second = mixture.sites(site)
                theirs = np.asarray(mixture.second_values(second, jnp.asarray(own)))
                kinds += [(first, own), (second, theirs)]
        runs = iter(self._each(kinds, names))
        found = []
        for site in sites:
            mixture = self.mixtures.get(site.code)
            run = next(runs)
            found.append(run if mixture is None else mixture.mean(run, next(runs)))
        return found

    def _each(
        self, kinds: Sequence[tuple[Site, np.ndarray]], names: tuple[str, ...]
    ) -> list[xr.Dataset]:
        """Columns of several places, side by side."""
        self.prepare([site for site, _ in kinds])
        done: dict[int, xr.Dataset] = {}
        groups = engine.blocks(sorted(range(len(kinds)), key=lambda i: len(kinds[i][0].time)))

        def run(group: list[int]) -> list[xr.Dataset]:
            values = np.stack([kinds[i][1] for i in group])
            return self._side_by_side([kinds[i][0] for i in group], values, names)

        for group, runs in zip(groups, engine.in_threads(run, groups), strict=True):
            done.update(zip(group, runs, strict=True))
        return [done[i] for i in range(len(kinds))]

    def prepare(self, sites: Sequence[Site]) -> None:
        """Bring several towers to their default equilibrium side by side, and remember it."""
        kinds: list[Site] = []
        for site in sites:
            mixture = self.mixtures.get(site.code)
            kinds += [site] if mixture is None else mixture.sites(site)
        todo = [s for s in kinds if s.fingerprint not in self._equilibria]
        for found in engine.in_threads(self._equilibrate, engine.blocks(todo)):
            self._equilibria.update(found)

    def vjp(
        self, site: Site, values: np.ndarray, outputs: Sequence[str] = ("Qle", "Qh")
    ) -> tuple[dict[str, np.ndarray], adjoint.Pullback]:
        """What `simulate` gives, and how slopes by it become slopes by the values.

        The years of every member's own spin-up are gone through, too; memory holds a month, and
        one program serves all towers.

        Args:
            values: physical values, (member, parameter), at most `engine.BATCH` members.
            outputs: of `adjoint.OUTPUTS`.

        Returns:
            outputs (member, time), and a function from a function's slope by every output,
            (member, time), to its slope by every value, (member, parameter).
        """
        names = self._names(outputs)
        values = self._values(site, values)
        mixture = self.mixtures.get(site.code)
        if mixture is None:
            return self._vjp(site, values, names)
        first, second = mixture.sites(site)
        theirs, to_ours = jax.vjp(functools.partial(mixture.second_values, second), values)
        one, pull_one = self._vjp(first, values, names)
        other, pull_other = self._vjp(second, np.asarray(theirs), names)
        share = mixture.share

        def pull(slopes: adjoint.Outputs) -> np.ndarray:
            through_second = np.asarray(to_ours(jnp.asarray(pull_other(slopes)))[0])
            return (1.0 - share) * pull_one(slopes) + share * through_second

        return {k: (1.0 - share) * one[k] + share * other[k] for k in names}, pull

    def _vjp(
        self, site: Site, values: np.ndarray, names: tuple[str, ...]
    ) -> tuple[dict[str, np.ndarray], adjoint.Pullback]:
        self.prepare([site])
        where = self._place(site)
        record = prepare(site, float(where.reference_height))
        return adjoint.vjp(
            values,
            where,
            self._equilibria[site.fingerprint].state,
            [first_year(record, site)] * self.member_cycles,
            record,
            site.step_seconds,
            names,
            self.newton_steps,
        )

    def _values(self, site: Site, values: np.ndarray | None) -> np.ndarray:
        if values is None:
            return PARAMETERS.defaults(site.attributes)[None]
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
        self.prepare([site])
        where = self._place(site)
        column = build(jnp.asarray(values), where)
        record = prepare(site, float(where.reference_height))
        dt = np.full(len(values), site.step_seconds)
        state = jax.tree.map(
            lambda a: jnp.repeat(a, len(values), axis=-1), self._equilibria[site.fingerprint].state
        )
        year = first_year(record, site)
        for _ in range(self.member_cycles):
            state, _ = engine.run(column, state, year, dt, (), self.newton_steps)
        return engine.run(column, state, record, dt, names, self.newton_steps)[1]

    def _side_by_side(
        self, sites: Sequence[Site], values: np.ndarray, names: tuple[str, ...]
    ) -> list[xr.Dataset]:
        together = Together(sites, values, [self._place(s) for s in sites])
        states = [self._equilibria[s.fingerprint].state for s in sites]
        state = jax.tree.map(lambda *a: jnp.concatenate(a, axis=-1), *states)
        for _ in range(self.member_cycles):
            state, _ = engine.run(
                together.column, state, together.years, together.dt, (), self.newton_steps
            )
        out = engine.run(
            together.column, state, together.records, together.dt, names, self.newton_steps
        )[1]
        runs = []
        for i, site in enumerate(sites):
            own = {name: a[i : i + 1, ..., : len(site.time)] for name, a in out.items()}
            runs.append(self._dataset(own, site).isel(member=0))
        return runs

    def _equilibrate(self, sites: Sequence[Site]) -> dict[str, Spinup]:
        values = np.stack([PARAMETERS.defaults(s.attributes) for s in sites])
        together = Together(sites, values, [self._place(s) for s in sites])
        warm = np.array([float(s.forcing["Tair"].mean()) for s in sites])
        co2 = np.array(
            [float((s.forcing["CO2air"] * s.forcing["Psurf"]).mean()) * 1e-6 for s in sites]
        )
        state = engine.start_state(together.column, warm, co2)
        settled: dict[int, Spinup] = {}
        for cycle in range(1, self.default_cycles + 1):
            before = state
            state, _ = engine.run(
                together.column, state, together.years, together.dt, (), self.newton_steps
            )
            water, heat = _changes(before, state)
            for i in range(len(sites)):
                own = jax.tree.map(lambda a, i=i: a[..., i : i + 1], state)
                now = Spinup(own, cycle, float(water[i]), float(heat[i]))
                if i not in settled or not settled[i].settled:
                    settled[i] = now
            if all(found.settled for found in settled.values()):
                break
        return {site.fingerprint: settled[i] for i, site in enumerate(sites)}

    def _place(self, site: Site) -> Place:
        return place(site.attributes, self.supply.get(tower_of(site.code)))

    def _dataset(self, data: Mapping[str, np.ndarray], site: Site) -> xr.Dataset:
        found = self._equilibria.get(site.fingerprint)
        about: dict[str, object] = {"model": self.name, "Conventions": "ALMA"}
        if found is not None:
            about["spinup_cycles"] = found.cycles
            about["spinup_water_change"] = f"{found.water_change:.3g} kg m-2"
            about["spinup_heat_change"] = f"{found.heat_change:.3g} K"
            about["spinup_settled"] = str(found.settled)
        supply = self.supply.get(tower_of(site.code))
        if supply is not None:
            about["supply"] = str(supply)
        ds = xr.Dataset(attrs=about)
        for name, array in data.items():
            unit, long_name, _ = engine.OUTPUTS[name]
            dims = ("member", "time") if array.ndim == 2 else ("member", "layer", "time")
            ds[name] = (dims, array, {"units": unit, "long_name": long_name})
        ds = ds.assign_coords(time=site.time)
        if "layer" in ds.dims:
            thickness = ("layer", SOIL_THICKNESS, {"units": "m"})
            ds = ds.assign_coords(layer_thickness=thickness)
        return ds


def _changes(before: State, after: State) -> tuple[np.ndarray, np.ndarray]:
    """Change of water (kg m-2, to 2 m, with snow) and of soil temperature (K), (column,)."""
    upper = np.asarray(SOIL_INTERFACE)[1:] <= 2.0
    weight = (RHO_WATER * SOIL_THICKNESS * upper)[:, None]
    gain = (np.asarray(after.soil_water - before.soil_water) * weight).sum(0)
    gain = gain + np.asarray(after.snow.amount - before.snow.amount)
    heat = np.abs(np.asarray(after.soil_temperature - before.soil_temperature)).max(0)
    return np.abs(gain), heat
