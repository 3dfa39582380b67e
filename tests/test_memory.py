"""Memory is kept within a stage, given back after it, and programs stay unless told otherwise."""

import os
import resource
import subprocess
import sys

import jax
import pytest

from mdpl.memory import give_back

REPEATED = """
import resource, mdpl
from mdpl.memory import give_back
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
resident = lambda: int(open("/proc/self/statm").read().split()[1])
b"x" * 64_000_000
before = faults()
for _ in range(10):
    b"x" * 64_000_000
print(faults() - before)
before = resident()
give_back()
print(before - resident())
"""
"""Ten arrays of 64 MB, one after the other; pages they cost, and pages then given back."""


@pytest.mark.skipif(sys.platform != "linux", reason="only the C library of Linux is told")
def test_large_arrays_use_the_same_pages_again_until_they_are_given_back():
    pages = 64_000_000 // resource.getpagesize()
    # What dask leaves in the environment of its workers, and of a process that started some, is
    # not a user's.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    made = []
    of_dask = {"MALLOC_TRIM_THRESHOLD_": "65536"}
    for mine in ({}, of_dask, {"MALLOC_MMAP_THRESHOLD_": "1000000"}):
        done = subprocess.run(
            [sys.executable, "-c", REPEATED],
            env={**bare, **mine}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        made.append([int(line) for line in done.stdout.split()])
    for faults, returned in made[:2]:
        assert faults < pages
        assert returned > 0.9 * pages
    assert made[2][0] > 9 * pages  # a user's own settings stand


def test_programs_are_forgotten_only_on_demand():
    traced = []

    @jax.jit
    def twice(x):
        traced.append(x)
        return 2 * x

    for programs, expected in ((False, 1), (True, 2)):
        assert twice(1.0) == 2.0
        give_back(programs=programs)
        assert twice(1.0) == 2.0
        assert len(traced) == expected
