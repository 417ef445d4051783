"""A process that puts many files at once is killed at any instant, while garbage is collected."""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import random
import time
from pathlib import Path

import pytest
from tests.deployments import opened
from tests.machines.objects.test_crash import check_space, collect_again_and_again
from werkzeug.datastructures import Headers

from deriva_server.http.message import Request

processes = multiprocessing.get_context("spawn")
FILES = 24


def content(batch: int, number: int) -> bytes:
    """Some contents are in many batches."""
    of = batch if number % 3 else 0
    return hashlib.sha512(b"%d %d" % (of, number)).digest() * (1 + number)


def path(writer: int, batch: int, number: int) -> str:
    return f"/hatrac/w{writer}/b{batch}/o{number}"


def put_again_and_again(folder, address, writer, first, told):
    with opened(folder, address) as server:
        batch = first
        while True:
            requests = []
            for number in range(FILES):
                data = content(batch, number)
                target = f"{path(writer, batch, number)}?parents=true"
                requests.append(Request("PUT", target, Headers(), io.BytesIO(data), len(data)))
            assert {answer.status for answer in server.handle_objects(requests)} == {201}
            told.send(batch)
            batch += 1


def found(server, writer: int, batch: int) -> int:
    """How many of a batch there are, each byte for byte."""
    count = 0
    for number in range(FILES):
        answer = server.handle(Request("GET", path(writer, batch, number)))
        if answer.status != 404:
            assert b"".join(answer.body.chunks()) == content(batch, number)
            count += 1
    return count


def crash(folder: Path, address: str | None, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    done = [0, 0]
    opened(folder, address).close()
    fates = {0: 0, FILES: 0}
    for _ in range(kills):
        told = [processes.Pipe(duplex=False) for _ in done]
        working = [
            processes.Process(
                target=put_again_and_again, args=(folder, address, writer, done[writer], pipe[1])
            )
            for writer, pipe in enumerate(told)
        ]
        working.append(processes.Process(target=collect_again_and_again, args=(folder, address)))
        for process in working:
            process.daemon = True
            process.start()
        for reading, writing in told:
            writing.close()
            assert reading.poll(30)
        time.sleep(chance.uniform(0.0, 0.3))
        for process in working:
            process.kill()
        for process in working:
            process.join()
        with opened(folder, address) as server:
            for writer, (reading, _) in enumerate(told):
                before = done[writer]
                while True:
                    try:
                        done[writer] = reading.recv() + 1
                    except EOFError:
                        break
                assert all(found(server, writer, batch) == FILES for batch in range(before, done[writer]))
                # What was not acknowledged happened as a whole or not at all.
                happened = found(server, writer, done[writer])
                fates[happened] += 1
                done[writer] += happened == FILES
    print(f"{kills} kills, {sum(done)} batches of {FILES}, unacknowledged: {fates}")
    with opened(folder, address) as server:
        for writer, batches in enumerate(done):
            assert all(found(server, writer, batch) == FILES for batch in range(batches))
        check_space(server.objects.directory)


def test_killed_once(tmp_path):
    crash(tmp_path / "lab", None, 1, 1)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_killed_many_times(tmp_path, address):
    crash(tmp_path / "lab", address, 150, 2)
