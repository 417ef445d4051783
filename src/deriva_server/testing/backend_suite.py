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

import contextlib
import gzip
import hashlib
import io
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from deriva_server.blobs.backend import Backend, Source, Staged
from deriva_server.blobs.bodies import pieces
from deriva_server.errors import BadRequest, NotFound, ServiceError
from deriva_server.http.message import FilePart
from deriva_server.testing.memory import Memory

SIZES = [0, 1, 65_537, 9 << 20]
"""Numbers of bytes that take different ways."""

LARGE = (25 << 20) + 1
"""Bytes that a store of parts keeps in more than two."""


MOST_MEMORY = 60 << 20
"""Bytes by which a process may grow while it moves a content of any size."""


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that do not repeat soon."""
    block = hashlib.sha512(str(seed).encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def source(data: bytes) -> Source:
    """A stream with more behind it."""
    return Source(io.BytesIO(data + b"beyond"), len(data))


def whole(body: bytes | FilePart | Iterable[bytes]) -> bytes:
    """All bytes of a body."""
    return b"".join(pieces(body))


def stored(backend: Backend, data: bytes) -> str:
    """Put bytes into a store; gives their key."""
    staged = backend.stage(source(data))
    backend.adopt([staged])
    return staged.digests.sha256


class BackendSuite:
    """Subclass it and give a fixture `backend` with a fresh, empty store."""

    holds_all_in_memory = False
    """Whether the memory of this process is where the store keeps everything."""

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

    @pytest.mark.parametrize("count", [0, 1, 3, 40])
    def test_stage_many(self, backend: Backend, count: int) -> None:
        """One call takes many in; what ends early, or is given up, does not harm the others."""
        contents = [content(1 + number * 1000, number) for number in range(count)]
        sources = list(map(source, contents))
        sources[1:1] = [Source(io.BytesIO(b"short"), 9)]
        outcomes = backend.stage_many(sources)
        failure = outcomes.pop(min(1, count))
        assert isinstance(failure, BadRequest)
        staged = [item for item in outcomes if not isinstance(item, ServiceError)]
        keys = [hashlib.sha256(data).hexdigest() for data in contents]
        assert [item.digests.sha256 for item in staged] == keys and list(backend.keys()) == []
        for item in staged[2:]:
            item.discard()
        backend.adopt(staged[:2])
        assert sorted(backend.keys()) == sorted(keys[:2])
        assert [whole(backend.read(key, 0, 1)) for key in keys[:1]] == [data[:1] for data in contents[:1]]
        assert list(backend.unadopted(0)) == []

    def test_large(self, backend: Backend) -> None:
        """A content of many parts, and any stretch of it."""
        data = os.urandom(1 << 20) * (LARGE >> 20) + b"."
        key = stored(backend, data)
        assert key == hashlib.sha256(data).hexdigest() and backend.size(key) == len(data)
        body = backend.read(key, 0, len(data))
        digest = hashlib.sha256()
        for piece in pieces(body):
            digest.update(piece)
        assert digest.hexdigest() == key
        for start, length in ((8 << 20, 1), ((8 << 20) - 1, 2), (LARGE - 1, 1), (5, 9 << 20), (LARGE, 0)):
            assert whole(backend.read(key, start, length)) == data[start : start + length]
        assert stored(backend, data) == key

    def test_a_reader_that_stops_early(self, backend: Backend) -> None:
        """What is not read does not matter, however often it happens."""
        data = content(9 << 20)
        key = stored(backend, data)
        for _ in range(20):
            body = backend.read(key, 0, len(data))
            first = next(iter(pieces(body)))
            assert data.startswith(first)
            if not isinstance(body, bytes | FilePart):
                body.close()  # type: ignore[attr-defined]
        assert whole(backend.read(key, 0, len(data))) == data

    @pytest.mark.parametrize("size", [0, 10, 9 << 20])
    def test_what_is_not_there(self, backend: Backend, size: int) -> None:
        """It is known before the first byte is sent."""
        with pytest.raises(NotFound):
            backend.read("0" * 64, 0, size)

    @pytest.mark.parametrize("size", [4, 9 << 20])
    def test_discard_after_adopt(self, backend: Backend, size: int) -> None:
        """Nothing is given up that the store has taken."""
        data = content(size)
        staged = backend.stage(source(data))
        backend.adopt([staged])
        staged.discard()
        staged.discard()
        assert backend.size(staged.digests.sha256) == size

    @pytest.mark.parametrize("size", [4, 9 << 20])
    def test_staged_while_the_same_goes(self, backend: Backend, size: int) -> None:
        """Bytes that the store had when they came in, and has no more when they are adopted, are there afterwards."""
        data = content(size)
        key = stored(backend, data)
        staged = backend.stage(source(data))
        backend.remove([key])
        backend.adopt([staged])
        assert whole(backend.read(key, 0, size)) == data

    def test_put_and_remove_at_once(self, backend: Backend) -> None:
        """The same content comes and goes in many threads: it is there whole or not at all."""
        data = content(70_000)
        key = hashlib.sha256(data).hexdigest()

        def work(number: int) -> None:
            if number % 2:
                backend.remove([key])
            else:
                assert stored(backend, data) == key
            with contextlib.suppress(NotFound, FileNotFoundError):
                assert whole(backend.read(key, 0, len(data))) == data

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(40)))
        stored(backend, data)
        assert whole(backend.read(key, 0, len(data))) == data

    def test_kept(self, backend: Backend) -> None:
        """While bytes are kept nothing is removed."""
        key = stored(backend, b"abc")
        with backend.kept(), backend.kept():
            backend.remove([key])
        assert backend.size(key) == 3
        backend.remove([key])
        assert backend.size(key) is None

    def test_large_parts(self, backend: Backend) -> None:
        """Parts in parallel, in any order, one of them twice."""
        step = 6 << 20
        data = content(3 * step + 100)
        chunks = [data[start : start + step] for start in range(0, len(data), step)]
        backend.put_part("U", 1, step, source(content(step, 7)), None)

        def put(index: int) -> None:
            md5 = hashlib.md5(chunks[index], usedforsecurity=False).hexdigest()
            backend.put_part("U", index, index * step, source(chunks[index]), md5)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, [3, 1, 0, 2]))
        assert backend.parts("U") == {0, 1, 2, 3}
        assert dict(backend.uploads()) == {"U": len(data)}
        staged = backend.assemble("U", len(data))
        assert staged.digests.sha256 == hashlib.sha256(data).hexdigest()
        assert backend.size(staged.digests.sha256) is None
        backend.adopt([staged])
        backend.abandon("U")
        assert whole(backend.read(staged.digests.sha256, 0, len(data))) == data
        assert list(backend.uploads()) == [] and list(backend.unadopted(0)) == []

    @pytest.mark.parametrize(("count", "step"), [(9, 1_000), (60, 150_000)])
    def test_small_parts(self, backend: Backend, count: int, step: int) -> None:
        """Parts may be of any size."""
        data = content(count * step - 7)

        def put(index: int) -> None:
            start = index * step
            backend.put_part("U", index, start, source(data[start : start + step]), None)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, range(count)))
        staged = backend.assemble("U", len(data))
        backend.adopt([staged])
        backend.abandon("U")
        assert whole(backend.read(staged.digests.sha256, 0, len(data))) == data

    def test_assembled_twice(self, backend: Backend) -> None:
        """An upload that was given back can be finished, also when the same content is there already."""
        data = content(11 << 20)
        key = stored(backend, data)
        for index, start in enumerate(range(0, len(data), 6 << 20)):
            backend.put_part("U", index, start, source(data[start : start + (6 << 20)]), None)
        for _ in range(2):
            staged = backend.assemble("U", len(data))
            assert staged.digests.sha256 == key
            staged.discard()
        backend.remove([key])
        staged = backend.assemble("U", len(data))
        backend.adopt([staged])
        staged.discard()
        assert whole(backend.read(key, 0, len(data))) == data

    def test_a_late_part(self, backend: Backend) -> None:
        """A part that comes while the upload is finished does not get into what was hashed."""
        backend.put_part("U", 0, 0, source(b"0123"), None)
        staged = backend.assemble("U", 4)
        backend.put_part("U", 0, 0, source(b"late"), None)
        backend.adopt([staged])
        assert whole(backend.read(staged.digests.sha256, 0, 4)) == b"0123"
        backend.abandon("U")

    def test_what_was_staged_is_given_up(self, backend: Backend) -> None:
        """What nobody adopts any more is found, and can be removed; the rest is not touched."""
        key = stored(backend, b"stays")
        staged = backend.stage(source(content(9 << 20)))
        staged.discard()
        assert list(backend.unadopted(0)) == []
        for name, _ in list(backend.unadopted(0)):
            backend.drop(name)
        backend.drop("no such name")
        assert list(backend.keys()) == [key]

    def test_memory_stays_flat(self, backend: Backend, tmp_path: Path) -> None:
        """A large local file goes in and comes out with little memory."""
        self.check_memory(backend, tmp_path, 300 << 20)

    @pytest.mark.soak
    @pytest.mark.timeout(1800)
    def test_memory_stays_flat_for_any_size(self, backend: Backend, tmp_path: Path) -> None:
        """However large it is."""
        self.check_memory(backend, tmp_path, 10 << 30)

    def check_memory(self, backend: Backend, tmp_path: Path, length: int) -> None:
        """Put and get a sparse file of some length while memory is watched."""
        if self.holds_all_in_memory or not sys.platform.startswith("linux"):
            pytest.skip("memory is watched on Linux only, where bytes are kept elsewhere")
        path = tmp_path / "sparse.bin"
        with path.open("wb") as file:
            file.truncate(length)
        stored(backend, content(9 << 20))
        with Memory() as memory:
            with path.open("rb") as stream:
                staged = backend.stage(Source(stream, length))
            backend.adopt([staged])
            read = sum(map(len, pieces(backend.read(staged.digests.sha256, 0, length))))
        assert read == length
        assert memory.grown < MOST_MEMORY, f"{memory.grown >> 20} MB more than before"
