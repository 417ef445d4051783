"""Python's search for garbage, left out while a program of this library starts, and when one ends that ran no code of a user.

Importing and composing make a few hundred thousand objects that all stay. To look through them again and again, and twice
more when the memory is given back anyway, takes a fifth of the time of a run whose model does nothing.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 500_000
"""Objects to be made before a search: more than a start makes; a command that goes on for long is still cleaned up."""

_former: tuple[int, int, int] | None = None
"""Thresholds to come back to; None outside."""

_is_users = False
"""Whether a user's code has begun in this process."""


@contextmanager
def unsearched() -> Iterator[None]:
    """Search for garbage seldom in this block, or until `searched_again` is called in it, and not when the program ends."""
    global _former
    if _former is not None:
        yield
        return
    _former = gc.get_threshold()
    gc.set_threshold(_MANY)
    atexit.unregister(_end)
    atexit.register(_end)
    try:
        yield
    finally:
        _restore()


def searched_again() -> None:
    """Search again as Python does by itself, but not in what there is now: a user's code begins, or a server that runs for long.

    Only the first call in a process leaves anything out, so that what jobs of a sweep leave behind is found.
    """
    global _is_users
    if _former is not None:
        _is_users = True
        if not gc.get_freeze_count():
            gc.freeze()
        _restore()


def _restore() -> None:
    global _former
    if _former is not None:
        gc.set_threshold(*_former)
        _former = None


def _end() -> None:
    """Leave out the last search, unless a user's code ran: what that left open is completed by being given back."""
    if _is_users:
        gc.unfreeze()
    else:
        gc.freeze()
