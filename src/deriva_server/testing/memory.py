"""Watch how much memory this process takes, on Linux."""

from __future__ import annotations

import os
import threading
from pathlib import Path


class Memory:
    """How much the resident memory of this process grows, seen every few milliseconds."""

    def __enter__(self) -> Memory:
        self._over = threading.Event()
        self._least = self._most = _resident()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.005):
            self._most = max(self._most, _resident())

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self._most = max(self._most, _resident())

    @property
    def grown(self) -> int:
        """Bytes."""
        return self._most - self._least


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
