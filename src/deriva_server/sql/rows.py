"""Statements that read and write the rows of catalog tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Column, Model, Table
from deriva_server.model.shown import RowTexts
from deriva_server.model.values import Stored
from deriva_server.plan.relation import Format
from deriva_server.sql.dialect import STATEMENT_SECONDS, Connection, Parts, RowParts, first_column, quote
from deriva_server.sql.history import Source
from deriva_server.sql.join import GIVEN

_PIECE = 1000


def null_conflict(table: Table, column: str) -> Conflict:
    """A column that must have a value got none."""
    return Conflict(
        f'null value in column "{column}" of relation "{table.name}" violates not-null constraint'
    )


def texts(
    connection: Connection,
    statement: sa.Select[Any],
    assemble: RowTexts,
    *,
    whole: bool = False,
    parts: Parts | None = None,
    given: Sequence[str] | None = None,
) -> Iterator[list[str]]:
    """Run a statement and make its rows texts; yields them in pieces.

    Parameters
    ----------
    assemble : callable
        Makes texts of rows.
    whole : bool
        The result is short, so it may be fetched at once.
    parts : Parts, optional
        How the same may be made of parts of a table.
    given : sequence of str, optional
        The texts of a `relation.Given` predicate.
    """
    x = connection.dialect.expressions
    parameters = None if given is None else {GIVEN: x.given(given)}
    connection.limit_time(STATEMENT_SECONDS)
    try:
        with x.execute(connection, statement, whole=whole, parts=parts, parameters=parameters) as result:
            while piece := result.fetchmany(_PIECE):
                yield assemble(piece)
                connection.limit_time(STATEMENT_SECONDS)
    except sa.exc.OperationalError as error:
        raise x.failure(connection) or error from error


def column(connection: Connection, statement: sa.Select[Any]) -> list[str]:
    """The first column of every row of a statement."""
    return [text for piece in texts(connection, statement, first_column, whole=True) for text in piece]


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
    tables = connection.dialect.tables
    # Rows of one request may refer to each other, in any order.
    cyclic = any(
        (fkey.referenced_schema, fkey.referenced_table) == table.qualified for fkey in table.foreign_keys
    )
    connection.limit_time(None)
    try:
        tables.insert(connection, table, rows, skip=skip, cyclic=cyclic)
    except sa.exc.IntegrityError as error:
        raise tables.explain_write(connection, model, table, names, rows, error) from error
    if cyclic:
        wrong = tables.missing_reference(connection, model, table, names, rows)
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
    x = connection.dialect.expressions
    wanted, rows = x.listed(rids).alias("wanted"), x.source(table).alias("t0")
    by_name = table.column_by_name
    values = tuple(f"t0.{quote(c.storage)}" for c in columns)
    parts = x.row_parts(tuple(c.name for c in columns), tuple(c.type for c in columns), values, form)
    statement = (
        sa.select(*_selected(parts))
        .select_from(wanted.join(rows, rows.c[by_name["RID"].storage] == wanted.c.value))
        .order_by(wanted.c.key)
    )
    if written_at is not None:
        statement = statement.where(rows.c[by_name["RMT"].storage] == x.moment(written_at))
    return [text for piece in texts(connection, statement, parts.assemble, whole=True) for text in piece]


def _selected(parts: RowParts) -> list[sa.ColumnElement[Any]]:
    return [sa.literal_column(text) for text in parts.columns]


def matching(
    connection: Connection, table: Table, columns: Sequence[Column], keys: Sequence[Sequence[Stored]]
) -> list[tuple[int, str]]:
    """Index of each key tuple and RID of each row that has these values; NULL matches NULL."""
    return connection.dialect.tables.matching(connection, table, columns, keys)


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
    tables, by_name = connection.dialect.tables, table.column_by_name
    targets = [*columns, by_name["RMT"], by_name["RMB"]]
    connection.limit_time(None)
    try:
        tables.update(connection, table, targets, [(rid, (*values, *moment)) for rid, values in rows])
    except sa.exc.IntegrityError as error:
        names = ["RID", *(c.name for c in columns)]
        whole = [(rid, *values) for rid, values in rows]
        found = tables.explain_write(connection, model, table, names, whole, error)
        if "DETAIL" not in found.detail and "FOREIGN KEY" in found.detail:
            found = tables.explain_delete(connection, model, table, [rid for rid, _ in rows], error)
        raise found from error


def delete(connection: Connection, model: Model, table: Table, rids: Sequence[str]) -> int:
    """Delete rows by RID; returns how many there were.

    Raises
    ------
    Conflict
        If other rows refer to them.
    """
    tables = connection.dialect.tables
    test, listed = tables.listed(rids)
    rid = quote(table.column_by_name["RID"].storage)
    connection.limit_time(None)
    try:
        return connection.run(f"DELETE FROM {tables.named(table)} WHERE {rid} {test}", (listed,)).rowcount
    except sa.exc.IntegrityError as error:
        raise tables.explain_delete(connection, model, table, rids, error) from error


def use_leases(connection: Connection, leases: Table, client_id: str | None, rids: Sequence[str]) -> int:
    """Delete the leases that a client holds on RIDs; returns how many there were."""
    if client_id is None:
        return 0
    tables, by_name = connection.dialect.tables, leases.column_by_name
    test, listed = tables.listed(rids)
    return connection.run(
        f"DELETE FROM {tables.named(leases)} WHERE {quote(by_name['RID'].storage)} {test}"
        f" AND {quote(by_name['RCB'].storage)} = ?",
        (listed, client_id),
    ).rowcount


class Inserted:
    """The rows that a transaction inserts into a table from now on, in the order of their insertion.

    Parameters
    ----------
    connection : Connection
        The transaction.
    table : Table
        Where rows are inserted.
    written_at : str
        RMT of the transaction.
    """

    def __init__(self, connection: Connection, table: Table, written_at: str) -> None:
        self._connection, self._table, self._written_at = connection, table, written_at
        self._position = connection.dialect.tables.last_position(connection, table)
        self._rids: list[str] = []

    def add(self, rids: Sequence[str]) -> None:
        """Note RIDs; those of rows that were dropped do not matter."""
        if self._position is None and rids:
            # One text takes little room even for a million rows.
            self._rids.append("\n".join(dict.fromkeys(rids)))

    def texts(self, form: Format) -> Iterator[list[str]]:
        """Texts of the rows, some at a time."""
        connection, table, columns = self._connection, self._table, self._table.columns
        if self._position is None:
            for rids in self._rids:
                yield by_rids(connection, table, columns, rids.split("\n"), form, written_at=self._written_at)
            return
        x = connection.dialect.expressions
        values = tuple(f"t0.{quote(column.storage)}" for column in columns)
        names, types = tuple(c.name for c in columns), tuple(c.type for c in columns)
        parts = x.row_parts(names, types, values, form)
        rows = x.source(table).alias("t0")
        number = x.position("t0", rows.c[table.column_by_name["RID"].storage], is_live=True)
        statement = sa.select(*_selected(parts)).select_from(rows)
        statement = statement.where(number > self._position).order_by(number)
        yield from texts(connection, statement, parts.assemble)


__all__ = [
    "STATEMENT_SECONDS",
    "Source",
    "Inserted",
    "by_rids",
    "column",
    "delete",
    "insert",
    "matching",
    "null_conflict",
    "texts",
    "update",
    "use_leases",
]
