"""One request and one response, free of any transport.

The faces speak only these two; `wsgi` and `embed` turn them into HTTP or into calls in this process.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from werkzeug.datastructures import Headers

from deriva_server.errors import TooLarge
from deriva_server.identity import ANONYMOUS, Client

_MOST_HELD = 128 << 20


@dataclass(slots=True)
class Request:
    """One request.

    Parameters
    ----------
    method : str
        Upper case.
    target : str
        Raw path and query as sent, percent-escapes untouched, e.g. ``/ermrest/catalog/1/entity/A%3AB?limit=1``.
    headers : Headers
        Case-insensitive.
    body : file object
        The body; reading it never reads past its end. Bytes of an open file may be cloned instead of read.
    length : int or None
        Declared number of bytes of the body, None when not declared.
    """

    method: str
    target: str
    headers: Headers = field(default_factory=Headers)
    body: BinaryIO = field(default_factory=io.BytesIO)
    length: int | None = None
    client: Client = ANONYMOUS

    @property
    def path(self) -> str:
        """The target up to the first ``?``, undecoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target after the first ``?``, undecoded."""
        return self.target.partition("?")[2]

    def read(self) -> bytes:
        """The whole body.

        Raises
        ------
        TooLarge
            If it is more than should ever be held in memory.
        """
        content = self.body.read(_MOST_HELD + 1)
        if len(content) > _MOST_HELD:
            raise TooLarge(f"at most {_MOST_HELD} bytes of this kind of body")
        return content

    @property
    def content_type(self) -> str:
        """Media type of the body in lower case without parameters, empty when not given."""
        return (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower()


@dataclass(slots=True)
class FilePart:
    """A stretch of a local file as a response body.

    Parameters
    ----------
    path : Path
        The file.
    start, length : int
        In bytes.
    """

    path: Path
    start: int
    length: int

    def chunks(self, size: int = 1 << 20) -> Iterator[bytes]:
        """The bytes in pieces of at most `size`."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            rest = self.length
            while rest > 0 and (piece := file.read(min(size, rest))):
                rest -= len(piece)
                yield piece


Body = bytes | FilePart | Iterable[bytes]


@dataclass(slots=True)
class Response:
    """One response; `body` is bytes, a part of a local file, or pieces produced while sending.

    A body made of pieces is closed by the transport when it has a ``close`` method, also when the client goes away.
    """

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: Body = b""
