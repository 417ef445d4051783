"""Make many files and names last with few requests to the disk."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from deriva_server.deployment import sync_folder
from deriva_server.mounts import file_system

_MANY = 8
"""Changes from which on all that waits for the disk is written sooner than each of them."""

_MOST_WAITING = 2 << 10
"""KiB for each change that may wait for the disk: one request for all waits for what other programs wrote, too."""

_WITH_SYNCFS = frozenset({"ext4", "xfs", "btrfs"})
"""File systems whose answer to syncfs is that everything is on the disk, or the error."""

_REPORTS_ERRORS = (5, 17)
"""Linux that tells whoever calls syncfs of every error since the descriptor was opened."""

_WAITING = re.compile(r"^(?:Dirty|Writeback):\s+(\d+) kB$", re.MULTILINE)


class Changes:
    """Files and folders that were changed and shall last.

    Parameters
    ----------
    descriptor : int or None
        Of a folder on the same disk, opened before the changes, when one request is to do for all of them.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._waiting: list[Path] = []

    def written(self, path: Path, descriptor: int) -> None:
        """Let an open file last, at once or with the others."""
        if self._descriptor is None:
            os.fsync(descriptor)
        else:
            self._waiting.append(path)

    def renamed(self, folder: Path) -> None:
        """Let the names in a folder last, at once or with the others."""
        if self._descriptor is None:
            sync_folder(folder)
        else:
            self._waiting.append(folder)

    def settle(self) -> None:
        """Return when all of them last."""
        if self._descriptor is None or _syncfs()(self._descriptor) == 0:
            return
        # Something on this disk failed, perhaps nothing of ours.
        for path in self._waiting:
            sync_folder(path)


@contextlib.contextmanager
def changes(disk: Path, count: int) -> Iterator[Changes]:
    """Changes that are made inside, and last at the end.

    Parameters
    ----------
    disk : Path
        A folder on the disk where they are.
    count : int
        How many there will be, about.
    """
    if count < _MANY or not _is_told_of_all(disk) or _waiting() > count * _MOST_WAITING:
        yield Changes(None)
        return
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        made = Changes(descriptor)
        yield made
        made.settle()
    finally:
        os.close(descriptor)


@cache
def _is_told_of_all(disk: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    version = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    return version >= _REPORTS_ERRORS and file_system(disk.resolve()) in _WITH_SYNCFS


def _waiting() -> float:
    """KiB that no disk has yet; more than anything when it cannot be known."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return math.inf
    return sum(map(int, _WAITING.findall(text)))


@cache
def _syncfs() -> Callable[[int], int]:
    """Python has no such call of its own; every C library of Linux has."""
    function: Callable[[int], int] = ctypes.CDLL(None).syncfs
    return function
