"""Many files at once: the outcome of each is the one that it has alone."""

import os
from collections import Counter

import pytest

from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects, together
from deriva_ml.ermrest.connect import connect
from deriva_ml.ermrest.objects import Upload, object_url
from deriva_ml.ermrest.together import MOST_FILES, batches, put_batch
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLConflictError, DerivaMLNotFoundError


@pytest.fixture
def make(tmp_path, fresh):
    space = fresh("Together")

    def make(name, data):
        path = tmp_path / name
        path.write_bytes(data)
        return Upload(path, object_url(space, name), md5_of(path), filename=name)

    return make


def put(connection, uploads):
    """Outcomes by number."""
    numbered = list(enumerate(uploads))
    outcomes = {}
    for batch in batches(connection, numbered, lambda item: item[1].path):
        found = put_batch(connection, [upload for _, upload in batch])
        outcomes.update(zip([number for number, _ in batch], found, strict=True))
    return [outcomes[number] for number in range(len(numbered))]


def versions(connection, upload):
    return connection.store.get(f"{upload.url};versions").json()


def test_there_and_back(connection, tmp_path, make):
    sizes = [0, 1, 100, 5_000, together._HELD, together._HELD + 1, 300_000, objects.ASK_FIRST, 1_300_000]
    uploads = [make(f"{number} é.bin", os.urandom(size)) for number, size in enumerate(sizes)]
    assert put(connection, uploads) == [None] * len(uploads)
    for upload in uploads:
        target = tmp_path / "back" / upload.path.name
        objects.fetch(connection, upload.url, target, md5=upload.md5)
        assert target.read_bytes() == upload.path.read_bytes()
    head = connection.store.head(uploads[0].url).headers
    assert head["Content-Disposition"] == "filename*=UTF-8''0%20%C3%A9.bin"


def test_each_has_its_own_outcome(connection, make, tmp_path):
    same, other = make("same", b"same"), make("other", b"before")
    put(connection, [same, other])
    changed, gone, below = make("changed", b"1"), make("gone", b"2"), make("below", b"3")
    changed.path.write_bytes(b"changed")
    gone.path.unlink()
    below = Upload(below.path, f"{same.url}/below", below.md5)
    other.path.write_bytes(b"after")
    other = Upload(other.path, other.url, md5_of(other.path))
    good = [make(f"good{number}", b"%d" % number) for number in range(3)]
    twice = [make("twice", b"x"), make("twice", b"x")]
    outcomes = put(connection, [good[0], changed, same, gone, good[1], below, other, good[2], *twice])
    kinds = {number: type(outcome) for number, outcome in enumerate(outcomes) if outcome is not None}
    assert kinds == {1: DerivaMLChecksumError, 3: DerivaMLNotFoundError, 5: DerivaMLConflictError}
    for upload in good:
        assert objects.fetch(connection, upload.url, tmp_path / "x", md5=upload.md5)
    counts = Counter({upload.url: len(versions(connection, upload)) for upload in (same, other, twice[0])})
    assert counts == {same.url: 1, other.url: 2, twice[0].url: 1}
    listed = connection.store.get(same.url.rpartition("/")[0]).json()
    assert changed.url not in listed and good[0].url in listed


def test_what_failed_is_put_the_next_time(connection, make):
    uploads = [make(f"f{number}", b"%d" % number) for number in range(5)]
    uploads[2].path.unlink()
    outcomes = put(connection, uploads)
    assert "f2 cannot be uploaded" in str(outcomes.pop(2)) and outcomes == [None] * 4
    uploads[2].path.write_bytes(b"2")
    assert put(connection, uploads) == [None] * 5
    assert [len(versions(connection, upload)) for upload in uploads] == [1] * 5


def test_batches(ml_catalog, http, make):
    small = [make(f"s{number}", b"s") for number in range(MOST_FILES + 1)]
    large = make("large", bytes(objects.ASK_FIRST))
    middle = [make(f"m{number}", bytes(900_000)) for number in range(10)]
    found = list(batches(ml_catalog, [*small, large, *middle], lambda upload: upload.path))
    assert found == [small[:-1], [large], [small[-1], *middle[:9]], middle[9:]]
    alone = batches(connect(http, ml_catalog.catalog_id), small[:2], lambda upload: upload.path)
    assert list(alone) == [[upload] for upload in small[:2]]


def test_progress(ml_catalog, make):
    uploads = [make(f"p{number}", bytes(number)) for number in (5, 6, 7)]
    told = Counter()
    for _ in range(2):
        told.clear()
        failures = put_batch(
            ml_catalog, uploads, lambda upload: lambda count: told.update({upload.path.name: count})
        )
        assert list(failures) == [None] * 3
        assert told == {"p5": 5, "p6": 6, "p7": 7}


def test_later_changes_do_not_reach_the_store(ml_catalog, make, tmp_path):
    uploads = [make(f"c{number}", bytes([number]) * 100_000) for number in range(9)]
    put(ml_catalog, uploads)
    for upload in uploads:
        upload.path.write_bytes(b"written over")
    for upload in uploads:
        objects.fetch(ml_catalog, upload.url, tmp_path / "back" / upload.path.name, md5=upload.md5)
