"""Files that are replaced as a whole: readers see the former text or the new one, never a part."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace a file, which everybody may read whom the umask lets; its folder is made.

    Raises
    ------
    OSError
        If it cannot be written; the former file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex}")
    try:
        # Unlike files of `tempfile`, which are for one user alone.
        with partial.open("x", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def half_written(path: Path) -> Iterator[Path]:
    """What processes left that died while they replaced a file."""
    return path.parent.glob(f"{_prefix(path)}*")


def _prefix(path: Path) -> str:
    return f".{path.name}."
