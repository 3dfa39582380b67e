"""Puts values where a program looks for them: namelists, tables, NetCDF files, texts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

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
    patch: dict[str, dict[str, Any]] = {}
    for place, value in wanted:
        group, key = place.group.lower(), place.key.lower()
        if group not in lists:
            raise ModelError(f"{path.name}: no namelist &{group}; there are {', '.join(lists)}")
        if not isinstance(lists[group], f90nml.Namelist):
            raise ModelError(f"{path.name}: expected one namelist &{group}, found several")
        if key not in lists[group]:
            raise ModelError(
                f"{path.name}: &{group}: no {key}; there are {', '.join(lists[group])}; write "
                f"{key} into the template, with any value"
            )
        changed = patch.setdefault(group, {})
        there = changed.get(key, lists[group][key])
        array = list(there) if isinstance(there, list) else [there]
        if place.index is None:
            array = [value] * len(array)
        else:
            begins = lists[group].start_index.get(key, [1])
            if len(begins) > 1 or any(isinstance(x, list) for x in array):
                raise ModelError(
                    f"{path.name}: &{group} {key}: has several dimensions; values are put into "
                    "arrays of one"
                )
            first = 1 if begins[0] is None else int(begins[0])
            index = int(_resolve(place.index, values))
            if not first <= index < first + len(array):
                raise ModelError(
                    f"{path.name}: &{group} {key}: expected an element {index}, found those from "
                    f"{first} to {first + len(array) - 1}"
                )
            array[index - first] = value
        changed[key] = array if isinstance(there, list) else array[0]
    made = path.with_name(f"{path.name}.new")
    f90nml.patch(path, patch, made)
    _check_namelist(made, patch)
    made.replace(path)


def _check_namelist(path: Path, patch: Mapping[str, Mapping[str, Any]]) -> None:
    """Read again what was put: not all that Fortran reads can be changed in place."""
    import f90nml

    name = path.name.removesuffix(".new")
    try:
        lists = f90nml.read(path)
    except Exception:  # f90nml raises what it comes across in a broken file
        lists = {}
    for group, keys in patch.items():
        for key, value in keys.items():
            found = lists.get(group, {}).get(key, "something unreadable")
            if not _same(found, value):
                raise ModelError(
                    f"{name}: &{group} {key}: expected {value} once put, found {found}; write it "
                    "in the template once, on a line of its own, every element by itself: "
                    f"{key} = 1.0, 2.0, 3.0"
                )


def _same(found: object, wanted: object) -> bool:
    if isinstance(wanted, list):
        return (
            isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
        )
    if isinstance(wanted, float) and isinstance(found, int | float):
        return bool(np.isclose(found, wanted, rtol=1e-9, atol=0.0))
    return found == wanted


def _into_table(path: Path, place: InTable, value: Value, values: Mapping[str, Value]) -> None:
    lines = _read(path).splitlines(keepends=True)
    row, column = str(_resolve(place.row, values)), _resolve(place.column, values)
    headings = _cells(lines[0], place.separator) if lines else []
    if isinstance(column, str):
        names = [text.strip() for text, _, _ in headings]
        if column not in names:
            raise ModelError(f"{path.name}: no column {column!r}; there are {', '.join(names)}")
        column = names.index(column)
    split = [_cells(line, place.separator) for line in lines]
    rows = [i for i, cells in enumerate(split) if cells and cells[0][0].strip() == row]
    if len(rows) != 1:
        raise ModelError(
            f"{path.name}: expected one row that begins with {row!r}, found {len(rows)}"
        )
    (i,) = rows
    if not 0 <= int(column) < len(split[i]):
        raise ModelError(
            f"{path.name}: row {row!r} has {len(split[i])} cells, expected one at {column}"
        )
    _, begin, end = split[i][int(column)]
    lines[i] = lines[i][:begin] + _shown(value) + lines[i][end:]
    path.write_text("".join(lines), encoding="utf-8")


def _cells(line: str, separator: str | None) -> list[tuple[str, int, int]]:
    """Cells of a line and where they begin and end; between separators one may be empty."""
    if separator is None:
        return [(m.group(), m.start(), m.end()) for m in re.finditer(r"\S+", line)]
    cells, begin = [], 0
    for text in line.rstrip("\r\n").split(separator):
        cells.append((text, begin, begin + len(text)))
        begin += len(text) + len(separator)
    return cells


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
