"""Bytes in temporary files, on their way into a store in a folder."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from deriva_server import locks
from deriva_server.blobs.checksums import Digests
from deriva_server.errors import ServiceError, StorageFull

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StagedFile:
    """Bytes in a temporary file.

    Parameters
    ----------
    path : Path
        The file.
    digests : Digests
        Of its bytes.
    descriptor : int
        Open file that is locked as long as the bytes are wanted; closed then. Where locks are not kept it is closed
        at once, because files that are open cannot be renamed there.
    """

    def __init__(self, path: Path, digests: Digests, descriptor: int) -> None:
        self.path = path
        self.digests = digests
        self.is_wanted = True
        self._lock: int | None = descriptor
        if not locks.ARE_KEPT:
            self._unlock()

    def release(self) -> None:
        """Let go of the bytes, once they are adopted."""
        self.is_wanted = False
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def discard(self) -> None:
        """Give the bytes up."""
        if self.is_wanted:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            self.release()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """File system errors as errors of the service."""
    try:
        yield
    except ServiceError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(f"the object store has no room left: {error.strerror}") from error
        raise ServiceError(f"the object store cannot be written: {error.strerror}") from error
