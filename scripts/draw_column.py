"""Draw the column, its stores and its fluxes: docs/images/column.svg.

Usage: python scripts/draw_column.py [--out FILE.svg]

Depths are read from the model; a process file that no longer exists stops the drawing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, FancyBboxPatch, Polygon, Rectangle

from mdpl.lsm import matsiro
from mdpl.lsm.matsiro.constants import SOIL_INTERFACE
from mdpl.report.style import FAINT, INK, STYLE

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "column.svg"
SUN, TERRESTRIAL, TURBULENT = "#dda21d", "#c8553d", "#00857c"
WATER, HEAT = "#1666a8", "#a8324f"
LEAF, TRUNK, ICE = "#8dbb7d", "#8a6d52", "#eef5fb"
SOILS = ("#d9c3a3", "#cdb28d", "#bd9f79", "#ad8d68", "#9a7a58")
LEFT, RIGHT, DEEPEST = 1.2, 10.4, -4.4
SNOW_FROM, SNOW_TO = 7.25, 9.85

PROCESSES = (
    (6.45, "Forcing", "forcing.py  atmosphere.py"),
    (5.50, "Radiation in the canopy", "radiation.py"),
    (4.55, "Turbulent exchange", "turbulence.py  fluxes.py"),
    (3.60, "Photosynthesis, stomata, respiration", "stomata.py  respiration.py"),
    (2.65, "Water on leaves", "canopy_water.py"),
    (1.70, "Surface temperatures, solved jointly", "energy.py  newton.py  setting.py"),
    (0.75, "Snow, up to three layers", "snow.py  snow_albedo.py"),
    (-0.85, "Soil heat, water and ice", "soil.py  texture.py"),
    (-2.15, "Irrigation, water table (optional)", "supply.py"),
    (-3.45, "Surface runoff, base flow", "runoff.py"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PICTURE)
    chosen = parser.parse_args()
    check_files()
    with matplotlib.rc_context(STYLE):
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        picture().savefig(chosen.out, metadata={"Date": None}, dpi=150)
    print(chosen.out)


def check_files() -> None:
    """Stop if a file named in the picture is not in the package."""
    folder = Path(next(iter(matsiro.__path__)))
    named = [name for _, _, files in PROCESSES for name in files.split()]
    if gone := [name for name in named if not (folder / name).is_file()]:
        raise SystemExit(f"no longer in {folder.name}: {', '.join(gone)}; mend PROCESSES")


def picture() -> Figure:
    figure = Figure(figsize=(8.4, 6.6))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(-0.45, 15.9), ylim=(-5.35, 7.1))
    axes.set_axis_off()
    draw_soil(axes)
    draw_canopy(axes)
    draw_snow(axes)
    draw_radiation(axes)
    draw_turbulence(axes)
    draw_water(axes)
    draw_heat(axes)
    draw_processes(axes)
    draw_key(axes)
    return figure


def draw_soil(axes: Axes) -> None:
    """Layers, not to scale, with the depths of their interfaces."""
    edges = np.linspace(0.0, DEEPEST, len(SOIL_INTERFACE))
    for top, bottom, colour in zip(edges[:-1], edges[1:], SOILS, strict=True):
        axes.add_patch(
            Rectangle(
                (LEFT, bottom), RIGHT - LEFT, top - bottom, fc=colour, ec="white", lw=1.2, zorder=1
            )
        )
    for edge, depth in zip(edges, SOIL_INTERFACE, strict=True):
        label(axes, LEFT - 0.12, edge, f"{depth:.3g} m", ha="right", color=FAINT, fontsize=7.5)
    note = "depth, not to scale"
    label(axes, -0.2, DEEPEST / 2, note, rotation=90, color=FAINT, fontsize=7)
    axes.plot([LEFT, RIGHT], [0, 0], color=TRUNK, lw=1.6, zorder=3)


def draw_canopy(axes: Axes) -> None:
    for x, top, wide in ((3.1, 3.85, 1.6), (5.65, 3.8, 1.6), (4.35, 4.35, 2.1)):
        trunk = Polygon(
            [(x - 0.09, 0), (x + 0.09, 0), (x + 0.05, 2.6), (x - 0.05, 2.6)], fc=TRUNK, zorder=2
        )
        axes.add_patch(trunk)
        axes.add_patch(Ellipse((x, top - 0.95), wide, 1.9, fc=LEAF, ec="white", lw=1, zorder=3))
        for bend, depth in ((-0.36, -1.35), (-0.14, -1.78), (0.16, -1.6), (0.38, -1.15)):
            down = np.linspace(0, 1, 30)
            axes.plot(x + bend * down**0.7, depth * down, color=TRUNK, lw=1.3, alpha=0.8, zorder=2)
    label(axes, 4.35, 3.4, "canopy:\ntemperature,\nwater, leaf CO₂", fontsize=7.2)


def draw_snow(axes: Axes) -> None:
    for bottom in (0.0, 0.36, 0.72):
        axes.add_patch(
            FancyBboxPatch(
                (SNOW_FROM, bottom),
                SNOW_TO - SNOW_FROM,
                0.36,
                boxstyle="round,pad=0,rounding_size=0.06",
                fc=ICE,
                ec="#9db8d2",
                lw=0.9,
                zorder=3,
            )
        )
    middle = (SNOW_FROM + SNOW_TO) / 2
    label(axes, middle, 0.54, "snow: mass, temperature", fontsize=7)


def draw_radiation(axes: Axes) -> None:
    arrow(axes, (1.55, 6.7), (1.55, 4.7), SUN)
    arrow(axes, (2.0, 4.7), (2.0, 6.2), SUN, 1.3)
    arrow(axes, (2.55, 6.7), (2.55, 4.7), TERRESTRIAL)
    arrow(axes, (3.0, 4.7), (3.0, 6.2), TERRESTRIAL, 1.8)
    label(axes, 1.77, 6.88, "shortwave", color=SUN, fontsize=7.5)
    label(axes, 2.95, 6.88, "longwave", color=TERRESTRIAL, fontsize=7.5)
    arrow(axes, (1.77, 4.5), (1.77, 0.1), SUN, 1.3)
    label(axes, 1.68, 2.3, "through the gaps", color=SUN, fontsize=7, rotation=90, ha="right")


def draw_turbulence(axes: Axes) -> None:
    wavy(axes, 4.1, 4.5, 6.2)
    wavy(axes, 4.75, 4.5, 6.2)
    label(axes, 4.42, 6.45, "Qh    Qle", color=TURBULENT, fontsize=8)
    wavy(axes, 6.9, 0.15, 1.6)
    label(axes, 6.9, 1.8, "Qh, Qle\nsoil", color=TURBULENT, fontsize=7, va="bottom")
    wavy(axes, 9.35, 1.2, 2.3)
    label(axes, 9.35, 2.5, "Qh, Qle\nsnow", color=TURBULENT, fontsize=7, va="bottom")
    arrow(axes, (5.75, 5.75), (5.75, 4.15), LEAF, 2.2)
    label(axes, 5.75, 5.95, "GPP", color="#4c8b3f", fontsize=8)
    arrow(axes, (6.35, 3.5), (6.35, 5.1), LEAF, 1.4)
    label(axes, 6.35, 5.3, "respiration", color="#4c8b3f", fontsize=7)


def draw_water(axes: Axes) -> None:
    arrow(axes, (7.55, 6.6), (7.55, 4.6), WATER)
    label(axes, 7.55, 6.8, "rain", color=WATER, fontsize=7.5)
    for y in (6.4, 5.4, 4.4, 3.4, 2.4):
        axes.plot(8.45, y, marker=(6, 2, 0), color=WATER, ms=7, zorder=4)
    arrow(axes, (8.45, 2.2), (8.45, 1.15), WATER)
    label(axes, 8.45, 6.8, "snow", color=WATER, fontsize=7.5)
    arrow(axes, (4.75, 2.2), (4.75, 0.1), WATER)
    label(axes, 4.83, 1.15, "drip", color=WATER, fontsize=7, ha="left")
    arrow(axes, (3.73, -1.75), (3.73, -0.15), WATER, 1.6)
    label(axes, 3.73, -1.95, "uptake by roots", color=WATER, fontsize=7)
    arrow(axes, (6.2, 0.05), (6.2, -1.2), WATER)
    label(axes, 6.28, -0.66, "infiltration", color=WATER, fontsize=7, ha="left")
    arrow(axes, (8.1, 0.0), (8.1, -0.75), WATER)
    label(axes, 8.18, -0.45, "melt", color=WATER, fontsize=7, ha="left")
    arrow(axes, (6.2, -1.9), (6.2, -3.1), WATER, 1.6, both=True)
    label(axes, 6.28, -2.5, "Richards flow", color=WATER, fontsize=7, ha="left")
    arrow(axes, (9.2, -0.25), (10.85, -0.25), WATER)
    label(axes, 10.3, -0.5, "surface runoff", color=WATER, fontsize=7, ha="right")
    arrow(axes, (9.0, -3.95), (10.85, -3.95), WATER)
    label(axes, 10.3, -4.2, "base flow", color="white", fontsize=7, ha="right")


def draw_heat(axes: Axes) -> None:
    arrow(axes, (2.0, -0.1), (2.0, -1.2), HEAT, both=True)
    label(axes, 2.08, -0.66, "Qg", color=HEAT, fontsize=7.5, ha="left")
    arrow(axes, (2.0, -1.9), (2.0, -3.1), HEAT, 1.6, both=True)
    label(axes, 2.08, -2.5, "conduction", color=HEAT, fontsize=7, ha="left")
    arrow(axes, (7.6, 0.15), (7.6, -0.75), HEAT, 1.6, both=True)
    text = "each layer: temperature, water, ice"
    label(axes, (LEFT + RIGHT) / 2, -3.95, text, color="white", fontsize=7.5)


def draw_processes(axes: Axes) -> None:
    """What happens at each height, and the file it is in."""
    for y, process, files in PROCESSES:
        axes.plot([11.15, 11.15], [y - 0.42, y + 0.28], color="#aab3be", lw=1.6)
        label(axes, 11.32, y + 0.12, process, ha="left", fontsize=7.8, weight="bold")
        label(axes, 11.32, y - 0.26, files, ha="left", fontsize=7, color=FAINT, family="monospace")


def draw_key(axes: Axes) -> None:
    kinds = (
        ("shortwave", SUN),
        ("longwave", TERRESTRIAL),
        ("turbulent heat", TURBULENT),
        ("water", WATER),
        ("heat in soil and snow", HEAT),
        ("carbon", LEAF),
    )
    lines = [Line2D([], [], color=colour, lw=2.4, label=name) for name, colour in kinds]
    axes.legend(handles=lines, loc="lower center", ncols=6, fontsize=7.8, handlelength=1.4)


def arrow(
    axes: Axes,
    tail: tuple[float, float],
    head: tuple[float, float],
    colour: str,
    width: float = 2.2,
    both: bool = False,
) -> None:
    shape: dict = {"arrowstyle": "<|-|>" if both else "-|>", "color": colour, "lw": width}
    shape |= {"mutation_scale": 6 + 2.5 * width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", head, tail, arrowprops=shape, zorder=5)


def wavy(axes: Axes, x: float, low: float, high: float) -> None:
    """A turbulent flux, upward."""
    y = np.linspace(low, high - 0.25, 80)
    axes.plot(x + 0.09 * np.sin(2 * np.pi * (y - low) / 0.5), y, color=TURBULENT, lw=1.8, zorder=4)
    arrow(axes, (x, high - 0.3), (x, high), TURBULENT, 1.8)


def label(axes: Axes, x: float, y: float, text: str, **look: object) -> None:
    style: dict = {"ha": "center", "va": "center", "color": INK, "zorder": 6, **look}
    axes.text(x, y, text, **style)


if __name__ == "__main__":
    main()
