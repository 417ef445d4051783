"""Copies of the SQLite files of a deployment, each as of one moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from deriva_server.deployment import sync_folder
from deriva_server.errors import ServiceError, StorageFull, StorageUnusable
from deriva_server.sql.connect import Database
from deriva_server.sql.sqlite.database import SqliteDialect
from deriva_server.sql.sqlite.files import DIRECTORY, REGISTRY, SqliteFiles, catalog_file

_PAGES = 2048
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


def copy_sqlite(source: Path, target: Path, told: Callable[[int, int], None]) -> None:
    """Copy an SQLite database as of one moment, durable on return; those who read and write it are not disturbed.

    Parameters
    ----------
    source : Path
        May be in use.
    target : Path
        Must not exist.
    told : callable
        Told of the pages copied.

    Raises
    ------
    FileNotFoundError
        If `source` does not exist.
    StorageFull, StorageUnusable
        If it cannot be read, or the copy not be written; or the copy is found to be damaged.
    """
    if not source.exists():
        raise FileNotFoundError(source)
    try:
        with closing(_connected(source, "rw")) as old, closing(_connected(target, "rwc")) as new:
            # The copy counts for nothing until it is whole, and is synced then.
            new.execute("PRAGMA journal_mode=OFF")
            new.execute("PRAGMA synchronous=OFF")
            # Within one transaction all steps see one moment; without it, writers would make the copy begin anew.
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            old.backup(new, pages=_PAGES, progress=lambda _, rest, all_: told(all_ - rest, all_))
            old.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise _translated(error, source, target) from error
    _sync(target)
    _check(target)


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)


def _translated(error: sqlite3.Error, source: Path, target: Path) -> ServiceError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    kind = StorageFull if code in _FULL else StorageUnusable
    return kind(f"{source} cannot be copied to {target}: {error}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(path: Path) -> None:
    """Refuse a damaged copy."""
    database = Database(SqliteDialect(path))
    try:
        with database.read() as connection:
            found = connection.raw.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    finally:
        database.close()
    if found != "ok":
        raise StorageUnusable(f"the copy {path} is damaged, and so is what it was made from: {found}")


class SqliteCopies:
    """SQLite behind the `Copies` protocol.

    Parameters
    ----------
    source, target : Path
        Folders of the deployment and of its copy.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source, self._target = source, target
        self.address: str | None = None

    def copy_registry(self, told: Callable[[int, int], None]) -> bool:
        """Copy the file of the registry."""
        return self._copy(self._source / REGISTRY, self._target / REGISTRY, told)

    def copy_catalog(self, id: str, told: Callable[[int, int], None]) -> bool:
        """Copy the file of a catalog."""
        (self._target / "catalogs").mkdir(exist_ok=True)
        return self._copy(catalog_file(self._source, id), catalog_file(self._target, id), told)

    def copy_directory(self, told: Callable[[int, int], None]) -> bool:
        """Copy the file beside the bytes."""
        (self._target / DIRECTORY).parent.mkdir(exist_ok=True)
        return self._copy(self._source / DIRECTORY, self._target / DIRECTORY, told)

    def live_registry(self) -> Database:
        """The file in the deployment."""
        return SqliteFiles(self._source).registry()

    def copied_registry(self) -> Database:
        """The file in the copy."""
        return SqliteFiles(self._target).registry()

    def live_directory(self) -> Database | None:
        """The file in the deployment."""
        path = self._source / DIRECTORY
        return Database(SqliteDialect(path)) if path.exists() else None

    def copied_directory(self) -> Database:
        """The file in the copy."""
        return Database(SqliteDialect(self._target / DIRECTORY))

    def finish(self, deployment: str) -> None:
        """Let the names of the files reach the disk."""
        SqliteFiles(self._target)
        sync_folder(self._target / "catalogs")

    def discard(self) -> None:
        """Nothing to do: the files go with their folder."""

    def _copy(self, source: Path, target: Path, told: Callable[[int, int], None]) -> bool:
        try:
            copy_sqlite(source, target, told)
        except FileNotFoundError:
            return False
        return True
