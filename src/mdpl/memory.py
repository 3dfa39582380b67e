"""Memory that is no longer needed goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import gc

import jax


def give_back(*, programs: bool = False) -> None:
    """Return freed memory to the system.

    The C library of most Linux systems keeps what large arrays and compilers have freed, stage
    upon stage; elsewhere nothing is done about that.

    Args:
        programs: forget compiled programs too; whoever needs them again compiles them again.
    """
    if programs:
        jax.clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
