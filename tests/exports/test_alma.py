"""Model output in PLUMBER2's form."""

import netCDF4
import numpy as np
import pytest
from typer.testing import CliRunner

from mdpl.cli import app
from mdpl.errors import ConfigError
from mdpl.exports.alma import export
from mdpl.exports.opened import open_finished
from mdpl.files import load_dataset
from mdpl.progress import SilentProgress

pytestmark = pytest.mark.slow  # the run they share

UNITS = {
    "Qle": "W m-2", "Qh": "W m-2", "Rnet": "W m-2", "Qg": "W m-2", "NEE": "umol m-2 s-1",
    "GPP": "umol m-2 s-1", "TVeg": "kg m-2 s-1", "AvgSurfT": "K",
}  # fmt: skip


def test_the_command_names_its_files_and_refuses_other_models(finished, tmp_path):
    call = ["export", "alma", str(finished[0]), "--out", str(tmp_path), "--model"]
    answer = CliRunner().invoke(app, [*call, "default"])
    assert answer.exit_code == 0
    assert all(str(path) in answer.output for path in tmp_path.glob("*.nc"))
    wrong = CliRunner().invoke(app, [*call, "best"])
    assert isinstance(wrong.exception, ConfigError)
    assert "expected default or mdpl" in str(wrong.exception)


@pytest.mark.parametrize("model", ["default", "mdpl"])
def test_a_file_a_tower_at_its_own_steps(finished, tmp_path, model):
    run = finished[0]
    files = export(run, tmp_path, SilentProgress(), model=model)
    sites = open_finished(run).job.sites
    assert len(files) == len(sites) == 2
    for path, site in zip(files, sites, strict=True):
        assert site.code in path.name and model in path.name
        simulated = load_dataset(run / f"simulations/{model}/{site.code}.nc")
        with netCDF4.Dataset(path) as file:
            steps = file["time"]
            assert steps.units == f"seconds since {str(site.time[0])[:19].replace('T', ' ')}"
            np.testing.assert_array_equal(np.asarray(steps[:]), np.arange(site.time.size) * 1800.0)
            assert file["latitude"][0, 0] == pytest.approx(float(site.attributes["latitude"]))
            for name, units in UNITS.items():
                variable = file[name]
                assert variable.dimensions == ("time", "y", "x")
                assert variable.units == units
                assert variable._FillValue == -9999
                expected = simulated[name].values
                np.testing.assert_allclose(variable[:, 0, 0], expected, rtol=1e-6, atol=1e-9)
            assert file["SoilMoist"].dimensions == ("time", "layer", "y", "x")
            assert file.site_code == site.code
            learnt = "Qle, Qh, NEE, raw fluxes" if model == "mdpl" else "nothing: defaults"
            assert file.parameters_learnt_from == learnt
