"""Budgets of the column, asked for by tests of real and of invented weather."""

import numpy as np

from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS


def budgets_close(site, sets):
    """Energy, water and snow heat in every step, whatever the parameters; nothing runs away."""
    values = PARAMETERS.from_unit(np.random.default_rng(5).random((sets, len(PARAMETERS))))
    names = (
        "Qle", "Qh", "Rnet", "Qg", "EnergyResidual", "WaterResidual", "SnowHeatResidual",
        "SoilMoist", "SoilTemp", "SWE", "SnowT", "VegT", "BaresoilT", "Unsolved",
    )  # fmt: skip
    unsolved = 0.0
    model = Matsiro(default_cycles=1, member_cycles=0)
    for start in range(0, sets, 64):
        run = model.simulate(site, values[start : start + 64], names)
        for name in names:
            assert np.isfinite(run[name].values).all(), name
        balance = run["Rnet"] - run["Qle"] - run["Qh"] - run["Qg"]
        assert float(abs(balance).max()) < 1e-9
        assert float(abs(run["EnergyResidual"]).max()) < 1e-9
        assert float(abs(run["WaterResidual"]).max()) < 1e-9
        assert float(abs(run["SnowHeatResidual"]).max()) < 1e-8
        assert float(run["SoilMoist"].min()) > 0
        assert float(run["SWE"].min()) >= 0
        assert float(run["SnowT"].max()) <= 273.15 + 1e-9
        air = site.forcing["Tair"].values
        for name in ("VegT", "BaresoilT"):
            assert float((run[name].values - air).min()) > -30, name
            assert float((run[name].values - air).max()) < 70, name
        assert float(run["SoilTemp"].min()) > 200 and float(run["SoilTemp"].max()) < 360
        assert float(abs(run["Qh"]).max()) < 1000
        assert float(abs(run["Qle"]).max()) < 1500
        unsolved += float(run["Unsolved"].mean()) * run.sizes["member"]
    assert unsolved / sets < 0.005
