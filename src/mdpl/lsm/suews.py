"""SUEWS, a compiled land model of cities and their greenery, in process through supy.

A tower becomes a place of one vegetated surface and a little bare soil; no building, no people.
SUEWS: Järvi et al. (2011, doi:10.1016/j.jhydrol.2011.10.001), Ward et al. (2016,
doi:10.1016/j.uclim.2016.05.001); supy: Sun and Grimmond (2019, doi:10.5194/gmd-12-2781-2019).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from mdpl.errors import ConfigError
from mdpl.lsm.callable import CallableModel
from mdpl.lsm.model import Parameter, ParameterSpace
from mdpl.sites.attributes import saturation_vapour_pressure, vapour_pressure
from mdpl.sites.site import Site

STEP = 300
"""Seconds of a step of SUEWS; the forcing of an interval holds for all of its steps."""

BARE = 0.05
"""Share of bare soil beside the vegetation."""

SOIL = 5
SURFACES = {"EBF": 2, "ENF": 2, "DBF": 3, "DNF": 3, "MF": 3}
GRASS = 4
"""Surfaces of SUEWS: 2 evergreen trees, 3 deciduous trees, 4 grass, 5 bare soil."""

_WARD = "Ward et al. (2016, Table 3)"
_JARVI = "Järvi et al. (2011)"
_FOREST = {"EBF": 7.4, "ENF": 7.4, "DBF": 11.7, "DNF": 11.7, "MF": 11.7, "other": 33.1}

PARAMETERS = ParameterSpace(
    (
        Parameter("g_max", "mm s-1", "scale of the surface conductance (g1)", 1.0, 30.0, 3.5,
                  _WARD, "log"),
        Parameter("g_k", "W m-2", "its dependence on solar radiation (g2)", 50.0, 600.0, 200.0,
                  _WARD),
        Parameter("g_q_base", "1", "its dependence on humidity deficit, base (g3)", 0.02, 0.6, 0.13,
                  _WARD),
        Parameter("g_q_shape", "1", "its dependence on humidity deficit, shape (g4)", 0.3, 0.95,
                  0.7, _WARD),
        Parameter("g_sm", "1", "its dependence on soil moisture deficit (g6)", 0.005, 0.1, 0.05,
                  _WARD, "log"),
        Parameter("max_conductance", "mm s-1", "of the vegetation, per leaf area", 3.0, 60.0,
                  _FOREST, _JARVI, "log"),
        Parameter("soil_store", "mm", "water that the soil holds for plants", 50.0, 400.0, 150.0,
                  _JARVI, "log"),
        Parameter("albedo", "1", "of the vegetation", 0.07, 0.3,
                  {"EBF": 0.1, "ENF": 0.1, "DBF": 0.16, "DNF": 0.16, "MF": 0.14, "other": 0.2},
                  _JARVI),
        Parameter("ohm_a1", "1", "share of net radiation that is stored (a1)", 0.02, 0.5,
                  {"EBF": 0.12, "ENF": 0.12, "DBF": 0.12, "DNF": 0.12, "MF": 0.12, "other": 0.3},
                  "Grimmond and Oke (1999, doi:10.1175/1520-0450(1999)038<0922:HSIUAO>2.0.CO;2)"),
        Parameter("ohm_a3", "W m-2", "storage lost without net radiation (-a3)", 0.0, 40.0, 15.0,
                  "Grimmond and Oke (1999)"),
    )
)  # fmt: skip


def suews() -> CallableModel:
    """SUEWS behind the `LandModel` contract; Qle, Qh, Rnet and the storage heat as Qg.

    Raises:
        ConfigError: supy is not installed.
    """
    try:
        with _quiet():
            import supy
    except ImportError as error:
        raise ConfigError("model.kind 'suews' needs supy: pip install 'mdpl[suews]'") from error
    return CallableModel(
        "SUEWS",
        PARAMETERS,
        Runs(),
        outputs=dict.fromkeys(("Qle", "Qh", "Rnet", "Qg"), "W m-2") | {"SoilStress": "1"},
        sources={"supy": str(supy.__version__)},
    )


class Runs:
    """Runs one parameter set at one tower; remembers the state a year of defaults leads to."""

    def __init__(self) -> None:
        self._states: dict[str, pd.DataFrame] = {}

    def __call__(self, site: Site, values: dict[str, float]) -> Mapping[str, np.ndarray]:
        import supy

        with _quiet():
            forcing = _forcing(site)
            if site.code not in self._states:
                year = forcing.iloc[: 365 * 86400 // STEP]
                usual = dict(
                    zip(PARAMETERS.names, PARAMETERS.defaults(site.attributes), strict=True)
                )
                state = _with(self._first_state(site), site, usual)
                last = supy.run_supy(year, state)[1].iloc[-1:]
                self._states[site.code] = _as_start(last, state)
            state = _with(self._states[site.code].copy(), site, values)
            found = supy.run_supy(forcing, state)[0]
        suews = found["SUEWS"] if "SUEWS" in found.columns.get_level_values(0) else found
        per = site.step_seconds // STEP
        series = {"Qle": "QE", "Qh": "QH", "Rnet": "QN", "Qg": "QS", "SoilStress": "SMD"}
        means = {
            name: suews[own].to_numpy().reshape(-1, per).mean(axis=1)
            for name, own in series.items()
        }
        return means | {"SoilStress": 1.0 - means["SoilStress"] / values["soil_store"]}

    @cached_property
    def _sample(self) -> pd.DataFrame:
        import supy

        return supy.load_SampleData()[0].iloc[:1]

    def _first_state(self, site: Site) -> pd.DataFrame:
        """The sample's state, made into a vegetated tower."""
        state = self._sample.copy()
        own = SURFACES.get(site.pft, GRASS)
        height = float(site.attributes["canopy_height"])
        shares = {SOIL: BARE, own: 1.0 - BARE}
        for i in range(7):
            state[("sfr_surf", f"({i},)")] = shares.get(i, 0.0)
        plain: dict[str, Any] = {
            "lat": site.attributes["latitude"],
            "lng": site.attributes["longitude"],
            "alt": site.attributes.get("elevation", 0.0),
            "timezone": site.attributes.get("utc_offset", 0.0),
            "z": max(float(site.attributes["reference_height"]), height + 2.0),
            "evetreeh": height,
            "dectreeh": height,
            "z0m_in": max(0.1 * height, 0.01),
            "zdm_in": 0.7 * height,
            "roughlenmommethod": 1,
            "netradiationmethod": 1,  # downward long-wave radiation as measured
            "emissionsmethod": 0,
            "waterusemethod": 0,
            "snowuse": 0,
            "laimethod": 0,
            "tstep": STEP,
            "popdensnighttime": 0.0,
        }
        for name, value in plain.items():
            state[(name, "0")] = value
        return state


