"""The databases of a deployment as SQLite files in its folder."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from pathlib import Path

import sqlalchemy as sa

from deriva_server.deployment import sync_folder
from deriva_server.sql.connect import Database
from deriva_server.sql.sqlite.database import SqliteDialect

REGISTRY = "registry.db"
"""Name of the file of the registry."""

DIRECTORY = Path("objects", "directory.db")
"""Name of the file of the object directory, in the folder of a deployment."""

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")


class SqliteFiles:
    """SQLite behind the `Databases` protocol.

    Parameters
    ----------
    folder : Path
        Of the deployment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "catalogs").mkdir(exist_ok=True)

    def registry(self) -> Database:
        """One file beside the folder of the catalogs."""
        path = self._folder / REGISTRY
        is_new = not path.exists()
        database = Database(SqliteDialect(path))
        if is_new:
            enter_wal(database)
        return database

    def directory(self) -> Database:
        """One file beside the bytes."""
        path = self._folder / DIRECTORY
        is_new = not path.exists()
        path.parent.mkdir(exist_ok=True)
        database = Database(SqliteDialect(path))
        if is_new:
            enter_wal(database)
        return database

    def remove_directory(self) -> None:
        """Remove the file and its companions."""
        _remove(self._folder / DIRECTORY)

    def has_registry(self) -> bool:
        """Whether the file is there."""
        return (self._folder / REGISTRY).exists()

    def remove_registry(self) -> None:
        """Remove the file and its companions."""
        _remove(self._folder / REGISTRY)

    def catalog(self, id: str) -> Database:
        """One file per catalog."""
        return Database(SqliteDialect(self.path(id)))

    def create_catalog(self, id: str) -> Database:
        """A new file; what lies there without an entry was left by a creation that was interrupted."""
        self.remove_catalog(id)
        database = self.catalog(id)
        enter_wal(database)
        return database

    def keep_catalog(self, id: str) -> None:
        """Let the name of the file reach the disk before the registry knows it."""
        sync_folder(self.path(id).parent)

    def has_catalog(self, id: str) -> bool:
        """Whether the file is there."""
        return self.path(id).exists()

    def size(self, id: str) -> int:
        """Bytes of the file and its companions."""
        found = 0
        for file in _companions(self.path(id)):
            # The journal comes and goes with the processes that use it.
            with contextlib.suppress(FileNotFoundError):
                found += file.stat().st_size
        return found

    def remove_catalog(self, id: str) -> None:
        """Remove the file and its companions."""
        _remove(self.path(id))

    def path(self, id: str) -> Path:
        """The file of a catalog."""
        return catalog_file(self._folder, id)


def catalog_file(folder: Path, id: str) -> Path:
    """The file of a catalog of the deployment in `folder`; ids that are no plain file names are hashed."""
    plain = _PLAIN.fullmatch(id) is not None
    name = id if plain else "~" + hashlib.sha256(id.encode()).hexdigest()[:24]
    return folder / "catalogs" / f"{name}.db"


def _companions(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]


def _remove(path: Path) -> None:
    for file in _companions(path):
        file.unlink(missing_ok=True)


def enter_wal(database: Database) -> None:
    """Keep the write-ahead journal for a database from now on, whatever other processes do meanwhile."""
    with database.read() as connection:
        connection.raw.rollback()
        for attempt in range(200):
            try:
                connection.run("PRAGMA journal_mode=WAL")
            except sa.exc.OperationalError:
                if attempt == 199:
                    raise
                connection.raw.rollback()
                time.sleep(0.05)
            else:
                return
