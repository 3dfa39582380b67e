"""One page a tower: what its record holds, and what the checks found."""

from __future__ import annotations

import textwrap
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from mdpl.files import writing
from mdpl.report.land_figures import DPI
from mdpl.report.land_fluxes import date_axis, headroom, say
from mdpl.report.style import FAINT, FLUX_COLOURS, INK, STYLE, number
from mdpl.sites.checks.energy import balance
from mdpl.sites.checks.examine import Examination
from mdpl.sites.clock import clock_course, standard_offset
from mdpl.sites.record import FLUXES, Record
from mdpl.sites.site import FORCING
from mdpl.sites.solar import cos_zenith

VERDICT_COLOURS = {
    "good": "#00857c",
    "usable": "#6b8e23",
    "doubtful": "#d58a00",
    "unusable": "#c0392b",
}
_RNET, _RAIN = "#999933", "#3f9fd6"
_LATENT_HEAT = 2.45e6


def draw_page(examination: Examination, folder: Path) -> list[Path]:
    """Draw a tower's page as ``<code>.png`` and ``<code>.svg``.

    Raises:
        RunError: the folder cannot be written.
    """
    with matplotlib.rc_context({**STYLE, "font.size": 8.0}):
        figure = page(examination)
        png, svg = (folder / f"{examination.code}.{suffix}" for suffix in ("png", "svg"))
        about = {"Title": f"{examination.code}: {examination.verdict}"}
        with writing(png):
            folder.mkdir(parents=True, exist_ok=True)
            figure.savefig(png, dpi=DPI, metadata={**about, "Software": None})
            figure.set_layout_engine("none")
            figure.savefig(svg, metadata={**about, "Date": None})
        return [png, svg]


def page(examination: Examination) -> Figure:
    """The page, not yet saved; only findings where the files could not be read."""
    record = examination.record
    figure = Figure(figsize=(12.5, 9.0), layout="constrained")
    grid = figure.add_gridspec(3, 3, height_ratios=(1.0, 1.0, 0.85))
    _title(figure, examination)
    if record is None:
        _findings(figure.add_subplot(grid[:, :]), examination)
        return figure
    _draw_shares(figure.add_subplot(grid[0, 0]), record)
    _draw_radiation(figure.add_subplot(grid[0, 1]), record)
    _draw_clock(figure.add_subplot(grid[0, 2]), record)
    _draw_closure(figure.add_subplot(grid[1, 0]), record, examination)
    _draw_months(figure.add_subplot(grid[1, 1]), record)
    _draw_water(figure.add_subplot(grid[1, 2]), record)
    _findings(figure.add_subplot(grid[2, :]), examination)
    return figure


def _title(figure: Figure, examination: Examination) -> None:
    about = examination.summary
    period = f", {about['igbp']}, {about['from']} to {about['to']}" if about else ""
    figure.suptitle(
        f"{examination.code}{period}:  {examination.verdict}",
        x=0.01,
        ha="left",
        fontsize=13,
        fontweight="bold",
        color=VERDICT_COLOURS[examination.verdict],
    )


def _draw_shares(axes: Axes, record: Record) -> None:
    names = [n for n in (*FORCING, *FLUXES) if n in record.series]
    month = record.time.astype("M8[M]")
    months, index = np.unique(month, return_inverse=True)
    size = np.bincount(index)
    table = np.array([np.bincount(index, record.measured(n)) / size for n in names])
    edges = date2num(np.append(months, months[-1] + 1).astype("M8[D]"))
    mesh = axes.pcolormesh(
        edges, np.arange(len(names) + 1), table, vmin=0, vmax=1, cmap="YlGnBu", rasterized=True
    )
    axes.set_yticks(np.arange(len(names)) + 0.5, names)
    axes.invert_yaxis()
    axes.grid(False)
    axes.xaxis_date()
    date_axis(axes)
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(mesh, ax=axes, pad=0.01, fraction=0.05)
    axes.set_title("Share measured (qc 0), by month")


def _draw_radiation(axes: Axes, record: Record) -> None:
    axes.set_title("SWdown (W m⁻²) and the sun's rise and set")
    if not record.has("SWdown"):
        say(axes, "no SWdown")
        return
    table = record.by_day(record.series["SWdown"])
    edges = date2num(np.append(record.days, record.days[-1] + 1))
    hours = np.linspace(0, 24, record.steps_per_day + 1)
    high = float(np.nanquantile(table, 0.998))
    axes.pcolormesh(
        edges, hours, table.T, cmap="inferno", vmin=0, vmax=max(high, 1.0), rasterized=True
    )
    zone = standard_offset(record)
    if zone is not None:
        rise, fall = _daylight(record, zone)
        for edge in (rise, fall):
            axes.plot(date2num(record.days) + 0.5, edge, color="white", lw=1.0)
    axes.set_facecolor("#c3c9d1")
    axes.set_ylim(0, 24)
    axes.set_yticks(range(0, 25, 6))
    axes.set_ylabel("Hour of the record's clock")
    axes.grid(False)
    axes.xaxis_date()
    date_axis(axes)


def _daylight(record: Record, zone: float) -> tuple[np.ndarray, np.ndarray]:
    """Hours of sunrise and sunset by day, NaN where the sun does not."""
    grid = np.arange(0, 1440, 10) * np.timedelta64(1, "m")
    time = record.days.astype("M8[ns]")[:, None] + grid
    place = float(record.place["latitude"]), float(record.place["longitude"])
    lit = cos_zenith(*place, zone, time.ravel(), 600).reshape(time.shape) > 0
    hours = np.arange(lit.shape[1]) / 6.0
    some = lit.any(axis=1) & ~lit.all(axis=1)
    rise = np.where(some, hours[lit.argmax(axis=1)], np.nan)
    fall = np.where(some, hours[lit.shape[1] - 1 - lit[:, ::-1].argmax(axis=1)], np.nan)
    return rise, fall


