"""Versions that are added together, compared with the same ones added alone."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from deriva_server.blobs.adding import Put
from deriva_server.blobs.backend import Source, Staged
from deriva_server.blobs.checksums import write_digest
from deriva_server.blobs.files import FilesBackend
from deriva_server.blobs.memory import MemoryBackend
from deriva_server.blobs.metadata import read_metadata
from deriva_server.blobs.store import ObjectStore
from deriva_server.blobs.versions import Content, State
from deriva_server.errors import PreconditionFailed, ServiceError, StorageFull
from deriva_server.identity import ANONYMOUS, Client
from deriva_server.sql.objects import Metadata

ADMIN = Client("root", attributes=("admin",))
KIM = Client("kim")


def unless_there(state: State) -> None:
    if state is not None:
        raise PreconditionFailed(f"it is {type(state).__name__}")


def put(path: str, data: bytes = b"abc", length: int | None = None, **more) -> Put:
    source = Source(io.BytesIO(data), len(data) if length is None else length)
    more.setdefault("parents", True)
    return Put(path, source, more.pop("metadata", Metadata("text/plain")), **more)


def wrong() -> Metadata:
    return read_metadata({"content-md5": write_digest("0" * 32), "content-type": "text/csv"})


PUTS = [
    lambda: put("/deep/er/one"),
    lambda: put("/deep/er/two", b"two", guard=unless_there),
    lambda: put("/deep/er/two", b"again", guard=unless_there),
    lambda: put("/deep/er/two", b"again"),
    lambda: put("/deep/er/one/below"),
    lambda: put("/deep/er"),
    lambda: put("/lab", b"is a namespace"),
    lambda: put("/lab/old", b"taken", guard=unless_there),
    lambda: put("/lab/old", b"newer"),
    lambda: put("/lab/gone", b"was deleted"),
    lambda: put("/lab/gone/below", b"was deleted"),
    lambda: put("/lab/bad", metadata=wrong()),
    lambda: put("/lab/short", b"abc", 4),
    lambda: put("/lab/short", b"", 0),
    lambda: put("/lab/bad", b"right this time"),
    lambda: put("/no/parents", parents=False),
    lambda: put("/lab/large", bytes(1_100_000)),
    lambda: put("/lab/large", bytes(1_100_000), guard=unless_there),
    lambda: put("/lab/old", bytes(1_100_000), guard=unless_there),
    lambda: put("/" + "long" * 1000, b"its path is not in the index"),
    lambda: put("/" + "long" * 1000, b"its path is not in the index", guard=unless_there),
    *[lambda number=number: put(f"/many/o{number}", b"%d" % (number % 20)) for number in range(40)],
]


def set_up(store: ObjectStore) -> None:
    store.contents.put(ADMIN, put("/lab/old", b"old"))
    store.contents.put(ADMIN, put("/lab/gone", b"gone"))
    store.contents.delete_name(ADMIN, "/lab/gone")


def alone(store: ObjectStore, client: Client, puts: Sequence[Put]) -> list[Content | ServiceError]:
    outcomes: list[Content | ServiceError] = []
    for wanted in puts:
        try:
            outcomes.append(store.contents.put(client, wanted))
        except ServiceError as error:
            outcomes.append(error)
    return outcomes


def told(outcomes: Sequence[Content | ServiceError]) -> list[tuple]:
    return [
        (type(outcome), outcome.detail)
        if isinstance(outcome, ServiceError)
        else (outcome.path, outcome.version.blob, outcome.version.metadata, outcome.version.acls)
        for outcome in outcomes
    ]


def held(store: ObjectStore, path: str = "/") -> dict[str, object]:
    """Everything below a namespace: contents of objects, oldest first."""
    found: dict[str, object] = {}
    for inner in store.resources.list_namespace(ADMIN, path):
        if store.resources.is_namespace(inner):
            found[inner] = held(store, inner)
            continue
        ids = [place.rpartition(":")[2] for place in reversed(store.contents.list_versions(ADMIN, inner))]
        found[inner] = [store.contents.find(ADMIN, inner, id_).version.blob for id_ in ids]
    return found


@pytest.mark.parametrize("client", [ADMIN, KIM, ANONYMOUS])
def test_as_if_each_came_alone(opened, tmp_path, client):
    store = opened(None)
    set_up(store)
    together = store.contents.put_all(client, [make() for make in PUTS])
    twin = ObjectStore(_memory_database(tmp_path / "twin"), MemoryBackend())
    set_up(twin)
    assert told(together) == told(alone(twin, client, [make() for make in PUTS]))
    assert held(store) == held(twin)
    assert sorted(store.backend.keys()) == sorted(twin.backend.keys())
    assert isinstance(store.backend, FilesBackend) and list(store.backend.tmp.iterdir()) == []
    added = [outcome for outcome in together if isinstance(outcome, Content)]
    assert (len(added) > 45) == (client == ADMIN)
    for content in added:
        version = content.location.rpartition(":")[2]
        assert store.contents.find(ADMIN, content.path, version).version == content.version
    twin.close()


def _memory_database(folder):
    from deriva_server.sql.databases import open_databases

    folder.mkdir()
    return open_databases(folder, "twin", None).directory()


def test_no_room_while_some_arrive(opened):
    class Full(MemoryBackend):
        def stage(self, source: Source):
            if source.length == 4:
                raise StorageFull("no room")
            return super().stage(source)

    store = opened(Full())
    outcomes = store.contents.put_all(ADMIN, [put("/a"), put("/b", b"four"), put("/c")])
    assert [type(outcome) for outcome in outcomes] == [Content, StorageFull, Content]
    assert store.resources.list_namespace(ADMIN, "/") == ["/a", "/c"]


def test_nothing_is_visible_when_bytes_cannot_be_kept(opened):
    class Full(MemoryBackend):
        def adopt(self, staged: Sequence[Staged]) -> None:
            raise StorageFull("no room")

    store = opened(Full())
    with pytest.raises(StorageFull):
        store.contents.put_all(ADMIN, [put("/a/b"), put("/c")])
    assert store.resources.list_namespace(ADMIN, "/") == []


def test_few_statements(store, monkeypatch):
    ran = []
    set_up(store)
    with store.directory.database.read() as connection:
        run = type(connection).run

    def counted(self, statement, parameters=()):
        ran.append(statement)
        return run(self, statement, parameters)

    monkeypatch.setattr(type(connection), "run", counted)
    store.contents.put_all(ADMIN, [put(f"/lab/o{number}", b"%d" % number) for number in range(100)])
    assert len(ran) == 3, ran
    ran.clear()
    store.contents.put(ADMIN, put("/lab/one"))
    assert len(ran) == 3, ran
