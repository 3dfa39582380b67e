"""How XLA compiles for the processor; to be asked for before the first computation."""

from __future__ import annotations

import os

_EXTRA = "--xla_backend_extra_options="
_OPTIONS = ("xla_cpu_small_while_loop_byte_threshold=64000000", "xla_cpu_disable_loop_unrolling")

LIGHTLY = {"xla_backend_optimization_level": 1}
"""Compiler options of large programs: as fast as by the default 3, compiled in less time."""

AT_ONCE = {"xla_backend_optimization_level": 0}
"""Compiler options of the largest: three times slower, compiled in a fifth of the time."""


def compile_loops_whole() -> None:
    """Have loops without matrix products compiled as one function each.

    XLA runs the body of a loop as hundreds of small kernels, and handing these out costs more than
    the work of a few columns in them (docs/decisions/0010). Options that a user has set through
    ``XLA_FLAGS`` are left as they are.
    """
    set_by_user = os.environ.get("XLA_FLAGS", "")
    if _EXTRA not in set_by_user:
        os.environ["XLA_FLAGS"] = f"{set_by_user} {_EXTRA}{','.join(_OPTIONS)}".strip()
