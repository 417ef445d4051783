"""Checksums of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

_PIECE = 1 << 20


def _feed(
    source: Path | str | BinaryIO, hashes: Iterable[Any], progress: Callable[[int], object] | None
) -> int:
    """Feed a file or an open stream to some hashes; the number of bytes read."""
    if isinstance(source, Path | str):
        with Path(source).open("rb") as file:
            return _feed(file, hashes, progress)
    total, hashes = 0, list(hashes)
    while piece := source.read(_PIECE):
        for running in hashes:
            running.update(piece)
        total += len(piece)
        if progress is not None:
            progress(len(piece))
    return total


def md5_of(source: Path | str | BinaryIO) -> str:
    """MD5 of a file or of the rest of an open stream, as 32 hex digits.

    Parameters
    ----------
    source : path or binary file

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    md5 = hashlib.md5(usedforsecurity=False)
    _feed(source, [md5], None)
    return md5.hexdigest()


def md5_and_sha256(
    source: Path | str | BinaryIO, progress: Callable[[int], object] | None = None
) -> tuple[str, str, int]:
    """Both checksums and the length in one reading.

    Parameters
    ----------
    source : path or binary file
    progress : callable, optional
        Called with the number of bytes of each piece.

    Returns
    -------
    md5, sha256 : str
        In hex.
    length : int
        In bytes.
    """
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    length = _feed(source, [md5, sha256], progress)
    return md5.hexdigest(), sha256.hexdigest(), length


def mark_of(size: int, mtime_ns: int) -> str:
    """What tells a file, without reading it, from the same one after it was written to again.

    Parameters
    ----------
    size, mtime_ns : int
        From its status.
    """
    return f"{size} {mtime_ns}"
