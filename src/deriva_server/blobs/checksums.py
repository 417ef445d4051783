"""MD5 and SHA-256 of bytes in one pass."""

from __future__ import annotations

import base64
import binascii
import hashlib
import queue
import threading
from dataclasses import dataclass

from deriva_server.errors import BadRequest

_THREADED = 8 << 20
_SIZES = {"md5": 16, "sha256": 32}


@dataclass(frozen=True, slots=True)
class Digests:
    """Both digests in hexadecimal, and the number of bytes."""

    md5: str
    sha256: str
    length: int


class Hasher:
    """Computes both digests; for large contents each in a thread of its own.

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
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._length = 0
        self._waiting: queue.Queue[bytes | None] | None = None
        self._thread: threading.Thread | None = None
        if length >= _THREADED:
            self._waiting = queue.Queue(maxsize=4)
            self._thread = threading.Thread(target=self._work, args=(self._waiting,), name="md5", daemon=True)
            self._thread.start()

    def _work(self, waiting: queue.Queue[bytes | None]) -> None:
        while (piece := waiting.get()) is not None:
            self._md5.update(piece)

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        if self._waiting is not None:
            self._waiting.put(piece)
        else:
            self._md5.update(piece)
        self._sha256.update(piece)
        self._length += len(piece)

    def close(self) -> None:
        """End the thread; called when the bytes end early."""
        if self._waiting is not None and self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._waiting = self._thread = None

    def finish(self) -> Digests:
        """The digests of all bytes."""
        self.close()
        return Digests(self._md5.hexdigest(), self._sha256.hexdigest(), self._length)


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
