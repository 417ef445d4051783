"""PostgreSQL: one database per catalog, one writer at a time in each.

A writing transaction takes the catalog's lock before it looks at anything, so that times of transactions ascend in
the order of their commits and a snapshot never changes. A reading one sees one moment; it passes a gate that changes
of tables close, because tables themselves have no moments.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import (
    BadRequest,
    Busy,
    Conflict,
    DeploymentError,
    ServiceError,
    StorageFull,
    StorageUnusable,
    TimeLimit,
)
from deriva_server.names import to_microseconds
from deriva_server.sql.dialect import BUSY_SECONDS, STATEMENT_SECONDS, Connection, Expressions, Tables
from deriva_server.sql.postgres.addresses import shown_address
from deriva_server.sql.postgres.connecting import connect
from deriva_server.sql.postgres.driver import as_sqlalchemy
from deriva_server.sql.postgres.expressions import PostgresExpressions
from deriva_server.sql.postgres.naming import GATE, SCHEMA, WRITERS
from deriva_server.sql.postgres.tables import PostgresTables

_BEGIN_WRITE = f"BEGIN; SELECT pg_advisory_xact_lock({WRITERS})"
# Locked before the first query: only that one fixes the moment which the transaction sees.
_BEGIN_READ = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    f" SET LOCAL statement_timeout = {round(STATEMENT_SECONDS * 1000)};"
    f" LOCK TABLE {GATE} IN ACCESS SHARE MODE"
)
_LIMIT = "deriva_limit"
_MARKS = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|(\?)|(%)""")
_SETTINGS = {
    "search_path": SCHEMA,
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "synchronous_commit": "on",
    "lock_timeout": str(BUSY_SECONDS * 1000),
    "jit": "off",
    "work_mem": "64MB",
    "cursor_tuple_fraction": "1",
    "client_min_messages": "warning",
    "tcp_keepalives_idle": "30",
}
_BY_CODE: Mapping[str, type[ServiceError]] = {
    "57014": TimeLimit,
    "55P03": Busy,
    "40001": Busy,
    "40P01": Busy,
    "53100": StorageFull,
    "53300": Busy,
    "2201B": BadRequest,
    "54000": Conflict,
}
_BY_CLASS: Mapping[str, type[ServiceError]] = {
    "08": Busy,
    "0A": Conflict,
    "22": Conflict,
    "23": Conflict,
    "28": StorageUnusable,
    "2B": Conflict,
    "3D": StorageUnusable,
    "42": Conflict,
    "54": BadRequest,
    "57": Busy,
    "58": StorageUnusable,
}


class PostgresDialect:
    """One database of a PostgreSQL server behind the `Dialect` protocol.

    Parameters
    ----------
    url : sqlalchemy.URL
        Its address.
    """

    name = "postgresql"
    idle = 4
    idle_together: int | None = 10
    types: Mapping[str, str] = {"number": "bigint", "moment": "timestamptz"}

    def __init__(self, url: sa.URL) -> None:
        self.url = url.set(drivername="postgresql+psycopg")
        self.place = shown_address(url)
        self.expressions: Expressions = PostgresExpressions()
        self.tables: Tables = PostgresTables()

    def engine(self) -> sa.Engine:
        """An engine without a pool.

        Raises
        ------
        DeploymentError
            If the driver is not installed.
        """
        options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
        given = self.url.query.get("options", "")
        try:
            engine = sa.create_engine(
                self.url.difference_update_query(["options"]),
                poolclass=sa.NullPool,
                isolation_level="AUTOCOMMIT",
                use_native_hstore=False,
                connect_args={"options": f"{given} {options}", "prepare_threshold": None},
            )
        except ImportError as error:
            raise DeploymentError(
                "A PostgreSQL server needs its driver: `pip install 'deriva-ml[postgres]'`."
            ) from error
        sa.event.listen(engine, "connect", _prepare)
        return engine

    def connect(self, engine: sa.Engine) -> sa.Connection:
        """A new connection; waits a while for a server that has no room or is starting."""
        return connect(engine)

    def begin(
        self, connection: sa.Connection, *, write: bool, first: str | None = None
    ) -> Sequence[Any] | None:
        """Begin in one exchange with the server."""
        connection.info[_LIMIT] = None if write else STATEMENT_SECONDS
        connection.begin()
        script = _BEGIN_WRITE if write else _BEGIN_READ
        with as_sqlalchemy(connection, script):
            driver: Any = connection.connection.driver_connection
            cursor = driver.execute(script if first is None else f"{script}; {first}")
            while cursor.nextset():
                pass
            return None if first is None else tuple(cursor.fetchone())

    def statement(self, text: str) -> str:
        """Psycopg's marks in place of question marks."""
        return _with_marks(text)

    def suspend_references(self, connection: sa.Connection) -> None:
        """Not needed: tables are altered in place."""

    def resume_references(self, connection: sa.Connection) -> None:
        """They were never suspended."""

    def limit_time(self, connection: sa.Connection, seconds: float | None) -> None:
        """The server counts every statement anew, so a limit is told once."""
        info = connection.info
        if connection.in_transaction() and info.get(_LIMIT) != seconds:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {_milliseconds(seconds)}")
            info[_LIMIT] = seconds

    def translate(self, error: sa.exc.DBAPIError) -> ServiceError | None:
        """Map by PostgreSQL's own code; without one, a connection was lost."""
        code: str | None = getattr(error.orig, "sqlstate", None)
        if code is None:
            is_lost = isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError))
            return Busy("The connection to the database server was lost.") if is_lost else None
        kind = _BY_CODE.get(code) or _BY_CLASS.get(code[:2])
        if kind is None:
            return None
        if kind in (Conflict, BadRequest, StorageUnusable):
            return kind(_message(error))
        return kind()

    def list_tables(self, connection: Connection, prefix: str) -> list[str]:
        """From the server's own tables."""
        found = connection.run(
            "SELECT tablename FROM pg_tables WHERE schemaname = ? AND starts_with(tablename, ?)"
            " ORDER BY tablename",
            (SCHEMA, prefix),
        )
        return list(found.scalars())

    def microseconds(self, value: Any) -> int:
        """Times are times."""
        moment: dt.datetime = value
        return to_microseconds(moment)


def _prepare(driver: Any, _record: object) -> None:
    """JSON stays text."""
    from psycopg.types.string import TextLoader

    for name in ("json", "jsonb"):
        driver.adapters.register_loader(name, TextLoader)


@lru_cache(maxsize=1024)
def _with_marks(text: str) -> str:
    def marked(found: re.Match[str]) -> str:
        quoted, mark, _percent = found.groups()
        return quoted.replace("%", "%%") if quoted else "%s" if mark else "%%"

    return _MARKS.sub(marked, text)


def _milliseconds(seconds: float | None) -> int:
    return 0 if seconds is None else max(1, round(seconds * 1000))


def _message(error: sa.exc.DBAPIError) -> str:
    diagnosis: Any = getattr(error.orig, "diag", None)
    text = getattr(diagnosis, "message_primary", None) or str(error.orig)
    return str(text)
