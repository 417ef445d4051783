"""Press Ctrl-C at a chosen moment of some work, to the call."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any


def interrupted_at(moments: Iterable[str | int], work: Callable[[], Any]) -> bool:
    """Whether work ends by Ctrl-C.

    Parameters
    ----------
    moments : iterable of str or int
        Where it is pressed, in turn: at ``call NAME`` or ``return NAME`` of a function, or after so many calls and returns
        of any.
    work : callable
    """
    waiting, counted = list(moments), itertools.count(1)

    def watch(frame: Any, event: str, value: Any) -> None:
        if event not in ("call", "return") or not waiting:
            return
        if waiting[0] in (next(counted), f"{event} {frame.f_code.co_name}"):
            waiting.pop(0)
            signal.raise_signal(signal.SIGINT)

    try:
        sys.setprofile(watch)
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def calls_of(work: Callable[[], Any]) -> int:
    """How many calls and returns some work has."""
    number = 0

    def watch(frame: Any, event: str, value: Any) -> None:
        nonlocal number
        number += event in ("call", "return")

    try:
        sys.setprofile(watch)
        work()
    finally:
        sys.setprofile(None)
    return number
