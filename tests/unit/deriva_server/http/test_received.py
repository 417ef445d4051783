"""Long bodies wait where the object store can take them in as they are."""

import os
import sys

import pytest
from tests.deployments import Http

from deriva_server.blobs import copying
from deriva_server.blobs.backend import Source
from deriva_server.blobs.files import FilesBackend
from deriva_server.embed import LocalServer
from deriva_server.http.received import ReceivedFile, receiving

DATA = os.urandom(5 << 20)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files without a name are Linux's"
)


def received(folder, data):
    file = receiving(folder)
    assert isinstance(file, ReceivedFile)
    file.write(data)
    file.seek(0)
    return file


def test_a_long_body_is_not_copied(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("it is copied")

    monkeypatch.setattr(copying, "take", refuse)
    with LocalServer.open(tmp_path / "lab", create=True) as server, server.serve() as running:
        caller = Http(running.url)
        assert caller.send("PUT", "/hatrac/a", DATA).status == 201
        assert caller.send("GET", "/hatrac/a").body == DATA
        wrong = caller.send("PUT", "/hatrac/b", DATA[:-1], Content_MD5="AAAAAAAAAAAAAAAAAAAAAA==")
        assert wrong.status == 400
        assert [path.name for path in (server.folder / "objects" / "tmp").iterdir()] == []
        monkeypatch.undo()
        assert caller.send("PUT", "/hatrac/c", b"short").status == 201
        assert caller.send("GET", "/hatrac/c").body == b"short"


def test_it_is_known_to_be_wanted_until_it_is_adopted(tmp_path):
    backend = FilesBackend(tmp_path)
    with received(backend.tmp, DATA) as file:
        staged = backend.stage(Source(file, len(DATA)))
    assert list(backend.unadopted(0)) == []
    backend.adopt([staged])
    assert backend.size(staged.digests.sha256) == len(DATA)


def test_a_part_of_a_body_is_copied(tmp_path):
    backend = FilesBackend(tmp_path)
    for skipped, length in ((0, len(DATA) - 1), (1, len(DATA) - 1)):
        with received(backend.tmp, DATA) as file:
            file.seek(skipped)
            staged = backend.stage(Source(file, length))
            backend.adopt([staged])
            file.seek(0)
            file.write(b"changed")
        body = backend.read(staged.digests.sha256, 0, length)
        assert b"".join(body.chunks()) == DATA[skipped : skipped + length]


def test_another_disk_or_no_folder(tmp_path):
    for folder in (None, tmp_path / "missing"):
        with receiving(folder) as file:
            assert not isinstance(file, ReceivedFile)
    with received(tmp_path, b"abc") as file:
        assert not file.name_it(tmp_path / "missing" / "name")
