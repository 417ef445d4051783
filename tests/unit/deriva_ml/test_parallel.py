import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_ml.parallel import run_all


@given(st.lists(st.integers(), max_size=50), st.integers(1, 6))
def test_results_keep_their_order(items, workers):
    assert run_all(lambda item: item * 2, items, workers) == [item * 2 for item in items]


def test_progress_is_told_in_the_calling_thread():
    seen = []
    run_all(str, range(5), 3, lambda item, result: seen.append((item, result, threading.current_thread())))
    assert sorted(seen)[0][:2] == (0, "0")
    assert {thread for *_, thread in seen} == {threading.main_thread()}


def test_never_more_threads_than_asked_for():
    running, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    run_all(work, range(30), 3)
    assert most <= 3


def test_first_error_stops_the_rest():
    done = []

    def work(item):
        if item == 3:
            raise ValueError("three")
        done.append(item)

    with pytest.raises(ValueError, match="three"):
        run_all(work, range(10_000), 2)
    assert len(done) < 100


def test_items_are_read_as_work_goes_on():
    taken, finished = [], []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    def work(item):
        # One item may take longer than many others.
        assert len(taken) - len(finished) <= 4
        finished.append(item)
        return item

    assert len(run_all(work, items(), 2)) == 1000
