"""A store of bytes in memory, for tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence

from deriva_server.blobs.backend import Source, Staged, stage_each
from deriva_server.blobs.checksums import Digests, Hasher
from deriva_server.errors import BadRequest, NotFound, ServiceError


class MemoryStaged:
    """Bytes on the way into memory."""

    def __init__(self, data: bytes) -> None:
        hasher = Hasher(0)
        hasher.update(data)
        self.data = data
        self.digests: Digests = hasher.finish()

    def discard(self) -> None:
        """Nothing to clean up."""


class MemoryBackend:
    """Keeps bytes in a dictionary; fulfils `Backend`."""

    def __init__(self) -> None:
        self._stored: dict[str, bytes] = {}
        self._parts: dict[str, dict[int, bytes]] = {}
        self._lock = threading.Lock()
        self._keepers = 0

    def stage(self, source: Source) -> MemoryStaged:
        """Take bytes in."""
        return MemoryStaged(_read(source))

    def stage_many(self, sources: Sequence[Source]) -> list[Staged | ServiceError]:
        """Take several in."""
        return stage_each(self.stage, sources)

    def adopt(self, staged: Sequence[Staged]) -> None:
        """Make bytes part of the store."""
        with self._lock:
            for item in staged:
                assert isinstance(item, MemoryStaged)
                self._stored.setdefault(item.digests.sha256, item.data)

    def read(self, key: str, start: int, length: int) -> bytes:
        """A stretch of stored bytes."""
        try:
            return self._stored[key][start : start + length]
        except KeyError:
            raise NotFound(f"content {key}") from None

    def size(self, key: str) -> int | None:
        """Number of stored bytes under a key."""
        data = self._stored.get(key)
        return None if data is None else len(data)

    def keys(self) -> Iterator[str]:
        """Keys of everything stored."""
        return iter(list(self._stored))

    def remove(self, keys: Iterable[str]) -> None:
        """Remove stored bytes, unless `kept` holds them."""
        with self._lock:
            for key in () if self._keepers else keys:
                self._stored.pop(key, None)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While this lasts nothing is removed."""
        with self._lock:
            self._keepers += 1
        try:
            yield
        finally:
            with self._lock:
                self._keepers -= 1

    def put_part(self, upload: str, index: int, start: int, source: Source, md5: str | None) -> None:
        """Take a part of an upload."""
        self._parts.get(upload, {}).pop(index, None)
        staged = MemoryStaged(_read(source))
        if md5 is not None and staged.digests.md5 != md5:
            raise BadRequest(f"the MD5 of the chunk is {staged.digests.md5}, not {md5}")
        with self._lock:
            self._parts.setdefault(upload, {})[index] = staged.data

    def parts(self, upload: str) -> set[int]:
        """Indexes of the parts that have arrived."""
        return set(self._parts.get(upload, {}))

    def assemble(self, upload: str, length: int) -> MemoryStaged:
        """Stage the whole upload."""
        parts = self._parts.get(upload, {})
        return MemoryStaged(b"".join(parts[index] for index in sorted(parts)))

    def abandon(self, upload: str) -> None:
        """Remove the parts of an upload."""
        with self._lock:
            self._parts.pop(upload, None)

    def uploads(self) -> Iterator[tuple[str, int]]:
        """Uploads that have parts."""
        with self._lock:
            return iter([(upload, sum(map(len, parts.values()))) for upload, parts in self._parts.items()])

    def unadopted(self, older_than: float) -> Iterator[tuple[str, int]]:
        """Nothing: bytes go with those who stage them."""
        return iter(())

    def drop(self, name: str) -> None:
        """Nothing to do."""


def _read(source: Source) -> bytes:
    data = source.stream.read(source.length)
    if len(data) != source.length:
        raise BadRequest(f"expected {source.length} bytes, received {len(data)}")
    return data
