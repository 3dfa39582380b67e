"""Colours, fonts and small helpers all figures share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from mdpl.sites.site import UNITS

OBSERVED, DEFAULT, LEARNT, WORSE = "#111417", "#8692a6", "#00857c", "#d55e00"
INK, FAINT, GRID = "#2b3440", "#6b7685", "#dfe4ea"

FLUX_COLOURS = {"Qle": "#0072b2", "Qh": "#cc6677", "GPP": "#999933", "NEE": "#882255"}
PFT_COLOURS = (
    "#332288",
    "#cc6677",
    "#ddaa33",
    "#3f9fd6",
    "#882255",
    "#999933",
    "#aa4499",
    "#661100",
    "#6699cc",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "<", ">", "h", "d")

STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#aab3be",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": "#aab3be",
    "ytick.color": "#aab3be",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "mdpl",
    "pdf.fonttype": 3,
}
"""Used through ``matplotlib.rc_context`` while a report is drawn."""

NAMES = {
    "Qle": "latent heat Qle",
    "Qh": "sensible heat Qh",
    "GPP": "gross primary production GPP",
    "NEE": "net ecosystem exchange NEE",
}


DASH = "–"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

WIDTH = 4.8
"""Inches; narrow, so that text stays legible where a phone shrinks the figure."""

NAMED_TOWERS = 14
"""Above this number of towers, figures show PFTs instead of naming each tower."""


@dataclass(frozen=True)
class Plot:
    """A finished figure.

    Attributes:
        name: stem of its files in ``figures/``.
        caption: what is shown: period, mask, variant and n.
        alt: the figure in a few words, for those who cannot see it.
        raster: inline as PNG instead of SVG (many marks).
        wide: keep it legible on a phone by scrolling instead of shrinking.
    """

    name: str
    figure: Figure
    caption: str
    alt: str
    raster: bool = False
    wide: bool = False


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` significant digits, a true minus sign, a dash for NaN."""
    if not np.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    size = int(exponent)
    if -4 < size < 6:
        return f"{value:,.{max(0, digits - 1 - size)}f}".replace("-", "−")
    raised = str(size).translate(SUPERSCRIPT)
    return f"{mantissa}×10{raised}".replace("-", "−")


def percent(fraction: float) -> str:
    """A fraction as a signed percentage; small ones keep a digit more."""
    if not np.isfinite(fraction):
        return DASH
    digits = 1 if abs(fraction) >= 0.001 or fraction == 0 else 2
    return f"{100 * fraction:+.{digits}f} %".replace("-", "−")


def sentence(text: str) -> str:
    """With a capital first letter, the rest as it is (Qle stays Qle)."""
    return text[:1].upper() + text[1:]


def units(flux: str) -> str:
    """Units as text for axes, such as ``W m⁻²``."""
    return pretty(UNITS.get(flux, ""))


def pretty(unit: str) -> str:
    """A unit with raised exponents: ``W m-2`` becomes ``W m⁻²``; none for pure numbers."""
    if unit in ("1", "-"):
        return ""
    raised = re.sub(r"(?<=[A-Za-z])-?[0-9]\b", lambda power: power[0].translate(SUPERSCRIPT), unit)
    return re.sub(r"\bumol\b", "µmol", raised)


def flux_label(flux: str) -> str:
    return f"{flux} ({units(flux)})" if units(flux) else flux


def long_name(flux: str) -> str:
    return NAMES.get(flux, flux)


def flux_colour(flux: str) -> str:
    return FLUX_COLOURS.get(flux, "#555555")


def pft_colours(pfts: Iterable[str]) -> dict[str, str]:
    """A colour for each PFT, the same whatever the order of the towers."""
    return {
        pft: PFT_COLOURS[i % len(PFT_COLOURS)] for i, pft in enumerate(sorted(set(map(str, pfts))))
    }


def pft_handles(pfts: Iterable[str], prefix: str = "") -> list[Line2D]:
    """Legend entries of PFTs."""
    return [handle("o", colour, prefix + pft) for pft, colour in pft_colours(pfts).items()]


def count(values: ArrayLike, what: str) -> str:
    """``n = 1 tower`` or ``n = 90 to 120 months a tower``, of ``towers``, ``months a tower``."""
    low, high = int(np.min(values)), int(np.max(values))
    if high == 1:
        noun, _, rest = what.partition(" ")
        what = f"{noun.removesuffix('s')} {rest}".strip()
    return f"n = {low:,} {what}" if low == high else f"n = {low:,} to {high:,} {what}"


def place_labels(axes: Axes, x: ArrayLike, y: ArrayLike, texts: Sequence[str]) -> None:
    """Label points so that no label covers another label or a marker drawn so far; else leave it
    out of the way.

    Greedy: each label takes the nearest free place around its point.
    """
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    points = axes.transData.transform(np.column_stack([x, y]))
    drawn = [line.get_xydata() for line in axes.lines if line.get_marker() != "None"]
    markers = np.concatenate([points, *map(axes.transData.transform, drawn)])
    taken = [(px - 4, py - 4, px + 4, py + 4) for px, py in markers]
    frame = axes.get_window_extent(renderer)
    scale = figure.dpi / 72.0
    steps = [(dx, dy) for radius in (7, 14, 22, 32, 44) for dx, dy in _around(radius)]
    for (px, py), text in sorted(zip(points, texts, strict=True), key=lambda item: -item[0][1]):
        label = axes.annotate(
            text, (0, 0), xycoords="figure pixels", fontsize=7.5, color=INK, annotation_clip=False
        )
        box = label.get_window_extent(renderer)
        best, fewest = steps[0], np.inf
        for dx, dy in steps:
            left = px + dx * scale - (box.width if dx < 0 else box.width / 2 if dx == 0 else 0)
            low = py + dy * scale - box.height / 2
            place = (left, low, left + box.width, low + box.height)
            outside = place[0] < frame.x0 or place[2] > frame.x1
            outside |= place[1] < frame.y0 or place[3] > frame.y1
            clashes = sum(_overlap(place, other) for other in taken) + 2 * outside
            if clashes < fewest:
                best, fewest, chosen = (dx, dy), clashes, place
            if clashes == 0:
                break
        label.remove()
        taken.append(chosen)
        dx, dy = best
        far = np.hypot(dx, dy) > 15
        axes.annotate(
            text,
            tuple(axes.transData.inverted().transform((px, py))),
            xytext=best,
            textcoords="offset points",
            ha="right" if dx < 0 else "center" if dx == 0 else "left",
            va="center",
            fontsize=7.5,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5} if far else None,
        )


def _around(radius: float) -> list[tuple[float, float]]:
    directions = sorted(product((1, -1, 0), (0, 1, -1)), key=lambda d: (d[0] == 0, abs(d[1])))
    return [(radius * dx, radius * dy) for dx, dy in directions if (dx, dy) != (0, 0)]


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def handle(marker: str, colour: str, label: str, hollow: bool = False) -> Line2D:
    """An entry of a legend."""
    face = "white" if hollow else colour
    return Line2D([], [], marker=marker, ls="none", ms=6, mfc=face, mec=colour, label=label)
