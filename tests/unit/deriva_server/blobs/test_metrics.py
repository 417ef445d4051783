"""The index of metrics: facts of contents, for those who may read them, made again whenever they are gone."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from tests.unit.deriva_server.blobs.conftest import Opening

from deriva_server.blobs import metrics as index
from deriva_server.blobs.adding import Put
from deriva_server.blobs.backend import Source
from deriva_server.blobs.collect import collect, find_garbage
from deriva_server.blobs.metrics import Found
from deriva_server.blobs.rename import Rename, rename
from deriva_server.blobs.store import ObjectStore
from deriva_server.errors import ServiceError
from deriva_server.identity import ADMIN, ANONYMOUS, Client
from deriva_server.sql import metrics as statements
from deriva_server.sql.objects import Metadata

OWNER = Client("owner", attributes=(ADMIN,))
GUEST = Client("guest")
LINES = b'{"epoch": 0, "loss": 2.5}\n{"epoch": 1, "loss": NaN}\n{"epoch": 2, "loss": 0.5, "name": "best"}\n'


def put(store: ObjectStore, path: str, content: bytes = LINES) -> str:
    source = Source(io.BytesIO(content), len(content))
    return store.contents.put(OWNER, Put(path, source, Metadata(), parents=True)).version.version


def ask(store: ObjectStore, *paths: str, client: Client = OWNER, **options: Any) -> list[Any]:
    wanted = [((path, None), "") for path in paths]
    return [
        each.status if isinstance(each, ServiceError) else each.text and json.loads(each.text)
        for each in store.metrics.summaries(client, wanted, **options)
    ]


def entries(store: ObjectStore) -> int:
    return store.metrics.size().entries


def test_a_file_is_read_once_whatever_its_names(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "/a/m.jsonl")
    put(store, "/b/m.jsonl")
    first = ask(store, "/a/m.jsonl", "/b/m.jsonl", "/a/m.jsonl")
    assert first[0] == first[1] == first[2]
    assert first[0] == {
        "names": ["epoch", "loss", "name"],
        "last": [2, 0.5, "best"],
        "min": [0, 0.5, None],
        "max": [2, 2.5, None],
        "records": 3,
        "problems": [],
    }
    monkeypatch.setattr(store.backend, "read", lambda *_: pytest.fail("it was read again"))
    assert ask(store, "/b/m.jsonl") == first[:1]
    assert entries(store) == 1


def test_a_kind_is_read_in_its_own_way(store: ObjectStore) -> None:
    put(store, "/a/m", b"a: 1\n")
    found = store.metrics.summaries(OWNER, [(("/a/m", None), "yaml"), (("/a/m", None), "")])
    texts = [json.loads(each.text or "") for each in found if isinstance(each, Found)]
    assert [text["last"] for text in texts] == [[1], []]
    assert entries(store) == 2


def test_who_may_not_read_gets_no_value(store: ObjectStore) -> None:
    version = put(store, "/a/m.jsonl")
    ask(store, "/a/m.jsonl")
    assert ask(store, "/a/m.jsonl", client=GUEST) == [403]
    assert ask(store, "/a/m.jsonl", client=ANONYMOUS) == [401]
    store.resources.change_acl(OWNER, ("/a", None), "subtree-read", lambda _: ["guest"], lambda _: None)
    assert ask(store, "/a/m.jsonl", client=GUEST)[0]["records"] == 3
    found = store.metrics.summaries(GUEST, [(("/a/m.jsonl", version), "")])
    assert isinstance(found[0], Found)


def test_versions_renames_and_deletions_count_as_for_a_get(store: ObjectStore) -> None:
    old = put(store, "/a/m.jsonl", b'{"v": 1}')
    put(store, "/a/m.jsonl", b'{"v": 2}')
    places = [
        (("/a/m.jsonl", None), ""),
        (("/a/m.jsonl", old), ""),
        (("/a/m.jsonl", "NONE"), ""),
        (("/a", None), ""),
    ]
    texts = [
        each.status if isinstance(each, ServiceError) else json.loads(each.text or "")["last"]
        for each in store.metrics.summaries(OWNER, places)
    ]
    assert texts == [[2], [1], 404, 404]
    rename(store.directory, OWNER, Rename("/a/m.jsonl", "/c/m.jsonl", None, False, True), lambda _: None)
    assert ask(store, "/a/m.jsonl", "/c/m.jsonl")[0]["last"] == [2]
    store.contents.delete_name(OWNER, "/c")
    assert ask(store, "/c/m.jsonl") == [404]


def test_entries_go_with_their_contents(store: ObjectStore) -> None:
    put(store, "/a/m.jsonl")
    put(store, "/b/m.jsonl")
    ask(store, "/a/m.jsonl")
    store.contents.delete_name(OWNER, "/a")
    assert entries(store) == 1
    store.contents.delete_name(OWNER, "/b")
    assert entries(store) == 0


def test_entries_go_with_garbage(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "/a/m.jsonl")
    ask(store, "/a/m.jsonl")
    monkeypatch.setattr(store.directory, "tidy", lambda _: None)
    store.contents.delete_name(OWNER, "/a")
    collect(store.directory, find_garbage(store.directory, None, lambda *_: None), lambda *_: None)
    assert entries(store) == 0


def test_a_request_reads_as_much_as_there_is_time_for(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [f"/a/{number}.jsonl" for number in range(5)]
    for number, path in enumerate(paths):
        put(store, path, b'{"n": %d}' % number)
    left = []
    for _ in range(10):
        found = ask(store, *paths, seconds=0)
        left.append(sum(each is None for each in found))
    assert left[:6] == [4, 3, 2, 1, 0, 0]
    monkeypatch.setattr(index, "_PIECE", 2)
    with store.directory.database.write() as connection:
        connection.run("DELETE FROM hatrac_metrics")
    assert [each["last"] for each in ask(store, *paths)] == [[0], [1], [2], [3], [4]]


def test_a_crash_between_two_pieces_loses_nothing(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(None)
    paths = [f"/a/{number}.jsonl" for number in range(6)]
    for number, path in enumerate(paths):
        put(store, path, b'{"n": %d}' % number)
    monkeypatch.setattr(index, "_PIECE", 2)
    with monkeypatch.context() as patch:
        patch.setattr(index, "_summary", lambda *_: next(texts))
        texts = iter(['{"names": [], "last": []}'] * 3)
        with pytest.raises(StopIteration):
            ask(store, *paths)
    assert entries(store) == 2
    again = opened(store.backend)
    again.metrics.rebuild(lambda *_: None)
    assert [each["last"] for each in ask(again, *paths)] == [[0], [1], [2], [3], [4], [5]]


def test_entries_of_an_older_parser_are_made_again(store: ObjectStore) -> None:
    put(store, "/a/m.jsonl")
    with store.directory.database.write() as connection:
        blob = connection.run("SELECT blob FROM hatrac_version").scalar_one()
        connection.run("INSERT INTO hatrac_metrics VALUES (?, '', 0, '{}')", (blob,))
    assert ask(store, "/a/m.jsonl")[0]["records"] == 3
    assert entries(store) == 1


def test_rebuilding_reads_all_again_and_forgets_what_is_gone(store: ObjectStore) -> None:
    put(store, "/a/m.jsonl")
    with store.directory.database.write() as connection:
        blob = connection.run("SELECT blob FROM hatrac_version").scalar_one()
        statements.add_summaries(connection, {(blob, ""): "{}", ("0" * 64, ""): "{}"})
    assert store.metrics.rebuild(lambda *_: None) == 1
    assert ask(store, "/a/m.jsonl")[0]["records"] == 3
    assert entries(store) == 1


def test_all_records_are_read_from_the_bytes(store: ObjectStore) -> None:
    put(store, "/a/m.jsonl")
    found = store.metrics.records(OWNER, [(("/a/m.jsonl", None), ""), (("/b", None), "")])
    assert isinstance(found[0], Found)
    assert json.loads(found[0].text or "")["values"] == [[0, 1, 2], [2.5, None, 0.5], [None, None, "best"]]
    assert isinstance(found[1], ServiceError)
