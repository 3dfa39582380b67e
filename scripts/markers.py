"""Pages of which a script makes one part and a person writes the rest."""

from __future__ import annotations


def filled(page: str, new: str, name: str) -> str:
    """The page with ``new`` between its two marker comments, the rest kept.

    Args:
        name: the markers are ``<!-- name: begin -->`` and ``<!-- name: end -->``.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"the page has lost its markers; put {begin} and {end} back")
    return f"{before}{begin}\n\n{new.strip()}\n\n{end}{after}"
