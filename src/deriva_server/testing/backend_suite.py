"""The contract that every store of bytes must pass.

Examples
--------
::

    class TestMine(BackendSuite):
        @pytest.fixture
        def backend(self, tmp_path):
            return MyBackend(tmp_path)
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from deriva_server.blobs.backend import Backend, Source, Staged
from deriva_server.errors import BadRequest, NotFound
from deriva_server.http.message import FilePart

SIZES = [0, 1, 65_537, 9 << 20]
"""Numbers of bytes that take different ways."""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that do not repeat soon."""
    block = hashlib.sha512(str(seed).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def source(data: bytes) -> Source:
    """A stream with more behind it."""
    return Source(io.BytesIO(data + b"beyond"), len(data))


def whole(body: bytes | FilePart | Iterable[bytes]) -> bytes:
    """All bytes of a body."""
    if isinstance(body, FilePart):
        return b"".join(body.chunks())
    return body if isinstance(body, bytes) else b"".join(body)


def stored(backend: Backend, data: bytes) -> str:
    """Put bytes into a store; gives their key."""
    staged = backend.stage(source(data))
    backend.adopt([staged])
    return staged.digests.sha256


class BackendSuite:
    """Subclass it and give a fixture `backend` with a fresh, empty store."""

    @pytest.mark.parametrize("size", SIZES)
    def test_round_trip(self, backend: Backend, size: int) -> None:
        """Bytes come back as they went in, under the key that they have."""
        data = content(size)
        staged = backend.stage(source(data))
        assert staged.digests.sha256 == hashlib.sha256(data).hexdigest()
        assert staged.digests.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
        assert staged.digests.length == size
        assert backend.size(staged.digests.sha256) is None, "staged bytes are not part of the store"
        backend.adopt([staged])
        staged.discard()
        key = staged.digests.sha256
        assert backend.size(key) == size
        assert list(backend.keys()) == [key]
        assert whole(backend.read(key, 0, size)) == data
        assert whole(backend.read(key, size // 3, size // 3)) == data[size // 3 : size // 3 * 2]

    @pytest.mark.parametrize("size", SIZES)
    def test_local_file(self, backend: Backend, tmp_path: Path, size: int) -> None:
        """A local file goes in whichever way the store takes, and the stored bytes do not change with it."""
        path = tmp_path / "source.bin"
        path.write_bytes(content(size))
        with path.open("rb") as stream:
            staged = backend.stage(Source(stream, size))
        backend.adopt([staged])
        path.write_bytes(b"changed")
        assert whole(backend.read(staged.digests.sha256, 0, size)) == content(size)

    def test_open_file(self, backend: Backend, tmp_path: Path) -> None:
        """A stream over a file goes in from where it stands."""
        path = tmp_path / "source.bin"
        data = content(9 << 20)
        path.write_bytes(b"head" + data + b"tail")
        with path.open("rb") as file:
            assert file.read(4) == b"head"
            staged = backend.stage(Source(file, len(data)))
        assert staged.digests.sha256 == hashlib.sha256(data).hexdigest()

    def test_packed_file(self, backend: Backend, tmp_path: Path) -> None:
        """What a stream gives goes in, not what the file behind it holds."""
        path = tmp_path / "source.gz"
        data = os.urandom(100_000)
        with gzip.open(path, "wb") as file:
            file.write(data)
        with gzip.open(path) as stream:
            staged = backend.stage(Source(cast(BinaryIO, stream), len(data)))
        assert staged.digests.sha256 == hashlib.sha256(data).hexdigest()

    def test_same_bytes_once(self, backend: Backend) -> None:
        """Identical bytes have one key and are kept once."""
        assert stored(backend, b"same") == stored(backend, b"same")
        assert len(list(backend.keys())) == 1

    def test_discard(self, backend: Backend) -> None:
        """Bytes given up leave nothing."""
        staged = backend.stage(source(b"gone"))
        staged.discard()
        staged.discard()
        assert list(backend.keys()) == []

    @pytest.mark.parametrize("size", [1, 9 << 20])
    def test_source_ends_early(self, backend: Backend, size: int) -> None:
        """Too few bytes are refused."""
        with pytest.raises(BadRequest):
            backend.stage(Source(io.BytesIO(content(size - 1)), size))

    def test_remove(self, backend: Backend) -> None:
        """Removed bytes are gone; missing ones do not matter."""
        key, other = stored(backend, b"a"), stored(backend, b"b")
        backend.remove([key, "0" * 64])
        assert backend.size(key) is None
        with pytest.raises(NotFound):
            backend.read(key, 0, 1)
        assert list(backend.keys()) == [other]

    def test_parallel(self, backend: Backend) -> None:
        """Many at once, with repeats."""
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(lambda number: stored(backend, content(5000, number % 20)), range(60)))
        assert sorted(backend.keys()) == sorted(set(keys))

    def test_parts(self, backend: Backend) -> None:
        """Parts arrive in any order and replace each other."""
        assert backend.parts("U") == set()
        backend.put_part("U", 2, 8, source(b"89"), None)
        backend.put_part("U", 0, 0, source(b"xxxx"), None)
        backend.put_part("U", 0, 0, source(b"0123"), hashlib.md5(b"0123", usedforsecurity=False).hexdigest())
        assert backend.parts("U") == {0, 2}
        backend.put_part("U", 1, 4, source(b"4567"), None)
        staged = backend.assemble("U", 10)
        assert staged.digests.sha256 == hashlib.sha256(b"0123456789").hexdigest()
        staged.discard()
        assert backend.parts("U") == {0, 1, 2}, "discarding keeps the parts"
        staged = backend.assemble("U", 10)
        backend.adopt([staged])
        backend.abandon("U")
        assert backend.parts("U") == set()
        assert whole(backend.read(staged.digests.sha256, 0, 10)) == b"0123456789"

    def test_bad_part(self, backend: Backend) -> None:
        """A part with other bytes than announced is missing, also when it was there before."""
        backend.put_part("U", 0, 0, source(b"0123"), None)
        with pytest.raises(BadRequest):
            backend.put_part("U", 0, 0, source(b"4567"), "0" * 32)
        assert backend.parts("U") == set()
        with pytest.raises(BadRequest):
            backend.put_part("U", 1, 4, Source(io.BytesIO(b"45"), 4), None)
        assert backend.parts("U") == set()

    def test_adopt_many(self, backend: Backend) -> None:
        """One call takes many."""
        staged: list[Staged] = [backend.stage(source(os.urandom(10))) for _ in range(20)]
        backend.adopt(staged)
        assert len(list(backend.keys())) == 20
