"""Puts values where a program looks for them: namelists, tables, NetCDF files, texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import netCDF4
import numpy as np

from mdpl.errors import ConfigError, ModelError
from mdpl.files import NETCDF
from mdpl.lsm.executable.adapter import Adapter, InNamelist, InNetcdf, InTable, Place

Value = float | int | str
_HOLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def touched(adapter: Adapter) -> set[str]:
    """Files of the run folder that are written to, and so are copied instead of linked."""
    places = [p for entry in adapter.parameters.values() for p in entry.put]
    places += [p for setting in adapter.settings.values() for p in setting.put]
    return {_file(place) for place in places} | set(adapter.text)


def put_all(adapter: Adapter, folder: Path, values: Mapping[str, Value]) -> None:
    """Put parameters and settings into a run folder.

    Args:
        values: of every parameter and setting, by name.

    Raises:
        ModelError: a file or a place in it is not there; a text has a hole nobody fills.
    """
    named: list[tuple[Place, Value]] = []
    shown: dict[str, Value] = dict(values)
    for name, entry in adapter.parameters.items():
        shown[name] = float(values[name]) * entry.factor
        named += [(place, shown[name]) for place in entry.put]
    for name, setting in adapter.settings.items():
        named += [(place, values[name]) for place in setting.put]
    namelists: dict[str, list[tuple[InNamelist, Value]]] = {}
    for place, value in named:
        if isinstance(place, InNamelist):
            namelists.setdefault(place.namelist, []).append((place, value))
        elif isinstance(place, InTable):
            _into_table(folder / place.table, place, value, values)
        else:
            _into_netcdf(folder / place.netcdf, place, value)
    for name, wanted in namelists.items():
        _into_namelist(folder / name, wanted, values)
    for name in adapter.text:
        _fill(folder / name, shown)


def holes(texts: Iterable[str]) -> set[str]:
    """Names between double braces."""
    return {name for text in texts for name in _HOLE.findall(text)}


def _file(place: Place) -> str:
    if isinstance(place, InNamelist):
        return place.namelist
    return place.table if isinstance(place, InTable) else place.netcdf


def _fill(path: Path, values: Mapping[str, Value]) -> None:
    text = _read(path)
    unknown = sorted(holes([text]) - set(values))
    if unknown:
        raise ModelError(
            f"{path.name}: nothing fills {{{{{unknown[0]}}}}}; known: {', '.join(sorted(values))}"
        )
    path.write_text(_HOLE.sub(lambda hole: _shown(values[hole.group(1)]), text), encoding="utf-8")


def _into_namelist(
    path: Path, wanted: list[tuple[InNamelist, Value]], values: Mapping[str, Value]
) -> None:
    try:
        import f90nml
    except ImportError as error:
        raise ConfigError("namelists need f90nml: pip install 'mdpl[executable]'") from error
    _read(path)
    lists = f90nml.read(path)
    patch: dict[str, dict[str, object]] = {}
    for place, value in wanted:
        group, key = place.group.lower(), place.key.lower()
        if group not in lists:
            raise ModelError(f"{path.name}: no namelist &{group}; there are {', '.join(lists)}")
        changed = patch.setdefault(group, {})
        if place.index is None:
            changed[key] = value
            continue
        there = changed.get(key, lists[group].get(key))
        array = list(there) if isinstance(there, list) else [there]
        index = int(_resolve(place.index, values))
        if there is None or not 1 <= index <= len(array):
            raise ModelError(
                f"{path.name}: &{group} {key}: expected an element {index}, found "
                f"{0 if there is None else len(array)} elements"
            )
        array[index - 1] = value
        changed[key] = array
    made = path.with_name(f"{path.name}.new")
    f90nml.patch(path, patch, made)
    made.replace(path)


def _into_table(path: Path, place: InTable, value: Value, values: Mapping[str, Value]) -> None:
    lines = _read(path).splitlines(keepends=True)
    row, column = str(_resolve(place.row, values)), _resolve(place.column, values)
    headings = _cells(lines[0], place.separator) if lines else []
    if isinstance(column, str):
        names = [text.strip() for text, _, _ in headings]
        if column not in names:
            raise ModelError(f"{path.name}: no column {column!r}; there are {', '.join(names)}")
        column = names.index(column)
    for i, line in enumerate(lines):
        cells = _cells(line, place.separator)
        if cells and cells[0][0].strip() == row:
            if not 0 <= int(column) < len(cells):
                raise ModelError(
                    f"{path.name}: row {row!r} has {len(cells)} cells, expected one at {column}"
                )
            _, begin, end = cells[int(column)]
            lines[i] = line[:begin] + _shown(value) + line[end:]
            path.write_text("".join(lines), encoding="utf-8")
            return
    raise ModelError(f"{path.name}: no row that begins with {row!r}")


def _cells(line: str, separator: str | None) -> list[tuple[str, int, int]]:
    """Cells of a line and where they begin and end."""
    found = r"\S+" if separator is None else f"[^{re.escape(separator)}\r\n]+"
    return [(m.group(), m.start(), m.end()) for m in re.finditer(found, line)]


def _into_netcdf(path: Path, place: InNetcdf, value: Value) -> None:
    _read(path, text=False)
    with NETCDF, netCDF4.Dataset(path, "r+") as file:
        if place.variable not in file.variables:
            raise ModelError(
                f"{path.name}: no variable {place.variable!r}; there are "
                f"{', '.join(file.variables)}"
            )
        variable = file.variables[place.variable]
        absent = [name for name in place.at if name not in variable.dimensions]
        if absent:
            raise ModelError(
                f"{path.name}: {place.variable} has no dimension {absent[0]!r}; it has "
                f"{', '.join(variable.dimensions)}"
            )
        where = tuple(place.at.get(name, slice(None)) for name in variable.dimensions)
        variable[where or ...] = np.asarray(value, dtype=variable.dtype)


def _resolve(named: int | str, values: Mapping[str, Value]) -> Value:
    """A number or text as it stands, or what a setting of that name says."""
    return values[named] if isinstance(named, str) and named in values else named


def _shown(value: Value) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _read(path: Path, text: bool = True) -> str:
    try:
        return path.read_text(encoding="utf-8") if text else str(path.stat().st_size)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{path.name}: expected in the template folder, to put values into ({error})"
        ) from error
