"""Bytes and names that a power failure shall not take: on the disk before anybody relies on them.

The object store does the like for what it keeps; client and server share no code.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import re
import sys
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

_MANY = 8
"""Files from which on one request for all that waits for the disk is sooner done than one for each."""

_MOST_WAITING = 2 << 10
"""KiB for each file that may wait for the disk: one request for all waits for what other programs wrote, too."""

_NOT_OFFERED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EPERM})
"""What file systems answer that write no folders on request, and folders that may be written but not read."""

_WAITING = re.compile(r"^(?:Dirty|Writeback):\s+(\d+) kB$", re.MULTILINE)


def let_last(files: Collection[Path], root: Path) -> None:
    """Return when files are on the disk, with their names and those of the folders they are in.

    Parameters
    ----------
    files : collection of Path
        Inside `root`; links are followed. Those that are gone are left out.
    root : Path
        Folder that lasts already.

    Raises
    ------
    OSError
        If the disk refuses.
    """
    here = [path for path in files if path.exists()]
    if os.name == "nt" or not here:
        # Windows has no such request for folders, and none for files that are open for reading.
        return
    if len(here) >= _MANY and _waiting() <= len(here) * _MOST_WAITING:
        disks = {path.stat().st_dev for path in here}
        if disks == {root.stat().st_dev} and _disk_settled(root):
            return
    folders = {path.resolve().parent for path in here}
    for path in here:
        folders.update(folder for folder in path.parents if folder.is_relative_to(root))
    for path in here:
        _settle(path)
    for folder in folders:
        settle_folder(folder)


def make_lasting_folder(folder: Path) -> None:
    """Make a folder and those above it, each with a name that lasts.

    Raises
    ------
    OSError
        If that is not possible.
    """
    missing = [place for place in (folder, *folder.parents) if not place.is_dir()]
    for place in reversed(missing):
        place.mkdir(exist_ok=True)
        settle_folder(place.parent)


def settle_folder(folder: Path) -> None:
    """Make new names in a folder last, where the system can; raises `OSError` if the disk refuses."""
    if os.name == "nt":
        return
    try:
        _settle(folder)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:
            raise


def _settle(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_settled(folder: Path) -> bool:
    """Whether all that waits for the disk of a folder has reached it."""
    if not sys.platform.startswith("linux"):
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return _syncfs()(descriptor) == 0
    finally:
        os.close(descriptor)


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
