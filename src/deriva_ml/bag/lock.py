"""One process at a time: a lock on a file, freed by the operating system when its holder dies."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # not on Windows
    fcntl = None

_PAUSE = 0.2


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock for the length of a block; waits while another process (or thread) holds it.

    Parameters
    ----------
    path : Path
        Made with its folders; stays there empty.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        with _by_creation(path):
            yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _by_creation(path: Path) -> Iterator[None]:
    """Fall back on a file that only one process can make; it is deleted at the end."""
    mark = path.with_name(f"{path.name}.held")
    while True:
        try:
            handle = os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            break
        except FileExistsError:
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        os.close(handle)
        mark.unlink(missing_ok=True)
