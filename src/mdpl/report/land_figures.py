"""Figures of one run of the land model: energy, soil, snow, water and carbon."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mdpl.errors import RunError
from mdpl.report.land_fluxes import (
    WIDE,
    date_axis,
    days,
    headroom,
    months,
    read_fluxes,
    say,
    write_caption,
)
from mdpl.report.style import DEFAULT, FAINT, INK, STYLE, Plot, number
from mdpl.sites.site import Site

ENERGY = ("Rnet", "Qh", "Qle", "Qg")
CARBON = ("GPP", "Reco", "NEE")
EVAPORATION = {
    "TVeg": ("transpiration", "#117733"),
    "ESoil": ("soil evaporation", "#ddaa33"),
    "ECanop": ("interception less dew", "#3f9fd6"),
    "SubSnow": ("sublimation of snow", "#882255"),
}
RUNOFF = {"Qs": ("surface runoff", "#cc6677"), "Qsb": ("base flow", "#332288")}
RAIN, SNOW, TOTAL = "#3f9fd6", "#332288", INK
FREEZING, RHO_WATER = 273.15, 1000.0
TRACE = 0.1
"""Least SWE, kg m-2, at which a snow temperature means something."""

DIM_DAY = 5.0
"""Least daily mean of SWdown, W m-2, for an albedo."""

DPI = 150


def draw(run: xr.Dataset, site: Site | None, folder: Path) -> list[Path]:
    """Draw a run of the land model, each figure as PNG and SVG.

    Args:
        run: dims ``(time,)`` and ``(layer, time)``, ALMA names, as `mdpl simulate` writes it;
            what it lacks is left out or said to be missing.
        site: the tower with its observations; None draws the model alone.

    Returns:
        Files written, a PNG and an SVG of each figure.

    Raises:
        RunError: run and tower have different time steps, or the folder cannot be written.
    """
    if site is not None and not np.array_equal(run["time"].values, site.time):
        raise RunError(
            f"the run and tower {site.code} have different time steps; "
            "give the run that was made at this tower"
        )
    with matplotlib.rc_context(STYLE):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [path for plot in plots(run, site) for path in _save(plot, folder)]
        except OSError as error:
            raise RunError(
                f"cannot write figures into {folder}: {error}; free some space or choose another "
                "folder"
            ) from error


def plots(run: xr.Dataset, site: Site | None) -> list[Plot]:
    """All figures a run gives, not yet saved."""
    code = site.code if site is not None else str(run.attrs.get("site", "run"))
    period = " to ".join(str(run["time"].values[i].astype("datetime64[D]")) for i in (0, -1))
    title = f"{code} ({site.pft}), {period}" if site is not None else f"{code}, {period}"
    energy, carbon = read_fluxes(run, site, ENERGY), read_fluxes(run, site, CARBON)
    made = [
        months(f"energy_months_{code}", f"{title}: energy", energy),
        days(f"energy_days_{code}", f"{title}: energy", energy),
        soil(f"soil_{code}", f"{title}: soil", run, site),
        snow(f"snow_{code}", f"{title}: snow", run, site),
        water(f"water_{code}", f"{title}: water balance", run, site),
        months(f"carbon_months_{code}", f"{title}: carbon", carbon),
        days(f"carbon_days_{code}", f"{title}: carbon", carbon),
    ]
    return [plot for plot in made if plot]


def _save(plot: Plot, folder: Path) -> list[Path]:
    about = {"Title": plot.alt, "Description": plot.caption}
    png, svg = (folder / f"{plot.name}.{suffix}" for suffix in ("png", "svg"))
    plot.figure.savefig(png, dpi=DPI, metadata={**about, "Software": None})
    plot.figure.set_layout_engine("none")  # keeps the layout just found: half the time
    plot.figure.savefig(svg, metadata={**about, "Date": None})
    return [png, svg]


def daily(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Calendar days and their means.

    Args:
        time: shape (time,), ascending.
        values: shape (..., time).
    """
    day = time.astype("datetime64[D]")
    axis, first, count = np.unique(day, return_index=True, return_counts=True)
    return axis, np.add.reduceat(values, first, axis=-1) / count


