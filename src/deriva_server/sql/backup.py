"""What a backup asks of databases: copies as of one moment, and statements that make the copies fit each other."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from deriva_server.errors import ServiceError, StorageFull, StorageUnusable
from deriva_server.sql.connect import Database
from deriva_server.sql.dialect import Connection
from deriva_server.sql.sqlite.database import SqliteDialect

_PAGES = 2048
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})

Told = Callable[[int, int], None]
"""Gets how much is done, and of how much."""


def copy_sqlite(source: Path, target: Path, told: Told) -> None:
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


@dataclass(frozen=True, slots=True)
class Living:
    """What of the object directory is not deleted.

    Parameters
    ----------
    names, versions : set of int
        Ids of the names, and of the versions.
    blobs : set of str
        Keys of the bytes behind the versions.
    """

    names: set[int]
    versions: set[int]
    blobs: set[str]


def living_objects(connection: Connection) -> Living:
    """What of an object directory is not deleted."""
    run = connection.raw.exec_driver_sql
    names = set(run("SELECT id FROM hatrac_name WHERE deleted = 0").scalars())
    versions, blobs = set(), set()
    for id_, blob, moved in run("SELECT id, blob, moved FROM hatrac_version WHERE deleted = 0"):
        versions.add(id_)
        if moved is None:
            blobs.add(blob)
    return Living(names, versions, blobs)


def revive_objects(connection: Connection, earlier: Living) -> int:
    """Take back the deletion of what lived earlier and whose bytes are at hand; returns how many versions that are."""
    run = connection.raw.exec_driver_sql
    found = run("SELECT id, blob FROM hatrac_version WHERE deleted = 1")
    versions = [(id_,) for id_, blob in found if id_ in earlier.versions and blob in earlier.blobs]
    if versions:
        run("UPDATE hatrac_version SET deleted = 0 WHERE id = ?", versions)
    found = run(
        "SELECT id FROM hatrac_name WHERE deleted = 1"
        " AND (kind = 'namespace' OR id IN (SELECT name FROM hatrac_version WHERE deleted = 0))"
    )
    names = [(id_,) for (id_,) in found if id_ in earlier.names]
    if names:
        run("UPDATE hatrac_name SET deleted = 0 WHERE id = ?", names)
    return len(versions)


def forget_objects(connection: Connection, blobs: Collection[str]) -> None:
    """Mark versions as deleted whose bytes were removed."""
    if blobs:
        connection.raw.execute(_FORGET, [{"blob": blob} for blob in blobs])


def forget_uploads(connection: Connection) -> None:
    """Forget the uploads that are not finished."""
    connection.raw.exec_driver_sql("DELETE FROM hatrac_job")


_FORGET = sa.text("UPDATE hatrac_version SET deleted = 1 WHERE blob = :blob")
