"""Figures of a run of the land model: what they draw, and what they say where data lack."""

from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mdpl.errors import RunError
from mdpl.report.land_figures import albedo, balance, draw, layer_names, plots, thickness
from mdpl.report.style import STYLE
from mdpl.sites.site import FORCING, Site

DAYS, STEP = 120, 1800
THICK = np.array([0.05, 0.20, 0.75])
RATE = {
    "Rainf": 2e-5,
    "Snowf": 1e-5,
    "TVeg": 6e-6,
    "ESoil": 3e-6,
    "ECanop": 1e-6,
    "SubSnow": 5e-7,
    "Qs": 2e-6,
    "Qsb": 1e-6,
}
UNITS = {"Reco": "umol m-2 s-1", "NEE": "umol m-2 s-1", "GPP": "umol m-2 s-1"}


@pytest.fixture(scope="module")
def run() -> xr.Dataset:
    """A run with snow whose water balance closes by construction, from 1 January."""
    time = pd.date_range("2010-01-01", periods=DAYS * 48, freq="30min").values
    n = np.arange(time.size)
    sun = np.maximum(np.sin(2 * np.pi * (n % 48 - 12) / 48), 0.0)
    data = {name: np.full(time.size, rate) for name, rate in RATE.items()}
    data |= {"Rnet": 400 * sun - 50, "Qle": 120 * sun, "Qh": 150 * sun - 20, "Qg": 40 * sun - 10}
    data |= {"GPP": 12 * sun, "Reco": np.full(time.size, 3.0), "NEE": 3.0 - 12 * sun}
    data |= {"SWup": 60 * sun, "SnowT": np.full(time.size, 268.15)}
    data |= {"SWE": np.where(n < 30 * 48, 20.0, 0.0), "SnowFrac": np.where(n < 30 * 48, 0.5, 0.0)}
    gain = sum(RATE.values()) - 2 * sum(v for k, v in RATE.items() if k not in ("Rainf", "Snowf"))
    share = (THICK / THICK.sum())[:, None]
    total = 300.0 + gain * STEP * n - (data["SWE"] - data["SWE"][0])
    variables = {k: ("time", v, {"units": UNITS.get(k, "1")}) for k, v in data.items()}
    variables["SoilMoist"] = (("layer", "time"), share * total, {"units": "kg m-2"})
    temperature = 283.15 + np.arange(3)[:, None] + 0 * total
    variables["SoilTemp"] = (("layer", "time"), temperature, {"units": "K"})
    coords = {"time": time, "layer_thickness": ("layer", THICK)}
    return xr.Dataset(variables, coords, {"site": "DE-Abc"})


@pytest.fixture(scope="module")
def site(run) -> Site:
    """A tower that measured Qle by day only, 10 W m-2 below the model, and filled the nights."""
    time = run["time"].values
    forcing = {name: ("time", np.ones(time.size)) for name in FORCING}
    forcing["SWdown"] = ("time", 4 * run["SWup"].values)
    forcing["Tair"] = ("time", np.full(time.size, 270.0))
    day = run["SWup"].values > 1e-9
    fluxes = {
        "Qle": ("time", np.where(day, run["Qle"].values - 10, 999.0)),
        "Qle_qc": ("time", np.where(day, 0.0, 1.0)),
    }
    coords = {"time": time}
    about = {"igbp": "ENF", "land_cover": 4}
    return Site("DE-Abc", xr.Dataset(forcing, coords), xr.Dataset(fluxes, coords), about, {})


@pytest.fixture(scope="module")
def drawn(run, site):
    return figures(run, site)


def figures(run, site):
    with matplotlib.rc_context(STYLE):
        return {p.name.rpartition("_")[0]: p for p in plots(run, site)}


def words(plot):
    inside = [t.get_text() for axes in plot.figure.axes for t in axes.texts]
    return " ".join([*inside, *(axes.get_title(loc="left") for axes in plot.figure.axes)])


def line(axes, label):
    return next(x for x in axes.lines if str(x.get_label()).startswith(label))


def test_every_figure_is_written_twice_and_can_be_read(run, site, tmp_path):
    written = draw(run, site, tmp_path / "new" / "folder")
    names = {"energy_months", "energy_days", "soil", "snow", "water"}
    names |= {"carbon_months", "carbon_days"}
    assert {p.name for p in written} == {f"{n}_DE-Abc.{e}" for n in names for e in ("png", "svg")}
    for path in written:
        head = path.read_bytes()[:400]
        assert head.startswith(b"\x89PNG") if path.suffix == ".png" else b"<svg" in head


def test_captions_and_headings_say_tower_period_n_and_mask(drawn):
    for plot in drawn.values():
        assert "DE-Abc (ENF), 2010-01-01 to 2010-04-30" in plot.alt, plot.name
        if not plot.name.startswith("carbon"):
            assert "n = " in plot.caption or "n: steps" in plot.caption, plot.name
    assert "Observed: Qle, raw, measured steps only (qc = 0)" in drawn["energy_months"].caption
    assert "Qle   too little measured" in words(drawn["energy_months"])
    assert "has none of these fluxes" in drawn["carbon_days"].caption


def test_model_and_tower_are_compared_at_measured_steps_only(site, drawn):
    days = drawn["energy_days"].figure.axes
    winter = days[2 * 4]
    modelled, observed = winter.lines[0].get_ydata(), winter.lines[1].get_ydata()
    np.testing.assert_allclose(modelled - observed, 10.0)
    assert modelled.size == 23
    n = int((site.fluxes["Qle_qc"] == 0).sum() * 59 / DAYS)
    assert winter.texts[0].get_text() == f"n = {n:,}"
    unmeasured = days[0]
    assert unmeasured.lines[0].get_ydata().size == 48 and not unmeasured.texts
    assert "not in the record" in days[2 * 4 + 2].texts[-1].get_text()