def soil(name: str, heading: str, run: xr.Dataset, site: Site | None) -> Plot | None:
    """Water and temperature of the soil by layer, under the precipitation; daily means."""
    if "SoilMoist" not in run and "SoilTemp" not in run:
        return None
    figure, (above, middle, below) = _stacked(heading, (1.0, 1.7, 1.7))
    _draw_precipitation(above, run, site)
    thick = thickness(run)
    if thick is None:
        _draw_layers(middle, run, "SoilMoist", 1.0, 0.0)
        middle.set_ylabel("Soil water by layer\n(kg m⁻²)")
    else:
        _draw_layers(middle, run, "SoilMoist", RHO_WATER * thick[:, None], 0.0)
        middle.set_ylabel("Soil water, ice included\n(m³ m⁻³)")
    _draw_layers(below, run, "SoilTemp", 1.0, FREEZING)
    below.axhline(0, color=FAINT, lw=0.7, zorder=0)
    below.set_ylabel("Soil temperature (°C)")
    handles, labels = middle.get_legend_handles_labels()
    middle.legend(
        handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), title="Layer", fontsize=7.5
    )
    caption = f"Daily means of the model by soil layer; {_days(run)}."
    if thick is None:
        caption += " The run does not say how thick its layers are."
    return _finish(name, figure, caption, heading)


def thickness(run: xr.Dataset) -> np.ndarray | None:
    """Thickness of the soil layers, m, shape (layer,), wherever the run keeps it."""
    kept = run.get("layer_thickness")
    found = kept.values if kept is not None else run.attrs.get("layer_thickness")
    for variable in ("SoilMoist", "SoilTemp"):
        if found is None and variable in run:
            found = run[variable].attrs.get("layer_thickness")
    if found is None or np.size(found) != run.sizes.get("layer"):
        return None
    return np.asarray(found, dtype=float)


def layer_names(run: xr.Dataset) -> list[str]:
    """Depths of each layer as text, or its number."""
    thick = thickness(run)
    if thick is None:
        return [f"{i + 1}" for i in range(run.sizes["layer"])]
    edge = np.concatenate([[0.0], np.cumsum(thick)])
    return [f"{a:.3g}–{b:.3g} m" for a, b in pairwise(edge)]


def _draw_layers(
    axes: Axes, run: xr.Dataset, name: str, divisor: np.ndarray | float, offset: float
) -> None:
    if name not in run:
        say(axes, f"the run has no {name}")
        return
    values = run[name].transpose("layer", "time").values / divisor - offset
    time, means = daily(run["time"].values, values)
    names = layer_names(run)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.92, len(names)))[::-1]
    for row, colour, label in zip(means, colours, names, strict=True):
        axes.plot(time, row, color=colour, lw=1.2, label=label)


def _draw_precipitation(axes: Axes, run: xr.Dataset, site: Site | None) -> None:
    """Daily rain and, on top of it, snow; kg m-2 d-1."""
    fallen = precipitation(run, site)
    axes.set_ylabel("Precipitation\n(kg m⁻² d⁻¹)")
    if not fallen:
        say(axes, "no precipitation at hand")
    time = run["time"].values
    base = np.zeros(np.unique(time.astype("datetime64[D]")).size)
    for name, label, colour in (
        ("Precip", "rain and snow", RAIN),
        ("Rainf", "rain", RAIN),
        ("Snowf", "snow", SNOW),
    ):
        if name not in fallen:
            continue
        day, mean = daily(time, fallen[name])
        noon, top = day + np.timedelta64(12, "h"), base + 86400.0 * mean
        wet, width = mean > 0, max(0.8, 380.0 / day.size)
        axes.vlines(noon[wet], base[wet], top[wet], colors=colour, lw=width, label=label)
        base = top
    if fallen:
        axes.set_ylim(0, None)
        headroom(axes, 0.1)
        axes.legend(loc="upper left", ncols=2, fontsize=7.5, borderaxespad=0.1)


def precipitation(run: xr.Dataset, site: Site | None) -> Mapping[str, np.ndarray]:
    """``Rainf`` and ``Snowf`` of the run, or the tower's ``Precip``; kg m-2 s-1."""
    own = {name: run[name].values for name in ("Rainf", "Snowf") if name in run}
    if own or site is None:
        return own
    return {"Precip": np.maximum(site.forcing["Precip"].values, 0.0)}


