"""Long bodies wait where the object store can take them in as they are."""

import hashlib
import os
import socket
import sys
import threading
import time
from base64 import b64encode

import pytest
from tests.deployments import Http

from deriva_server.blobs import copying
from deriva_server.blobs.backend import Source
from deriva_server.blobs.files import FilesBackend
from deriva_server.embed import LocalServer
from deriva_server.http.received import ReceivedFile, Receiving

DATA = os.urandom(5 << 20)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="files without a name are Linux's"
)


def received(folder, data):
    file = Receiving(folder).begin("PUT", "/")
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


def test_an_object_is_hashed_while_it_arrives(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("it is read again")

    monkeypatch.setattr(copying, "digests_of", refuse)
    with LocalServer.open(tmp_path / "lab", create=True) as server, server.serve() as running:
        caller = Http(running.url)
        for number in range(12):
            assert caller.send("PUT", f"/hatrac/{number % 3}", DATA + b"%d" % number).status == 201
        assert caller.send("GET", "/hatrac/2").body == DATA + b"11"
        head = caller.send("HEAD", "/hatrac/2").headers
        assert head["Content-MD5"] == b64encode(hashlib.md5(DATA + b"11").digest()).decode()
        wish = {"chunk-length": len(DATA), "content-length": len(DATA)}
        job = caller.send("POST", "/hatrac/3;upload?parents=true", wish, Content_Type="application/json")
        assert caller.send("PUT", f"{job.body.decode().strip()}/0", DATA).status == 204


def test_a_body_that_breaks_off(tmp_path):
    with LocalServer.open(tmp_path / "lab", create=True) as server, server.serve() as running:
        with socket.create_connection((running.host, running.port)) as sending:
            head = f"PUT /hatrac/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: {2 * len(DATA)}\r\n\r\n"
            sending.sendall(head.encode() + DATA)
            until(lambda: following() == 2)
        until(lambda: following() == 0)
        assert Http(running.url).send("GET", "/hatrac/a").status == 404


def following():
    """Threads that hash what arrives."""
    return sum(thread.name == "follower" for thread in threading.enumerate())


def until(reached):
    deadline = time.monotonic() + 20
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
        with Receiving(folder).begin("PUT", "/") as file:
            assert not isinstance(file, ReceivedFile)
    with received(tmp_path, b"abc") as file:
        assert not file.name_it(tmp_path / "missing" / "name")