def _with(state: pd.DataFrame, site: Site, values: Mapping[str, float]) -> pd.DataFrame:
    """A state with these parameters."""
    own = SURFACES.get(site.pft, GRASS)
    state = state.copy()
    for name in ("g_max", "g_k", "g_q_base", "g_q_shape", "g_sm"):
        state[(name, "0")] = values[name]
    for i in range(3):
        state[("maxconductance", f"({i},)")] = values["max_conductance"]
    kinds = {2: "evetr", 3: "dectr", 4: "grass"}
    for name in kinds.values():
        for limit in ("albmin", "albmax"):
            state[(f"{limit}_{name}", "0")] = values["albedo"]
        state[(f"alb{name}_id", "0")] = values["albedo"]
    state[("alb", f"({own},)")] = values["albedo"]
    for surface in (own, SOIL):
        cap, store = (f"soilstore{kind}_surf" for kind in ("cap", ""))
        wet = float(state[(store, f"({surface},)")].iloc[0])
        full = float(state[(cap, f"({surface},)")].iloc[0])
        state[(cap, f"({surface},)")] = values["soil_store"]
        state[(store, f"({surface},)")] = wet / full * values["soil_store"]
        for season in range(4):
            state[("ohm_coef", f"({surface}, {season}, 0)")] = values["ohm_a1"]
            state[("ohm_coef", f"({surface}, {season}, 2)")] = -values["ohm_a3"]
    return state


def _as_start(last: pd.DataFrame, first: pd.DataFrame) -> pd.DataFrame:
    """The state a run ends in, in the form a run starts from."""
    start = first.copy()
    shared = [column for column in first.columns if column in last.columns]
    start.loc[:, shared] = last[shared].to_numpy()
    return start


def _forcing(site: Site) -> pd.DataFrame:
    """A tower's forcing as supy has it: stamps at the end of the interval, 999 where not given."""
    data = {name: np.asarray(site.forcing[name].values, dtype=float) for name in site.forcing}
    per = site.step_seconds // STEP
    saturated = saturation_vapour_pressure(data["Tair"])
    humid = 100.0 * vapour_pressure(data["Qair"], data["Psurf"]) / saturated
    columns = {
        "U": np.maximum(data["Wind"], 0.1),
        "RH": np.clip(humid, 1.0, 100.0),
        "Tair": data["Tair"] - 273.15,
        "pres": data["Psurf"] / 100.0,
        "rain": data["Precip"] * STEP,
        "kdown": np.maximum(data["SWdown"], 0.0),
        "ldown": data["LWdown"],
        "lai": data["LAI"],
        "qf": np.zeros(len(data["Tair"])),  # nobody lives there
    }
    unknown = ("qn", "qh", "qe", "qs", "snow", "fcld", "Wuh", "xsmd", "kdiff", "kdir", "wdir")
    table = pd.DataFrame({name: np.repeat(values, per) for name, values in columns.items()})
    table = table.assign(**dict.fromkeys(unknown, -999.0))
    start = pd.Timestamp(site.time[0]) + pd.Timedelta(seconds=STEP)
    table.index = pd.date_range(start, periods=len(table), freq=f"{STEP}s")
    stamps = pd.DatetimeIndex(table.index)
    clock: dict[str, Any] = {
        "iy": stamps.year,
        "id": stamps.dayofyear,
        "it": stamps.hour,
        "imin": stamps.minute,
        "isec": 0.0,
    }
    return table.assign(**clock)


@contextmanager
def _quiet() -> Iterator[None]:
    """supy tells much about itself, and uses what its libraries warn of."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
