"""Signals that interrupt: which they are, and how they wait while something must not be cut in two."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a process which does not handle them."""


def in_main_thread() -> bool:
    """Whether this is the thread in which signals are handled."""
    return threading.current_thread() is threading.main_thread()


_told: set[int] = set()
"""Signals that wait, of which the user has been told."""
_depth = 0
"""How many blocks hold signals, one in another."""


@contextmanager
def held(*, once: bool = False) -> Iterator[None]:
    """Let signals wait that would interrupt: Ctrl-C too.

    Parameters
    ----------
    once : bool
        Whether the second of a kind no longer waits, as the first is told: for what may take long, as an answer.
    """
    global _depth
    kept: list[int] = []
    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}

    def wait(number: int, frame: FrameType | None) -> None:
        if once and number in kept:
            handlers[number](number, frame)
        kept.append(number)
        if once and number not in _told:
            _told.add(number)
            logger.warning(
                "Interrupted; this waits for the answer to a change of the catalog. Interrupt it again not to wait."
            )

    if in_main_thread():
        _depth += 1
        for number in (signal.SIGINT, *ENDING):
            if callable(handler := signal.getsignal(number)):
                handlers[number] = handler
                signal.signal(number, wait)
    try:
        yield
    finally:
        if in_main_thread():
            _depth -= 1
        if not _depth:
            _told.clear()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        # Ctrl-C last, as it raises.
        for number in sorted(kept, key=lambda number: number == signal.SIGINT):
            signal.raise_signal(number)
