"""Digests of a file that is still growing: whoever writes it goes on while each digest is computed in a thread."""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

from deriva_server.blobs.checksums import Digests
from deriva_server.blobs.copying import begin_writing
from deriva_server.errors import BadRequest

_PIECE = 1 << 20
_MOST = 8
"""Files that are followed at a time; more would wait for the processors, not for the network."""

_free = threading.BoundedSemaphore(_MOST)


class Following:
    """Computes both digests of a file, from its beginning, as far as it has been written.

    Parameters
    ----------
    descriptor : int
        The file, open for reading; it may be closed at any time.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = os.dup(descriptor)
        self._grown = threading.Condition()
        self._length = 0
        self._ended = False
        self._given_up = False
        self._error: Exception | None = None
        self._digests = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        self._threads = [
            threading.Thread(target=self._follow, args=(digest,), name="follower", daemon=True)
            for digest in self._digests
        ]
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def grown(self, length: int) -> None:
        """Tell that the file has so many bytes now, which do not change any more."""
        whole = length - length % _PIECE
        if whole > self._length:
            with self._grown:
                self._length = whole
                self._grown.notify_all()

    def finish(self, length: int) -> Digests:
        """The digests, once all bytes are there.

        Raises
        ------
        BadRequest
            If the file is shorter.
        """
        self._end(length, given_up=False)
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error
        md5, sha256 = self._digests
        return Digests(md5.hexdigest(), sha256.hexdigest(), length)

    def close(self) -> None:
        """End soon, when nobody wants the digests any more; does nothing after `finish`."""
        self._end(0, given_up=True)

    def _end(self, length: int, *, given_up: bool) -> None:
        with self._grown:
            if not self._ended:
                self._length, self._ended, self._given_up = length, True, given_up
                self._grown.notify_all()

    def _follow(self, digest: Any) -> None:
        try:
            done, piece = 0, memoryview(bytearray(_PIECE))
            while (length := self._wait(done)) > done:
                done = self._hash(digest, piece, done, length)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that wants the digests
            self._error = error
        finally:
            with self._grown:
                self._running -= 1
                last = not self._running
            if last:
                os.close(self._file)
                _free.release()

    def _wait(self, done: int) -> int:
        """Bytes that are there when there is something to do, as many as are done when there is not."""
        with self._grown:
            self._grown.wait_for(lambda: self._ended or self._length > done)
            return done if self._given_up else self._length

    def _hash(self, digest: Any, piece: memoryview, done: int, length: int) -> int:
        while done < length and not self._given_up:
            # Into the same memory each time: new memory for every piece costs as much as copying it.
            read = os.preadv(self._file, [piece[: length - done]], done)
            if not read:
                raise BadRequest(f"expected {length} bytes, received {done}")
            digest.update(piece[:read])
            done += read
            if digest is self._digests[1]:
                begin_writing(self._file, 0, done)
        return done


def follow(descriptor: int) -> Following | None:
    """Follow a file, unless enough are followed already."""
    if not hasattr(os, "preadv") or not _free.acquire(blocking=False):
        return None
    try:
        return Following(descriptor)
    except BaseException:
        _free.release()
        raise
