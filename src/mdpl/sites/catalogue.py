"""Towers by code: from a folder of records, or those that come with the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdpl.errors import SiteError
from mdpl.sites.plumber2 import find_pairs, read_pair
from mdpl.sites.site import Site

EMBEDDED = Path(__file__).parent / "embedded"
"""Folder of the towers that come with the package; NOTICE.md there has licences and citations."""


def open_sites(folder: Path | None = None, codes: Sequence[str] | None = None) -> list[Site]:
    """Open towers, checked.

    Args:
        folder: PLUMBER2 pairs; None means the embedded towers.
        codes: which towers, in this order; None means all, sorted by code.

    Raises:
        SiteError: an unknown code (the message lists those available), a code given twice, or
            anything `find_pairs` and `read_pair` refuse.
    """
    twice = sorted({code for code in codes or () if list(codes or ()).count(code) > 1})
    if twice:
        raise SiteError(f"towers asked for twice: {', '.join(twice)}; name each once")
    if codes is not None and not codes:
        raise SiteError("no towers asked for: expected at least one code, or None for all")
    pairs = find_pairs(EMBEDDED if folder is None else folder, codes)
    return [read_pair(*pairs[code]) for code in (codes or pairs)]
