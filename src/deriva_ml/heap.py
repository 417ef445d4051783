"""Python's search for garbage, left out while a program of this library starts and when it ends.

Importing and composing make a few hundred thousand objects that all stay. To look through them again and again, and twice
more when the memory is given back anyway, takes a fifth of the time of a run whose model does nothing.
"""

from __future__ import annotations

import atexit
import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MANY = 500_000
"""Objects to be made before a search: more than a start makes; a command that goes on for long is still cleaned up."""

_former: tuple[int, int, int] | None = None
"""Thresholds to come back to; None outside."""


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
    """Search again as Python does by itself, but not in what there is now: a user's code begins.

    Only the first call in a process leaves anything out, so that what jobs of a sweep leave behind is found.
    """
    if _former is not None:
        if not gc.get_freeze_count():
            gc.freeze()
        _restore()


def _restore() -> None:
    global _former
    if _former is not None:
        gc.set_threshold(*_former)
        _former = None


def _end() -> None:
    """See that files which a user's code left open are written, which the last search would do."""
    gc.unfreeze()
    for file in _open_files():
        try:
            file.flush()
        except (OSError, ValueError) as error:
            print(f"{getattr(file, 'name', 'A file')} was not written to its end: {error}", file=sys.stderr)
    gc.freeze()


def _open_files() -> Iterator[io.BufferedWriter | io.TextIOWrapper]:
    # Python itself writes these to their end, and says what comes of it by the exit status.
    own = {id(file) for file in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}
    for file in gc.get_objects():
        # The type is looked at, because some objects answer for their class by importing something.
        if issubclass(type(file), io.BufferedWriter | io.TextIOWrapper) and id(file) not in own:
            # Refused by what was detached from its bytes, and so has nothing to write.
            with suppress(ValueError):
                if not file.closed:
                    yield file
