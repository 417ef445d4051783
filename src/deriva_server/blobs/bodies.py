"""Bodies that a back end gives, as streams and as pieces."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from deriva_server.errors import NotFound
from deriva_server.http.message import FilePart


def pieces(body: bytes | FilePart | Iterable[bytes]) -> Iterable[bytes]:
    """A body piece by piece."""
    if isinstance(body, FilePart):
        return body.chunks()
    return [body] if isinstance(body, bytes) else body


@contextlib.contextmanager
def readable(body: bytes | FilePart | Iterable[bytes]) -> Iterator[BinaryIO]:
    """A body as a stream, closed afterwards; that of a local file is the open file.

    Raises
    ------
    NotFound
        If the file was removed meanwhile.
    """
    if isinstance(body, FilePart):
        try:
            file = body.path.open("rb")
        except FileNotFoundError:
            raise NotFound("the content was deleted a moment ago") from None
        with file:
            file.seek(body.start)
            yield file
    elif isinstance(body, bytes):
        yield io.BytesIO(body)
    else:
        try:
            yield cast(BinaryIO, _Stream(iter(body)))
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()


class _Stream:
    """Reads pieces one after another."""

    def __init__(self, rest: Iterator[bytes]) -> None:
        self._rest = rest
        self._piece = memoryview(b"")

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end."""
        while not self._piece:
            piece = next(self._rest, None)
            if piece is None:
                return b""
            self._piece = memoryview(piece)
        piece, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return piece
