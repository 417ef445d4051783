"""Bytes that can be sent to S3 more than once: for a repeated attempt, and by several threads at a time."""

from __future__ import annotations

import base64
import hashlib
import io
import tempfile
import threading
from typing import BinaryIO

from deriva_server.blobs.backend import Source
from deriva_server.blobs.checksums import Digests, Hasher
from deriva_server.blobs.staging import translated
from deriva_server.errors import BadRequest, Busy

SMALL = 8 << 20
"""Contents up to this many bytes are held in memory, and sent in one piece."""

MOST_PARTS = 10_000
"""S3 takes no more parts of one content."""

_PIECE = 1 << 20


def part_length(length: int) -> int:
    """Bytes of each part but the last of a content, sent in parts.

    Examples
    --------
    >>> part_length(1 << 30) >> 20, part_length(1 << 40) >> 20
    (8, 105)
    """
    return max(SMALL, -(-length // MOST_PARTS // _PIECE) * _PIECE)


class Held:
    """The bytes of a source with their digests.

    Small ones are in memory. A file is read where it lies, every time; of what it holds when a part is sent, S3 takes
    only what was hashed. Other streams are written to a temporary file first.

    Parameters
    ----------
    source : Source
        Read to the end of its bytes.

    Raises
    ------
    BadRequest
        If it ends early.
    StorageFull
        If there is no room for a temporary file.
    """

    def __init__(self, source: Source) -> None:
        self._spool: BinaryIO | None = None
        self._reading = threading.Lock()
        self.part_length = part_length(source.length)
        self.sums: list[str] = []
        if source.length <= SMALL:
            self._stream: BinaryIO = io.BytesIO()
        elif _can_rewind(source.stream):
            self._stream = source.stream
        else:
            with translated():
                self._stream = self._spool = tempfile.TemporaryFile()  # noqa: SIM115
        self._start = source.stream.tell() if self._stream is source.stream else 0
        try:
            self.digests = self._take(source)
        except BaseException:
            self.close()
            raise

    def _take(self, source: Source) -> Digests:
        """Hash all bytes, each part besides, and keep them where they cannot be read again."""
        hasher, rest = Hasher(source.length), source.length
        part, room = hashlib.md5(usedforsecurity=False), self.part_length
        try:
            while rest and (piece := source.stream.read(min(rest, room, _PIECE))):
                hasher.update(piece)
                part.update(piece)
                if self._stream is not source.stream:
                    with translated():
                        self._stream.write(piece)
                rest, room = rest - len(piece), room - len(piece)
                if not room:
                    self.sums.append(_written(part.digest()))
                    part, room = hashlib.md5(usedforsecurity=False), self.part_length
            if rest:
                raise BadRequest(f"expected {source.length} bytes, received {source.length - rest}")
            if room < self.part_length or not source.length:
                self.sums.append(_written(part.digest()))
            return hasher.finish()
        finally:
            hasher.close()

    def section(self, number: int) -> Section:
        """A part as a file of its own; `number` counts from 0."""
        start = number * self.part_length
        length = min(self.part_length, self.digests.length - start)
        return Section(self._stream, self._reading, self._start + start, length)

    def close(self) -> None:
        """Let go of the bytes."""
        if self._spool is not None:
            self._spool.close()
        self._stream = io.BytesIO()


class Section(io.RawIOBase):
    """A stretch of a file that other threads read as well.

    Parameters
    ----------
    stream : file object
        The file.
    lock : Lock
        Held while the file is read.
    start, length : int
        In bytes.
    """

    def __init__(self, stream: BinaryIO, lock: threading.Lock, start: int, length: int) -> None:
        self._stream = stream
        self._lock = lock
        self._start = start
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def __len__(self) -> int:
        return self._length

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        rest = max(0, self._length - self._at)
        with self._lock:
            self._stream.seek(self._start + self._at)
            piece = self._stream.read(rest if size is None or size < 0 else min(size, rest))
        if rest and size and not piece:
            raise Busy("the source became shorter while it was sent")
        self._at += len(piece)
        return piece


def _can_rewind(stream: BinaryIO) -> bool:
    """Whether the same bytes can be had again and again, at any place and at little cost."""
    raw = stream.raw if isinstance(stream, io.BufferedReader | io.BufferedRandom) else stream
    return isinstance(raw, io.FileIO | io.BytesIO) and raw.seekable()


def _written(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
