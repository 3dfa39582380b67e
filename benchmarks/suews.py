"""Speed of the column beside SUEWS, a compiled urban land model, on one core each.

Usage: python benchmarks/suews.py --suews PYTHON [--days 120] [--repeats 3]

PYTHON is the interpreter of an environment of its own with supy in it, for supy asks for older
libraries than MdPL: ``python -m venv suews && suews/bin/pip install supy "pandas<3"``. SUEWS runs
its own sample, the column FR-Hes with 1024 random parameter sets; both by processor seconds.
"""

from __future__ import annotations

import argparse

from column import SEASONS, speed
from elsewhere import last_number

COLUMNS = 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suews", required=True, metavar="PYTHON")
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    suews = suews_speed(chosen.suews, chosen.days, chosen.repeats)
    print(f"SUEWS: {suews:.0f} steps a second and core")
    for season in SEASONS:
        column = speed(COLUMNS, season, 20, chosen.repeats)
        print(
            f"column, {season}: {column:.0f} column-steps a second and core, "
            f"{column / suews:.1f} times SUEWS"
        )


SUEWS = """
import logging, sys, time
import supy
logging.disable(logging.CRITICAL)
state, forcing = supy.load_SampleData()
forcing = forcing.iloc[: int(sys.argv[1]) * 288]
found = []
for _ in range(1 + int(sys.argv[2])):
    begin = time.process_time()
    supy.run_supy(forcing, state)
    found.append(time.process_time() - begin)
print(len(forcing) * len(state) / min(found[1:]))
"""


def suews_speed(python: str, days: int, repeats: int) -> float:
    """Steps of SUEWS a processor second, the time step being that of its sample (five minutes)."""
    return last_number(python, SUEWS, days, repeats)


if __name__ == "__main__":
    main()
