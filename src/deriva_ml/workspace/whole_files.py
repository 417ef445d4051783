"""Files that are replaced as a whole: readers see the former text or the new one, never a part."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deriva_ml.lasting import make_lasting_folder, settle_folder


def write_whole(path: Path, text: str, *, lasting: bool = True) -> None:
    """Replace a file, which everybody may read whom the umask lets; its folder is made.

    Parameters
    ----------
    path : Path
    text : str
    lasting : bool
        Whether it must survive a power failure from now on; not where it can be made again, and is when it is torn.

    Raises
    ------
    OSError
        If it cannot be written; the former file stays.
    """
    make_lasting_folder(path.parent)
    partial = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex}")
    try:
        # Unlike files of `tempfile`, which are for one user alone.
        with partial.open("x", encoding="utf-8") as file:
            file.write(text)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        partial.replace(path)
        if lasting:
            settle_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def half_written(path: Path) -> Iterator[Path]:
    """What processes left that died while they replaced a file."""
    return path.parent.glob(f"{_prefix(path)}*")


def _prefix(path: Path) -> str:
    return f".{path.name}."
