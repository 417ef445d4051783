"""Copies of files on this disk, and what to say where there is no room for them."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]  # a module to the checker

_CLONE = 0x40049409  # FICLONE of Linux
_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.part")


def clone(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can, else inside the kernel."""
    if fcntl is not None:
        with source.open("rb") as reading, target.open("wb") as writing, contextlib.suppress(OSError):
            fcntl.ioctl(writing.fileno(), _CLONE, reading.fileno())
            return
    shutil.copyfile(source, target)


def partial_of(target: Path) -> Path:
    """Where a file lies until it is complete: beside it, under a name that `is_partial` knows."""
    return target.with_name(f".{uuid.uuid4().hex}.part")


def is_partial(path: Path) -> bool:
    """Whether a file is one that never became complete, because its process died."""
    return _PARTIAL.fullmatch(path.name) is not None


@contextlib.contextmanager
def holding(said: str, way_out: str) -> Iterator[None]:
    """Say of a place that is full or cannot be written what it is, and the way out."""
    try:
        yield
    except DerivaMLException:
        # Some are OSErrors, too, and say what they mean.
        raise
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DerivaMLConfigurationError(f"{said}: {reason}. {way_out}") from error


def holding_cache(cache_dir: Path, what: str) -> contextlib.AbstractContextManager[None]:
    """Say of a cache folder that is full or cannot be written what it is, and the way out."""
    return holding(
        f"The cache folder {cache_dir} cannot hold {what}",
        "Free disk space (deriva_ml's clear_cache() removes what can be downloaded again), mend permissions, or pass "
        "cache_dir= with another folder.",
    )
