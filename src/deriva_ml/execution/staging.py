"""How an output file gets to its place in the scratch directory of an execution."""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from deriva_ml.asset.download import make_folder
from deriva_ml.errors import DerivaMLConfigurationError


@dataclass(frozen=True)
class Staging:
    """How one file gets to its place: from the user's own `source`, or not at all; `exists` when it can be read already."""

    source: Path | None
    staged: Path
    copy: bool
    exists: bool


def stage(staging: Staging) -> None:
    """Make the staged file be, or link to, the user's own; a new file is left for the user to write."""
    source, staged = staging.source, staging.staged
    make_folder(staged.parent)
    if source is None:
        if not staging.exists and staged.is_symlink():
            # What the user writes is the new output, not the file that was linked under this name before.
            staged.unlink()
        return
    part = staged.with_name(f".{os.getpid()}-{threading.get_ident()}.part")
    try:
        if not _linked(source, part, staging.copy):
            shutil.copyfile(source, part)
        part.replace(staged)
    except OSError as error:
        # What was staged under the name before is still there, and no part of a copy takes up room.
        part.unlink(missing_ok=True)
        raise DerivaMLConfigurationError(
            f"{source} cannot be staged as {staged}: {error.strerror or error}. Nothing was registered."
        ) from error


def is_staged(given: Path, staged: Path) -> bool:
    """Whether a path is that of the staged file, or leads to it: nothing is to be staged then."""
    if given == staged.absolute():
        return True
    return not staged.is_symlink() and staged.exists() and given.samefile(staged)


def _linked(source: Path, part: Path, copy: bool) -> bool:
    try:
        if not copy:
            part.symlink_to(source.resolve())
    except OSError:
        # File systems without symbolic links.
        return False
    return not copy
