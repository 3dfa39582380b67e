"""The command line: good answers, and one clear message for every mistake of a user."""

import os
import subprocess
import sys
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import small_model
from command import mdpl
from mdpl import __version__
from mdpl.config import Config, load
from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.virtual import draw_climates, observe, virtual_forcing


def process(*arguments, **environment):
    """A command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from mdpl.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )


@pytest.fixture
def towers(tmp_path):
    """One virtual tower of twenty-four days as a PLUMBER2 pair."""
    folder = tmp_path / "towers"
    folder.mkdir()
    base = open_sites(None, ["FR-Hes"])[0]
    site = virtual_forcing(base, "XX-One", draw_climates(1, seed=3)[0], first_day=150, days=24)
    sun = site.forcing["SWdown"]
    flux = xr.Dataset({"Qle": 0.3 * sun, "Qh": 0.2 * sun})
    write_pair(observe(site, flux, noise_seed=0), folder)
    return folder


@pytest.fixture
def config(towers, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"sites": {"folder": str(towers)}}))
    return path


def refused(answer, *words):
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    for word in words:
        assert word in answer.stderr, answer.stderr


def test_version_and_help():
    assert process("--version").stdout.strip() == f"mdpl {__version__}"
    assert "simulate" in mdpl("--help").stdout


def test_nothing_is_computed_before_a_command_is_understood():
    code = "from mdpl.cli import app; import sys; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_init_writes_what_check_accepts(towers, tmp_path):
    out = tmp_path / "study.yaml"
    answer = mdpl("init", "--sites", towers, "--site", "XX-One", "--out", out)
    assert answer.returncode == 0, answer.stderr
    assert load(out).sites.codes == ("XX-One",)
    assert load(out).ensemble == Config().ensemble
    refused(mdpl("init", "--out", out), str(out), "--force")
    assert mdpl("init", "--out", out, "--force").returncode == 0
    answer = mdpl("check", out)
    assert answer.returncode == 0, answer.stderr
    assert "FR-Hes" in answer.stdout
    assert "would run at most 324 land-model simulations and train 6 models" in answer.stdout


def test_simulate_writes_alma_output_and_obeys_parameters(towers, tmp_path):
    table = tmp_path / "parameters.csv"
    rows = [("XX-One", "vmax", 20.0), ("XX-One", "bb_slope", 5.0), ("XX-Two", "vmax", 30.0)]
    pd.DataFrame(rows, columns=["site", "parameter", "value"]).to_csv(table, index=False)
    out = tmp_path / "run.nc"
    answer = mdpl(
        "simulate", "XX-One", "--sites", towers, "--parameters", table, "--set", "vmax=40",
        "--out", out, "--plots", tmp_path / "plots",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "Qle" in answer.stdout
    assert str(tmp_path / "plots" / "soil_XX-One.png") in answer.stdout
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    for name in ("energy_days", "soil", "snow", "water", "carbon_months"):
        assert {f"{name}_XX-One.png", f"{name}_XX-One.svg"} <= drawn
    with xr.open_dataset(out) as run:
        assert run.attrs["parameter_vmax"] == 40
        assert run.attrs["parameter_bb_slope"] == 5
        assert run["Qle"].attrs["units"] == "W m-2"
        assert run.sizes["time"] == 24 * 48
        assert np.isfinite(run["Qle"].values).all()
    wrong = [
        (["--set", "vmax=900"], ["vmax", "[8, 200]", "900"]),
        (["--set", "vmx=9"], ["vmx", "vmax"]),
        (["--set", "vmax"], ["NAME=VALUE"]),
        (["--parameters", tmp_path / "none.csv"], ["none.csv"]),
    ]
    for arguments, words in wrong:
        answer = mdpl("simulate", "XX-One", "--sites", towers, *arguments, "--out", out)
        refused(answer, *words)


def test_simulate_runs_any_land_model(towers, tmp_path):
    out, model = tmp_path / "run.nc", Path(small_model.__file__)
    asked = ["simulate", "XX-One", "--sites", towers, "--model", model, "--out", out]
    answer = mdpl(*asked, "--set", "albedo=0.3")
    assert answer.returncode == 0, answer.stderr
    assert "Qle" in answer.stdout and "Rnet" not in answer.stdout
    with xr.open_dataset(out) as run:
        assert run.attrs["model"] == "small" and run.attrs["parameter_albedo"] == 0.3
        assert run.attrs["parameter_uptake"] == 0.5
        assert set(run.data_vars) == {"Qle", "Qh", "GPP", "NEE"}
    refused(mdpl(*asked, "--set", "vmax=40"), "vmax", "albedo")
    refused(mdpl(*asked, "--plots", tmp_path / "plots"), "--plots", "matsiro only")
    refused(mdpl(*asked, "--save-state", tmp_path / "s.nc"), "matsiro only", "small")


def edit(towers, which, change):
    with netCDF4.Dataset(next(towers.glob(f"*_{which}.nc")), "a") as file:
        change(file)


def spoil_missing_flux(towers):
    next(towers.glob("*_Flux.nc")).unlink()


def spoil_truncated(towers):
    path = next(towers.glob("*_Met.nc"))
    path.write_bytes(path.read_bytes()[:20_000])


def spoil_absent_variable(towers):
    edit(towers, "Met", lambda f: f.renameVariable("Wind", "Breeze"))


def spoil_nan(towers):
    edit(towers, "Met", lambda f: f["Qair"].__setitem__((100, 0, 0), np.nan))


def spoil_celsius(towers):
    edit(towers, "Met", lambda f: f["Tair"].__setitem__(slice(None), f["Tair"][:] - 273.15))


def spoil_duplicate(towers):
    edit(towers, "Met", lambda f: f["time"].__setitem__(50, f["time"][49]))


def spoil_backward(towers):
    edit(towers, "Met", lambda f: f["time"].__setitem__(50, f["time"][40]))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_missing_flux, ["XX-One", "Flux.nc"]),
        (spoil_truncated, ["Met.nc"]),
        (spoil_absent_variable, ["Met.nc", "Wind"]),
        (spoil_nan, ["Met.nc", "Qair", "2016-06-0"]),
        (spoil_celsius, ["Met.nc", "Tair", "K"]),
        (spoil_duplicate, ["Met.nc", "2016-05-31"]),
        (spoil_backward, ["Met.nc", "2016-05-31"]),
    ],
)
def test_spoilt_towers_are_refused_by_name_before_any_work(spoil, words, towers, config, tmp_path):
    spoil(towers)
    refused(mdpl("check", config), *words)
    run = tmp_path / "run"
    refused(mdpl("run", config, "--out", run), *words)
    assert not (run / "ensemble.zarr").exists()


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"ensembel": {}}, ["ensembel", "did you mean 'ensemble'"]),
        ({"ensemble": {"member": 8}}, ["ensemble.member", "did you mean 'members'"]),
        ({"ensemble": {"members": -3}}, ["ensemble.members", "-3"]),
        ({"model": {"ranges": {"vmax": [90, 20]}}}, ["vmax", "[90, 20]"]),
        ({"model": {"ranges": {"vmax": [1, 20]}}}, ["vmax", "[8, 200]"]),
        ({"model": {"parameters": ["vmx"]}}, ["vmx", "vmax"]),
        ({"sites": {"codes": ["XX-Nix"]}}, ["XX-Nix", "FR-Hes"]),
        ({"sites": {"folder": "nowhere"}}, ["nowhere"]),
        ("just text", ["expected sections"]),
        ("a: [1", ["not valid YAML"]),
    ],
)
def test_wrong_configurations_are_refused_by_key(sections, words, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(sections if isinstance(sections, str) else yaml.safe_dump(sections))
    refused(mdpl("check", path), *words)


def test_missing_configuration_and_run_folders(tmp_path, config):
    refused(mdpl("run", tmp_path / "no.yaml", "--out", tmp_path / "r"), "no.yaml", "mdpl init")
    refused(mdpl("evaluate", tmp_path / "nowhere"), "not a run folder")
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    refused(mdpl("run", config, "--out", in_the_way), "in the way")
    refused(mdpl("run", config, "--out", in_the_way / "deeper"), "in the way")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("")
    refused(mdpl("run", config, "--out", foreign), "not empty and not a run folder")
    assert [p.name for p in foreign.iterdir() if p.name != ".lock"] == ["thesis.txt"]


def test_a_traceback_is_there_for_developers(tmp_path):
    answer = process("check", tmp_path / "no.yaml", MDPL_DEBUG="1")
    assert "Traceback" in answer.stderr
    assert answer.returncode == 1


def test_full_disk_is_told_as_such(config, tmp_path, monkeypatch):
    from mdpl import runs
    from mdpl.errors import RunError

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match=r"config\.yaml.*disk is full"):
        runs.create(tmp_path / "run", load(config))
    assert not any(Path(tmp_path / "run").glob("*.yaml"))