def test_months_of_a_tower_that_measured_by_night_too(run, site):
    whole = site.fluxes.assign(
        Qle=("time", run["Qle"].values - 10), Qle_qc=("time", np.zeros(DAYS * 48))
    )
    plot = figures(run, replace(site, fluxes=whole))["energy_months"]
    latent = plot.figure.axes[2]
    assert latent.get_title(loc="left") == "Qle"
    np.testing.assert_allclose(latent.lines[1].get_ydata() - latent.lines[2].get_ydata(), 10.0)
    assert latent.lines[0].get_ydata().size == 4
    assert "n = 4 months compared" in plot.caption
    assert "Rnet   not measured" in words(plot)


def test_soil_water_is_volumetric_and_layers_are_named_by_depth(run, drawn):
    axes = drawn["soil"].figure.axes
    assert "m³ m⁻³" in axes[1].get_ylabel()
    assert layer_names(run) == ["0–0.05 m", "0.05–0.25 m", "0.25–1 m"]
    first = line(axes[1], "0–0.05 m").get_ydata()
    np.testing.assert_allclose(first, run["SoilMoist"][0].resample(time="1D").mean() / 50.0)
    np.testing.assert_allclose(line(axes[2], "0.25–1 m").get_ydata(), 12.0)


def test_layer_thickness_is_found_wherever_it_is_or_done_without(run, site):
    bare = run.drop_vars("layer_thickness")
    assert thickness(bare) is None
    np.testing.assert_array_equal(thickness(bare.assign_attrs(layer_thickness=THICK)), THICK)
    told = bare.copy()
    told["SoilMoist"].attrs["layer_thickness"] = THICK
    np.testing.assert_array_equal(thickness(told), THICK)
    assert thickness(bare.assign_attrs(layer_thickness=THICK[:2])) is None
    plot = figures(bare, site)["soil"]
    assert "kg m⁻²" in plot.figure.axes[1].get_ylabel()
    assert "does not say how thick" in plot.caption


def test_snow_panels_hold_the_pack_and_its_temperature_while_it_lies(drawn):
    plot = drawn["snow"]
    _, pack, cover, warmth = plot.figure.axes
    assert pack.lines[0].get_ydata().max() == 20.0
    np.testing.assert_allclose(line(cover, "snow cover").get_ydata()[:30], 0.5)
    temperature = line(warmth, "snow surface").get_ydata()
    np.testing.assert_allclose(temperature[:30], -5.0)
    assert np.isnan(temperature[30:]).all()
    assert "largest SWE 20.0" in plot.caption


def test_albedo_is_of_daily_sums_and_needs_both_fluxes(run, site):
    day, values = albedo(run, site)
    assert day.size == DAYS
    np.testing.assert_allclose(values, 0.25)
    dark = replace(site, forcing=site.forcing.assign(SWdown=0 * site.forcing["SWdown"]))
    assert np.isnan(albedo(run, dark)[1]).all()
    assert albedo(run, None) is None


@pytest.mark.parametrize("lacking", [True, False])
def test_no_snow_is_said_in_words(run, site, lacking):
    run = run.drop_vars("SWE") if lacking else run.assign(SWE=0 * run["SWE"])
    plot = figures(run, site)["snow"]
    assert "no snow in this record" in words(plot)
    assert ("the run has no SWE" in words(plot)) == lacking
    assert len(plot.figure.axes) == 2


def test_water_balance_adds_up_and_shows_what_is_missing(run, site, drawn):
    terms = balance(run, site)
    seconds = (DAYS * 48 - 1) * STEP
    assert terms["Rainf"][-1] == pytest.approx(2e-5 * seconds)
    assert terms["evaporation"][-1] == pytest.approx(1.05e-5 * seconds)
    assert terms["runoff"][-1] == pytest.approx(3e-6 * seconds)
    assert np.abs(terms["residual"]).max() < 1e-9
    leaky = balance(run.drop_vars("SubSnow"), site)
    assert leaky["residual"][-1] == pytest.approx(5e-7 * seconds)
    watered = run.assign(Qirrig=("time", np.full(DAYS * 48, 1e-6)))
    assert balance(watered, site)["residual"][-1] == pytest.approx(1e-6 * seconds)
    dry = run.drop_vars(["Rainf", "Snowf"])
    assert "Precip" in balance(dry, site)
    assert "residual" not in balance(dry, None)
    assert "cannot be closed" in figures(dry, None)["water"].caption
    closing = drawn["water"].figure.axes[3]
    assert line(closing, "storage change").get_ydata()[-1] == pytest.approx(terms["storage"][-1])


def test_a_run_of_today_without_tower_and_without_snow_is_drawn(run, tmp_path):
    few = run[["Qle", "Qh", "Rnet", "GPP", "SoilTemp"]].drop_vars("layer_thickness")
    written = draw(few, None, tmp_path)
    stems = {p.stem for p in written}
    assert "energy_months_DE-Abc" in stems and "water_DE-Abc" not in stems
    assert "the run has no SoilMoist" in words(figures(few, None)["soil"])


def test_another_record_and_a_file_in_the_way_are_refused(run, site, tmp_path):
    with pytest.raises(RunError, match="DE-Abc have different time steps"):
        draw(run.isel(time=slice(100)), site, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write figures"):
        draw(run, site, tmp_path / "file")
