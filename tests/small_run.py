"""The least run there is: three virtual towers, 24 days, tiny networks, one round."""

from pathlib import Path

import netCDF4
import numpy as np

import small_model
from mdpl.config import Config, EnsembleConfig, RefineConfig, SitesConfig, dump
from mdpl.config_learning import DayBlockConfig, GeneratorConfig
from mdpl.config_model import PythonConfig
from mdpl.experiments import virtual_study
from mdpl.runs import RunFolder, claim
from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.virtual import draw_climates, observe, virtual_forcing

STUDY = virtual_study.Study(trained=2, unseen=1, days=24, seed=3)
QUICK = {"steps": 8, "days_per_batch": 10, "checkpoint_every": 100}
MODEL = PythonConfig(file=Path(small_model.__file__))


def make_towers(folder, study=STUDY):
    """Write the towers, observed with the small land model's fluxes."""
    folder.mkdir()
    bases = open_sites(None)
    units = np.random.default_rng(study.seed).uniform(0.2, 0.8, (len(study.codes), 3))
    climates = draw_climates(len(study.codes), seed=study.seed)
    for i, code in enumerate(study.codes):
        site = virtual_forcing(bases[i % len(bases)], code, climates[i], 150, study.days)
        truth = small_model.model.simulate(site, small_model.SPACE.from_unit(units[i])[None])
        write_pair(observe(site, truth.isel(member=0), noise_seed=i), folder)


def measure_gpp(towers, code):
    """Give a tower a GPP that follows the sun."""
    with netCDF4.Dataset(next(towers.glob(f"{code}*_Met.nc"))) as file:
        sun = file["SWdown"][:]
    with netCDF4.Dataset(next(towers.glob(f"{code}*_Flux.nc")), "a") as file:
        for name, values in (("GPP", 0.03 * sun), ("GPP_qc", 0 * sun)):
            variable = file.createVariable(name, "f8", ("time", "y", "x"), fill_value=-9999)
            variable.units = "umol m-2 s-1" if name == "GPP" else "-"
            variable[:] = values


def correct(towers, code):
    """Give a tower fluxes corrected by a fifth."""
    with netCDF4.Dataset(next(towers.glob(f"{code}*_Flux.nc")), "a") as file:
        for flux in ("Qle", "Qh"):
            dims = ("time", "y", "x")
            variable = file.createVariable(f"{flux}_cor", "f8", dims, fill_value=-9999)
            variable.units = "W m-2"
            variable[:] = 1.2 * file[flux][:]


def config_of(towers, model=MODEL):
    """The configuration of a run at the virtual towers of a folder."""
    return Config(
        sites=SitesConfig(folder=towers, held_out=STUDY.held_out),
        model=model,
        ensemble=EnsembleConfig(members=8),
        surrogate=DayBlockConfig(hidden=6, width=8, tower=4, **QUICK),
        generator=GeneratorConfig(evaluate_every=4, **QUICK),
        refine=RefineConfig(rounds=1, members=4, steps=4, tolerance=1e-6),
    )


def begun(path, config):
    """A run folder with nothing but its configuration."""
    claim(path)
    folder = RunFolder(path, config)
    folder.write("config.yaml", dump(config))
    return folder
