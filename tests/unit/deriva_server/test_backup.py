"""A backup of a deployment: what is in the copy, and what is left behind when there is none."""

import io
import json
import os
import sqlite3
import subprocess
import sys

import pytest
from tests.interpreter import python

from deriva_server import backup
from deriva_server.backup import back_up
from deriva_server.blobs.adding import Put
from deriva_server.blobs.backend import Source
from deriva_server.deployment import Deployment
from deriva_server.embed import LocalServer
from deriva_server.errors import DeploymentError, NotFound
from deriva_server.http.message import Headers, Request
from deriva_server.identity import ADMIN, Client
from deriva_server.sql import keeps
from deriva_server.sql.objects import Metadata

ME = Client("kim", attributes=("kim", ADMIN))


def send(server, method, target, body=None):
    data = b"" if body is None else json.dumps(body).encode()
    answer = server.handle(Request(method, target, Headers(), io.BytesIO(data), len(data)))
    content = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    assert answer.status < 300, content
    return json.loads(content) if content else None


def put(server, path, data):
    return server.objects.contents.put(
        ME, Put(path, Source(io.BytesIO(data), len(data)), Metadata(), parents=True)
    )


def read(server, path):
    content = server.objects.contents.find(ME, path, None)
    part = server.objects.contents.read(content, 0, content.version.length)
    return b"".join(part.chunks())


@pytest.fixture
def lab(tmp_path):
    with LocalServer.open(tmp_path / "lab", create=True) as server:
        for name in ("first", "second", "third"):
            send(server, "POST", "/ermrest/catalog", {"name": name})
        send(server, "POST", "/ermrest/alias", {"id": "main", "alias_target": "1"})
        send(server, "POST", "/ermrest/catalog", {"id": "Ünlike/any file"})
        send(server, "DELETE", "/ermrest/catalog/2")
        put(server, "/a/one", b"1" * 100_000)
        put(server, "/a/two", b"2")
        put(server, "/a/copy-of-two", b"2")
        server.objects.contents.delete_name(ME, "/a/one")
        yield server


def test_the_copy_is_a_deployment(lab, tmp_path):
    ids = ("1", "3", "main", "%C3%9Cnlike%2Fany%20file")
    for id in ids:
        send(lab, "GET", f"/ermrest/catalog/{id}")  # notes who asks
    told = []
    made = back_up(lab.folder, tmp_path / "copies" / "now", told=lambda *step: told.append(step))
    assert (made.catalogs, made.objects, made.damaged) == (3, 1, ())
    assert made.deployment == Deployment(tmp_path / "copies" / "now", lab.id, "lab")
    assert {what for what, _, _ in told} == {
        "registry",
        "catalog 1",
        "catalog 3",
        "catalog Ünlike/any file",
    } | {
        "objects",
        "object directory",
    }
    assert all(done <= total for _, done, total in told)
    with LocalServer.open(made.deployment.folder) as copy:
        for id in ids:
            here, there = (send(server, "GET", f"/ermrest/catalog/{id}") for server in (lab, copy))
            assert here == there
        assert read(copy, "/a/two") == read(copy, "/a/copy-of-two") == b"2"
        with pytest.raises(NotFound):
            read(copy, "/a/one")
        with pytest.raises(NotFound):
            copy.registry.catalog("2")
        # The id of the deleted catalog is taken in the copy as well.
        assert send(copy, "POST", "/ermrest/catalog") == {"id": "4"}
        put(copy, "/a/three", b"3")
    assert sorted(os.listdir(tmp_path / "copies")) == ["now"]
    assert not list((tmp_path / "copies" / "now").rglob("*backup*"))


def test_changes_of_one_do_not_reach_the_other(lab, tmp_path):
    made = back_up(lab.folder, tmp_path / "copy")
    blobs = [file for file in (tmp_path / "copy" / "objects" / "data").rglob("*") if file.is_file()]
    assert blobs and all(file.stat().st_nlink == 1 for file in blobs)
    with LocalServer.open(made.deployment.folder) as copy:
        send(copy, "PUT", "/ermrest/catalog/1/annotation/x", 1)
        put(copy, "/a/two", b"altered")
        assert send(lab, "GET", "/ermrest/catalog/1/annotation") != send(
            copy, "GET", "/ermrest/catalog/1/annotation"
        )
        assert read(lab, "/a/two") == b"2"


