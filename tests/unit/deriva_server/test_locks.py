"""Locks between processes."""

from __future__ import annotations

import os

import pytest

from deriva_server import locks
from deriva_server.errors import DeploymentError


def test_who_comes_second_waits_for_a_while(tmp_path):
    with locks.held(tmp_path, 0) as first, locks.held(tmp_path, 0.01) as second:
        assert (first, second) == (True, False)
    with locks.held(tmp_path, 0) as third:
        assert third


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_child_does_not_go_on_with_the_lock_of_a_parent_that_died(tmp_path, monkeypatch):
    reading, writing = os.pipe()
    with monkeypatch.context() as patch:
        patch.setattr(locks, "unlock", lambda descriptor: None)
        with locks.held(tmp_path, 0):
            child = os.fork()
            if not child:
                os.close(writing)
                os.read(reading, 1)
                os._exit(0)
    try:
        with locks.held(tmp_path, 5) as had:
            assert had
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def test_a_file_system_without_locks_is_told():
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(
        DeploymentError, match=r"no locks on open folders \(Bad file descriptor\).*local disk"
    ):
        locks.lock(writing)
