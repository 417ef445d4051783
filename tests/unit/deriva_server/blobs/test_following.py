"""Digests of a file that grows meanwhile."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from pathlib import Path

import pytest

from deriva_server.blobs import following
from deriva_server.blobs.checksums import Digests
from deriva_server.blobs.following import follow
from deriva_server.errors import BadRequest


@pytest.fixture
def file(tmp_path: Path):
    descriptor = os.open(tmp_path / "growing", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


def wait_for_end() -> None:
    deadline = time.monotonic() + 10
    while any(thread.name == "follower" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def expected(data: bytes) -> Digests:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Digests(md5, hashlib.sha256(data).hexdigest(), len(data))


@pytest.mark.parametrize("length", [0, 1, 1 << 20, (9 << 20) + 17, 33 << 20])
def test_of_any_length_in_any_steps(file, length):
    chance, data = (
        random.Random(length),
        os.urandom(1 << 20) * (length >> 20) + os.urandom(length % (1 << 20)),
    )
    follower, done = follow(file), 0
    assert follower is not None
    while done < length:
        piece = data[done : done + chance.randrange(1, 3 << 20)]
        done += os.pwrite(file, piece, done)
        follower.grown(done)
    assert follower.finish(length) == expected(data)
    follower.close()
    wait_for_end()


def test_the_disk_begins_meanwhile(file, monkeypatch):
    begun = []
    monkeypatch.setattr(following, "begin_writing", lambda descriptor, start, done: begun.append(done))
    test_of_any_length_in_any_steps(file, (9 << 20) + 17)
    assert begun == [*(number << 20 for number in range(1, 10)), (9 << 20) + 17]


def test_a_file_that_is_closed_meanwhile(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    follower = follow(descriptor)
    assert follower is not None
    os.write(descriptor, b"abc")
    os.close(descriptor)
    assert follower.finish(3) == expected(b"abc")


def test_a_file_that_is_too_short(file):
    os.write(file, b"abc")
    follower = follow(file)
    assert follower is not None
    with pytest.raises(BadRequest, match="expected 4 bytes, received 3"):
        follower.finish(4)
    wait_for_end()


def test_given_up_at_any_moment(file):
    data = os.urandom(3 << 20)
    os.write(file, data)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(30):
        follower = follow(file)
        if follower is not None:
            follower.grown(number * 100_000)
            follower.close()
            follower.close()
    wait_for_end()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before
    test_of_any_length_in_any_steps(file, 0)


def test_not_too_many_at_a_time(file):
    followers = [follow(file) for _ in range(following._MOST + 2)]
    assert followers[-2:] == [None, None] and None not in followers[:-2]
    for follower in followers[:-2]:
        assert follower is not None and follower.finish(0) == expected(b"")
    wait_for_end()
    last = follow(file)
    assert last is not None
    last.close()
