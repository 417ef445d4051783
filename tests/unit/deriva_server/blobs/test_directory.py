"""Transactions of writers that wait together."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from deriva_server.blobs import keeping
from deriva_server.blobs.access import Right, demand, may
from deriva_server.blobs.adding import Put
from deriva_server.blobs.backend import Source, Staged
from deriva_server.blobs.collect import collect, find_garbage
from deriva_server.blobs.keeping import recorded
from deriva_server.blobs.memory import MemoryBackend
from deriva_server.blobs.store import ObjectStore
from deriva_server.errors import Busy, Conflict, Forbidden, ServiceError, StorageFull, Unauthorized
from deriva_server.identity import ANONYMOUS, Client
from deriva_server.sql import keeps, objects
from deriva_server.sql.objects import Metadata

KIM = Client("kim")
ADMIN = Client("root", attributes=("admin",))


def put(store: ObjectStore, path: str, data: bytes = b"abc", client: Client = ADMIN) -> str:
    source = Source(io.BytesIO(data), len(data))
    return store.contents.put(client, Put(path, source, Metadata(), parents=True)).location


def test_one_bad_writer_does_not_harm_the_others(store: ObjectStore) -> None:
    store.resources.create_namespace(ADMIN, "/taken")
    held, ready = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        ready.set()
        held.wait(10)

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(store.directory.write, slow)
        ready.wait(10)
        good = [pool.submit(put, store, f"/o{number}", b"%d" % number) for number in range(8)]
        bad = pool.submit(store.resources.create_namespace, ADMIN, "/taken")
        held.set()
        first.result()
        assert len({future.result() for future in good}) == 8
        with pytest.raises(Conflict):
            bad.result()
    assert len(store.resources.list_namespace(ADMIN, "/")) == 9


def test_nothing_is_visible_when_bytes_cannot_be_kept(opened) -> None:
    class Full(MemoryBackend):
        def adopt(self, staged: Sequence[Staged]) -> None:
            raise StorageFull("no room")

    store = opened(Full())
    with pytest.raises(StorageFull):
        put(store, "/a/b")
    assert store.resources.list_namespace(ADMIN, "/") == []


def test_bytes_stay_when_a_deletion_is_undone(opened) -> None:
    class Fails(MemoryBackend):
        def adopt(self, staged: Sequence[Staged]) -> None:
            if staged[0].digests.length == 3:
                raise StorageFull("no room")
            super().adopt(staged)

    store = opened(Fails())
    place, twin = put(store, "/a", b"kept"), put(store, "/b", b"kept")
    held, ready = threading.Event(), threading.Event()

    def slow(_: object) -> None:
        ready.set()
        held.wait(10)

    def waiting(count: int) -> None:
        while len(store.directory._queue) < count:
            time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(store.directory.write, slow)
        ready.wait(10)
        deleted = pool.submit(store.contents.delete_version, ADMIN, "/a", place.partition(":")[2])
        waiting(1)
        blob = store.contents.find(ADMIN, "/b", None).version.blob
        undone = pool.submit(put, store, "/c", b"bad")
        waiting(2)
        held.set()
        first.result()
        for future in (deleted, undone):
            with pytest.raises(StorageFull):
                future.result()
    store.contents.delete_name(ADMIN, "/b")
    assert store.backend.size(blob) == 4, twin
    assert store.contents.find(ADMIN, "/a", None).location == place


def _child(store: ObjectStore, path: str, results: multiprocessing.SimpleQueue[str]) -> None:
    results.put(put(store, path))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_after_fork(store: ObjectStore) -> None:
    put(store, "/before")
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    children = [context.Process(target=_child, args=(store, f"/o{number}", results)) for number in range(3)]
    for child in children:
        child.start()
    put(store, "/meanwhile")
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    assert store.resources.list_namespace(ADMIN, "/") == ["/before", "/meanwhile", "/o0", "/o1", "/o2"]


def test_other_process_sees_it_at_once(store: ObjectStore, opened) -> None:
    place = put(store, "/a")
    other = opened(None)
    assert other.contents.find(ADMIN, "/a", None).location == place
    other.contents.delete_name(ADMIN, "/a")
    with pytest.raises(ServiceError):
        store.contents.find(ADMIN, "/a", None)


def test_rights(store: ObjectStore) -> None:
    store.resources.create_namespace(ADMIN, "/lab")
    with pytest.raises(Forbidden):
        put(store, "/lab/o", client=KIM)
    with pytest.raises(Unauthorized):
        put(store, "/lab/o", client=ANONYMOUS)

    def grant(path: str, access: str, role: str) -> None:
        store.resources.change_acl(
            ADMIN, (path, None), access, lambda roles: [*roles, role], lambda roles: None
        )

    grant("/lab", "create", "kim")
    place = put(store, "/lab/o", client=KIM)
    with pytest.raises(Forbidden):
        store.contents.delete_name(KIM, "/lab")
    grant("/lab", "owner", "kim")
    put(store, "/lab/other")
    with pytest.raises(Forbidden):
        store.contents.delete_name(KIM, "/lab")
    grant("/lab/o", "read", "*")
    with pytest.raises(Unauthorized):
        store.contents.find(ANONYMOUS, "/lab/o", None)
    grant("/lab/o", "subtree-read", "*")
    assert store.contents.find(ANONYMOUS, "/lab/o", None).location == place
    grant("/lab", "subtree-owner", "kim")
    store.contents.delete_name(KIM, "/lab")


def test_policy() -> None:
    assert may(KIM, Right.OWN, {"owner": ["kim"]}, ())
    assert not may(KIM, Right.UPDATE, {"read": ["kim"]}, ())
    assert may(ANONYMOUS, Right.READ, {}, [{"subtree-read": ["*"]}])
    demand(ADMIN, Right.CREATE, {}, [{"subtree-owner": ["admin"]}], "x")


def test_group_of_writers_is_fast(store: ObjectStore) -> None:
    """Not a benchmark: only that parallel writers do not wait for a sync each."""
    commits = 0
    inner = store.directory._commit

    def counted(batch: Sequence[object]) -> None:
        nonlocal commits
        commits += 1
        inner(batch)  # type: ignore[arg-type]

    store.directory._commit = counted  # type: ignore[method-assign]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: put(store, f"/n/o{number}", os.urandom(10)), range(200)))
    assert commits < 150


def test_bytes_stay_while_another_machine_copies_them(opened, monkeypatch) -> None:
    store, elsewhere = opened(MemoryBackend()), opened(MemoryBackend())
    put(store, "/a", b"first"), put(store, "/b", b"other")
    with recorded(elsewhere.directory.database):
        with recorded(elsewhere.directory.database):
            store.contents.delete_name(ADMIN, "/a")
        assert len(list(store.backend.keys())) == 2
        garbage = find_garbage(store.directory, None, lambda *_: None)
        assert collect(store.directory, garbage, lambda *_: None).kept == len(garbage.orphans) == 1
    collect(store.directory, garbage, lambda *_: None)
    assert len(list(store.backend.keys())) == 1
    with store.directory.database.write() as connection:
        keeps.keep(connection, "killed long ago", -1)
        assert not keeps.are_kept(connection)
    store.contents.delete_name(ADMIN, "/b")
    assert list(store.backend.keys()) == []


def test_a_record_is_kept_up(store, monkeypatch) -> None:
    keep, renewed = keeps.keep, threading.Semaphore(0)

    def counted(*given) -> None:
        keep(*given)
        renewed.release()

    monkeypatch.setattr(keeping, "_RENEWED", 0.01)
    monkeypatch.setattr(keeps, "keep", counted)
    database = store.directory.database
    with recorded(database):
        assert all(renewed.acquire(timeout=10) for _ in range(4))
        with database.read() as connection:
            assert keeps.are_kept(connection)
            assert connection.run("SELECT count(*) FROM hatrac_keep").scalar_one() == 1
    with database.read() as connection:
        assert not keeps.are_kept(connection)


def test_a_record_that_is_lost_is_told(store, monkeypatch) -> None:
    def fails(*_: object) -> None:
        failed.set()
        raise Busy("the database is gone")

    monkeypatch.setattr(keeping, "_RENEWED", 0.01)
    failed = threading.Event()
    with pytest.raises(Busy, match="gone"), recorded(store.directory.database):
        monkeypatch.setattr(keeps, "keep", fails)
        failed.wait(10)


def test_an_older_directory_is_brought_up_to_date(opened) -> None:
    store, long = opened(None), f"/{'n' * 900}/{'m' * 1_500}/{'l' * 30}"
    place = put(store, f"{long}/o")
    with store.directory.database.write() as connection:
        for id_, path in connection.run(
            "SELECT id, long_path FROM hatrac_name WHERE long_path IS NOT NULL"
        ).all():
            connection.run("UPDATE hatrac_name SET path = ? WHERE id = ?", (path, id_))
        for change in (
            "ALTER TABLE hatrac_name DROP COLUMN long_path",
            "ALTER TABLE hatrac_job DROP COLUMN began",
            "DROP INDEX hatrac_version_newest",
            "DROP TABLE hatrac_keep",
            "UPDATE hatrac_format SET format = 1",
        ):
            connection.run(change)
    store.close()
    again = opened(None)
    assert again.contents.find(ADMIN, f"{long}/o", None).location == place
    assert again.resources.list_namespace(ADMIN, long) == [f"{long}/o"]
    with pytest.raises(Conflict):
        again.resources.create_namespace(ADMIN, long)
    again.contents.delete_name(ADMIN, long.rpartition("/")[0])
    assert again.resources.is_namespace(long) is None


def test_the_current_of_many_versions_is_found_by_an_index(store: ObjectStore) -> None:
    """It is the first entry of an index, however many versions an object has."""
    put(store, "/many")
    with store.directory.read() as connection:
        if connection.dialect.name != "sqlite":
            pytest.skip("PostgreSQL chooses by its statistics.")
        plan = [str(row[-1]) for row in connection.run(f"EXPLAIN QUERY PLAN {objects._CURRENT}", (1,))]
    assert len(plan) == 1 and "USING INDEX hatrac_version_newest (name=?)" in plan[0], plan
