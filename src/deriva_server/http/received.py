"""Bodies of requests that are too long for memory: in files without a name, which may be given one."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from deriva_server.values import Frozen

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Follower(Protocol):
    """Works on a body while it arrives."""

    def grown(self, length: int) -> None:
        """Tell that so many bytes have arrived."""

    def close(self) -> None:
        """Tell that nobody wants the result; may be called twice, and after it was had."""


Follow = Callable[[str, str, int], Follower | None]
"""Gets method, target and the open file of a body that begins to arrive; gives who follows it."""


def nobody(method: str, target: str, descriptor: int) -> None:
    """Follows nothing."""


class Receiving(Frozen, frozen=True):
    """What becomes of long bodies while they arrive.

    Parameters
    ----------
    folder : Path or None
        Where a body may be wanted later; None for no place of importance.
    follow : callable
        Who works on a body meanwhile.
    """

    folder: Path | None = None
    follow: Follow = nobody

    def begin(self, method: str, target: str) -> BinaryIO:
        """A new file for the body of a request."""
        if self.folder is not None and hasattr(os, "O_TMPFILE"):
            with contextlib.suppress(OSError):
                descriptor = os.open(self.folder, os.O_TMPFILE | os.O_RDWR, 0o600)
                file = ReceivedFile(io.FileIO(descriptor, "r+b"))
                file.follower = self.follow(method, target, descriptor)
                return file
        return tempfile.TemporaryFile()


ANYWHERE = Receiving()
"""Long bodies wait in temporary files, and nobody follows them."""


class ReceivedFile(io.BufferedRandom):
    """The body of one request, which nobody else has and nobody changes once it is complete.

    Attributes
    ----------
    follower : Follower or None
        Who works on it while it arrives.
    """

    follower: Follower | None = None
    _length = 0

    def append(self, piece: bytes) -> None:
        """Add to the end; where it is read does not change."""
        view = memoryview(piece)
        while view:
            written = os.pwrite(self.fileno(), view, self._length)
            view, self._length = view[written:], self._length + written
        if self.follower is not None:
            self.follower.grown(self._length)

    def close(self) -> None:
        """Close it, and let go of who follows it."""
        if self.follower is not None:
            self.follower.close()
        super().close()

    def name_it(self, path: Path) -> bool:
        """Give the file a name on its own disk; False where that cannot be."""
        self.flush()
        try:
            # Given relative to a folder, so that the link is made to the file behind the entry, not to the entry.
            folder = os.open("/proc/self/fd", os.O_RDONLY)
        except OSError:
            return False
        try:
            os.link(str(self.fileno()), path, src_dir_fd=folder, follow_symlinks=True)
        except OSError as error:
            if error.errno in _FULL:
                raise
            return False
        finally:
            os.close(folder)
        return True
