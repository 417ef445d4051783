"""An object store that is killed at any instant keeps what it acknowledged, and no part of anything else."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.buckets import Buckets
from tests.deployments import Direct, Http, opened, processes, serving
from tests.machines.killing import kill_at_work
from tests.machines.objects.shelf import Shelf

from deriva_server.blobs.collect import Garbage, collect, find_garbage
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.verify import verify
from deriva_server.embed import LocalServer
from deriva_server.sql.usage import usage

WRITERS = 3


def silent(what, done, total):
    """Tell nobody."""


def collect_again_and_again(folder, address):
    with opened(folder, address) as server:
        while True:
            directory = server.objects.directory
            collect(directory, find_garbage(directory, None, silent), silent)


def killed(folder, address, server, shelves, delay):
    """Let all write while garbage is collected, and kill everything after a while."""
    collector = processes.Process(target=collect_again_and_again, args=(folder, address), daemon=True)
    collector.start()
    kill_at_work(server, shelves, delay, [collector])
    collector.join()


def crash(folder: Path, address: str | None, kills: int, seed: int) -> None:
    chance, fates = random.Random(seed), Counter()
    shelves = [Shelf(number) for number in range(WRITERS)]
    for number in range(kills + 1):
        with serving(folder, address) as server:
            caller = Http(server.url)
            for shelf in shelves:
                if number == 0:
                    shelf.set_up(caller)
                fates[shelf.settle(caller)] += 1
                shelf.check(caller, 2)
            if number < kills:
                killed(folder, address, server, shelves, chance.uniform(0.0, 0.6))
    acknowledged = sum(shelf.acknowledged for shelf in shelves)
    print(f"{kills} kills, {acknowledged} requests acknowledged, open: {dict(fates)}")
    assert acknowledged >= kills
    with opened(folder, address) as server:
        for shelf in shelves:
            shelf.check(Direct(server))
        check_space(server.objects.directory)


def check_space(directory):
    """After a collection nothing takes space but what objects have."""
    collect(directory, find_garbage(directory, -1.0, silent), silent)
    assert find_garbage(directory, -1.0, silent) == Garbage()
    with directory.read() as connection:
        found = usage(connection)
    backend = directory.backend
    stored = list(map(backend.size, backend.keys()))
    assert (len(stored), sum(stored)) == (found.contents, found.stored)
    assert list(backend.uploads()) == list(backend.unadopted(0)) == []
    if isinstance(backend, FilesBackend):
        assert list(backend.tmp.iterdir()) == []
    assert verify(directory, silent).damaged == ()


def crash_on_s3(folder: Path, s3: Buckets, kills: int, seed: int) -> None:
    LocalServer.open(folder, create=True, objects=s3.address()).close()
    crash(folder, None, kills, seed)


def put_and_die(folder):
    server = opened(folder, None)
    put(Direct(server), "/hatrac/w/b", b"second")
    os.kill(os.getpid(), signal.SIGKILL)


def put(caller, path, body):
    assert caller.send("PUT", path, body, Content_Type="application/octet-stream").status == 201


def test_commit_that_nobody_saw(tmp_path):
    """SQLite forgets a commit that is in its log only, and comes back to it when the index of the log is lost."""
    lab = tmp_path / "lab"
    with opened(lab, None) as server:
        caller = Direct(server)
        caller.send("PUT", "/hatrac/w", Content_Type="application/x-hatrac-namespace")
        put(caller, "/hatrac/w/a", b"first")
        index = lab / "objects/directory.db-shm"
        head = index.read_bytes()[:136]
        writer = processes.Process(target=put_and_die, args=(lab,))
        writer.start()
        writer.join()
        with index.open("r+b") as file:
            file.write(head)
        assert caller.send("HEAD", "/hatrac/w/b").status == 404
        directory = server.objects.directory
        assert len(collect(directory, find_garbage(directory, None, silent), silent).orphans) == 1
        # As it is when all are killed now.
        left = tmp_path / "left"
        shutil.copytree(lab, left, ignore=shutil.ignore_patterns("*-shm"))
    with opened(left, None) as server:
        statuses = [Direct(server).send(method, "/hatrac/w/b").status for method in ("HEAD", "GET")]
        assert statuses == [404, 404]
        assert Direct(server).send("GET", "/hatrac/w/a").body == b"first"


def test_killed_a_few_times(tmp_path, address):
    crash(tmp_path / "lab", address, 5, 1)


def test_killed_a_few_times_with_objects_on_s3(tmp_path, s3):
    crash_on_s3(tmp_path / "lab", s3, 3, 3)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_killed_many_times(tmp_path, address):
    crash(tmp_path / "lab", address, 300, 2)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_killed_many_times_with_objects_on_s3(tmp_path, s3):
    crash_on_s3(tmp_path / "lab", s3, 150, 4)
