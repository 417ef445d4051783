"""A bag as one zip file, and back; what a zip file says of itself is not trusted."""

from __future__ import annotations

import shutil
import stat
import uuid
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from deriva_ml.bag import seal
from deriva_ml.errors import DerivaMLDataError

_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # of a compression or version that zipfile does not know
    RuntimeError,  # of an encrypted entry
    UnicodeDecodeError,
)


def archive(folder: Path, target: Path) -> Path:
    """Pack a bag into a zip file whose single top folder is the bag."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                packed.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")
    return target


def extract(source: Path, folder: Path, *, most_bytes: int | None = None) -> Path:
    """Unpack a zipped bag into `folder`; the bag appears there only when it is complete and as its manifests say.

    Parameters
    ----------
    source : Path
        The zip file.
    folder : Path
        Made where it is missing; must not have the bag yet.
    most_bytes : int, optional
        How large the bag may be; the free space of the disk by default.

    Returns
    -------
    Path
        The bag.

    Raises
    ------
    DerivaMLDataError
        If the file is no zipped bag, holds links, names a place outside of it, or is too large.
    DerivaMLChecksumError
        If a file is not what the manifests of the bag say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{uuid.uuid4().hex}.part"
    try:
        with zipfile.ZipFile(source) as packed:
            entries = packed.infolist()
            top = _check_names(source, entries)
            if (folder / top).exists():
                raise DerivaMLDataError(f"{folder / top} exists; remove it, or unpack {source} elsewhere.")
            _check_size(source, entries, shutil.disk_usage(folder).free if most_bytes is None else most_bytes)
            packed.extractall(partial)
        seal.validate(partial / top, complete=False)
        return (partial / top).rename(folder / top)
    except _UNREADABLE as error:
        raise DerivaMLDataError(f"{source} is not a readable zip file: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_names(source: Path, entries: Sequence[zipfile.ZipInfo]) -> str:
    """Name of the only top folder."""
    tops, seen = set(), set()
    for entry in entries:
        name = entry.orig_filename
        path, mode = PurePosixPath(name), entry.external_attr >> 16
        if (
            not path.parts
            or path.is_absolute()
            or ".." in path.parts
            or PureWindowsPath(name).drive
            or "\\" in name
        ):
            raise DerivaMLDataError(f"{source} is not a bag: it names a place outside of itself: {name!r}.")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DerivaMLDataError(f"{source} is not a bag: {name!r} is a link or a device.")
        if path in seen:
            raise DerivaMLDataError(f"{source} is not a bag: {name!r} is in it twice.")
        seen.add(path)
        tops.add(path.parts[0])
        if len(path.parts) == 1 and not entry.is_dir():
            tops.add("")
    if len(tops) != 1:
        raise DerivaMLDataError(f"{source} is not a bag: it must hold exactly one folder.")
    return str(tops.pop())


def _check_size(source: Path, entries: Sequence[zipfile.ZipInfo], most: int) -> None:
    # No entry gives more bytes than it declares here, whatever its compressed stream holds.
    size = sum(entry.file_size for entry in entries)
    if size > most:
        raise DerivaMLDataError(f"{source} holds {size:,} bytes, and there is room for {most:,} only.")
