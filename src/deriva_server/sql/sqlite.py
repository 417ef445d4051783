"""SQLite: one file per catalog in write-ahead mode, every commit on disk before it is reported."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deriva_server.deployment import check_sqlite
from deriva_server.errors import (
    BadRequest,
    Busy,
    Conflict,
    ServiceError,
    StorageFull,
    StorageUnusable,
    TimeLimit,
)
from deriva_server.model.elements import Type
from deriva_server.sql.dialect import INTERNAL

BUSY_SECONDS = 60
"""How long a writer waits for other processes before it gives up."""

_STEPS_BETWEEN_LOOKS = 200_000
_FUNCTIONS: dict[tuple[str, int], Callable[..., Any]] = {}
_TOO_MUCH = re.compile("too many |at most |Expression tree is too large|parser stack overflow")
_ROW_NAMES = frozenset(("rowid", "oid", "_rowid_"))


def register_function(name: str, arity: int, function: Callable[..., Any]) -> None:
    """Make a deterministic Python function callable from SQL on every connection opened from now on.

    Parameters
    ----------
    name : str
        Name in SQL.
    arity : int
        Number of arguments, -1 for any.
    function : callable
        Takes and returns what SQLite can store.
    """
    _FUNCTIONS[name, arity] = function


class SqliteDialect:
    """SQLite behind the `Dialect` protocol."""

    name = "sqlite"

    def engine(self, path: Path) -> sa.Engine:
        """An engine on the file `path`, without a pool."""
        check_sqlite()
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            poolclass=sa.NullPool,
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": BUSY_SECONDS},
        )
        sa.event.listen(engine, "connect", _prepare)
        return engine

    def begin(self, connection: sa.Connection, *, write: bool) -> None:
        """Begin; a writing transaction takes the write lock at once, so it never fails half-way for another."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def suspend_references(self, connection: sa.Connection) -> None:
        """Switch foreign keys off, which SQLite allows only between transactions."""
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.rollback()

    def resume_references(self, connection: sa.Connection) -> None:
        """Switch foreign keys on."""
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        connection.rollback()

    def limit_time(self, connection: sa.Connection, seconds: float | None) -> None:
        """Interrupt statements past the limit."""
        driver: Any = connection.connection.driver_connection
        if seconds is None:
            driver.set_progress_handler(None, 0)
            return
        end = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)

    def translate(self, error: sa.exc.DBAPIError) -> ServiceError | None:
        """Map by SQLite's own code; errors of statements, which share one, by their words."""
        text = str(error.orig)
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return Busy("The catalog is locked by another process.")
            case sqlite3.SQLITE_INTERRUPT:
                return TimeLimit()
            case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                return StorageFull(text)
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                return StorageUnusable(f"{text}. Check the owner and permissions of the file and its folder.")
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return StorageUnusable(f"{text}. The file is damaged; restore it from a backup.")
            case sqlite3.SQLITE_CONSTRAINT:
                return Conflict(text)
            case sqlite3.SQLITE_TOOBIG | sqlite3.SQLITE_RANGE:
                return BadRequest(text)
        if isinstance(error.orig, sqlite3.DataError):
            return BadRequest(text)
        if text.startswith("user-defined function"):
            return BadRequest("A value does not suit the operation.")
        if _TOO_MUCH.match(text):
            return BadRequest(f"The request is too large for one statement: {text}.")
        return None

    def column_type(self, type_: Type) -> str:
        """An affinity that changes no stored form: none at all for exact decimal numbers."""
        if type_.is_array:
            return "TEXT"
        scalar = type_.scalar
        if scalar == "boolean" or scalar.startswith(("int2", "int4", "int8", "serial", "oid")):
            return "INTEGER"
        if scalar.startswith("float"):
            return "REAL"
        return "" if scalar == "numeric" else "TEXT"

    def fold(self, name: str) -> str:
        """SQLite ignores case of ASCII letters only."""
        return re.sub("[A-Z]+", lambda found: found.group().lower(), name)

    def table_storage(self, name: str, rid: str, taken: Collection[str]) -> str:
        """The name itself where it is free, else one made unique by the RID."""
        return self._free(name, rid, taken, name.lower().startswith(("sqlite_", INTERNAL)))

    def column_storage(self, name: str, rid: str, taken: Collection[str]) -> str:
        """The name itself where it is free, else one made unique by the RID."""
        return self._free(name, rid, taken, name.lower() in _ROW_NAMES)

    def _free(self, name: str, rid: str, taken: Collection[str], reserved: bool) -> str:
        candidate, count = (f"t~{name}~{rid}" if reserved else name), 0
        while self.fold(candidate) in taken:
            candidate, count = f"{name}~{rid}" + (f"~{count}" if count else ""), count + 1
        return candidate


def _prepare(driver: sqlite3.Connection, _record: object) -> None:
    cursor = driver.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.execute("PRAGMA journal_size_limit=67108864")
    cursor.close()
    for (name, arity), function in _FUNCTIONS.items():
        driver.create_function(name, arity, function, deterministic=True)
