"""Files that are replaced as a whole: readers see the former text or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace a file; its folder is made.

    Raises
    ------
    OSError
        If it cannot be written; the former file stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def half_written(path: Path) -> Iterator[Path]:
    """What processes left that died while they replaced a file."""
    return path.parent.glob(f"{_prefix(path)}*")


def _prefix(path: Path) -> str:
    return f".{path.name}."
