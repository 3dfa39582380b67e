"""Write the table of calibratable parameters into docs/matsiro.md.

Usage: python scripts/parameter_table.py [--page FILE.md]

Only what stands between the two marker comments of the page is replaced.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from markers import filled

from mdpl.lsm.matsiro.parameters import PARAMETERS, RECOMMENDED
from mdpl.lsm.model import Parameter

PAGE = Path(__file__).parents[1] / "docs" / "matsiro.md"
HEAD = (
    "| parameter | meaning | unit | lower | upper | scale | default | source |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=PAGE)
    page: Path = parser.parse_args().page
    page.write_text(
        filled(page.read_text(encoding="utf-8"), table(), "parameters"), encoding="utf-8"
    )
    print(f"{page}: {len(PARAMETERS)} parameters")


def table() -> str:
    """The Markdown table; what is calibrated by default is in bold."""
    return "\n".join([*HEAD, *(row(parameter) for parameter in PARAMETERS)])


def row(parameter: Parameter) -> str:
    name = f"`{parameter.name}`"
    cells = (
        f"**{name}**" if parameter.name in RECOMMENDED else name,
        parameter.meaning,
        parameter.unit,
        f"{parameter.lower:g}",
        f"{parameter.upper:g}",
        parameter.scale,
        default(parameter),
        parameter.source,
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def default(parameter: Parameter) -> str:
    """One number, or those of the classes in order."""
    if not isinstance(parameter.default, Mapping):
        number = f"{parameter.default:g}"
        return number if parameter.of_place is None else f"{number}, or by texture"
    return ", ".join(f"{parameter.default[kind]:g}" for kind in sorted(parameter.default))


if __name__ == "__main__":
    main()
