"""Keep stored bytes from being removed for a while, by any process of this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from deriva_server import locks


class Keeping:
    """A lock between those who copy a store and those who remove from it.

    Parameters
    ----------
    folder : Path
        Is locked; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """While this lasts no process removes anything."""
        with self._locked(exclusive=False):
            yield

    @contextlib.contextmanager
    def removing(self) -> Iterator[bool]:
        """Tells whether something may be removed while this lasts; it is not waited for."""
        with self._locked(exclusive=True) as free:
            yield free

    @contextlib.contextmanager
    def _locked(self, *, exclusive: bool) -> Iterator[bool]:
        if sys.platform == "win32":
            yield True
            return
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            yield locks.lock(descriptor, exclusive=exclusive, wait=not exclusive)
        finally:
            os.close(descriptor)
