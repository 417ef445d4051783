"""How far long work is, on the terminal."""

from __future__ import annotations

import sys
import time

_BETWEEN_LINES = 0.2


class Progress:
    """One line on the terminal that is written over."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._width = 0
        self._next = 0.0

    def tell(self, what: str, done: int, total: int) -> None:
        """Show how far one part of the work is."""
        if not self._shown or (done < total and time.monotonic() < self._next):
            return
        self._next = time.monotonic() + _BETWEEN_LINES
        line = f"{what}: {100 * done // total if total else 100} %"
        print(f"\r{line.ljust(self._width)}", end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def clear(self) -> None:
        """Leave an empty line."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
