"""Names that PostgreSQL reserves, and those of our own tables."""

from __future__ import annotations

import hashlib

from deriva_server.model.elements import Column, Table
from deriva_server.names import NAME_BYTES
from deriva_server.sql.dialect import INTERNAL, quote
from deriva_server.sql.postgres.values import column_type

SCHEMA = "_ermrest"
"""Schema of the service's own tables; the only one on the search path."""

GATE = f"{SCHEMA}.{INTERNAL}gate"
"""A table that readers lock for their time, and changes of tables against readers."""

WRITERS = "1684369001, 1"
"""Advisory lock that the one writer of a database holds; PostgreSQL keeps these apart by database.

The first number is ours, among those of other programs that use such locks in the same database.
"""

_SERVER_LOCKS = 1684369002
"""Advisory locks in the database ``postgres``, which all deployments of a server share, are further told apart by name."""

_SYSTEM_COLUMNS = frozenset(("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"))
_SYSTEM_SCHEMAS = frozenset((SCHEMA, "information_schema"))


def server_lock(purpose: str, database: str) -> str:
    """The numbers of an advisory lock on doing something to one database of a server."""
    digest = hashlib.sha256(f"{purpose} {database}".encode()).digest()
    return f"{_SERVER_LOCKS}, {int.from_bytes(digest[:4], signed=True)}"


def schema_storage(name: str) -> str:
    """The name of a schema, marked where PostgreSQL wants it for itself."""
    return marked(name) if name.startswith(("pg_", "~")) or name in _SYSTEM_SCHEMAS else name


def table_storage(name: str) -> str:
    """The name of a table, marked where it could be that of an index of ours."""
    return marked(name) if name.startswith((INTERNAL, "~")) else name


def column_storage(name: str) -> str:
    """The name of a column, marked where PostgreSQL wants it for itself."""
    return marked(name) if name in _SYSTEM_COLUMNS or name.startswith("~") else name


def marked(name: str) -> str:
    """A name that no name without mark has, and no other marked one."""
    long = f"~{name}"
    if len(long.encode()) <= NAME_BYTES:
        return long
    return f"~~{hashlib.sha256(name.encode()).hexdigest()[:40]}"


def history_column(column: Column) -> str:
    """The name of a column of a history table: each type that the column ever had is kept apart."""
    return f"{column.rid}:{column_type(column.type)}"


def named(table: Table) -> str:
    """A table in SQL."""
    return f"{quote(schema_storage(table.schema))}.{quote(table.storage)}"
