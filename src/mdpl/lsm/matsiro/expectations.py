"""What the literature says of the column's parameters: published values, and expected directions.

A leaf-level value is no target for a column's effective parameter; it says what would surprise.
Parameters that are not here have no published value that can be compared with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Published:
    """A published range of a parameter.

    Attributes:
        igbp: classes it holds for; empty: all.
        kind: ``measured``, or ``models`` for the values other land models use.
    """

    parameter: str
    lower: float
    upper: float
    source: str
    kind: Literal["measured", "models"] = "measured"
    igbp: tuple[str, ...] = ()


@dataclass(frozen=True)
class Direction:
    """How a parameter should change with an attribute over towers.

    Attributes:
        sign: +1 if it should rise with the attribute, -1 if it should fall.
        why: the reason in a few words.
    """

    parameter: str
    attribute: str
    sign: Literal[1, -1]
    why: str
    source: str


_KATTGE = "mean ± 2 SD of the class, Kattge et al. (2009), doi:10.1111/j.1365-2486.2008.01744.x"


def _vmax(mean: float, sd: float, *igbp: str) -> Published:
    return Published("vmax", max(mean - 2 * sd, 0.0), mean + 2 * sd, _KATTGE, "measured", igbp)


PUBLISHED = (
    # Temperate broadleaf evergreen trees; those of the tropics are lower (29.0 on poor soils).
    _vmax(61.4, 27.7, "EBF"),
    _vmax(57.7, 21.2, "DBF"),
    _vmax(62.5, 24.7, "ENF"),
    _vmax(39.1, 11.7, "DNF"),
    # Deciduous shrubs; evergreen ones are a little higher (61.7).
    _vmax(54.0, 14.5, "OSH", "CSH"),
    _vmax(78.2, 31.1, "GRA"),
    _vmax(100.7, 36.6, "CRO"),
    Published(
        "bb_slope",
        4.0,
        9.0,
        "4 (C4) to 9 (C3), SiB2, Sellers et al. (1996); leaves differ by more than 100 %, Miner et "
        "al. (2017), doi:10.1111/pce.12871",
        "models",
    ),
    Published("bb_intercept", 0.01, 0.04, "C3 and C4, SiB2, Sellers et al. (1996)", "models"),
    Published("t_high", 303.0, 313.0, "classes of SiB2, Sellers et al. (1996)", "models"),
    Published(
        "leaf_nir",
        0.35,
        0.58,
        "needles to grass, Dorman and Sellers (1989), "
        "doi:10.1175/1520-0450(1989)028<0833:AGCOAR>2.0.CO;2",
        "models",
    ),
    Published(
        "canopy_capacity",
        0.1,
        0.2,
        "0.1 mm (Dickinson et al. 1993, BATS) to 0.2 mm (Noilhan and Planton 1989) a leaf area",
        "models",
    ),
    Published(
        "soil_b",
        2.3,
        15.1,
        "sand minus SD to clay plus SD, Clapp and Hornberger (1978), doi:10.1029/WR014i004p00601",
    ),
    Published(
        "soil_conductivity",
        0.10,
        0.32,
        "dry soil of 1100 to 1700 kg m-3 ± 20 %, Johansen (1975) as in Peters-Lidard et al. "
        "(1998), doi:10.1175/1520-0469(1998)055<1209:TEOSTC>2.0.CO;2",
    ),
)
"""Published ranges; where a class is not named, none is known for it."""

DIRECTIONS = (
    Direction(
        "vmax",
        "aridity",
        1,
        "dry air narrows the stomata, and capacity makes up for it",
        "Prentice et al. (2014), doi:10.1111/ele.12211",
    ),
    Direction(
        "vmax",
        "Tair_mean",
        -1,
        "at 298 K, warm-grown leaves need less capacity",
        "Smith et al. (2019), doi:10.1111/ele.13210",
    ),
    Direction(
        "bb_slope",
        "aridity",
        -1,
        "where water is dear, less is spent on carbon",
        "Medlyn et al. (2011), doi:10.1111/j.1365-2486.2010.02375.x; Lin et al. (2015), "
        "doi:10.1038/nclimate2550",
    ),
    Direction(
        "bb_slope",
        "Tair_mean",
        1,
        "warm-grown leaves spend water more freely",
        "Lin et al. (2015), doi:10.1038/nclimate2550",
    ),
    Direction(
        "t_high",
        "Tair_mean",
        1,
        "photosynthesis acclimates to the temperature it grows at",
        "Kattge and Knorr (2007), doi:10.1111/j.1365-3040.2007.01690.x",
    ),
    Direction(
        "psi_stress",
        "aridity",
        1,
        "plants of dry places stand drier soil",
        "Choat et al. (2012), doi:10.1038/nature11688",
    ),
    Direction(
        "root_depth",
        "aridity",
        1,
        "roots go deeper where water is short",
        "Schenk and Jackson (2002), doi:10.1890/0012-9615(2002)072[0311:TGBOR]2.0.CO;2",
    ),
    Direction(
        "ground_albedo",
        "aridity",
        1,
        "dry ground is brighter",
        "Idso et al. (1975), doi:10.1175/1520-0450(1975)014<0109:TDOBSA>2.0.CO;2",
    ),
    Direction(
        "soil_b",
        "clay",
        1,
        "fine pores hold water more firmly",
        "Cosby et al. (1984), doi:10.1029/WR020i006p00682",
    ),
)
"""Expected over towers, all else equal, which it never is: a hint, not a law."""


def published(parameter: str, igbp: str) -> Published | None:
    """The range that holds for a parameter at a tower of a class; None if none is known."""
    for known in PUBLISHED:
        if known.parameter == parameter and (not known.igbp or igbp in known.igbp):
            return known
    return None
