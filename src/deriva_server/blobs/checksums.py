"""MD5 and SHA-256 of bytes in one pass."""

from __future__ import annotations

import base64
import binascii
import hashlib
import queue
import threading
from collections.abc import Callable

from deriva_server.errors import BadRequest
from deriva_server.values import Frozen

_THREADED = 8 << 20
_WAITING = 4
_SIZES = {"md5": 16, "sha256": 32}


class Digests(Frozen, frozen=True):
    """Both digests in hexadecimal, and the number of bytes."""

    md5: str
    sha256: str
    length: int


class Hasher:
    """Computes both digests; of large contents each in a thread of its own.

    Parameters
    ----------
    length : int
        Number of bytes to expect.

    Examples
    --------
    >>> hasher = Hasher(3)
    >>> hasher.update(b"abc")
    >>> hasher.finish().md5
    '900150983cd24fb0d6963f7d28e17f72'
    """

    def __init__(self, length: int) -> None:
        self._digests = (hashlib.md5(usedforsecurity=False), hashlib.sha256())
        self._length = 0
        self._threads = [_Thread(digest.update) for digest in self._digests] if length >= _THREADED else []

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        for thread in self._threads:
            thread.put(piece)
        for digest in self._digests if not self._threads else ():
            digest.update(piece)
        self._length += len(piece)

    def close(self) -> None:
        """End the threads; called when the bytes end early."""
        for thread in self._threads:
            thread.end()
        self._threads = []

    def finish(self) -> Digests:
        """The digests of all bytes."""
        self.close()
        md5, sha256 = self._digests
        return Digests(md5.hexdigest(), sha256.hexdigest(), self._length)


class _Thread:
    """Works on pieces in their order, while the next ones are read."""

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._waiting: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._run, args=(work,), name="hasher", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[bytes], object]) -> None:
        while (piece := self._waiting.get()) is not None:
            work(piece)

    def put(self, piece: bytes) -> None:
        self._waiting.put(piece)

    def end(self) -> None:
        self._waiting.put(None)
        self._thread.join()


def read_digest(kind: str, text: str) -> str:
    """A digest in hexadecimal, from base64 or hexadecimal.

    Parameters
    ----------
    kind : str
        ``md5`` or ``sha256``.
    text : str
        As a client wrote it.

    Raises
    ------
    BadRequest
        If it is neither, or of the wrong length.

    Examples
    --------
    >>> read_digest("md5", "kAFQmDzST7DWlj99KOF/cg==")
    '900150983cd24fb0d6963f7d28e17f72'
    """
    size, text = _SIZES[kind], text.strip()
    try:
        raw = bytes.fromhex(text) if len(text) == 2 * size else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != size:
        raise BadRequest(f"{text!r} is not a {kind} digest in base64 or hexadecimal")
    return raw.hex()


def write_digest(digest: str) -> str:
    """A digest in base64, as headers carry it."""
    return base64.b64encode(bytes.fromhex(digest)).decode("ascii")
