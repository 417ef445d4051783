"""Deployments whose objects are on S3: where they may be kept, and what happens to the bytes."""

import errno
import io
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
import requests
from tests.buckets import BUCKET, CREDENTIALS, free_ports
from tests.deployments import Http
from tests.interpreter import python
from tests.proxy import Proxy
from tests.unit.deriva_server.test_backup import ME, put, read

from deriva_server import unfinished
from deriva_server.backup import back_up
from deriva_server.blobs.backend import Source
from deriva_server.blobs.collect import collect, find_garbage
from deriva_server.blobs.restoring import NewPlace
from deriva_server.blobs.s3.place import Place
from deriva_server.blobs.verify import verify
from deriva_server.embed import LocalServer
from deriva_server.errors import Busy, DeploymentError
from deriva_server.removal import plan_removal

LARGE = b"2" * (9 << 20)


@pytest.fixture
def prefix(s3):
    return s3.prefix()


@pytest.fixture
def address(s3, prefix):
    return s3.address(prefix)


@pytest.fixture
def lab(tmp_path, address):
    with LocalServer.open(tmp_path / "lab", create=True, objects=address) as server:
        yield server


def refused(folder, **places):
    with pytest.raises(DeploymentError) as caught:
        LocalServer.open(folder, create=True, **places)
    said = str(caught.value)
    assert "\n" not in said
    return said


def whole(server, path):
    content = server.objects.contents.find(ME, path, None)
    body = server.objects.contents.read(content, 0, content.version.length)
    return body if isinstance(body, bytes) else b"".join(body)


@pytest.mark.parametrize(
    "why", ["full", *[pytest.param(why, marks=pytest.mark.soak) for why in ("quota", "bucket-quota")]]
)
def test_a_bucket_that_is_full(s3, prefix, tmp_path, why):
    """Told with 507 for contents of any size; nothing is lost, and the next request works."""
    with (
        Proxy(s3.endpoint) as proxy,
        LocalServer.open(
            tmp_path / "lab", create=True, objects=s3.address(prefix, endpoint=proxy.url)
        ) as server,
        server.serve() as running,
    ):
        caller = Http(running.url)
        assert caller.send("PUT", "/hatrac/a", b"before").status == 201
        job = caller.send(
            "POST",
            "/hatrac/up;upload",
            {"chunk-length": 6, "content-length": 12},
            Content_Type="application/json",
        ).body.decode()
        assert caller.send("PUT", f"{job.strip()}/0", b"chunk.").status == 204
        wanted = [
            ("PUT", "/hatrac/a", b"after"),
            ("PUT", "/hatrac/new", LARGE),
            ("PUT", f"{job.strip()}/1", b"chunk!"),
        ]
        for method, target, body in wanted:
            proxy.expect(*[(why, 0)] * 40)
            answer = caller.send(method, target, body)
            assert answer.status == 507 and b"s3://" in answer.body, (target, answer)
            proxy.expect()
        assert caller.send("GET", "/hatrac/a").body == b"before"
        assert caller.send("GET", "/hatrac/new").status == 404
        for method, target, body in wanted:
            assert caller.send(method, target, body).status in (201, 204)
        assert caller.send("POST", job.strip()).status == 201
        contents = {name: caller.send("GET", f"/hatrac/{name}").body for name in ("a", "new", "up")}
        assert contents == {"a": b"after", "new": LARGE, "up": b"chunk.chunk!"}
    assert s3.unfinished(prefix) == []


def test_bytes_are_there_and_nowhere_else(lab, s3, prefix, address):
    put(lab, "/a/one", b"1" * 100_000)
    put(lab, "/a/two", LARGE)
    put(lab, "/a/again", LARGE)
    assert len(s3.keys(prefix)) == 3 and not (lab.folder / "objects" / "data").exists()
    assert whole(lab, "/a/again") == LARGE
    assert verify(lab.objects.directory, lambda *_: None).damaged == ()
    lab.objects.contents.delete_name(ME, "/a/two")
    assert len(s3.keys(prefix)) == 3
    lab.objects.contents.delete_name(ME, "/a/again")
    assert len(s3.keys(prefix)) == 2
    lab.close()
    with LocalServer.open(lab.folder) as server:
        assert server.bucket == address and whole(server, "/a/one") == b"1" * 100_000


def test_the_address_is_remembered_as_it_is_written_down(lab, address):
    written = (lab.folder / "server.toml").read_text()
    assert written == f"objects = {json.dumps(address)}\n"
    other_spelling = address.replace("/objects?", "/objects/?").replace("http://", "http%3A//")
    assert LocalServer.open(lab.folder, objects=other_spelling) is lab
    assert "elsewhere" in refused(lab.folder, objects=address.replace("/objects?", "/other?"))


