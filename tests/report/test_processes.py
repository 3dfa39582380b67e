"""Work in processes of their own: in order, with its errors, and only where there is enough."""

import os

import pytest

from mdpl.errors import RunError
from mdpl.report import processes
from mdpl.report.processes import in_order
from toy_work import where


@pytest.fixture(autouse=True)
def allowed(monkeypatch):
    monkeypatch.setattr(processes, "_ALLOWED", True)


def test_nothing_is_started_unless_it_is_allowed(monkeypatch):
    monkeypatch.setattr(processes, "_ALLOWED", False)
    assert {found[2] for found in in_order(where, "a", list(range(9)))} == {os.getpid()}
    processes.allow()
    assert {found[2] for found in in_order(where, "a", list(range(9)))} != {os.getpid()}


def test_results_come_in_order_and_few_are_done_here():
    few = list(in_order(where, "a", [1, 2], fewest=3))
    assert few == [("a", 1, os.getpid()), ("a", 2, os.getpid())]
    many = list(in_order(where, "b", list(range(9))))
    assert [m[:2] for m in many] == [("b", i) for i in range(9)]
    assert ({m[2] for m in many} != {os.getpid()}) == (os.cpu_count() > 1)


@pytest.mark.parametrize("fewest", [2, 9])
def test_an_error_is_that_of_the_work(fewest):
    with pytest.raises(RunError, match="b: nothing"):
        list(in_order(where, "b", [1, None, 2], fewest))
