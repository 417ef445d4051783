"""Read contents from S3 in pieces, and go on where a connection was cut."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from deriva_server.blobs.s3.bucket import Bucket, translated
from deriva_server.errors import Busy
from deriva_server.values import Frozen

PIECE = 1 << 20
"""Bytes read at a time."""

_TRIES = 4
_AHEAD = 8


class Stretch:
    """A stretch of a content as pieces; the connection is open already, so that what is missing is known at once.

    Parameters
    ----------
    bucket : Bucket
        The store.
    key : str
        Of the content.
    start, length : int
        In bytes; at least one.
    tag : str, optional
        Refuse any other content under the key.
    """

    def __init__(self, bucket: Bucket, key: str, start: int, length: int, tag: str | None = None) -> None:
        self._bucket = bucket
        self._key = key
        self._at = start
        self._end = start + length
        self._only: dict[str, Any] = {} if tag is None else {"IfMatch": tag}
        self._body: Any = self._open()

    def _open(self) -> Any:
        wanted = f"bytes={self._at}-{self._end - 1}"
        return self._bucket.call("get_object", Key=self._key, Range=wanted, **self._only)["Body"]

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self._at < self._end:
                piece = self._next()
                self._at += len(piece)
                yield piece
        finally:
            self.close()

    def _next(self) -> bytes:
        for _ in range(_TRIES - 1):
            with contextlib.suppress(Busy):
                return self._piece()
            self.close()
            self._body = self._open()
        return self._piece()

    def _piece(self) -> bytes:
        with translated(self._bucket.address):
            piece: bytes = self._body.read(PIECE)
        if not piece:
            raise Busy(f"{self._key} ended early")
        return piece

    def close(self) -> None:
        """Close the connection, also when not all was read."""
        self._body.close()


class Part(Frozen, frozen=True):
    """What lies under a key that may get other bytes.

    Parameters
    ----------
    key : str
        Where it is.
    tag : str
        Of these bytes.
    length : int
        Their number.
    """

    key: str
    tag: str
    length: int


class Joined:
    """Parts one after another as pieces, fetched ahead in parallel.

    Parameters
    ----------
    bucket : Bucket
        The store.
    parts : sequence of Part
        In order.
    """

    def __init__(self, bucket: Bucket, parts: Sequence[Part]) -> None:
        self._bucket = bucket
        self._wanted = _stretches(parts)
        self._workers = ThreadPoolExecutor(_AHEAD, "s3-ahead")

    def __iter__(self) -> Iterator[bytes]:
        coming: deque[Future[bytes]] = deque()
        for wanted in self._wanted:
            coming.append(self._workers.submit(self._fetch, *wanted))
            if len(coming) == _AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()

    def _fetch(self, part: Part, start: int, length: int) -> bytes:
        return b"".join(Stretch(self._bucket, part.key, start, length, part.tag))

    def close(self) -> None:
        """Fetch no more."""
        self._workers.shutdown(cancel_futures=True)


def _stretches(parts: Sequence[Part]) -> Iterator[tuple[Part, int, int]]:
    for part in parts:
        for start in range(0, part.length, PIECE):
            yield part, start, min(PIECE, part.length - start)