def test_history_is_copied(lab, tmp_path):
    before = send(lab, "GET", "/ermrest/catalog/1")["snaptime"]
    send(lab, "POST", "/ermrest/catalog/1/schema/s")
    made = back_up(lab.folder, tmp_path / "copy")
    with LocalServer.open(made.deployment.folder) as copy:
        assert "s" in send(copy, "GET", "/ermrest/catalog/1/schema")["schemas"]
        assert "s" not in send(copy, "GET", f"/ermrest/catalog/1@{before}/schema")["schemas"]


def test_a_copy_can_become_a_deployment_of_its_own(lab, tmp_path):
    made = back_up(lab.folder, tmp_path / "copy", new_id=True)
    assert made.deployment.id != lab.id
    assert Deployment.open(tmp_path / "copy").id == made.deployment.id


def test_settings_are_copied(lab, tmp_path):
    (lab.folder / "server.toml").write_text("threads = 3\n")
    back_up(lab.folder, tmp_path / "copy")
    with LocalServer.open(tmp_path / "copy") as copy:
        assert copy.config.threads == 3


def test_a_deployment_that_nothing_was_made_in(tmp_path):
    Deployment.create(tmp_path / "lab")
    made = back_up(tmp_path / "lab", tmp_path / "copy")
    assert (made.catalogs, made.objects) == (0, 0)
    with LocalServer.open(tmp_path / "copy") as copy:
        assert send(copy, "POST", "/ermrest/catalog") == {"id": "1"}


def test_an_empty_folder_is_filled(lab, tmp_path):
    (tmp_path / "copy").mkdir()
    assert back_up(lab.folder, tmp_path / "copy").catalogs == 3


