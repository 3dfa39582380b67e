"""Towers by code: from a folder of records in any known form, or those that come with MdPL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from mdpl.errors import SiteError
from mdpl.sites import leaf_area, plumber2, plumber2_record
from mdpl.sites.ameriflux import is_base, read_base
from mdpl.sites.completing import complete, cut
from mdpl.sites.csv_files import code_of, header
from mdpl.sites.fluxnet import is_fluxnet, read_fluxnet
from mdpl.sites.mapped import read_mapped, read_mapping
from mdpl.sites.places import TABLE, read_places
from mdpl.sites.record import Record
from mdpl.sites.site import Site

EMBEDDED = Path(__file__).parent / "embedded"
"""Folder of the towers that come with the package; NOTICE.md there has licences and citations."""

Form = Literal["PLUMBER2", "FLUXNET", "BASE", "mapped"]
_READERS = {"FLUXNET": read_fluxnet, "BASE": read_base, "mapped": read_mapped}
_OUR_TABLES = (TABLE, leaf_area.TABLE)


@dataclass(frozen=True)
class Tower:
    """Where a tower's record lies, not yet read.

    Attributes:
        code: tower code.
        form: what kind of files.
        paths: met and flux file of a PLUMBER2 pair, else the table or its mapping.
        place: what tables beside the records say of the place.
    """

    code: str
    form: Form
    paths: tuple[Path, ...]
    place: dict[str, float | str] = field(default_factory=dict)

    def record(self) -> Record:
        """The record as it is, for checking.

        Raises:
            SiteError: files that cannot be read.
        """
        if self.form == "PLUMBER2":
            found = plumber2_record.read_record(*self.paths)
        else:
            found = _READERS[self.form](self.paths[0])
        return cut(replace(found, place={**found.place, **self.place}))

    def site(self) -> Site:
        """The tower ready for a land model.

        Raises:
            SiteError: anything `mdpl.sites.plumber2.read_pair` or
                `mdpl.sites.completing.complete` refuses.
        """
        if self.form == "PLUMBER2":
            return plumber2.read_pair(*self.paths)
        record = self.record()
        return complete(record, *_given_leaf_area(self.paths[0].parent, record))


def open_sites(folder: Path | None = None, codes: Sequence[str] | None = None) -> list[Site]:
    """Open towers, checked.

    Args:
        folder: records, in any form `find_towers` knows; None means the embedded towers.
        codes: which towers, in this order; None means all, sorted by code.

    Raises:
        SiteError: an unknown code (the message lists those available), a code given twice, or
            anything the readers refuse.
    """
    return [tower.site() for tower in find_towers(folder, codes)]


def find_towers(folder: Path | None = None, codes: Sequence[str] | None = None) -> list[Tower]:
    """The towers of a folder, by what lies in it.

    - ``*_Met.nc`` with ``*_Flux.nc``: PLUMBER2;
    - ``*.csv`` or ``*.txt`` with a FLUXNET header (FLUXNET2015, FLUXNET-1F, ICOS);
    - such with the header of AmeriFlux BASE or of the European Fluxes Database;
    - ``*.yaml``: mappings of any other table.

    Places come from ``sites.csv`` or BADM tables there, leaf area from ``lai.csv``.

    Raises:
        SiteError: no folder, nothing in it, two records of a tower, an unknown code, or a code
            given twice.
    """
    twice = sorted({code for code in codes or () if list(codes or ()).count(code) > 1})
    if twice:
        raise SiteError(f"towers asked for twice: {', '.join(twice)}; name each once")
    if codes is not None and not codes:
        raise SiteError("no towers asked for: expected at least one code, or None for all")
    folder = EMBEDDED if folder is None else Path(folder)
    tables = _tables(folder) if folder.is_dir() else {}
    if not tables or any(folder.glob("[!.]*_Met.nc")) or any(folder.glob("[!.]*_Flux.nc")):
        wanted = None if codes is None else [c for c in codes if c not in tables]
        if wanted is None or wanted:
            for code, pair in plumber2.find_pairs(folder, wanted).items():
                if code in tables:
                    raise SiteError(
                        f"{folder}: expected one record of {code}, found {pair[0].name} and "
                        f"{tables[code].paths[0].name}; keep one"
                    )
                tables[code] = Tower(code, "PLUMBER2", pair)
    for code in codes or ():
        if code not in tables:
            available = ", ".join(sorted(tables))
            raise SiteError(f"no tower {code!r} in {folder}; available: {available}")
    return [tables[code] for code in (codes or sorted(tables))]


def _tables(folder: Path) -> dict[str, Tower]:
    places = read_places(folder)
    found: dict[str, list[Tower]] = {}
    mappings = sorted([*folder.glob("[!.]*.yaml"), *folder.glob("[!.]*.yml")])
    mapped = [(path, read_mapping(path)) for path in mappings if _is_mapping(path)]
    taken = {mapping.file for _, mapping in mapped}
    for path, mapping in mapped:
        found.setdefault(mapping.site, []).append(Tower(mapping.site, "mapped", (path,)))
    for path in sorted([*folder.glob("[!.]*.csv"), *folder.glob("[!.]*.txt")]):
        if path.name in _OUR_TABLES or path.name in taken or "BIF" in path.name:
            continue
        form, code = _form(path)
        if form is not None:
            found.setdefault(code, []).append(Tower(code, form, (path,)))
    for code, towers in found.items():
        if len(towers) > 1:
            names = ", ".join(t.paths[0].name for t in towers)
            raise SiteError(f"{folder}: expected one record of {code}, found {names}; keep one")
    return {c: replace(t[0], place=places.get(c, {})) for c, t in found.items()}


def _form(path: Path) -> tuple[Form | None, str]:
    """Form and code of a table; None for tables that are no records."""
    try:
        names, _, comments = header(path)
    except SiteError:
        return None, ""
    if is_fluxnet(names):
        return "FLUXNET", code_of(path, comments)
    if is_base(names):
        return "BASE", code_of(path, comments)
    return None, ""


def _is_mapping(path: Path) -> bool:
    """Configurations of runs may lie beside records; a mapping has columns, or a site's file."""
    try:
        text = "\n" + path.read_text(encoding="utf-8")
        return "\ncolumns:" in text or ("\nsite:" in text and "\nfile:" in text)
    except (OSError, UnicodeDecodeError):
        return False


def _given_leaf_area(folder: Path, record: Record) -> tuple[np.ndarray | None, str]:
    path = folder / leaf_area.TABLE
    if not path.is_file():
        return None, ""
    return leaf_area.read_leaf_area(path, record.code, record.time), f"table {path.name}"
