"""Requests that are lost, answered 503, or whose answers are lost: nothing is lost with them, nothing doubled."""

import random
import warnings
from contextlib import contextmanager

import pytest
import requests
from tests.machines.runs import outcome

from deriva_ml.errors import DerivaMLException
from deriva_server.app import error_response
from deriva_server.embed import LocalServer
from deriva_server.errors import Busy


@contextmanager
def flaky(seed, share):
    """Let some requests fail: before they are sent, after they were answered, or with status 503."""
    chance, handle = random.Random(seed), LocalServer.handle

    def handling(self, request):
        fate = chance.random()
        if fate < share / 3:
            raise requests.ConnectionError("lost on the way")
        if fate < 2 * share / 3:
            return error_response(request, Busy())
        answer = handle(self, request)
        if fate < share:
            raise requests.ConnectionError("answer lost on the way")
        return answer

    LocalServer.handle = handling
    try:
        yield
    finally:
        LocalServer.handle = handle


def endured(lab, folder, label, seed, share):
    session = lab.session(folder)
    with flaky(seed, share):
        attempts = 0
        for function in [lab.run, *[lab.recover] * 60]:
            attempts += 1
            try:
                function(session, label)
                break
            except DerivaMLException:
                continue
    lab.recover(session, label)
    return _without_messages(outcome(session, label)), attempts


@pytest.fixture(scope="module")
def expected(lab, tmp_path_factory):
    session = lab.session(tmp_path_factory.mktemp("calm"))
    lab.run(session, "calm0000")
    return _without_messages(outcome(session, "calm0000"))


def _without_messages(found):
    """A run that failed half way never said that it was half way."""
    return {**found, "executions": [status for status, _ in found["executions"]]}


@pytest.mark.parametrize("seed", range(3))
def test_some_requests_fail(lab, expected, tmp_path, seed, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.001")
    # What is repeated at once hides what must be taken up again later.
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "0")
    found, attempts = endured(lab, tmp_path, f"flaky{seed:03}", seed, 0.05)
    assert found == expected
    assert attempts > 1


@pytest.mark.soak
def test_many_requests_fail(lab, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_RETRY_BACKOFF", "0.001")
    monkeypatch.setenv("DERIVA_ML_RETRY_ATTEMPTS", "1")
    warnings.simplefilter("ignore")
    for seed in range(100, 125):
        found, _ = endured(lab, tmp_path / str(seed), f"flaky{seed:03}", seed, 0.2)
        assert found == expected, seed
