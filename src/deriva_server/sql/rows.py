"""Statements that read and write the rows of catalog tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.model.elements import Column, Model, Table
from deriva_server.model.values import Stored
from deriva_server.plan.relation import Format
from deriva_server.sql import conflicts
from deriva_server.sql.connect import Connection
from deriva_server.sql.dialect import quote, quoted_list
from deriva_server.sql.functions import failure, prepare
from deriva_server.sql.history import Source, live_source
from deriva_server.sql.texts import row_text

STATEMENT_SECONDS = 15.0
"""How long a statement, or one piece of a long result, may take."""

null_conflict = conflicts.null_conflict
_PIECE = 1000
_MOST_VARIABLES = 30_000


def texts(connection: Connection, statement: sa.Select[Any]) -> Iterator[list[str]]:
    """Run a statement whose rows are texts; yields them in pieces."""
    prepare(connection)
    connection.limit_time(STATEMENT_SECONDS)
    try:
        with connection.raw.execute(statement) as result:
            while piece := result.fetchmany(_PIECE):
                yield [row[0] for row in piece]
                connection.limit_time(STATEMENT_SECONDS)
    except sa.exc.OperationalError as error:
        raise failure(connection) or error from error


def column(connection: Connection, statement: sa.Select[Any]) -> list[str]:
    """The first column of every row of a statement."""
    return [text for piece in texts(connection, statement) for text in piece]


def insert(
    connection: Connection,
    model: Model,
    table: Table,
    rows: Sequence[Sequence[Stored]],
    *,
    skip: bool = False,
) -> None:
    """Insert complete rows, values in column order.

    Parameters
    ----------
    skip : bool
        Drop rows that violate a key.

    Raises
    ------
    Conflict
        If a key, a reference or a missing value forbids it.
    """
    if not rows:
        return
    names = [column.name for column in table.columns]
    refers_to_itself = any(
        (fkey.referenced_schema, fkey.referenced_table) == table.qualified for fkey in table.foreign_keys
    )
    if refers_to_itself:
        # Rows of one request may refer to each other, in any order.
        connection.raw.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
    statement = (
        f"INSERT INTO {quote(table.storage)} ({quoted_list([column.storage for column in table.columns])})"
        f" VALUES ({', '.join('?' for _ in names)})" + (" ON CONFLICT DO NOTHING" if skip else "")
    )
    connection.limit_time(None)
    try:
        connection.raw.exec_driver_sql(statement, [tuple(row) for row in rows])
    except conflicts.INTEGRITY as error:
        raise conflicts.explain_write(connection, model, table, names, rows, error) from error
    if refers_to_itself:
        wrong = conflicts.missing_reference(connection, model, table, names, rows)
        if wrong is not None:
            raise wrong


def by_rids(
    connection: Connection,
    table: Table,
    columns: Sequence[Column],
    rids: Sequence[str],
    form: Format,
    *,
    written_at: str | None = None,
) -> list[str]:
    """Text of the rows with these RIDs, in that order; with `written_at` only rows written at that time."""
    prepare(connection)
    wanted = sa.func.json_each(json.dumps(rids)).table_valued("key", "value").alias("wanted")
    rows = live_source(table).alias("t0")
    by_name = table.column_by_name
    values = tuple(f"t0.{quote(c.storage)}" for c in columns)
    text: sa.ColumnClause[str] = sa.literal_column(
        row_text(tuple(c.name for c in columns), tuple(c.type for c in columns), values, form)
    )
    statement = (
        sa.select(text)
        .select_from(wanted.join(rows, rows.c[by_name["RID"].storage] == wanted.c.value))
        .order_by(wanted.c.key)
    )
    if written_at is not None:
        statement = statement.where(rows.c[by_name["RMT"].storage] == written_at)
    return column(connection, statement)


def matching(
    connection: Connection, table: Table, columns: Sequence[Column], keys: Sequence[Sequence[Stored]]
) -> list[tuple[int, str]]:
    """Index of each key tuple and RID of each row that has these values; NULL matches NULL."""
    found: list[tuple[int, str]] = []
    width = len(columns) + 1
    step = max(1, _MOST_VARIABLES // width)
    tests = [
        f"t.{quote(column.storage)} {'IS' if column.nullok else '='} v.column{at + 2}"
        for at, column in enumerate(columns)
    ]
    rid = quote(table.column_by_name["RID"].storage)
    values = "(" + ", ".join("?" for _ in range(width)) + ")"
    for start in range(0, len(keys), step):
        part = keys[start : start + step]
        statement = (
            f"SELECT v.column1, t.{rid} FROM (VALUES {', '.join(values for _ in part)}) v"
            f" CROSS JOIN {quote(table.storage)} t WHERE {' AND '.join(tests)} ORDER BY 1"
        )
        parameters = tuple(value for at, key in enumerate(part, start) for value in (at, *key))
        found += [(row[0], row[1]) for row in connection.raw.exec_driver_sql(statement, parameters)]
    return found


def update(
    connection: Connection,
    model: Model,
    table: Table,
    columns: Sequence[Column],
    rows: Sequence[tuple[str, Sequence[Stored]]],
    moment: tuple[str, str | None],
) -> None:
    """Set columns of rows.

    Parameters
    ----------
    columns : sequence of Column
        What to set.
    rows : sequence of (RID, values)
        Which rows, and the values in the order of `columns`.
    moment : tuple of (str, str or None)
        RMT and RMB.

    Raises
    ------
    Conflict
        If a key, a reference or a missing value forbids it.
    """
    if not rows:
        return
    by_name = table.column_by_name
    targets = [*columns, by_name["RMT"], by_name["RMB"]]
    statement = (
        f"UPDATE {quote(table.storage)} SET {', '.join(f'{quote(c.storage)} = ?' for c in targets)}"
        f" WHERE {quote(by_name['RID'].storage)} = ?"
    )
    connection.limit_time(None)
    try:
        connection.raw.exec_driver_sql(statement, [(*values, *moment, rid) for rid, values in rows])
    except conflicts.INTEGRITY as error:
        names = ["RID", *(c.name for c in columns)]
        whole = [(rid, *values) for rid, values in rows]
        found = conflicts.explain_write(connection, model, table, names, whole, error)
        if "DETAIL" not in found.detail and "FOREIGN KEY" in found.detail:
            found = conflicts.explain_delete(connection, model, table, json.dumps([rid for rid, _ in rows]))
        raise found from error


def delete(connection: Connection, model: Model, table: Table, rids: Sequence[str]) -> int:
    """Delete rows by RID; returns how many there were.

    Raises
    ------
    Conflict
        If other rows refer to them.
    """
    listed = json.dumps(rids)
    statement = (
        f"DELETE FROM {quote(table.storage)} WHERE {quote(table.column_by_name['RID'].storage)}"
        " IN (SELECT value FROM json_each(?))"
    )
    connection.limit_time(None)
    try:
        return connection.raw.exec_driver_sql(statement, (listed,)).rowcount
    except conflicts.INTEGRITY as error:
        raise conflicts.explain_delete(connection, model, table, listed) from error


def use_leases(connection: Connection, leases: Table, client_id: str | None, rids: Sequence[str]) -> int:
    """Delete the leases that a client holds on RIDs; returns how many there were."""
    by_name = leases.column_by_name
    statement = (
        f"DELETE FROM {quote(leases.storage)} WHERE {quote(by_name['RID'].storage)}"
        f" IN (SELECT value FROM json_each(?)) AND {quote(by_name['RCB'].storage)} IS ?"
    )
    return connection.raw.exec_driver_sql(statement, (json.dumps(rids), client_id)).rowcount


def last_position(connection: Connection, table: Table) -> int:
    """Where the rows inserted from now on come after."""
    statement = f"SELECT max(_rowid_) FROM {quote(table.storage)}"
    return connection.raw.exec_driver_sql(statement).scalar() or 0


def after(connection: Connection, table: Table, position: int, form: Format) -> Iterator[list[str]]:
    """Texts of the rows inserted after a position, in the order of their insertion, some at a time."""
    values = tuple(f"t0.{quote(column.storage)}" for column in table.columns)
    names, types = tuple(c.name for c in table.columns), tuple(c.type for c in table.columns)
    text: sa.ColumnClause[str] = sa.literal_column(row_text(names, types, values, form))
    number: sa.ColumnClause[int] = sa.literal_column("t0._rowid_")
    rows = sa.table(table.storage).alias("t0")
    return texts(connection, sa.select(text).select_from(rows).where(number > position).order_by(number))


__all__ = [
    "STATEMENT_SECONDS",
    "Source",
    "after",
    "by_rids",
    "column",
    "delete",
    "insert",
    "last_position",
    "live_source",
    "matching",
    "null_conflict",
    "texts",
    "update",
    "use_leases",
]
