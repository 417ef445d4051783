"""Whether a bag is still what was put there: told by sizes and times, and by reading where these differ.

The promise is the same for a bag that was downloaded and one that is opened by its path:

- When it is opened, every file of it that is here has the bytes that its manifests say, and no other is gone than those
  that can be fetched again. Otherwise it is refused.
- While it is open, that holds again for each file that is handed out, and for the SQLite file whenever it is asked.

A file whose size and times are those noted when its bytes were last known to be right is not read again. So a bag that
comes from elsewhere is read in full once, and later costs a look at the status of its files.

Nothing is promised against somebody who writes new manifests to a bag that was never opened here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from deriva_ml import settings
from deriva_ml.bag import layout, seal
from deriva_ml.checksums import md5_of
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLConfigurationError, DerivaMLException
from deriva_ml.parallel import run_all

logger = logging.getLogger(__name__)

DATABASE = "database.db"
"""SQLite file with the rows of a bag."""

STATE = "state.json"
"""What was noted of the files of a bag."""

_MARKS, _SEAL, _DATABASE = "marks", "seal", "database"
Mark = list[int]


def note(folder: Path, fresh: Iterable[str] | None = None) -> None:
    """Note the state of a bag in the cache.

    Parameters
    ----------
    folder : Path
        Root of the bag.
    fresh : iterable of str, optional
        Places of the files whose bytes are known to be right, beside those noted before; by default all of the bag.
    """
    noted = _read(folder.parent)
    marks = dict(noted.get(_MARKS) or {})
    if fresh is None:
        fresh = [*seal.read_manifest(folder), *seal.read_manifest(folder, seal.TAG_MANIFEST)]
    marks.update((place, mark) for place in fresh if (mark := _mark(folder / place)) is not None)
    database = noted.get(_DATABASE) or _database_note(folder.parent)
    document = {_SEAL: md5_of(folder / seal.TAG_MANIFEST), _MARKS: marks, _DATABASE: database}
    _write(folder.parent, document)


def _database_note(home: Path) -> dict[str, Any] | None:
    mark = _mark(home / DATABASE)
    return None if mark is None else {"mark": mark, "md5": md5_of(home / DATABASE)}


class Guard:
    """Watches over an open bag.

    Parameters
    ----------
    folder : Path
        Root of the bag.
    make : callable, optional
        Makes the SQLite file of the bag from its tables, at the path that it gets; not needed to check a bag.

    Attributes
    ----------
    home : Path
        Folder of what is made of the bag on this disk: beside it for one in the cache, elsewhere for others, as many bags
        may lie beside each other and their folder may be read-only.
    database : Path
        The SQLite file; there after `ready`.

    Raises
    ------
    DerivaMLChecksumError
        If a file is damaged, or one that is not in ``fetch.txt`` is gone; the message names it.
    """

    def __init__(self, folder: Path, make: Callable[[Path], object] | None = None) -> None:
        self.folder, self._make = folder, make
        self._own = settings.home() / "databases" / _name(folder)
        self.is_cached = any((folder.parent / name).exists() for name in (STATE, DATABASE))
        self.home = folder.parent if self.is_cached else self._own
        self.database = self.home / DATABASE
        self._lock = threading.Lock()
        shared, own = (_read(folder.parent) if self.is_cached else {}), _read(self._own)
        self._seal: str | None = shared.get(_SEAL)
        self._marks: dict[str, Mark] = (own or shared).get(_MARKS) or {}
        self._database: dict[str, Any] | None = self._noted_database()
        before = dict(self._marks)
        self._check_seal()
        self._check(seal.MANIFEST)
        changed = self._check_database()
        if changed or before != self._marks or not (own or shared):
            self._note()

    def ready(self) -> bool:
        """Make the SQLite file again where it is gone or no longer the one that was checked; whether it was not.

        Raises
        ------
        DerivaMLChecksumError
            If a table of the bag is damaged, too.
        DerivaMLConfigurationError
            If the file cannot be written.
        """
        if self._is_database_as_noted():
            return False
        with self._lock:
            if self._is_database_as_noted():
                return True
            # Another process may have made it anew, and said so.
            self._database = self._noted_database()
            self._check_database()
            if not self.database.exists():
                self._make_database()
            self._note()
        return True

    def file(self, place: str) -> None:
        """Check a file of the bag before it is handed out.

        Raises
        ------
        DerivaMLChecksumError
            If it is damaged.
        """
        mark = _mark(self.folder / place)
        if mark is not None and self._marks.get(place) != mark:
            self._check_seal()
            self._check(seal.MANIFEST, [place])

    def refresh(self) -> None:
        """Take over what was noted since, of files that were fetched."""
        self._marks.update(_read(self.folder.parent).get(_MARKS) or {})

    def _make_database(self) -> None:
        assert self._make is not None, "A guard that only checks reads no rows."
        partial = self.database.with_name(f"{DATABASE}.{os.getpid()}.part")
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._make(partial)
            partial.replace(self.database)
        except (OSError, sqlite3.OperationalError) as error:
            if isinstance(error, DerivaMLException):
                raise
            raise DerivaMLConfigurationError(
                f"The rows of bag {self.folder} cannot be brought to {self.home}: {error}. Free disk space, mend "
                "permissions, or set DERIVA_ML_HOME to another folder."
            ) from error
        self._database = _database_note(self.home)

    # --- checks ---------------------------------------------------------------------------------------------------

    def _check_seal(self) -> None:
        """Only with these checked it is known which files belong to the bag, and which of them may be elsewhere."""
        if self._seal is not None and self._seal != md5_of(self.folder / seal.TAG_MANIFEST):
            raise self._damaged([seal.TAG_MANIFEST])
        self._check(seal.TAG_MANIFEST)

    def _check(self, manifest: str, places: Iterable[str] | None = None) -> None:
        """Compare files of a manifest with it, reading those that differ in size or time from what was noted."""
        sums = seal.read_manifest(self.folder, manifest)
        here = {place: _mark(self.folder / place) for place in (sums if places is None else places)}
        gone = [place for place, mark in here.items() if mark is None]
        if gone and manifest == seal.MANIFEST:
            gone = sorted(set(gone) - {entry.path for entry in seal.read_fetch(self.folder)})
        doubtful = [place for place, mark in here.items() if mark and self._marks.get(place) != mark]
        found = self._read_all(doubtful)
        damaged = [place for place in doubtful if found[place] != sums.get(place)]
        if places is None and manifest == seal.MANIFEST:
            torn = self._remove_torn(damaged)
            damaged, doubtful = sorted(set(damaged) - torn), sorted(set(doubtful) - torn)
        if gone or damaged:
            raise self._damaged([*gone, *damaged])
        self._marks.update((place, here[place]) for place in doubtful)  # type: ignore[misc]  # what has no mark is not doubtful

    def _remove_torn(self, damaged: list[str]) -> set[str]:
        """Remove what a power failure left of files that were being fetched: never noted as whole, to be fetched again."""
        if not self.is_cached or not damaged:
            return set()
        elsewhere = {entry.path for entry in seal.read_fetch(self.folder)}
        torn = {place for place in damaged if place in elsewhere and place not in self._marks}
        for place in torn:
            (self.folder / place).unlink(missing_ok=True)
        return torn

    def _read_all(self, places: list[str]) -> dict[str, str]:
        label = f"Checking {self.folder.name.replace('_', ' ')}"
        with tqdm(total=len(places), desc=label, unit="file", disable=None, leave=False, delay=1) as bar:
            found = run_all(
                lambda place: md5_of(self.folder / place), places, progress=lambda *_: bar.update()
            )
        return dict(zip(places, found, strict=True))

    def _noted_database(self) -> dict[str, Any] | None:
        found = [noted for home in (self.home, self._own) if (noted := _read(home).get(_DATABASE))]
        mark = _mark(self.database)
        return next((noted for noted in found if noted.get("mark") == mark), found[0] if found else None)

    def _is_database_as_noted(self) -> bool:
        return self._database is not None and self._database.get("mark") == _mark(self.database)

    def _check_database(self) -> bool:
        """Remove the SQLite file where it is not what was noted; whether its note is out of date."""
        mark = _mark(self.database)
        if mark is None or self._is_database_as_noted():
            return False
        if self._database and md5_of(self.database) == self._database.get("md5"):
            self._database = {**self._database, "mark": mark}
            return True
        logger.warning("%s was changed; it is made again from the tables of the bag.", self.database)
        try:
            self.database.unlink()
        except OSError as error:
            raise self._damaged([DATABASE]) from error
        self._database = None
        return True

    def _note(self) -> None:
        seal_md5 = self._seal or md5_of(self.folder / seal.TAG_MANIFEST)
        document = {_SEAL: seal_md5, _MARKS: self._marks, _DATABASE: self._database}
        for home in dict.fromkeys((self.home, self._own)):
            # A cache that others fill may be read-only here.
            with contextlib.suppress(OSError):
                home.mkdir(parents=True, exist_ok=True)
                _write(home, document)
                return

    def _damaged(self, places: list[str]) -> DerivaMLChecksumError:
        shown = f"{', '.join(sorted(places)[:5])}{', …' if len(places) > 5 else ''}"
        remedy = (
            f"Delete the folder {self.folder.parent}, or call "
            f"ml.delete_cached_bag({self.folder.name.removeprefix('Dataset_')!r}), and download again"
            if self.is_cached
            else "Get the bag again from where it came"
        )
        return DerivaMLChecksumError(f"Bag {self.folder} is damaged: {shown} changed or gone. {remedy}.")


def _name(folder: Path) -> str:
    """Name of the folder of what is made of a bag that is not in the cache, for the same bag at the same place."""
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return f"{layout.encoded(folder.name)}_{md5_of(folder / seal.TAG_MANIFEST)[:12]}_{place}"


def _mark(path: Path) -> Mark | None:
    """Size and times of a file, None where it is gone; the time of its change cannot be set by anybody."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _read(home: Path) -> dict[str, Any]:
    """What was noted; nothing where that cannot be read, so that all files are."""
    try:
        found = json.loads((home / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    whole = isinstance(found, dict) and all(
        isinstance(found.get(name) or {}, dict) for name in (_MARKS, _DATABASE)
    )
    return found if whole else {}


def _write(home: Path, document: dict[str, Any]) -> None:
    state = home / STATE
    partial = state.with_name(f"{STATE}.{os.getpid()}.part")
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(state)
