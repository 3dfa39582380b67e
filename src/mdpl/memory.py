"""Memory goes back to the system between stages, not within them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # numbers of malloc.h
_MOST = 2**31 - 1
_OF_DASK = ("MALLOC_TRIM_THRESHOLD_", "65536")  # in the environment of every worker, nobody's wish


def keep_within_stages() -> None:
    """Have the C library keep what large arrays have freed for the next ones.

    Left alone, it gives every array above 32 MB back at once, and a training step spends a fifth of
    its time on getting and clearing the same pages again. A user's own ``MALLOC_...`` stand (what
    dask sets for its workers is not one); elsewhere than on Linux nothing is done.
    """
    own = {item for item in os.environ.items() if item[0].startswith("MALLOC_")} - {_OF_DASK}
    if sys.platform != "linux" or own:
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
