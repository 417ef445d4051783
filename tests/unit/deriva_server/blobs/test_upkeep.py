"""What nobody refers to is found and removed, and nothing else; damage is found and named."""

from __future__ import annotations

import hashlib
import io
import random
import threading
import time
from pathlib import Path

import pytest

from deriva_server.blobs.adding import Put
from deriva_server.blobs.backend import Source
from deriva_server.blobs.collect import DAY, Garbage, collect, find_garbage
from deriva_server.blobs.store import ObjectStore
from deriva_server.blobs.transfers import Announcement
from deriva_server.blobs.verify import verify
from deriva_server.errors import NotFound
from deriva_server.http.message import FilePart
from deriva_server.identity import Client
from deriva_server.sql.objects import Metadata
from deriva_server.sql.usage import usage

ADMIN = Client("root", attributes=("admin",))


def silent(what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def source(data: bytes) -> Source:
    return Source(io.BytesIO(data), len(data))


def put(store: ObjectStore, path: str, data: bytes) -> str:
    return store.contents.put(ADMIN, Put(path, source(data), Metadata(), parents=True)).location


def key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def found(store: ObjectStore, older: float | None = None) -> Garbage:
    return find_garbage(store.directory, older, silent)


def test_usage(store: ObjectStore) -> None:
    put(store, "/a/b", b"same")
    put(store, "/a/c", b"same")
    put(store, "/a/c", b"other!")
    put(store, "/a/d", b"gone")
    store.contents.delete_name(ADMIN, "/a/d")
    store.transfers.create(ADMIN, "/a/e", Announcement(1, 3, Metadata()))
    with store.directory.read() as connection:
        now = usage(connection)
    assert (now.namespaces, now.objects, now.versions, now.length) == (2, 3, 3, 14)
    assert (now.contents, now.stored, now.uploads) == (2, 10, 1)


def test_orphans_are_removed(store: ObjectStore) -> None:
    put(store, "/a", b"kept")
    orphan = store.backend.stage(source(b"orphan"))
    store.backend.adopt([orphan, store.backend.stage(source(b"kept"))])
    garbage = found(store)
    assert garbage.orphans == ((key(b"orphan"), 6),)
    assert store.backend.size(key(b"orphan")) == 6, "looking changes nothing"
    assert collect(store.directory, garbage, silent) == garbage
    assert store.backend.size(key(b"orphan")) is None
    assert store.backend.size(key(b"kept")) == 4
    assert found(store) == Garbage()


def test_an_orphan_that_came_into_use_stays(store: ObjectStore) -> None:
    store.backend.adopt([store.backend.stage(source(b"orphan"))])
    garbage = found(store)
    put(store, "/a", b"orphan")
    assert collect(store.directory, garbage, silent).orphans == ()
    assert store.backend.size(key(b"orphan")) == 6


def test_uploads(store: ObjectStore) -> None:
    announced = Announcement(4, 8, Metadata())
    job = store.transfers.create(ADMIN, "/a", announced)
    store.transfers.put_chunk(job, 0, source(b"0123"), None)
    store.backend.put_part("LOST", 0, 0, source(b"01"), None)
    assert found(store).uploads == (("LOST", 2),)
    assert found(store, DAY).uploads == (("LOST", 2),)
    old = found(store, -1)
    assert old.uploads == ((job.id, 4), ("LOST", 2))
    collect(store.directory, found(store), silent)
    store.transfers.put_chunk(job, 1, source(b"4567"), None)
    collect(store.directory, old, silent)
    with pytest.raises(NotFound):
        store.transfers.find(ADMIN, "/a", job.id)
    assert list(store.backend.uploads()) == []


def test_damage_is_named(store: ObjectStore, tmp_path: Path) -> None:
    first, again = put(store, "/a", b"first"), put(store, "/b", b"first")
    second, third = put(store, "/c", b"second"), put(store, "/d", b"third")
    put(store, "/e", b"sound")
    assert verify(store.directory, silent).damaged == ()
    for data, damage in ((b"first", b"FIRST"), (b"second", b"sec"), (b"third", None)):
        file = tmp_path / "objects" / "data" / key(data)[:2] / key(data)
        file.chmod(0o644)
        file.unlink() if damage is None else file.write_bytes(damage)
    verification = verify(store.directory, silent)
    assert (verification.contents, verification.length) == (4, 21)
    said = {damage.key: (damage.what, damage.locations) for damage in verification.damaged}
    assert said == {
        key(b"first"): ("is altered", (first, again)),
        key(b"second"): ("has 3 bytes instead of 6", (second,)),
        key(b"third"): ("is missing", (third,)),
    }


def test_nothing_in_use_is_removed_meanwhile(store: ObjectStore) -> None:
    end = time.monotonic() + 2
    contents = [b"content %d" % number for number in range(4)]

    def work(number: int) -> None:
        chance = random.Random(number)
        at = 0
        while time.monotonic() < end:
            at, data = at + 1, chance.choice(contents)
            path = f"/w{number}/{at}"
            put(store, path, data)
            version = store.contents.find(ADMIN, path, None)
            body = store.contents.read(version, 0, len(data))
            assert (b"".join(body.chunks()) if isinstance(body, FilePart) else body) == data
            store.contents.delete_name(ADMIN, path)
            # What is left when the process dies between the two steps of a put.
            store.backend.adopt([store.backend.stage(source(chance.choice(contents)))])

    failed: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    removed = 0
    while time.monotonic() < end:
        removed += len(collect(store.directory, found(store), silent).orphans)
    for thread in threads:
        thread.join()
    assert not failed, failed
    collect(store.directory, found(store), silent)
    assert list(store.backend.keys()) == []
    assert removed


def test_lost_bytes_tell_the_operator_what_to_do(
    store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    location = put(store, "/lost", b"lost")
    content = store.contents.find(ADMIN, "/lost", None)
    store.backend.remove([key(b"lost")])
    with pytest.raises(NotFound, match=f"{location} is known.* `deriva-ml objects verify FOLDER` tells"):
        store.contents.read(content, 0, 4)
    assert f"content {key(b'lost')} is not in the store, but {location} is known" in caplog.text
