"""Asset bytes to this disk: straight to a folder, or once into a cache that all runs share."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deriva_ml.asset.files import file_name_of
from deriva_ml.checksums import mark_of, md5_of
from deriva_ml.ermrest import objects
from deriva_ml.errors import DerivaMLConfigurationError
from deriva_ml.workspace.paths import cached_asset_dir
from deriva_ml.workspace.whole_files import write_whole

if TYPE_CHECKING:
    from deriva_ml.session import Session

logger = logging.getLogger(__name__)


def download(
    session: Session, row: Mapping[str, Any], dest_dir: Path, *, use_cache: bool = False, progress: Any = None
) -> Path:
    """Bring the file of an asset to this disk, and check its bytes.

    Parameters
    ----------
    session : Session
    row : mapping
        Row of an asset table.
    dest_dir : Path
        Folder to put it in; made if it does not exist.
    use_cache : bool
        Keep the bytes in the cache, under RID and MD5, and link to them.
    progress : callable, optional
        Called with the number of bytes received.

    Returns
    -------
    Path
        The file in `dest_dir`. A file of that name that is there already is kept when its bytes are the same, and
        replaced with a warning when they are not.

    Raises
    ------
    DerivaMLNotFoundError
        If the bytes are nowhere to be found.
    DerivaMLChecksumError
        If the bytes are not those that the catalog recorded.
    """
    md5 = str(row.get("MD5") or "")
    target = dest_dir / file_name_of(row)
    make_folder(dest_dir)
    if target.exists() and md5:
        present = md5_of(target)
        if present == md5:
            return target
        logger.warning(
            "%s is replaced: its MD5 was %s, that of asset %s is %s.", target, present, row.get("RID"), md5
        )
    if use_cache and md5:
        return _link(cached(session, row, progress), target)
    return _fetch(session, row, target, progress)


def cached(session: Session, row: Mapping[str, Any], progress: Any = None) -> Path:
    """Return the file of an asset in the cache that all runs share; it is fetched when it is not there yet.

    A run that writes to it would change what others read: it is made read-only, and fetched again when it has changed.
    """
    folder = cached_asset_dir(session.cache_dir, str(row["RID"]), str(row["MD5"]))
    file = folder / file_name_of(row)
    note = folder.with_name(f".{folder.name}")
    if file.exists():
        if _mark(file) == _noted(note):
            return file
        if md5_of(file) == row["MD5"]:
            _note(file, note)
            return file
        logger.warning("%s has changed since it was cached; it is fetched again.", file)
    make_folder(folder)
    _fetch(session, row, file, progress)
    _note(file, note)
    return file


def _mark(file: Path) -> str:
    status = file.stat()
    return mark_of(status.st_size, status.st_mtime_ns)


def _noted(note: Path) -> str | None:
    try:
        return note.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return None


def _note(file: Path, note: Path) -> None:
    """Make a file of the cache read-only, and note its size and time: a change is noticed without reading it."""
    try:
        if os.name != "nt":
            # Windows deletes no read-only files.
            file.chmod(file.stat().st_mode & ~0o222)
        write_whole(note, _mark(file), lasting=False)
    except OSError as error:
        # Of another user, on a shared disk: it is read in full the next time.
        logger.info("%s cannot be marked as whole: %s", file, error)


def _fetch(session: Session, row: Mapping[str, Any], target: Path, progress: Any) -> Path:
    md5, length = row.get("MD5"), row.get("Length")
    if target.is_symlink():
        target.unlink()
    return objects.fetch(
        session.connection, str(row["URL"]), target, md5=md5, length=length, progress=progress
    )


def _link(source: Path, target: Path) -> Path:
    """Let `target` be `source`: a link where the file system can, a copy elsewhere; never seen half made."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        temporary.symlink_to(source)
    except OSError:
        shutil.copyfile(source, temporary)
    return temporary.replace(target)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it.

    Raises
    ------
    DerivaMLConfigurationError
        If that is not possible.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DerivaMLConfigurationError(
            f"Cannot make folder {folder}: {error.strerror or error}. Choose another one."
        ) from error
