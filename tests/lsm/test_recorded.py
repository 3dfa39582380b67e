"""A land model run by hand: what is asked for, and what is found once it is there."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import toy_bucket
from mdpl.config_model import RecordedConfig
from mdpl.errors import ConfigError, ModelError
from mdpl.lsm.opening import open_model
from mdpl.lsm.recorded import NotRunYet

SITE = toy_bucket.site(days=3)


@pytest.fixture
def folder(tmp_path):
    table = pd.DataFrame(
        {
            "name": ["share", "depth"],
            "lower": [0.0, 0.1],
            "upper": [1.0, 10.0],
            "default": [0.5, 1.0],
            "default_ENF": [0.4, np.nan],
            "scale": ["linear", "log"],
        }
    )
    table.to_csv(tmp_path / "parameters.csv", index=False)
    return tmp_path


def opened(folder):
    return open_model(RecordedConfig(folder=folder))


def make_up(folder, together=True):
    """What a user does: run what is asked for, in whatever way, and put the outputs there."""
    (folder / "runs").mkdir(exist_ok=True)
    designs = [pd.read_csv(p) for p in sorted((folder / "designs").glob("*.csv"))]
    rows = pd.concat(designs)
    sun = SITE.forcing["SWdown"].values
    qle = rows["share"].to_numpy()[:, None] * sun
    qh = rows["depth"].to_numpy()[:, None] * sun
    every = xr.Dataset(
        {"Qle": (("run", "time"), qle), "Qh": (("run", "time"), qh)},
        {"run": rows["run"].to_numpy(), "time": SITE.time},
    )
    if together:
        every.to_netcdf(folder / "runs/XX-Toy.nc")
    else:
        for run in every["run"].values:
            every.sel(run=run).drop_vars("run").to_netcdf(folder / f"runs/XX-Toy_{run}.nc")


@pytest.mark.parametrize("together", [True, False])
def test_asks_for_runs_and_finds_them(folder, together):
    values = np.array([[0.123456789, 1.0], [0.9, 9.87654321]])
    with pytest.raises(NotRunYet, match=r"3 runs are needed: .*asked_0000.csv says which"):
        opened(folder).ask([(SITE, None), (SITE, values)])
    asked = pd.read_csv(folder / "designs/asked_0000.csv")
    assert list(asked.columns) == ["site", "run", "share", "depth"]
    assert asked["run"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(asked[["share", "depth"]], [[0.4, 1.0], *values])
    with pytest.raises(NotRunYet, match=r"3 runs of .* are not in"):
        opened(folder).ask([(SITE, None), (SITE, values)])
    make_up(folder, together)
    sun = SITE.forcing["SWdown"].values
    run = opened(folder).simulate(SITE, values)
    np.testing.assert_allclose(run["Qle"], values[:, :1] * sun)
    np.testing.assert_allclose(opened(folder).simulate(SITE)["Qh"].values[0], sun)


def test_further_runs_come_in_a_further_table(folder):
    with pytest.raises(NotRunYet):
        opened(folder).simulate(SITE)
    make_up(folder)
    with pytest.raises(NotRunYet, match=r"1 runs are needed: .*asked_0001.csv"):
        opened(folder).simulate(SITE, np.array([[0.4, 1.0], [0.7, 2.0]]))
    assert pd.read_csv(folder / "designs/asked_0001.csv")["run"].tolist() == [1]


def test_an_ensemble_that_is_there_is_taken_over(folder):
    (folder / "designs").mkdir()
    rows = {"site": ["XX-Toy"] * 3, "run": [5, 6, 9], "share": [0.1, 0.2, 0.3], "depth": [1, 2, 3]}
    pd.DataFrame(rows).to_csv(folder / "designs/ensemble.csv", index=False)
    make_up(folder)
    model = opened(folder)
    values = model.design(SITE)
    np.testing.assert_array_equal(values, [[0.1, 1], [0.2, 2], [0.3, 3]])
    sun = SITE.forcing["SWdown"].values
    np.testing.assert_allclose(model.simulate(SITE, values[2:])["Qle"].values[0], 0.3 * sun)


def test_a_number_stands_for_one_run(folder):
    """The default's run asked for, and an ensemble that counts from the same number."""
    with pytest.raises(NotRunYet):
        opened(folder).simulate(SITE)
    rows = {"site": ["XX-Toy"] * 2, "run": [0, 1], "share": [0.8, 0.2], "depth": [1.0, 2.0]}
    pd.DataFrame(rows).to_csv(folder / "designs/ensemble.csv", index=False)
    with pytest.raises(ModelError, match=r"run 0 of XX-Toy .* asked_0000.csv and ensemble.csv"):
        opened(folder).simulate(SITE, np.array([[0.8, 1.0]]))
    pd.DataFrame({**rows, "run": ["a", "b"]}).to_csv(folder / "designs/ensemble.csv", index=False)
    with pytest.raises(ConfigError, match=r"ensemble.csv: run: expected whole numbers"):
        opened(folder).simulate(SITE)


def test_a_table_of_runs_is_never_written_over(folder):
    with pytest.raises(NotRunYet, match="asked_0000"):
        opened(folder).simulate(SITE)
    make_up(folder)
    with pytest.raises(NotRunYet, match="asked_0001"):
        opened(folder).simulate(SITE, np.array([[0.7, 2.0]]))
    kept = (folder / "designs/asked_0001.csv").read_text()
    (folder / "designs/asked_0000.csv").unlink()
    with pytest.raises(NotRunYet, match="asked_0002"):
        opened(folder).simulate(SITE, np.array([[0.3, 3.0]]))
    assert (folder / "designs/asked_0001.csv").read_text() == kept


def test_a_shifted_time_axis_is_refused(folder):
    with pytest.raises(NotRunYet):
        opened(folder).simulate(SITE)
    make_up(folder)
    path = folder / "runs/XX-Toy.nc"
    with xr.open_dataset(path) as file:
        moved = file.load().assign_coords(time=SITE.time + np.timedelta64(1, "h"))
    moved.to_netcdf(path)
    with pytest.raises(ModelError, match=r"XX-Toy.nc: time of step 0 is 2001-03-01T01:00"):
        opened(folder).simulate(SITE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,lower\nx,1\n", "upper, default is missing"),
        ("name,lower,upper,default\nx,2,1,1\n", "expected lower < upper"),
        ("", "expected a table"),
        ("name,lower,upper,default\n", "expected a row a parameter, found none"),
        ("name,lower,upper,default\nx,0,1,\n", "parameter x: default: expected a number"),
        ("name,lower,upper,default\nx,low,1,1\n", "parameter x: lower: expected a number, .*low"),
        ("name,lower,upper,default,scale\nx,1,2,1,logarithmic\n", "scale: expected linear or log"),
        ("name,lower,upper,default\nx,0,1,7\n", r"expected defaults within \[0, 1\], found 7"),
    ],
)
def test_a_wrong_table_of_parameters_says_what_is_wrong(tmp_path, text, said):
    (tmp_path / "parameters.csv").write_text(text)
    with pytest.raises((ConfigError, ModelError), match=said):
        opened(tmp_path)


def test_no_table_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"parameters.csv: expected a table"):
        opened(tmp_path)
