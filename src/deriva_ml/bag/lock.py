"""One process at a time: a lock on a file, freed by the operating system when its holder dies."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # not on Windows
    fcntl = None

logger = logging.getLogger(__name__)

_PAUSE = 0.2


@contextlib.contextmanager
def exclusive(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold a lock for the length of a block; waits while another process (or thread) holds it.

    Parameters
    ----------
    path : Path
        Made with its folders; stays there empty.
    waiting : str, optional
        Said when there is something to wait for.
    """
    with attempted(path) as is_free:
        if is_free:
            yield
            return
    if waiting:
        logger.warning(waiting)
    with _held(path):
        yield


@contextlib.contextmanager
def attempted(path: Path) -> Iterator[bool]:
    """Hold a lock for the length of a block if nobody else does; gives whether it is held.

    Parameters
    ----------
    path : Path
        As of `exclusive`.
    """
    with contextlib.ExitStack() as holding:
        try:
            holding.enter_context(_held(path, wait=False))
            is_free = True
        except BlockingIOError:
            is_free = False
        yield is_free


@contextlib.contextmanager
def _held(path: Path, *, wait: bool = True) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        with _by_creation(path, wait=wait):
            yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


@contextlib.contextmanager
def _by_creation(path: Path, *, wait: bool) -> Iterator[None]:
    """Fall back on a file that only one process can make; it is deleted at the end."""
    mark = path.with_name(f"{path.name}.held")
    while True:
        try:
            handle = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError as error:
            if not wait:
                raise BlockingIOError(f"{path} is held") from error
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(handle)
        mark.unlink(missing_ok=True)
