"""Bodies of requests that are too long for memory: in files without a name, which may be given one."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class ReceivedFile(io.BufferedRandom):
    """The body of one request, which nobody else has and nobody changes once it is complete."""

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


def receiving(folder: Path | None) -> BinaryIO:
    """A new file for the body of a request.

    Parameters
    ----------
    folder : Path or None
        Where the body may be wanted later; None for no place of importance.
    """
    if folder is not None and hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
            return ReceivedFile(io.FileIO(descriptor, "r+b"))
    return tempfile.TemporaryFile()
