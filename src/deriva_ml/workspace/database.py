"""An SQLite file of local state: opened on first use, every mutation durable, one connection per process."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException
from deriva_ml.interrupts import held
from deriva_ml.lasting import make_lasting_folder, settle_folder

_BUSY_SECONDS = 60.0
_ELSEWHERE = "Pass working_dir= with a folder that you can write to."

# Connections that a fork inherited: closing them in the child would release the parent's file locks.
_inherited: list[sqlite3.Connection] = []


class Database:
    """One SQLite file with numbered migrations.

    Writes go through `transaction`, which takes the write lock at its start, so that two processes never dead-lock.
    With WAL and ``synchronous=FULL`` each transaction costs one fsync and survives a power failure.

    Parameters
    ----------
    path : Path
        Made with its folders on first use.
    migrations : sequence of str
        SQL scripts; the n-th brings the file from version n to n + 1.
    way_out : str
        What to do when the file cannot be used.
    """

    def __init__(self, path: Path, migrations: Sequence[str], way_out: str = _ELSEWHERE) -> None:
        self.path = Path(path)
        self._migrations = tuple(migrations)
        self._way_out = way_out
        self._forget()

    def _leave_to_parent(self) -> None:
        """Drop the connection of the parent process unclosed: closing it could drop locks that the parent holds."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._forget()

    def _forget(self) -> None:
        _databases.add(self)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_migrations": self._migrations, "_way_out": self._way_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: durable on leaving the block, undone when the block raises."""
        # Ctrl-C waits: anywhere in between it could leave the transaction open.
        with held(), self._lock, self._translated():
            connection = self._opened()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def fetch(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock, self._translated():
            return self._opened().execute(sql, parameters).fetchall()

    def fetch_one(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Row | None:
        """First row of a query."""
        rows = self.fetch(sql, parameters)
        return rows[0] if rows else None

    def close(self) -> None:
        """Close the connection of this process; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        # Python 3.13 warns of connections that are let go unclosed.
        if self._connection is not None:
            self._connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DerivaMLException(
                f"The local store {self.path} refused an operation: {error}. "
                "Nothing staged before is lost; free disk space or mend permissions and try again."
            ) from error

    def _open(self) -> sqlite3.Connection:
        try:
            make_lasting_folder(self.path.parent)
            is_new = not self.path.exists()
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error
        connection.row_factory = sqlite3.Row
        try:
            _switch_to_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            self._migrate(connection)
            if is_new:
                # SQLite sees to the names of its logs, not to that of the file.
                settle_folder(self.path.parent)
        except (OSError, sqlite3.Error) as error:
            connection.close()
            raise self._unusable(error) from error
        return connection

    def _unusable(self, error: Exception) -> DerivaMLConfigurationError:
        return DerivaMLConfigurationError(
            f"The working directory cannot hold the local store {self.path}: {error}. {self._way_out}"
        )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == len(self._migrations):
            return
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)
        if version > len(self._migrations):
            connection.execute("ROLLBACK")
            raise sqlite3.DatabaseError(f"it was written by a newer version of deriva-ml (format {version})")
        for script in self._migrations[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version={len(self._migrations)}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Switching takes an exclusive lock without asking the busy handler, so several starting processes must retry.
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _after_fork() -> None:
    for database in list(_databases):
        database._leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
