"""SQLite: one file per catalog in write-ahead mode, every commit on disk before it is reported."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deriva_server import locks
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
from deriva_server.names import to_microseconds
from deriva_server.sql.dialect import BUSY_SECONDS, Connection, Expressions, Tables
from deriva_server.sql.sqlite.expressions import SqliteExpressions
from deriva_server.sql.sqlite.functions import DEADLINE
from deriva_server.sql.sqlite.tables import SqliteTables

_STEPS_BETWEEN_LOOKS = 200_000
_TOO_MUCH = re.compile("too many |at most |Expression tree is too large|parser stack overflow")


class SqliteDialect:
    """One SQLite file behind the `Dialect` protocol.

    Parameters
    ----------
    path : Path
        The file; it must exist unless the first connection shall make it.
    """

    name = "sqlite"
    idle = 8
    idle_together: int | None = None
    types: Mapping[str, str] = {"number": "INTEGER", "ascending": "INTEGER", "moment": "TEXT"}

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)
        self.expressions: Expressions = SqliteExpressions()
        self.tables: Tables = SqliteTables()

    def engine(self) -> sa.Engine:
        """An engine on the file, without a pool."""
        check_sqlite()
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)),
            poolclass=sa.NullPool,
            connect_args={"isolation_level": None, "check_same_thread": False, "timeout": BUSY_SECONDS},
        )
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "invalidate", _release)
        return engine

    def connect(self, engine: sa.Engine) -> sa.Connection:
        """A new connection."""
        return engine.connect()

    def begin(
        self, connection: sa.Connection, *, write: bool, first: str | None = None
    ) -> Sequence[Any] | None:
        """Begin; a writing transaction takes the write lock at once, so it never fails half-way for another."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
        return None if first is None else connection.exec_driver_sql(first).one()

    def statement(self, text: str) -> str:
        """SQLite knows question marks."""
        return text

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
            connection.info.pop(DEADLINE, None)
            driver.set_progress_handler(None, 0)
            return
        end = connection.info[DEADLINE] = time.monotonic() + seconds
        driver.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)

    def is_lost(self, connection: sa.Connection) -> bool:
        """A file does not go away."""
        return False

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Lock the folder of the file.

        A process that is killed in a commit may leave it whole in the log and missing in the index of the log. Nobody
        sees it then, but the index is made anew from the log once all who have the file open are gone.
        """
        with ExitStack() as held:
            try:
                had = held.enter_context(locks.held(self.path.parent, BUSY_SECONDS))
            except OSError as error:
                raise StorageUnusable(f"{self.path.parent}: {error.strerror or error}") from error
            if not had:
                raise Busy("Other processes kept the contents of objects locked.")
            yield True

    def settle(self, connection: Connection) -> None:
        """Change the head of the file: what follows in the log is written over."""
        connection.run(f"PRAGMA user_version = {secrets.randbits(31)}")

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

    def list_tables(self, connection: Connection, prefix: str) -> list[str]:
        """From the schema table."""
        found = connection.run(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, ?) = ? ORDER BY name",
            (len(prefix), prefix),
        )
        return list(found.scalars())

    def microseconds(self, value: Any) -> int:
        """Times are texts."""
        return to_microseconds(dt.datetime.fromisoformat(value))


def _release(driver: sqlite3.Connection, *_: Any) -> None:
    """Let go of the lock: SQLite keeps that of a closed connection while a traceback still holds one of its statements."""
    if driver.in_transaction:
        driver.rollback()


def _prepare(driver: sqlite3.Connection, _record: object) -> None:
    cursor = driver.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA cache_size=-16000")
    cursor.execute("PRAGMA journal_size_limit=67108864")
    cursor.close()