def test_wrong_places_are_refused(lab, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").write_text("x")
    (tmp_path / "file").write_text("x")
    for place in ("full", "file", "lab", "lab/objects/copy"):
        with pytest.raises(DeploymentError):
            back_up(lab.folder, tmp_path / place)
    with pytest.raises(DeploymentError, match="no folder"):
        back_up(tmp_path / "nowhere", tmp_path / "copy")
    assert sorted(os.listdir(tmp_path)) == ["file", "full", "lab"]
    assert (tmp_path / "full" / "precious").read_text() == "x"


def test_nothing_is_left_of_a_failed_backup(lab, tmp_path):
    """Also not the folders above the target that were made for it."""
    with sqlite3.connect(lab.folder / "catalogs" / "3.db") as database:
        page_size = database.execute("PRAGMA page_size").fetchone()[0]
        database.execute(
            "CREATE TABLE filler AS WITH RECURSIVE n(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM n LIMIT 5000) SELECT x, hex(randomblob(20)) AS y FROM n"
        )
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    lab.close()
    with (lab.folder / "catalogs" / "3.db").open("r+b") as file:
        file.seek(-20 * page_size, os.SEEK_END)
        file.write(b"\xff" * 3 * page_size)
    with pytest.raises(DeploymentError, match="damaged|malformed"):
        back_up(lab.folder, tmp_path / "copies" / "copy")
    assert os.listdir(tmp_path) == ["lab"]


def test_damaged_objects_are_named(lab, tmp_path):
    data = lab.folder / "objects" / "data"
    put(lab, "/a/three", b"3")
    two, three = (lab.objects.contents.find(ME, f"/a/{name}", None).version.blob for name in ("two", "three"))
    (data / two[:2] / two).unlink()
    (data / three[:2] / three).chmod(0o644)
    (data / three[:2] / three).write_bytes(b"!")
    made = back_up(lab.folder, tmp_path / "copy")
    assert made.damaged == tuple(sorted((two, three)))
    with LocalServer.open(tmp_path / "copy") as copy:
        assert read(copy, "/a/three") == b"!"


def test_what_a_killed_backup_left_is_removed(lab, tmp_path):
    program = (
        "import os, signal, sys\n"
        "from deriva_server.backup import back_up\n"
        "back_up(*sys.argv[1:], told=lambda what, *_: what == 'catalog 3' and os.kill(os.getpid(), signal.SIGKILL))"
    )
    words = [python(), "-c", program, str(lab.folder), str(tmp_path / "copy")]
    assert subprocess.run(words).returncode == -9
    assert sorted(os.listdir(tmp_path)) == [".copy.partial", "lab"]
    assert back_up(lab.folder, tmp_path / "copy").catalogs == 3
    assert sorted(os.listdir(tmp_path)) == ["copy", "lab"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs flock")
def test_two_backups_to_one_place(lab, tmp_path):
    def second(*_):
        with pytest.raises(DeploymentError, match="running"):
            back_up(lab.folder, tmp_path / "copy")

    assert back_up(lab.folder, tmp_path / "copy", told=second).catalogs == 3


def once(what, act):
    """Do something at the first word about one part of the copy."""
    waiting = [act]

    def told(part, done, total):
        if part == what and waiting:
            waiting.pop()()

    return told


def test_objects_that_come_and_go_meanwhile(lab, tmp_path):
    """Whatever lived at some moment of the backup may be named by a row in the copy."""
    put(lab, "/a/gone-at-once", b"at once")

    def before_bytes():
        lab.objects.contents.delete_name(ME, "/a/gone-at-once")

    def during_catalogs():
        lab.objects.contents.delete_name(ME, "/a/two")
        lab.objects.contents.delete_name(ME, "/a/copy-of-two")
        put(lab, "/b/new", b"new")
        put(lab, "/b/short-lived", b"short-lived")
        lab.objects.contents.delete_name(ME, "/b/short-lived")

    first, second = once("objects", before_bytes), once("catalog 1", during_catalogs)
    made = back_up(lab.folder, tmp_path / "copy", told=lambda *step: (first(*step), second(*step)))
    assert made.damaged == ()
    with LocalServer.open(tmp_path / "copy") as copy:
        assert read(copy, "/a/two") == read(copy, "/a/copy-of-two") == b"2"
        assert read(copy, "/b/new") == b"new"
        assert read(copy, "/b/short-lived") == b"short-lived"
        assert read(copy, "/a/gone-at-once") == b"at once"
        with pytest.raises(NotFound):
            read(copy, "/a/one")  # deleted before
    assert len(stored(lab)) == 1  # the rest was removed after the backup


def stored(server):
    return list(server.objects.backend.keys())


def test_other_machines_know_of_a_backup_while_it_runs(lab, tmp_path):
    def recorded(server):
        with server.objects.directory.read() as connection:
            return keeps.are_kept(connection)

    seen = []
    back_up(lab.folder, tmp_path / "copy", told=once("catalog 1", lambda: seen.append(recorded(lab))))
    with LocalServer.open(tmp_path / "copy") as copy:
        assert seen == [True] and not recorded(lab) and not recorded(copy)


def test_bytes_that_a_killed_backup_kept_are_removed_by_the_next(lab, tmp_path):
    with lab.objects.backend.kept():
        lab.objects.contents.delete_name(ME, "/a/two")
        lab.objects.contents.delete_name(ME, "/a/copy-of-two")
    assert len(stored(lab)) == 1
    back_up(lab.folder, tmp_path / "copy")
    assert stored(lab) == []


def test_catalogs_that_go_meanwhile(lab, tmp_path):
    def purge():
        send(lab, "DELETE", "/ermrest/catalog/3")
        lab.registry.purge()

    made = back_up(lab.folder, tmp_path / "copy", told=once("catalog 1", purge))
    assert made.catalogs == 2
    with LocalServer.open(tmp_path / "copy") as copy:
        with pytest.raises(NotFound):
            copy.registry.catalog("3")
        assert [entry.id for entry in copy.registry.entries() if entry.is_catalog] == ["1", "Ünlike/any file"]


def test_network_file_systems_are_refused(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(backup, "network_file_system", lambda place: "nfs4")
    with pytest.raises(DeploymentError, match="local disk"):
        back_up(lab.folder, tmp_path / "copy")
