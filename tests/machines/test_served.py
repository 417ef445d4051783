"""Runs over HTTP whose server is killed and started again."""

import itertools
import random
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest
from tests.deployments import serving
from tests.machines.runs import in_child, outcome

from deriva_ml.errors import DerivaMLException

_labels = (f"web{number:04}" for number in itertools.count())


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Fragile:
    """Serves a deployment on one port, and is killed and started again when it is told to."""

    def __init__(self, folder):
        self.folder, self.port, self.kills = folder, _free_port(), 0

    @contextmanager
    def dying(self, pauses):
        """Serve; be killed after each of the pauses, in seconds, and come back at once."""
        over = threading.Event()

        def live():
            for pause in [*pauses, None]:
                with serving(self.folder, None, port=self.port) as running:
                    if over.wait(pause):
                        return
                    running.kill()
                    self.kills += 1

        thread = threading.Thread(target=live)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _until_done(lab, folder, label):
    """What a stubborn user does: try again until it works."""
    for function in [lab.run, *[lab.recover] * 200]:
        with suppress(DerivaMLException):
            function(lab.session(folder), label)
            return
        time.sleep(0.05)
    raise AssertionError("it never worked")


def _of_served(lab, folder, moments):
    """Outcome of a run whose server is killed after so many seconds each time."""
    label, server = next(_labels), Fragile(lab.host)
    with server.dying(moments):
        served = replace(lab, host=f"http://127.0.0.1:{server.port}")
        assert in_child(lambda: _until_done(served, folder, label)) == 0
        # It may have died after the work was done, before this was known.
        return outcome(_patient_session(served, folder), label), server.kills


def _patient_session(lab, folder):
    for _ in range(100):
        with suppress(DerivaMLException):
            return lab.session(folder)
        time.sleep(0.1)
    raise AssertionError("the server did not come back")


def _without_messages(found):
    """A run that failed half way never said that it was half way."""
    return {**found, "executions": [status for status, _ in found["executions"]]}


@pytest.fixture(scope="module")
def expected(lab, tmp_path_factory):
    folder, label = tmp_path_factory.mktemp("calm"), next(_labels)
    start = time.monotonic()
    assert in_child(lambda: lab.run(lab.session(folder), label)) == 0
    return _without_messages(outcome(lab.session(folder), label)), time.monotonic() - start


def test_the_server_is_killed(lab, expected, tmp_path):
    found, seconds = expected
    chance = random.Random(3)
    got, kills = _of_served(lab, tmp_path, [chance.uniform(0.05, seconds) for _ in range(4)])
    assert _without_messages(got) == found
    assert kills


@pytest.mark.soak
def test_the_server_is_killed_many_times(lab, expected, tmp_path):
    found, seconds = expected
    killed = 0
    for number in range(60):
        chance = random.Random(number)
        pauses = [chance.uniform(0.05, 2 * seconds) for _ in range(chance.randrange(1, 10))]
        got, kills = _of_served(lab, tmp_path / str(number), pauses)
        assert _without_messages(got) == found, pauses
        killed += kills
    print(f"servers were killed {killed} times")
