"""Locks on open files between processes; the system lets go of them when their process ends, however it does."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deriva_server.errors import DeploymentError

ARE_KEPT = sys.platform != "win32"
"""Whether this system has such locks; without them every lock is had at once."""

_LONGEST_PAUSE = 0.02
"""Seconds between two looks at a lock that others hold."""


def lock(descriptor: int, *, exclusive: bool = True, wait: bool = True) -> bool:
    """Lock an open file or folder until it is closed.

    Returns
    -------
    bool
        Whether the lock was had; always when it was waited for.

    Raises
    ------
    DeploymentError
        If the file system has no such locks, as some on the network.
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
    except OSError as error:
        raise DeploymentError(
            f"The file system of the deployment knows no locks on open folders ({error.strerror or error}), so several "
            "processes could damage it. Keep the folder on a local disk."
        ) from error
    return True


def unlock(descriptor: int) -> None:
    """Let go of a lock, also for processes that were forked while it was held and have the file open too."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


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
    is_ours = False
    try:
        is_ours = lock(descriptor, exclusive=False, wait=False) and is_at(descriptor, folder)
    finally:
        if not is_ours:
            os.close(descriptor)
    return descriptor if is_ours else None


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


@contextmanager
def held(folder: Path, seconds: float) -> Iterator[bool]:
    """Have a folder alone for the block, once others have let go of it; whether they did so in time."""
    descriptor = os.open(os.devnull if sys.platform == "win32" else folder, os.O_RDONLY)
    _held.add(descriptor)
    had = False
    try:
        had = _lock_within(descriptor, seconds)
        yield had
    finally:
        if had:
            unlock(descriptor)
        _held.discard(descriptor)
        os.close(descriptor)


def _lock_within(descriptor: int, seconds: float) -> bool:
    end, pause = time.monotonic() + seconds, 0.0005
    while not lock(descriptor, wait=False):
        if time.monotonic() > end:
            return False
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return True


_held: set[int] = set()


def _after_fork() -> None:
    """A child would keep the lock of a parent that is killed."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
