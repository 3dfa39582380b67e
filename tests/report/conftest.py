"""A small run folder, invented but consistent: its scores are those of its own series."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.evaluation.scores import gains, observations, score
from mdpl.sites.site import FORCING, Site

PLACES = {
    "DE-Abc": ("ENF", 50.96, 13.57, 281.9, 820.0, "evergreen forest, complete year"),
    "US-Xyz": ("GRA", 38.1, -121.6, 288.6, 340.0, "irrigated <field> & hard for any model"),
    "AU-Uvw": ("WSA", -33.6, 150.7, 291.0, 790.0, "two years; savanna"),
}
FIRST_YEAR, PARAMETERS = "2010-01-01", ("vmax", "slope", "albedo", "conductivity")
BOUNDS = {
    "vmax": (10.0, 120.0, "umol m-2 s-1"),
    "slope": (4.0, 16.0, "1"),
    "albedo": (0.05, 0.6, "1"),
    "conductivity": (1e-7, 1e-3, "m s-1"),
}


def fake_site(code: str, seed: int, days: int) -> Site:
    """A tower with seasons, days, noise, gaps and filled steps."""
    igbp, latitude, longitude, tair, precip, _ = PLACES[code]
    rng = np.random.default_rng(seed)
    time = pd.date_range(FIRST_YEAR, periods=days * 48, freq="30min").values
    hour = (np.arange(time.size) % 48) / 2
    day = np.arange(time.size) / 48
    season = 1.0 - 0.7 * np.cos(2 * np.pi * (day - 10) / 365) * np.sign(latitude)
    light = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0.0)
    weather = np.repeat(rng.gamma(4.0, 0.25, days), 48)
    fluxes = {
        "Qle": 160 * season * light * weather + 8 + rng.normal(0, 12, time.size),
        "Qh": 130 * np.sqrt(season) * light * weather - 14 + rng.normal(0, 14, time.size),
    }
    data = {}
    for name, values in fluxes.items():
        values[rng.random(time.size) < 0.03] = np.nan
        filled = rng.random(time.size) < np.where(light > 0, 0.1, 0.4)
        data[name] = ("time", values, {"units": "W m-2"})
        data[f"{name}_qc"] = ("time", filled.astype(float))
    forcing = {name: ("time", np.ones(time.size)) for name in FORCING}
    attributes = {
        "igbp": igbp,
        "land_cover": 4,
        "latitude": latitude,
        "longitude": longitude,
        "Tair_mean": tair,
        "Precip_annual": precip,
    }
    coords = {"time": time}
    return Site(code, xr.Dataset(forcing, coords), xr.Dataset(data, coords), attributes, {})


def fake_simulation(site: Site, gain: float, offset: float, seed: int) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    noise = np.repeat(rng.normal(0, 1, site.time.size // 48), 48)
    data = {
        flux: ("time", gain * np.nan_to_num(site.fluxes[flux].values) + offset + 10 * noise)
        for flux in ("Qle", "Qh")
    }
    water = 250 + 50 * np.sin(np.arange(site.time.size) / 3000 + seed)
    data["SoilMoist"] = (("layer", "time"), np.stack([0.2 * water, 0.8 * water, 9 * water]))
    return xr.Dataset(
        data, {"time": site.time, "layer_thickness": ("layer", np.array([0.2, 0.8, 3.0]))}
    )


def fake_weather(time: np.ndarray) -> xr.Dataset:
    hour = (np.arange(time.size) % 48) / 2
    light = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0.0)
    day = np.arange(time.size) // 48
    sun = light * (400 + 500 * np.abs(np.sin(day)))
    return xr.Dataset({"SWdown": ("time", sun), "VPD": ("time", 0.02 * sun)}, {"time": time})


def make_run(folder: Path, codes: tuple[str, ...] = tuple(PLACES)) -> Path:
    """Write the run folder; the last tower gets worse by learning."""
    rng = np.random.default_rng(3)
    sites, scores, parameters, recovery = {}, [], [], []
    for i, code in enumerate(codes):
        site = fake_site(code, i, 730 if code == "AU-Uvw" else 365)
        bad = i == len(codes) - 1
        observed = observations(site, ["Qle", "Qh"])
        _save(observed, folder / "observations" / f"{code}.nc")
        _save(fake_weather(site.time), folder / "drivers" / f"{code}.nc")
        for model, gain, offset in (
            ("default", 0.7 - 0.03 * i, 25.0),
            ("mdpl", 0.5 if bad else 0.95, 6.0),
        ):
            simulation = fake_simulation(site, gain, offset, 10 * i + len(model))
            _save(simulation, folder / "simulations" / model / f"{code}.nc")
            scores.append(score(site, model, simulation))
        for name, (low, high, unit) in BOUNDS.items():
            position = rng.uniform(0.2, 0.9, 2)
            default, value = low + position * (high - low)
            if name == "conductivity":
                default, value = low * (high / low) ** position
            parameters.append((code, "mdpl", name, value, default, low, high, unit))
        sites[code] = {
            "attributes": dict(site.attributes),
            "why": PLACES[code][5],
            "years": site.time.size / 48 / 365.25,
            "measured": {f: int(observed[f"{f}_measured"].sum()) for f in ("Qle", "Qh")},
            "role": "held_out" if bad else "train",
        }
    table = pd.concat(scores, ignore_index=True)
    columns = ["site", "model", "parameter", "value", "default", "lower", "upper", "unit"]
    pd.DataFrame(parameters, columns=columns).to_csv(folder / "parameters.csv", index=False)
    table.to_csv(folder / "scores.csv", index=False)
    gains(table).to_csv(folder / "gains.csv", index=False)
    promised = table.query("model == 'mdpl' and resolution == 'native' and metric == 'rmse'")
    promised = promised[["site", "flux", "period", "value"]].rename(columns={"value": "rmse"})
    promised.assign(rmse=promised["rmse"] * 0.9).to_csv(folder / "promised.csv", index=False)
    for tower in range(14):
        for name, (low, high, _) in BOUNDS.items():
            truth = rng.uniform(low, high)
            learnt = np.clip(truth + rng.normal(0, 0.08) * (high - low), low, high)
            role = "held_out" if tower < 6 else "train"
            recovery.append((f"V{tower:02d}", name, truth, learnt, (low + high) / 2, role))
    columns = ["site", "parameter", "truth", "learnt", "default", "role"]
    pd.DataFrame(recovery, columns=columns).to_csv(folder / "recovery.csv", index=False)
    (folder / "surrogate").mkdir()
    fidelity = [
        (code, task, metric, value)
        for code in codes
        for task in ("Qle", "Qh")
        for metric, value in (("R2", 0.98), ("RMSE", 7.3))
    ]
    pd.DataFrame(fidelity, columns=["site", "task", "metric", "value"]).to_csv(
        folder / "surrogate" / "fidelity.csv", index=False
    )
    timings = {
        "ensemble": {"seconds": 120.5, "lsm_runs": 384, "models_trained": 0},
        "surrogate": {"seconds": 310.2, "lsm_runs": 0, "models_trained": 1},
        "calibrate": {"seconds": 42.0, "lsm_runs": 0, "models_trained": 1},
        "evaluate": {"seconds": 9.0, "lsm_runs": 2 * len(codes), "models_trained": 0},
    }
    manifest = {
        "versions": {"mdpl": "0.1.0", "numpy": np.__version__},
        "seeds": {"run": 1},
        "data": {"DE-Abc_Met.nc": "ab" * 32},
    }
    for name, content in (("timings", timings), ("manifest", manifest), ("sites", sites)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    (folder / "config.yaml").write_text("title: <b>not bold</b>\nsites: [DE-Abc]\n")
    return folder


def _save(data: xr.Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data.to_netcdf(path)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("a-run"))


@pytest.fixture
def worse_run(tmp_path: Path) -> Path:
    """A run of one tower, which got worse in both fluxes."""
    return make_run(tmp_path, ("DE-Abc",))
