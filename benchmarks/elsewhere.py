"""Code run by another interpreter, whose libraries MdPL does not need."""

from __future__ import annotations

import subprocess


def last_number(python: str, code: str, *arguments: object) -> float:
    """What the code prints last.

    Args:
        python: the interpreter.
        arguments: of the code, in ``sys.argv[1:]``.
    """
    made = subprocess.run(
        [python, "-W", "ignore", "-c", code, *map(str, arguments)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(made.stdout.split()[-1])