def test_a_backup_has_bytes_of_its_own(lab, s3, prefix, tmp_path):
    put(lab, "/a/one", b"1" * 100_000)
    put(lab, "/a/two", LARGE)
    put(lab, "/a/empty", b"")
    made = back_up(lab.folder, tmp_path / "copy")
    assert (made.objects, made.damaged) == (3, ())
    assert (tmp_path / "copy" / "server.toml").read_text() == ""
    put(lab, "/a/three", b"later")
    lab.close()
    plan_removal(lab.folder).run()
    assert s3.keys(prefix) == []
    with LocalServer.open(tmp_path / "copy") as server:
        assert read(server, "/a/one") == b"1" * 100_000
        assert read(server, "/a/two") == LARGE and read(server, "/a/empty") == b""
    back = back_up(tmp_path / "copy", tmp_path / "lab", objects=s3.address(prefix))
    assert (back.objects, back.damaged, back.bucket) == (3, (), s3.address(prefix))
    assert len(s3.keys(prefix)) == 4 and not (tmp_path / "lab" / "objects" / "data").exists()
    with LocalServer.open(tmp_path / "lab") as server:
        assert whole(server, "/a/one") == b"1" * 100_000 and whole(server, "/a/two") == LARGE


def test_a_copy_in_a_bucket_takes_a_place_of_its_own(lab, s3, prefix, address, tmp_path):
    put(lab, "/a/one", b"one")
    put(lab, "/a/two", b"two")
    key = next(key for key in s3.keys(prefix) if key.startswith("data/"))
    s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"changed")
    with pytest.raises(DeploymentError, match="holds objects of this deployment already. Choose another"):
        back_up(lab.folder, tmp_path / "copy", objects=address)
    beside = s3.prefix()

    def told(what, done, total):
        if what == "object directory":
            raise OSError("interrupted")

    with pytest.raises(DeploymentError):
        back_up(lab.folder, tmp_path / "copy", objects=s3.address(beside), told=told)
    assert s3.keys(beside) == [] and not (tmp_path / "copy").exists() and len(s3.keys(prefix)) == 3
    made = back_up(lab.folder, tmp_path / "copy", objects=s3.address(beside), new_id=True)
    assert made.damaged == (key.rpartition("/")[2],) and made.deployment.id != lab.id
    with LocalServer.open(tmp_path / "copy") as copy:
        assert copy.objects.backend.read(made.damaged[0], 0, 7) == b"changed"
    assert made.objects == 2


def test_of_two_backups_one_takes_the_place(lab, s3, tmp_path, monkeypatch):
    """Copies of one deployment have the same id; who comes second takes nothing away from who came first."""
    put(lab, "/a/one", b"one")
    address, free = s3.address(), Place._check_free

    def is_beaten(place):
        monkeypatch.undo()
        free(place)
        back_up(lab.folder, tmp_path / "first", objects=address)

    monkeypatch.setattr(Place, "_check_free", is_beaten)
    with pytest.raises(DeploymentError, match="holds objects of this deployment already"):
        back_up(lab.folder, tmp_path / "second", objects=address)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "lab"]
    with LocalServer.open(tmp_path / "first") as first:
        assert whole(first, "/a/one") == b"one"


def test_where_two_backups_take_a_place_the_last_one_keeps_it(lab, s3, tmp_path):
    """A service that knows no conditions lets both."""
    beside = s3.prefix()
    claim = f"{lab.id} {'0' * 32}"

    def told(what, done, total):
        s3.client.put_object(Bucket=BUCKET, Key=f"{beside}/deployment", Body=claim.encode())

    put(lab, "/a/one", b"one")
    with pytest.raises(DeploymentError, match="Somebody else has taken .* meanwhile"):
        back_up(lab.folder, tmp_path / "copy", objects=s3.address(beside), told=told)
    assert len(s3.keys(beside)) == 2 and not (tmp_path / "copy").exists()


def test_what_has_its_name_is_not_taken_back(lab, s3, tmp_path, monkeypatch):
    put(lab, "/a/one", b"one")

    def sync(folder):
        if folder == tmp_path:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(unfinished, "sync_folder", sync)
    with pytest.raises(DeploymentError, match="is whole, but a power cut .* Input/output error"):
        back_up(lab.folder, tmp_path / "copy", objects=s3.address())
    monkeypatch.undo()

    def rename(folder, place):
        os.rename(folder, place)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        back_up(lab.folder, tmp_path / "second", objects=s3.address())
    for name in ("copy", "second"):
        with LocalServer.open(tmp_path / name) as copy:
            assert whole(copy, "/a/one") == b"one"