def _draw_clock(axes: Axes, record: Record) -> None:
    axes.set_title("The clock by the sun")
    if not record.has("SWdown") or "latitude" not in record.place:
        say(axes, "no SWdown or no place")
        return
    course, zone = clock_course(record), standard_offset(record)
    axes.plot(
        course.day, course.utc_offset, marker="o", ms=3, lw=0.8, color=INK, label="16 days each"
    )
    if zone is not None:
        axes.axhline(zone, color=VERDICT_COLOURS["good"], lw=1.2, label="standard time")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, zone - 0.8), max(high, zone + 0.8))
    axes.set_ylabel("Hours from UTC")
    headroom(axes, 0.12)
    axes.legend(loc="upper left", ncols=2, fontsize=7.5)
    date_axis(axes)


def _draw_closure(axes: Axes, record: Record, examination: Examination) -> None:
    axes.set_title("Energy balance, measured steps")
    terms = balance(record) if record.has("Qle", "Qh", "Rnet") else None
    if terms is None:
        say(axes, "too few steps with Qle, Qh and Rnet measured")
        return
    available, turbulent, without = terms
    both = np.isfinite(available) & np.isfinite(turbulent)
    x, y = available[both], turbulent[both]
    low, high = np.quantile(np.concatenate([x, y]), (0.0005, 0.9995))
    axes.hexbin(
        x, y, gridsize=60, extent=(low, high, low, high), mincnt=1, bins="log", cmap="Greys",
        rasterized=True,
    )  # fmt: skip
    ends = np.array([low, high])
    axes.plot(ends, ends, color=FAINT, lw=0.9, ls="--")
    whole = next(row for row in examination.closure if row["season"] == "all")
    axes.plot(ends, float(whole["slope"]) * ends + float(whole["intercept"]), color="#d55e00")
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_xlabel("Rnet, no Qg (W m⁻²)" if without else "Rnet − Qg (W m⁻²)")
    axes.set_ylabel("Qle + Qh (W m⁻²)")
    lines = [f"{'':5}slope ratio"]
    lines += [
        f"{row['season']:5}{number(float(row['slope']), 2):>5} {number(float(row['ratio']), 2):>5}"
        for row in examination.closure
    ]
    axes.text(
        0.02, 0.98, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=7,
        family="monospace",
    )  # fmt: skip


def _draw_months(axes: Axes, record: Record) -> None:
    axes.set_title("Monthly means")
    month = record.time.astype("M8[M]")
    months, index = np.unique(month, return_inverse=True)
    for name, colour in (("Rnet", _RNET), ("Qle", FLUX_COLOURS["Qle"]), ("Qh", FLUX_COLOURS["Qh"])):
        if not record.has(name):
            continue
        values = record.series[name]
        good = np.isfinite(values)
        count = np.bincount(index[good], minlength=months.size)
        total = np.bincount(index[good], values[good], months.size)
        enough = count > 0.5 * np.bincount(index)
        mean = np.where(enough, total / np.maximum(count, 1), np.nan)
        axes.plot(months.astype("M8[D]") + 15, mean, color=colour, marker="o", ms=3, label=name)
    axes.axhline(0, color=FAINT, lw=0.7, zorder=0)
    axes.set_ylabel("All values (W m⁻²)")
    headroom(axes, 0.12)
    if axes.lines[:-1]:
        axes.legend(loc="upper left", ncols=3, fontsize=7.5)
    date_axis(axes)


def _draw_water(axes: Axes, record: Record) -> None:
    if not record.has("Precip", "Qle"):
        axes.set_title("Water since the start")
        say(axes, "no Precip or no Qle")
        return
    rain, latent = record.series["Precip"], record.series["Qle"]
    both = np.isfinite(rain) & np.isfinite(latent)
    share = "" if both.all() else f", {both.mean():.0%} of the steps"
    axes.set_title(f"Water where both are known{share}")
    last = slice(record.steps_per_day - 1, None, record.steps_per_day)
    for name, rate, colour in (
        ("precipitation", rain, _RAIN),
        ("evaporation", latent / _LATENT_HEAT, FLUX_COLOURS["Qle"]),
    ):
        total = np.cumsum(np.where(both, rate, 0.0)) * record.step_seconds
        axes.plot(record.time[last], total[last], color=colour, label=f"{name} {total[-1]:,.0f} mm")
    axes.set_ylabel("Sum (mm)")
    headroom(axes, 0.14)
    axes.legend(loc="upper left", fontsize=7.5)
    date_axis(axes)


def _findings(axes: Axes, examination: Examination) -> None:
    axes.set_axis_off()
    axes.set_title("Findings")
    lines: list[tuple[str, str, str]] = []
    for finding in examination.findings:
        wrapped = textwrap.wrap(finding.text, 150)
        lines.append((finding.severity, finding.check, wrapped[0]))
        lines += [("", "", more) for more in wrapped[1:]]
    shown, rest = lines[:15], len(lines) - 15
    if rest > 0:
        shown.append(("", "", f"… and {rest} lines more in findings.csv"))
    if not shown:
        shown = [("", "", "nothing")]
    colours = dict(
        zip(("remark", "warning", "serious", "fatal"), VERDICT_COLOURS.values(), strict=True)
    )
    for i, (severity, check, text) in enumerate(shown):
        y = 1.0 - (i + 0.5) / 16
        axes.text(0.0, y, severity, color=colours.get(severity, INK), fontsize=8, fontweight="bold")
        axes.text(0.055, y, check, color=INK, fontsize=8)
        axes.text(0.17, y, text, color=INK, fontsize=8)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
