"""The column at real towers: budgets close with any parameters, default runs stay near the data."""

from pathlib import Path

import numpy as np
import pytest

from mdpl.evaluation.metrics import METRICS
from mdpl.lsm.matsiro.model import Matsiro
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.sites.catalogue import open_sites
from mdpl.sites.qc import measured

SITES = Path(__file__).resolve().parents[3] / "shared" / "sites"

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not SITES.is_dir(), reason="tower records are not here"),
]


def year(code):
    """A tower cut to the first year of its record."""
    site = open_sites(SITES, [code])[0]
    steps = slice(0, 365 * site.steps_per_day)
    return type(site)(
        site.code,
        site.forcing.isel(time=steps),
        site.fluxes.isel(time=steps),
        site.attributes,
        site.sources,
    )


@pytest.mark.parametrize("code", ["CN-Cng", "DK-Sor", "US-Whs"])
def test_budgets_close_over_a_year_for_thirty_two_parameter_sets(code):
    site = year(code)
    values = PARAMETERS.from_unit(np.random.default_rng(5).random((32, len(PARAMETERS))))
    names = ["Qle", "Qh", "Rnet", "Qg", "EnergyResidual", "WaterResidual", "SoilMoist"]
    run = Matsiro(default_cycles=1, member_cycles=0).simulate(site, values, names)
    for name in names:
        assert np.isfinite(run[name].values).all(), name
    balance = run["Rnet"] - run["Qle"] - run["Qh"] - run["Qg"]
    assert float(abs(balance).max()) < 1e-6
    assert float(abs(run["EnergyResidual"]).max()) < 1e-6
    assert float(abs(run["WaterResidual"]).max()) < 1e-9
    assert float(run["SoilMoist"].min()) > 0


def test_default_runs_follow_the_measured_fluxes():
    """A sign or unit slip anywhere between file and score would break these by far."""
    sites = [year(code) for code in ("DE-Tha", "US-SRM", "DK-Fou")]
    runs = Matsiro(default_cycles=2, member_cycles=0).simulate_each(sites, [None] * 3)
    for site, run in zip(sites, runs, strict=True):
        for flux in ("Qle", "Qh"):
            good = measured(site, flux)
            r = METRICS["r"](run[flux].values[good], site.fluxes[flux].values[good])
            assert r > 0.5, (site.code, flux)