KILLED = """
import os, signal, sys
from deriva_server import unfinished
from deriva_server.backup import back_up

def told(what, done, total):
    if what == "object directory":
        os.kill(os.getpid(), signal.SIGKILL)

back_up(*sys.argv[1:3], objects=sys.argv[3], told=told)
"""


def test_the_next_backup_to_a_name_frees_what_was_left(lab, s3, tmp_path, monkeypatch):
    put(lab, "/a/one", b"one")
    copy, beside = tmp_path / "copy", s3.prefix()
    address, note = s3.address(beside), tmp_path / ".copy.partial" / ".backup.lock"

    def fail(*_):
        raise Busy("it is away")

    monkeypatch.setattr(NewPlace, "give_back", fail)
    with pytest.raises(
        DeploymentError, match="failed: it burns. .* \\(it is away\\); the next backup to that"
    ):
        back_up(lab.folder, copy, objects=address, told=lambda *_: (_ for _ in ()).throw(OSError("it burns")))
    monkeypatch.undo()
    assert [path.name for path in note.parent.iterdir()] == [note.name]
    # It can take the place only when that is free again.
    words = [python(), "-c", KILLED, lab.folder, copy, address]
    assert subprocess.run(words, env={**os.environ, **CREDENTIALS}).returncode == -signal.SIGKILL
    assert len(s3.keys(beside)) == 2
    noted = note.read_text()
    note.write_text(noted.replace(BUCKET, "no-such-bucket"))
    with pytest.raises(
        DeploymentError, match="what it put to s3://no-such-bucket/.* cannot be removed: .*NoSuch"
    ):
        back_up(lab.folder, copy)
    note.write_text(noted[:9])  # as a power cut before anything was taken may leave it
    back_up(lab.folder, tmp_path / "copy").deployment.folder.rename(tmp_path / "other")
    note.parent.mkdir()
    note.write_text(noted)
    assert back_up(lab.folder, copy).objects == 1
    assert s3.keys(beside) == [] and not note.parent.exists()


def test_no_place_lies_in_that_of_another(lab, s3, prefix, address, tmp_path):
    put(lab, "/a/one", b"one")
    inside, around = (address.replace(prefix, other) for other in (f"{prefix}/a/b", prefix.partition("/")[0]))
    for options in ({}, {"new_id": True}):
        with pytest.raises(DeploymentError, match=f"lies in s3://{BUCKET}/{prefix}.* prefix: .*/NAME"):
            back_up(lab.folder, tmp_path / "copy", objects=inside, **options)
    with pytest.raises(DeploymentError, match="holds something else already"):
        back_up(lab.folder, tmp_path / "copy", objects=around)
    # What is there all the same, such as from elsewhere, is not taken along.
    foreign = ["a/data/00/" + "0" * 64, "a/deployment", "data/note"]
    for key in foreign:
        s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{key}", Body=b"x")
    lab.close()
    plan_removal(lab.folder).run()
    assert s3.keys(prefix) == foreign


def test_a_backup_tells_of_damage(lab, s3, prefix, tmp_path):
    put(lab, "/a/one", b"one")
    put(lab, "/a/two", b"two")
    first, second = (key for key in s3.keys(prefix) if key.startswith("data/"))
    s3.client.delete_object(Bucket=BUCKET, Key=f"{prefix}/{first}")
    s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}/{second}", Body=b"changed")
    made = back_up(lab.folder, tmp_path / "copy")
    assert made.objects == 1
    assert set(made.damaged) == {first.rpartition("/")[2], second.rpartition("/")[2]}


def test_a_backup_waits_for_no_removal(lab, s3, prefix):
    put(lab, "/o", b"abc")
    with lab.objects.backend.kept():
        lab.objects.contents.delete_name(ME, "/o")
        assert len(s3.keys(prefix)) == 2
    directory = lab.objects.directory
    collect(directory, find_garbage(directory, None, lambda *_: None), lambda *_: None)
    assert s3.keys(prefix) == ["deployment"]


def test_removal_takes_what_is_unfinished_too(lab, s3, prefix):
    put(lab, "/o", b"abc")
    lab.objects.backend.stage(Source(io.BytesIO(LARGE), len(LARGE)))
    lab.objects.backend.put_part("JOB", 0, 0, Source(io.BytesIO(b"abc"), 3), None)
    assert len(s3.keys(prefix)) == 3 and len(s3.unfinished(prefix)) == 1
    lab.close()
    assert plan_removal(lab.folder).run() == ()
    assert s3.keys(prefix) == s3.unfinished(prefix) == [] and not lab.folder.exists()


def test_what_cannot_be_an_address(tmp_path):
    for wrong in ("lab", "https://bucket/x", "s3://", "s3://bucket?port=1"):
        assert "write s3://bucket/prefix" in refused(tmp_path / "lab", objects=wrong)
    assert not (tmp_path / "lab").exists()


