"""What is particular to S3: what lies where, what is left behind, and accidents on the way."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.buckets import BUCKET, Buckets, free_ports
from tests.proxy import Proxy

from deriva_server.blobs.backend import Source
from deriva_server.blobs.keeping import Keeping
from deriva_server.blobs.s3.addresses import parse_address
from deriva_server.blobs.s3.backend import S3Backend
from deriva_server.errors import Busy, Conflict, NotFound, StorageUnusable
from deriva_server.testing.backend_suite import content, source, stored, whole

Opening = Callable[..., S3Backend]
LARGE = content(20 << 20)
PARTS = [LARGE[start : start + (6 << 20)] for start in range(0, len(LARGE), 6 << 20)]


@pytest.fixture
def prefix(s3: Buckets) -> str:
    return s3.prefix()


@pytest.fixture
def opened(s3: Buckets, prefix: str, tmp_path: Path) -> Opening:
    """Opens the same place, perhaps through another endpoint."""

    def open_backend(endpoint: str | None = None) -> S3Backend:
        return S3Backend(parse_address(s3.address(prefix, endpoint=endpoint)), Keeping(tmp_path / "keeping"))

    return open_backend


@pytest.fixture
def proxy(s3: Buckets) -> Iterator[Proxy]:
    with Proxy(s3.endpoint) as proxy:
        yield proxy


def put_parts(backend: S3Backend) -> None:
    for index, part in enumerate(PARTS):
        backend.put_part("JOB", index, index * len(PARTS[0]), source(part), None)


def test_what_lies_where(s3: Buckets, prefix: str, opened: Opening) -> None:
    backend = opened()
    key = stored(backend, b"abc")
    backend.put_part("JOB", 3, 0, source(b"x"), None)
    assert s3.keys(prefix) == [f"data/{key[:2]}/{key}", "uploads/JOB/3"]
    backend.abandon("JOB")
    assert s3.keys(prefix) == [f"data/{key[:2]}/{key}"]


def test_a_large_content_is_there_before_it_is_visible(s3: Buckets, prefix: str, opened: Opening) -> None:
    backend = opened()
    staged = backend.stage(source(LARGE))
    key = staged.digests.sha256
    assert s3.keys(prefix) == [] and s3.unfinished(prefix) == [f"data/{key[:2]}/{key}"]
    staged.discard()
    assert s3.unfinished(prefix) == []


def test_what_a_crash_leaves_is_found(s3: Buckets, prefix: str, opened: Opening) -> None:
    gone = opened().stage(source(LARGE))
    backend = opened()
    assert list(backend.unadopted(3600)) == []
    ((name, size),) = backend.unadopted(0)
    assert size == len(LARGE)
    backend.drop(name)
    backend.drop(name)
    assert s3.unfinished(prefix) == [] and list(backend.unadopted(0)) == []
    with pytest.raises(Busy, match="were removed"):
        backend.adopt([gone])
    gone.discard()
    stored(backend, LARGE)


def test_a_second_completion_finds_the_first(opened: Opening) -> None:
    backend = opened()
    staged = backend.stage(source(LARGE))
    backend.adopt([staged])
    backend.adopt([staged])
    assert backend.size(staged.digests.sha256) == len(LARGE)


def test_nothing_is_sent_that_is_there(s3: Buckets, prefix: str, opened: Opening) -> None:
    backend = opened()
    stored(backend, LARGE)
    staged = backend.stage(source(LARGE))
    assert s3.unfinished(prefix) == []
    backend.adopt([staged])


def test_an_upload_goes_on_in_another_process(opened: Opening) -> None:
    opened().put_part("JOB", 0, 0, source(b"01"), None)
    opened().put_part("JOB", 1, 2, source(b"23"), None)
    opened().assemble("JOB", 4)
    again = opened()
    assert again.parts("JOB") == {0, 1}
    again.adopt([again.assemble("JOB", 4)])
    assert whole(again.read(stored(again, b"0123"), 0, 4)) == b"0123"


def test_a_part_that_changes_while_the_upload_is_finished(opened: Opening) -> None:
    backend = opened()
    put_parts(backend)
    over = threading.Event()

    def disturb() -> None:
        while not over.is_set():
            backend.put_part("JOB", 3, 3 * len(PARTS[0]), source(os.urandom(len(PARTS[3]))), None)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    outcomes = set()
    try:
        for _ in range(3):
            try:
                staged = backend.assemble("JOB", len(LARGE))
            except Conflict:
                outcomes.add("refused")
            else:
                backend.adopt([staged])
                key = staged.digests.sha256
                assert stored(opened(), whole(backend.read(key, 0, len(LARGE)))) == key
                outcomes.add("done")
    finally:
        over.set()
        disturbing.join()
    assert outcomes


class Fickle(io.BytesIO):
    """Other bytes every time it is read from its beginning."""

    def read(self, size: int | None = -1) -> bytes:
        piece = super().read(size)
        self.seek(self.tell() - len(piece))
        self.write(bytes(max(0, len(piece) - 1)) + os.urandom(1))
        return piece


def test_a_source_that_changes_is_refused(s3: Buckets, prefix: str, opened: Opening) -> None:
    backend = opened()
    with pytest.raises(Busy, match="BadDigest"):
        backend.stage(Source(Fickle(LARGE), len(LARGE)))
    assert s3.keys(prefix) == s3.unfinished(prefix) == []


def test_a_file_that_becomes_shorter_is_refused(
    s3: Buckets, prefix: str, opened: Opening, tmp_path: Path
) -> None:
    backend = opened()
    path = tmp_path / "log"
    path.write_bytes(LARGE)
    key = stored(backend, LARGE)
    with path.open("rb") as stream:
        staged = backend.stage(Source(stream, len(LARGE)))
        backend.remove([key])
        os.truncate(path, 100)
        with pytest.raises(Busy):
            backend.adopt([staged])
        staged.discard()
    assert s3.keys(prefix) == s3.unfinished(prefix) == []


def test_a_pipe_is_spooled(opened: Opening) -> None:
    """Of what can be read once only, a second attempt needs a copy."""
    backend = opened()
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as file:
            file.write(LARGE)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reading, "rb") as stream:
        staged = backend.stage(Source(stream, len(LARGE)))
    thread.join()
    backend.adopt([staged])
    assert backend.size(staged.digests.sha256) == len(LARGE)


def use(backend: S3Backend) -> None:
    """Everything once, with large and small contents."""
    for data in (b"small", LARGE):
        key = stored(backend, data)
        assert whole(backend.read(key, 0, len(data))) == data
        assert list(backend.keys()) == [key]
        backend.remove([key])
        assert backend.size(key) is None
    put_parts(backend)
    staged = backend.assemble("JOB", len(LARGE))
    backend.adopt([staged])
    backend.abandon("JOB")
    assert backend.parts("JOB") == set()
    backend.remove([staged.digests.sha256])


def test_twice_busy_is_tried_again(opened: Opening, proxy: Proxy) -> None:
    backend = opened(proxy.url)
    proxy.expect(("busy", 0), ("busy", 0))
    key = stored(backend, b"abc")
    assert proxy.happened == ["busy", "busy"]
    proxy.expect(("busy", 0), ("busy", 0))
    assert whole(backend.read(key, 0, 3)) == b"abc"
    assert proxy.happened == ["busy", "busy"]


def test_always_busy_is_told(opened: Opening, proxy: Proxy) -> None:
    backend = opened(proxy.url)
    proxy.expect(*[("busy", 0)] * 10)
    began = time.monotonic()
    with pytest.raises(Busy, match="SlowDown"):
        stored(backend, b"abc")
    assert time.monotonic() - began < 20
    proxy.expect()
    use(backend)


@pytest.mark.parametrize("after", [0, 100, 3 << 20])
@pytest.mark.parametrize("what", ["cut-request", "cut-answer"])
def test_connections_that_are_cut(opened: Opening, proxy: Proxy, what: str, after: int) -> None:
    backend = opened(proxy.url)
    key = stored(backend, LARGE)
    proxy.expect((what, after), (what, after))
    assert whole(backend.read(key, 0, len(LARGE))) == LARGE
    backend.remove([key])
    proxy.expect((what, after), (what, after))
    assert stored(backend, LARGE) == key
    proxy.expect()
    assert whole(backend.read(key, 0, len(LARGE))) == LARGE


def test_a_cut_while_an_upload_is_joined(s3: Buckets, prefix: str, opened: Opening, proxy: Proxy) -> None:
    backend = opened(proxy.url)
    put_parts(backend)
    proxy.expect(*[("cut-answer", 2 << 20)] * 3)
    staged = backend.assemble("JOB", len(LARGE))
    proxy.expect(("cut-answer", 10))
    backend.adopt([staged])
    backend.abandon("JOB")
    assert whole(backend.read(staged.digests.sha256, 0, len(LARGE))) == LARGE
    assert s3.unfinished(prefix) == []


def test_nobody_there(opened: Opening, proxy: Proxy, s3: Buckets, prefix: str) -> None:
    (port,) = free_ports(1)
    backend = opened(f"http://127.0.0.1:{port}")
    began = time.monotonic()
    with pytest.raises(Busy, match="cannot be reached"):
        stored(backend, LARGE)
    assert time.monotonic() - began < 20
    assert s3.unfinished(prefix) == []


@pytest.mark.soak
def test_no_answer_to_a_connection(opened: Opening) -> None:
    """A host that drops packets, as a firewall does: nobody accepts, and the queue is full."""
    import socket

    with socket.socket() as deaf, socket.socket() as first, socket.socket() as second:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(deaf.getsockname())
        backend = opened(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(Busy, match="cannot be reached"):
            stored(backend, b"abc")
        assert time.monotonic() - began < 22


def test_wrong_credentials(opened: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    backend = opened()
    with pytest.raises(StorageUnusable, match="SignatureDoesNotMatch.*check the credentials") as caught:
        stored(backend, b"abc")
    assert "wrong" not in str(caught.value)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(StorageUnusable, match="credentials"):
        stored(opened(), b"abc")


def test_no_such_bucket(s3: Buckets, tmp_path: Path) -> None:
    address = s3.address().replace(BUCKET, "no-such-bucket")
    backend = S3Backend(parse_address(address), Keeping(tmp_path))
    with pytest.raises(StorageUnusable, match="NoSuchBucket.*make the bucket first"):
        stored(backend, b"abc")
    with pytest.raises(StorageUnusable):
        backend.read("0" * 64, 0, 1)


def test_a_child_has_connections_of_its_own(opened: Opening) -> None:
    backend = opened()
    key = stored(backend, b"abc")
    child = os.fork()
    if child == 0:
        os._exit(0 if whole(backend.read(key, 0, 3)) == b"abc" else 1)
    for _ in range(20):
        assert whole(backend.read(key, 0, 3)) == b"abc"
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.soak
def test_more_than_one_page(opened: Opening) -> None:
    backend = opened()
    staged = [backend.stage(source(b"%d" % number)) for number in range(1005)]
    backend.adopt(staged)
    keys = list(backend.keys())
    assert len(set(keys)) == 1005
    backend.remove(keys)
    assert list(backend.keys()) == []
    with pytest.raises(NotFound):
        backend.read(keys[-1], 0, 1)
