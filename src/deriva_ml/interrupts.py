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


class _Hold:
    """A handler that keeps signals for later."""

    def __init__(self, once: bool) -> None:
        self.once = once
        self.former: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self.kept: list[int] = []
        self.told: set[int] = set()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.once and number in self.kept:
            self.former[number](number, frame)
        self.kept.append(number)
        if self.once and number not in self.told:
            logger.warning(
                "Interrupted; this waits for the answer to a change of the catalog. Interrupt it again not to wait."
            )
            # Those around it get the signal when this one ends, and have nothing to add.
            hold: Any = self
            while isinstance(hold, _Hold):
                hold.told.add(number)
                hold = hold.former[number]


@contextmanager
def held(*, once: bool = False) -> Iterator[None]:
    """Let signals wait that would interrupt: Ctrl-C too.

    Parameters
    ----------
    once : bool
        Whether the second of a kind no longer waits, as the first is told: for what may take long, as an answer.
    """
    hold = _Hold(once)
    try:
        for number in (signal.SIGINT, *ENDING) if in_main_thread() else ():
            if callable(handler := signal.getsignal(number)):
                hold.former[number] = handler
                signal.signal(number, hold)
        yield
    finally:
        for number, handler in hold.former.items():
            signal.signal(number, handler)
        # Ctrl-C last, as it raises.
        for number in sorted(hold.kept, key=lambda number: number == signal.SIGINT):
            signal.raise_signal(number)
