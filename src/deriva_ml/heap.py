"""Python's search for garbage, left out while a program of this library starts, and when it ends if nothing wants finishing.

Importing and composing make a few hundred thousand objects that all stay. To look through them again and again, and twice
more when the memory is given back anyway, takes a fifth of the time of a run whose model does nothing.
"""

from __future__ import annotations

import atexit
import gc
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ExtensionFileLoader
from typing import Any

_MANY = 500_000
"""Objects to be made before a search: more than a start makes; a command that goes on for long is still cleaned up."""

_OWN = {"deriva", "deriva_ml", "deriva_server", "socket", "ssl"}
"""Packages whose objects only close connections when they are given back, which the system does too."""

_UNBUFFERED = (io.FileIO, io.BytesIO, io.StringIO, io.BufferedReader)
"""Files that have nothing left to write."""

_former: tuple[int, int, int] | None = None
"""Thresholds to come back to; None outside."""

_is_set_aside = False
"""Whether what there was is left out; Python can only count that, which takes long."""

_is_users = False
"""Whether a user's code has begun in this process."""

_at_model: set[str] | None = None
"""Modules written in C that there were when the first model was called, or a server began to serve."""

_brought: set[str] = set()
"""Modules written in C that came with a user's code before that."""


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
    # Before `logging`, if it is not imported yet, registers the end of its files: then these are complete at our end.
    atexit.register(_end)
    try:
        yield
    finally:
        _restore()


@contextmanager
def users_code() -> Iterator[None]:
    """Import a user's code in this block: of what there is before it, nothing is looked through from now on.

    Only the first call in a process leaves anything out, so that all that user's code makes is found.
    """
    global _is_users
    if _former is None:
        yield
        return
    _set_aside()
    _is_users, before = True, _written_in_c()
    try:
        yield
    finally:
        _brought.update(_written_in_c() - before)


def searched_again() -> None:
    """Search again as Python does by itself: a user's model is called, or a server begins that runs for long."""
    global _at_model, _is_users
    if _former is not None:
        _is_users = True
        _set_aside()
        if _at_model is None:
            _at_model = _written_in_c()
        _restore()


def _set_aside() -> None:
    global _is_set_aside
    if not _is_set_aside:
        _is_set_aside = True
        gc.freeze()


def _restore() -> None:
    global _former
    if _former is not None:
        gc.set_threshold(*_former)
        _former = None


def _written_in_c() -> set[str]:
    """Modules whose types may finish something when an object is given back, and not tell that they do."""
    return {name for name, module in list(sys.modules.items()) if _is_written_in_c(module)}


def _is_written_in_c(module: Any) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), ExtensionFileLoader)


def _end() -> None:
    """Leave out the last search where it would finish nothing of a user's.

    A file that is left open is completed by being given back. What hangs on a class is only ever given back by a search,
    and that of a library is set aside: so if anything wants finishing, all is looked through.
    """
    if _is_users and _has_unfinished():
        gc.unfreeze()
    elif not _brought and (_at_model is None or _written_in_c() <= _at_model):
        gc.freeze()


def _has_unfinished() -> bool:
    objects = gc.get_objects()
    kinds = list(map(type, objects))
    found = dict(zip(map(id, kinds), kinds, strict=True))
    wanted = {number for number, kind in found.items() if _wants_finishing(kind)}
    return bool(wanted) and any(id(type(item)) in wanted and not _is_closed(item) for item in objects)


def _wants_finishing(kind: type) -> bool:
    # Nothing here runs code of a user, such as that of a class of classes.
    package = str(vars(kind).get("__module__", "")).partition(".")[0]
    if package in _OWN or any(kind is known for known in _UNBUFFERED):
        return False
    return any("__del__" in vars(base) for base in type.mro(kind))


def _is_closed(item: Any) -> bool:
    try:
        return isinstance(item, io.IOBase) and item.closed
    except Exception:  # noqa: BLE001 - what cannot say whether it is closed may be open
        return False