def snow(name: str, heading: str, run: xr.Dataset, site: Site | None) -> Plot | None:
    """Snowfall, snow pack, cover with albedo, and temperature; daily means."""
    caption = f"Daily means of the model; {_days(run)}. Albedo: reflected over incoming shortwave"
    caption += f", days above {DIM_DAY:g} W m⁻²."
    if "SWE" not in run or not (run["SWE"].values > 0).any():
        missing = "" if "SWE" in run else ": the run has no SWE"
        figure, (above, below) = _stacked(heading, (1.0, 1.5))
        say(above, f"no snow in this record{missing}")
        above.set_ylabel("SWE (kg m⁻²)")
        above.set_yticks([])
        above.grid(False)
        _draw_cover(below, run, site)
        return _finish(name, figure, caption, heading)
    figure, (falling, pack, cover, warmth) = _stacked(heading, (1.0, 1.5, 1.3, 1.5))
    _draw_precipitation(falling, run, site)
    day, swe = daily(run["time"].values, run["SWE"].values)
    pack.fill_between(day, 0, swe, color=SNOW, alpha=0.2, lw=0)
    pack.plot(day, swe, color=SNOW, lw=1.2)
    pack.set(ylabel="SWE (kg m⁻²)", ylim=(0, None))
    _draw_cover(cover, run, site)
    _draw_snow_temperature(warmth, run, site)
    caption += f" Snow temperature: steps with SWE above {TRACE:g} kg m⁻²; "
    caption += f"largest SWE {number(float(np.nanmax(run['SWE'].values)))} kg m⁻²."
    return _finish(name, figure, caption, heading)


def _draw_cover(axes: Axes, run: xr.Dataset, site: Site | None) -> None:
    axes.set_ylabel("Albedo, cover (1)" if "SnowFrac" in run else "Albedo (1)")
    if "SnowFrac" in run:
        axes.plot(
            *daily(run["time"].values, run["SnowFrac"].values),
            color=SNOW,
            lw=1.1,
            label="snow cover fraction",
        )
    if (shine := albedo(run, site)) is not None:
        axes.plot(*shine, color="#ddaa33", lw=1.3, label="albedo")
    if axes.lines:
        axes.legend(loc="upper center", ncols=2, fontsize=7.5, borderaxespad=0.1)
        axes.set_ylim(0, None)
        headroom(axes, 0.15)
    else:
        say(axes, "no albedo and no snow cover at hand")


