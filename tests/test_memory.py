"""Giving memory back keeps programs unless told otherwise."""

import jax

from mdpl.memory import give_back


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
