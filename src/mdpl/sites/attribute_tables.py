"""Soil, vegetation fractions and heights of towers from a user's tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from mdpl.errors import SiteError
from mdpl.sites.site import Site

NAMES = {
    "sand": "sand",
    "silt": "silt",
    "clay": "clay",
    "bd": "bulk_density",
    "bulk_density": "bulk_density",
    "soc": "soil_carbon",
    "soil_carbon": "soil_carbon",
    "soil_depth": "soil_depth",
    "canopy height": "canopy_height",
    "canopy_height": "canopy_height",
    "z_canopy": "canopy_height",
    "reference height": "reference_height",
    "reference_height": "reference_height",
    "z_obs": "reference_height",
}
"""Column or variable -> attribute: sand, silt, clay and soil_carbon in %, bulk_density in
g cm-3, soil_depth in cm, heights in m; ``pft0`` to ``pft15`` (%) become ``pft_0`` ..."""

LIMITS = {
    **dict.fromkeys(("sand", "silt", "clay", "soil_carbon"), (0.0, 100.0)),
    "bulk_density": (0.02, 2.6),
    "soil_depth": (0.0, 5000.0),
    "canopy_height": (0.01, 120.0),
    "reference_height": (0.1, 250.0),
}
HEIGHTS = ("canopy_height", "reference_height")
_SITE = ("site", "site_name", "site_id", "code")
_PFT = re.compile(r"pft_?(\d{1,2})")


def read_attributes(path: Path) -> dict[str, dict[str, float]]:
    """Attributes by tower from a CSV, or all those of a folder.

    Two forms are known, each with a column of tower codes: one row a tower, a column an attribute;
    or columns ``variable`` and ``value``. What is no number (a depth, a source) is passed over, the
    first number of a tower's attribute counts.

    Raises:
        SiteError: nothing there, a table that cannot be read, or a number that cannot be.
    """
    paths = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not paths:
        raise SiteError(f"{path}: expected tables (*.csv) of attributes; found none")
    found: dict[str, dict[str, float]] = {}
    known = False
    for table in paths:
        for code, name, value in _entries(table):
            known = True
            low, high = LIMITS.get(name, (0.0, 100.0))
            if not low <= value <= high:
                raise SiteError(
                    f"{table}: {code}: {name}: expected {low:g} to {high:g}, found {value:g}"
                )
            found.setdefault(code, {}).setdefault(name, value)
    if not known:
        raise SiteError(
            f"{path}: expected columns site and some of {', '.join(sorted(set(NAMES)))}, pft0 …, "
            "or site, variable and value; found none of these"
        )
    return found


def with_attributes(sites: Sequence[Site], tables: Mapping[str, Mapping[str, float]]) -> list[Site]:
    """Towers that know what the tables say; what these lack for a tower is imputed.

    Every tower gets every attribute that one of them has: its own, or the median of the towers in
    the tables of its class here, or of all in them. ``attributes["imputed"]`` names those. Heights
    are taken where the tower's files had none, and never imputed.
    """
    names = sorted({n for s in sites for n in tables.get(s.code, {})} - set(HEIGHTS))
    classes = {s.code: s.pft for s in sites}
    return [_with(site, tables, names, classes) for site in sites]


def _with(
    site: Site,
    tables: Mapping[str, Mapping[str, float]],
    names: Sequence[str],
    classes: Mapping[str, str],
) -> Site:
    own = tables.get(site.code, {})
    new: dict[str, float | str] = {}
    imputed = []
    for name in names:
        if name in own:
            new[name] = own[name]
            continue
        alike = [t[name] for c, t in tables.items() if name in t and classes.get(c) == site.pft]
        others = [t[name] for t in tables.values() if name in t]
        new[name] = float(np.median(alike or others))
        imputed.append(name)
    for name in HEIGHTS:
        if name in own and site.attributes.get(f"{name}_source") != "file":
            new |= {name: own[name], f"{name}_source": "table"}
    new["imputed"] = ", ".join(imputed) or "nothing"
    return replace(site, attributes={**site.attributes, **new})


def _entries(table: Path) -> list[tuple[str, str, float]]:
    try:
        frame = pd.read_csv(table, dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise SiteError(f"{table}: cannot be read as a table: {str(error)[:200]}") from error
    frame = frame.rename(columns=lambda c: str(c).strip())
    codes = next((c for c in frame.columns if c.lower() in _SITE), None)
    if codes is None:
        return []
    if {"variable", "value"} <= set(frame.columns):
        rows = [(c, v, x) for c, v, x in frame[[codes, "variable", "value"]].to_numpy()]
    else:
        rows = [
            (c, name, x)
            for name in frame.columns
            if name != codes
            for c, x in frame[[codes, name]].to_numpy()
        ]
    found = []
    for code, name, text in rows:
        ours, value = _name(str(name)), _number(text)
        if ours is not None and value is not None and isinstance(code, str):
            found.append((code.strip(), ours, value))
    return found


def _name(name: str) -> str | None:
    match = _PFT.fullmatch(name.strip())
    return f"pft_{int(match[1])}" if match else NAMES.get(name.strip())


def _number(text: object) -> float | None:
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