def test_what_cannot_be_used(tmp_path, s3, prefix, address, monkeypatch):
    lab = tmp_path / "lab"
    said = refused(lab, objects=address.replace(BUCKET, "no-such-bucket"))
    assert "NoSuchBucket" in said and "make the bucket first" in said
    (port,) = free_ports(1)
    assert "cannot be reached" in refused(lab, objects=s3.address("x", endpoint=f"http://127.0.0.1:{port}"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s-e-c")
    said = refused(lab, objects=address)
    assert "check the credentials" in said and "s-e-c" not in said
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "set AWS_ACCESS_KEY_ID" in refused(lab, objects=address)
    monkeypatch.undo()
    # What failed is not remembered, neither here nor there.
    assert not lab.exists() and s3.keys(prefix) == []


def test_a_database_that_fails_leaves_the_place_free(tmp_path, s3, prefix, address):
    refused(tmp_path / "lab", objects=address, database="postgresql://kim@127.0.0.1:1/lab")
    assert s3.keys(prefix) == [] and not (tmp_path / "lab").exists()


def test_a_place_belongs_to_one_deployment(lab, tmp_path, s3, prefix, address, monkeypatch):
    two = tmp_path / "two"
    said = refused(two, objects=address)
    assert "belongs to another deployment" in said and f"s3://{BUCKET}/NAME" in said
    lab.close()
    assert "says that the objects are at" in refused(lab.folder, objects=s3.address())
    LocalServer.open(two, create=True).close()
    monkeypatch.setenv("DERIVA_SERVER_OBJECTS", s3.address())
    assert "no objects of this deployment" in refused(two)
    with pytest.raises(DeploymentError, match="does not say where the objects are"):
        plan_removal(two)
    monkeypatch.setenv("DERIVA_SERVER_OBJECTS", address)
    assert "another deployment" in refused(two)
    s3.client.put_object(Bucket=BUCKET, Key=f"{prefix}-taken/precious", Body=b"x")
    said = refused(tmp_path / "three", objects=s3.address(f"{prefix}-taken"))
    assert "holds something else already" in said and "precious" in said


def test_a_folder_with_objects_in_files_stays_so(tmp_path, s3, prefix, address, monkeypatch):
    with LocalServer.open(tmp_path / "lab", create=True) as server:
        put(server, "/o", b"abc")
    assert "in files" in refused(tmp_path / "lab", objects=address)
    monkeypatch.setenv("DERIVA_SERVER_OBJECTS", address)
    assert "in files" in refused(tmp_path / "lab")
    assert s3.keys(prefix) == []


def test_accidents_are_answered_and_nothing_is_lost(tmp_path, s3, prefix):
    """Over HTTP: busy twice is not noticed; nobody there is a 503, and the next request works."""
    with Proxy(s3.endpoint) as proxy:
        address = s3.address(prefix, endpoint=proxy.url)
        with LocalServer.open(tmp_path / "lab", create=True, objects=address) as lab, lab.serve() as running:
            url = f"{running.url}/hatrac/o"
            assert requests.put(url, data=b"first", timeout=60).status_code == 201
            proxy.expect(("busy", 0), ("busy", 0))
            assert requests.put(url, data=b"second", timeout=60).status_code == 201
            proxy.expect(*[("refuse", 0)] * 30)
            answer = requests.put(url, data=b"third", timeout=60)
            assert answer.status_code == 503 and "cannot be reached" in answer.text
            assert "Check that it runs" in answer.text
            assert requests.get(url, timeout=60).status_code == 503
            proxy.expect()
            assert requests.get(url, timeout=60).content == b"second"
            assert requests.put(url, data=b"third", timeout=60).status_code == 201
            assert requests.get(url, timeout=60).content == b"third"
            put(lab, "/large", LARGE)
            proxy.expect(("cut-answer", 3 << 20), ("cut-answer", 3 << 20))
            assert requests.get(f"{running.url}/hatrac/large", timeout=60).content == LARGE


def test_a_deletion_counts_although_the_bytes_cannot_go(tmp_path, s3, prefix):
    with Proxy(s3.endpoint) as proxy:
        address = s3.address(prefix, endpoint=proxy.url)
        with LocalServer.open(tmp_path / "lab", create=True, objects=address) as lab:
            put(lab, "/o", b"abc")
            proxy.expect(*[("busy", 0)] * 30)
            lab.objects.contents.delete_name(ME, "/o")
            with pytest.raises(Busy):
                lab.objects.backend.size("0" * 64)
            proxy.expect()
            directory = lab.objects.directory
            found = find_garbage(directory, None, lambda *_: None)
            assert len(found.orphans) == 1
            collect(directory, found, lambda *_: None)
            assert s3.keys(prefix) == ["deployment"]
