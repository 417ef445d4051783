"""Whether a bag in the cache is still what was put there: told by sizes and times, and by reading where these differ.

What was noted lies beside the root of the bag, so that the bag itself stays as other tools know it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from deriva_ml.bag import seal
from deriva_ml.checksums import md5_of
from deriva_ml.errors import DerivaMLChecksumError

logger = logging.getLogger("deriva_ml")

DATABASE = "database.db"
"""SQLite file beside the root of a bag, with its rows."""

STATE = "state.json"
"""What was noted of the files of a bag, beside its root."""

_MARKS, _SEAL, _DATABASE = "marks", "seal", "database"


def note(folder: Path) -> None:
    """Note the state of all files of a bag.

    Parameters
    ----------
    folder : Path
        Root of the bag.
    """
    former = _read(folder)
    database = folder.parent / DATABASE
    mark = _mark(database)
    known = former.get(_DATABASE) or {}
    if mark is not None and known.get("mark") != mark:
        known = {"mark": mark, "md5": md5_of(database)}
    places = [*seal.read_manifest(folder), *seal.read_manifest(folder, seal.TAG_MANIFEST)]
    marks = {place: mark for place in places if (mark := _mark(folder / place)) is not None}
    _write(
        folder,
        {_SEAL: md5_of(folder / seal.TAG_MANIFEST), _MARKS: marks, _DATABASE: known if mark else None},
    )


def check(folder: Path) -> None:
    """Check that the files of a bag are those that were put there.

    Files whose size and times are as noted are taken for unchanged, others are read. The SQLite file is removed when it
    is damaged: it is made again from the checked CSV files.

    Parameters
    ----------
    folder : Path
        Root of the bag.

    Raises
    ------
    DerivaMLChecksumError
        If a file is damaged, or one that is not in ``fetch.txt`` is gone; the message names it.
    """
    noted = _read(folder)
    marks = noted.get(_MARKS) or {}
    seal_md5 = noted.get(_SEAL)
    if seal_md5 is not None and seal_md5 != md5_of(folder / seal.TAG_MANIFEST):
        raise _damaged(folder, [seal.TAG_MANIFEST])
    read = _differing(folder, seal.TAG_MANIFEST, marks)
    # Only now it is known that the list of files, and of those that may be elsewhere, is what it was.
    read += _differing(folder, seal.MANIFEST, marks)
    changed = _check_database(folder, noted.get(_DATABASE))
    if read or changed or not noted:
        # A cache that others fill may be read-only here.
        with contextlib.suppress(OSError):
            note(folder)


def note_database(folder: Path) -> None:
    """Note the SQLite file of a bag after it was made again; does nothing for a bag outside of the cache."""
    if (folder.parent / STATE).exists():
        note(folder)


def _differing(folder: Path, manifest: str, marks: dict[str, Any]) -> int:
    """How many files of a manifest differ in size or time from what was noted, though their bytes are right."""
    read, damaged = 0, []
    fetchable: frozenset[str] | None = None if manifest == seal.MANIFEST else frozenset()
    for place, md5 in seal.read_manifest(folder, manifest).items():
        mark = _mark(folder / place)
        if mark is None:
            if fetchable is None:
                fetchable = frozenset(entry.path for entry in seal.read_fetch(folder))
            if place not in fetchable:
                damaged.append(place)
        elif marks.get(place) != mark:
            read += 1
            if md5_of(folder / place) != md5:
                damaged.append(place)
    if damaged:
        raise _damaged(folder, damaged)
    return read


def _check_database(folder: Path, known: dict[str, Any] | None) -> bool:
    """Remove the SQLite file where it is not what was noted; whether its note is out of date."""
    database = folder.parent / DATABASE
    mark = _mark(database)
    if mark is None or (known and known.get("mark") == mark):
        return False
    if not known or md5_of(database) != known.get("md5"):
        logger.warning("%s was changed; it is made again from the tables of the bag.", database)
        database.unlink()
    return True


def _damaged(folder: Path, places: list[str]) -> DerivaMLChecksumError:
    return DerivaMLChecksumError(
        f"Bag {folder} is damaged: {', '.join(sorted(places)[:5])}{', …' if len(places) > 5 else ''} changed or gone. "
        f"Delete the folder {folder.parent} and download again."
    )


def _mark(path: Path) -> list[int] | None:
    """Size and times of a file, None where it is gone; the time of its change cannot be set by anybody."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(folder: Path) -> dict[str, Any]:
    """What was noted; nothing where that cannot be read, so that all files are."""
    try:
        found = json.loads((folder.parent / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(
        isinstance(found.get(name) or {}, dict) for name in (_MARKS, _DATABASE)
    )
    return found if whole else {}


def _write(folder: Path, document: dict[str, Any]) -> None:
    state = folder.parent / STATE
    partial = state.with_name(f"{STATE}.{os.getpid()}.part")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(state)
