import os
import time

import pytest

from deriva_ml.checksums import md5_of
from deriva_ml.ermrest import objects
from deriva_ml.ermrest.connect import connect
from deriva_ml.ermrest.objects import object_url
from deriva_ml.errors import (
    DerivaMLChecksumError,
    DerivaMLNotFoundError,
    DerivaMLValidationError,
)
from deriva_server.blobs.files import FilesBackend


def make(tmp_path, fresh, data):
    path = tmp_path / "some file.bin"
    path.write_bytes(data)
    return path, object_url(fresh("Things"), f"{md5_of(path)}.{path.name}")


@pytest.mark.parametrize("size", [0, 10, 1_500_000])
def test_there_and_back(connection, tmp_path, fresh, size):
    path, url = make(tmp_path, fresh, os.urandom(size))
    assert objects.put(connection, path, url, md5=md5_of(path), filename=path.name) == url
    target = tmp_path / "deep" / "er" / "back.bin"
    told = []
    objects.fetch(connection, url, target, md5=md5_of(path), length=size, progress=told.append)
    assert target.read_bytes() == path.read_bytes() and sum(told) == size
    assert list(target.parent.iterdir()) == [target]


def test_same_content_keeps_its_version(connection, tmp_path, fresh):
    path, url = make(tmp_path, fresh, b"abc")
    versions = []
    for _ in range(2):
        objects.put(connection, path, url, md5=md5_of(path))
        versions.append(connection.store.head(url).headers["Content-Location"])
    assert versions[0] == versions[1]


def test_other_content_under_the_same_name(connection, tmp_path, fresh):
    path, url = make(tmp_path, fresh, b"abc")
    objects.put(connection, path, url, md5=md5_of(path))
    path.write_bytes(b"abcd")
    objects.put(connection, path, url, md5=md5_of(path))
    assert objects.fetch(connection, url, tmp_path / "x").read_bytes() == b"abcd"


def test_chunks(connection, tmp_path, fresh, monkeypatch):
    monkeypatch.setattr(connection.site, "chunk_size", 400_000)
    path, url = make(tmp_path, fresh, os.urandom(1_234_567))
    told = []
    objects.put(connection, path, url, md5=md5_of(path), progress=told.append)
    assert sum(told) == 1_234_567
    assert objects.fetch(connection, url, tmp_path / "x", md5=md5_of(path)).stat().st_size == 1_234_567


def test_finishing_may_take_as_long_as_the_file_is(http, ml_catalog, tmp_path, fresh, monkeypatch):
    assemble, asked = FilesBackend.assemble, []

    def slow(self, upload, length):
        asked.append(upload)
        time.sleep(0.5)
        return assemble(self, upload, length)

    monkeypatch.setattr(FilesBackend, "assemble", slow)
    monkeypatch.setattr(objects, "_SLOWEST", 10)
    connection = connect(http, ml_catalog.catalog_id, timeout=(2, 0.3), chunk_size=100)
    path, url = make(tmp_path, fresh, os.urandom(250))
    objects.put(connection, path, url, md5=md5_of(path))
    assert len(asked) == 1
    assert objects.fetch(connection, url, tmp_path / "x", md5=md5_of(path)).stat().st_size == 250


def test_changed_file_is_refused(connection, tmp_path, fresh):
    path, url = make(tmp_path, fresh, b"abc")
    md5 = md5_of(path)
    path.write_bytes(b"xyz")
    with pytest.raises(DerivaMLChecksumError, match="changed after"):
        objects.put(connection, path, url, md5=md5)


def test_later_changes_do_not_reach_the_store(ml_catalog, tmp_path, fresh):
    path, url = make(tmp_path, fresh, b"abc" * 1000)
    objects.put(ml_catalog, path, url, md5=md5_of(path))
    path.write_bytes(b"gone")
    fetched = objects.fetch(ml_catalog, url, tmp_path / "x")
    fetched.write_bytes(b"written over")
    assert objects.fetch(ml_catalog, url, tmp_path / "y").read_bytes() == b"abc" * 1000


def test_wrong_bytes_leave_nothing(connection, tmp_path, fresh):
    path, url = make(tmp_path, fresh, b"abc")
    objects.put(connection, path, url, md5=md5_of(path))
    target = tmp_path / "new" / "x"
    with pytest.raises(DerivaMLChecksumError, match="MD5"):
        objects.fetch(connection, url, target, md5="0" * 32)
    with pytest.raises(DerivaMLChecksumError, match="bytes"):
        objects.fetch(connection, url, target, length=4)
    assert list(target.parent.iterdir()) == []


def test_what_is_missing(connection, tmp_path):
    with pytest.raises(DerivaMLNotFoundError):
        objects.fetch(connection, "/hatrac/no/such", tmp_path / "x")
    with pytest.raises(DerivaMLNotFoundError, match="cannot be uploaded"):
        objects.put(connection, tmp_path / "no", "/hatrac/x", md5="0" * 32)
    with pytest.raises(DerivaMLValidationError):
        objects.fetch(connection, "ftp://host/x", tmp_path / "x")


def test_files_by_address(ml_catalog, tmp_path):
    source = tmp_path / "my data.csv"
    source.write_text("a,b\n")
    url = f"tag://machine,2024-01-01:file://{str(source).replace(' ', '%20')}"
    assert objects.local_path(url) == source
    assert objects.fetch(ml_catalog, url, tmp_path / "x", md5=md5_of(source)).read_text() == "a,b\n"
    source.unlink()
    with pytest.raises(DerivaMLNotFoundError, match="by its place"):
        objects.fetch(ml_catalog, url, tmp_path / "y")