def albedo(run: xr.Dataset, site: Site | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Days and their albedo, NaN on dim days; None without both shortwave fluxes."""
    if "SWup" not in run or (site is None and "SWdown" not in run):
        return None
    source = run if site is None else site.forcing
    day, down = daily(run["time"].values, np.maximum(source["SWdown"].values, 0.0))
    up = daily(run["time"].values, run["SWup"].values)[1]
    return day, np.where(down > DIM_DAY, up / np.maximum(down, DIM_DAY), np.nan)


def _draw_snow_temperature(axes: Axes, run: xr.Dataset, site: Site | None) -> None:
    time = run["time"].values
    if site is not None:
        day, air = daily(time, site.forcing["Tair"].values - FREEZING)
        axes.plot(day, air, color=DEFAULT, lw=0.9, label="air")
    if "SnowT" in run:
        lying = run["SWE"].values > TRACE
        day, share = daily(time, lying.astype(float))
        total = daily(time, np.where(lying, run["SnowT"].values - FREEZING, 0.0))[1]
        mean = np.where(share > 0, total / np.where(share > 0, share, 1.0), np.nan)
        axes.plot(day, mean, color=SNOW, lw=1.4, label="snow surface")
    if axes.lines:
        headroom(axes, 0.15)
        axes.legend(loc="upper center", ncols=2, fontsize=7.5, borderaxespad=0.1)
    if "SnowT" not in run:
        say(axes, "the run has no SnowT")
    axes.axhline(0, color=FAINT, lw=0.7, zorder=0)
    axes.set_ylabel("Temperature (°C)")


def water(name: str, heading: str, run: xr.Dataset, site: Site | None) -> Plot | None:
    """Cumulative water in and out, what the column stores, and what does not close."""
    terms = balance(run, site)
    if not terms:
        return None
    figure = Figure(figsize=(WIDE, 5.6), layout="constrained")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10, fontweight="bold")
    grid = figure.subplots(2, 2, sharex=True)
    totals = {
        "Rainf": ("rain", RAIN),
        "Snowf": ("snow", SNOW),
        "Precip": ("precipitation", RAIN),
        "Qirrig": ("irrigation", "#117733"),
        "evaporation": ("evapotranspiration", TOTAL),
        "runoff": ("runoff", "#cc6677"),
    }
    rest = {"storage": ("storage change", INK), "residual": ("in − out − storage", "#d55e00")}
    panels: list[tuple[str, Mapping[str, tuple[str, str]]]] = [
        ("In and out", totals),
        ("Evapotranspiration by source", EVAPORATION),
        ("Runoff by kind", RUNOFF),
        ("Storage and closure", rest),
    ]
    for axes, (title, series) in zip(grid.ravel(), panels, strict=True):
        _draw_terms(axes, run["time"].values, terms, series)
        axes.set_title(title)
    for axes in grid[:, 0]:
        axes.set_ylabel("Since the start (kg m⁻²)")
    caption = (
        "Sums since the end of the first step; storage: soil water, water on leaves and snow. "
    )
    caption += f"{_days(run)}. {_closure(terms)}"
    return _finish(name, figure, caption, heading)


def balance(run: xr.Dataset, site: Site | None) -> dict[str, np.ndarray]:
    """Terms of the water balance, kg m-2 since the end of the first step, shape (time,).

    Those the run has, ``evaporation`` and ``runoff`` in all, ``storage`` (the state is that at
    the end of a step), and ``residual`` = in - out - storage if all three are known.
    """
    seconds = float((run["time"].values[1] - run["time"].values[0]) / np.timedelta64(1, "s"))
    inward = dict(precipitation(run, site))
    if "Qirrig" in run and (run["Qirrig"].values > 0).any():
        inward["Qirrig"] = run["Qirrig"].values
    rates = inward | {n: run[n].values for n in (*EVAPORATION, *RUNOFF) if n in run}
    terms = {n: np.cumsum(rate) * seconds - rate[0] * seconds for n, rate in rates.items()}
    for total, names in (("evaporation", EVAPORATION), ("runoff", RUNOFF)):
        if found := [terms[n] for n in names if n in terms]:
            terms[total] = np.sum(found, axis=0)
    if "SoilMoist" in run:
        store = run["SoilMoist"].sum("layer").values
        store = store + sum(run[n].values for n in ("CanopInt", "SWE") if n in run)
        terms["storage"] = store - store[0]
    if inward and {"evaporation", "runoff", "storage"} <= set(terms):
        fallen = np.sum([terms[n] for n in inward], axis=0)
        terms["residual"] = fallen - terms["evaporation"] - terms["runoff"] - terms["storage"]
    return terms


def _draw_terms(
    axes: Axes,
    time: np.ndarray,
    terms: Mapping[str, np.ndarray],
    series: Mapping[str, tuple[str, str]],
) -> None:
    """The last value of each day, with the sum at the end in the legend."""
    last = np.flatnonzero(np.diff(time.astype("datetime64[D]"), append=np.datetime64("NaT")) != 0)
    for key, (label, colour) in series.items():
        if key in terms:
            text = f"{label}  {_amount(terms[key][-1])}"
            axes.plot(time[last], terms[key][last], color=colour, lw=1.4, label=text)
    if axes.lines:
        headroom(axes, 0.08 * len(axes.lines))
        axes.legend(loc="upper left", fontsize=7.5, borderaxespad=0.1)
    else:
        say(axes, "not in this run")
    axes.axhline(0, color=FAINT, lw=0.6, zorder=0)


def _amount(value: float) -> str:
    return f"{value:,.0f}".replace("-", "−") if abs(value) >= 0.5 else number(value, 2)


def _closure(terms: Mapping[str, np.ndarray]) -> str:
    if "residual" not in terms:
        return "The run lacks a term, so that the balance cannot be closed."
    worst = float(np.abs(terms["residual"]).max())
    return f"Largest residual of the balance: {number(worst, 2)} kg m⁻²."


def _stacked(heading: str, heights: tuple[float, ...]) -> tuple[Figure, np.ndarray]:
    """Panels above each other on one time axis."""
    figure = Figure(figsize=(WIDE, 1.2 + 1.15 * sum(heights)), layout="constrained")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=10, fontweight="bold")
    ratios = {"height_ratios": heights}
    return figure, figure.subplots(len(heights), 1, sharex=True, gridspec_kw=ratios)


def _finish(name: str, figure: Figure, caption: str, heading: str) -> Plot:
    for axes in figure.axes:
        if axes.get_yticks().size:
            axes.yaxis.set_major_locator(MaxNLocator(5))
        date_axis(axes)
    figure.align_ylabels()
    write_caption(figure, caption)
    return Plot(name, figure, caption, heading)


def _days(run: xr.Dataset) -> str:
    return f"n = {np.unique(run['time'].values.astype('datetime64[D]')).size:,} days"
