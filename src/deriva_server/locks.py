"""Locks on open files between processes; the system lets go of them when their process ends, however it does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ARE_KEPT = sys.platform != "win32"
"""Whether this system has such locks; without them every lock is had at once."""


def lock(descriptor: int, *, exclusive: bool = True, wait: bool = True) -> bool:
    """Lock an open file or folder until it is closed.

    Returns
    -------
    bool
        Whether the lock was had; always when it was waited for.
    """
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(
            descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB)
        )
    except BlockingIOError:
        return False
    return True


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file still has a name; it may have been removed or replaced while the lock was waited for."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def share(folder: Path) -> int | None:
    """Say that a folder is in use, until the descriptor is closed; None if somebody has it alone, or had until it was gone."""
    if sys.platform == "win32":
        return os.open(os.devnull, os.O_RDONLY)
    descriptor = os.open(folder, os.O_RDONLY)
    if lock(descriptor, exclusive=False, wait=False) and is_at(descriptor, folder):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Have a folder alone for the block; whether nobody uses it."""
    if sys.platform == "win32":
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield lock(descriptor, wait=False)
    finally:
        os.close(descriptor)
