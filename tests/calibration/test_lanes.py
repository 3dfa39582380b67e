"""Jobs side by side are the jobs one by one, and end together when their answers do."""

import threading

import numpy as np
import pytest

from mdpl.calibration.lanes import ask, side_by_side


def count_down(start):
    """Asks as many times as it is told to, each time for what is left."""
    heard = []
    for left in range(start, 0, -1):
        heard.append(ask(np.array([float(start), left])))
    return heard


def test_jobs_of_any_length_get_their_own_answers_in_batches():
    batches = []

    def answer(points):
        batches.append(len(points))
        return [10 * first + left for first, left in points]

    found = side_by_side(count_down, [3, 0, 1, 2], answer)
    assert found == [[33, 32, 31], [], [11], [22, 21]]
    assert batches == [3, 2, 1]


def test_an_error_of_answers_or_of_a_job_ends_all_and_leaves_no_thread():
    before = threading.active_count()

    def answer(points):
        if len(points) < 3:
            raise KeyError("spent")
        return [0.0] * len(points)

    with pytest.raises(KeyError, match="spent"):
        side_by_side(count_down, [3, 1, 2], answer)

    def broken(start):
        ask(np.zeros(1))
        raise ValueError(f"job {start}")

    with pytest.raises(ValueError, match="job 5"):
        side_by_side(broken, [5, 6], lambda points: [0.0] * len(points))
    assert threading.active_count() == before
