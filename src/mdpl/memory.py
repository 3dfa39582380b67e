"""Memory goes back to the system between stages, not within them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # numbers of malloc.h
_MOST = 2**31 - 1


def keep_within_stages() -> None:
    """Have the C library keep what large arrays have freed for the next ones.

    Left alone, it gives every array above 32 MB back at once, and a training step spends a fifth of
    its time on getting and clearing the same pages again. A user's own ``MALLOC_...`` stand;
    elsewhere than on Linux nothing is done.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        for setting, value in ((_TRIM_THRESHOLD, _MOST), (_MMAP_MAX, 0), (_ARENA_MAX, 1)):
            library.mallopt(setting, value)


def give_back(*, programs: bool = False) -> None:
    """Return freed memory to the system.

    The C library of most Linux systems keeps what large arrays and compilers have freed, stage
    upon stage; elsewhere nothing is done about that.

    Args:
        programs: forget compiled programs too; whoever needs them again compiles them again.
    """
    if programs and "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
