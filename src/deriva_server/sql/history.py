"""Row history: superseded versions of rows, kept by triggers, and the rows of a table as of a snapshot.

Each table has a history table, named by its RID, whose columns are named by column RIDs: names may change, history
does not. A version is valid in ``since <= T < until``. The newest version of a present row is only in the live
table, valid from its RMT or from `Table.live_since`, whichever is later.
"""

from __future__ import annotations

import sqlalchemy as sa

from deriva_server.model.elements import Column, Table
from deriva_server.model.values import Stored
from deriva_server.names import stored_time
from deriva_server.sql.dialect import (
    HISTORY,
    Connection,
    Expressions,
    history_name,
    quote,
    quoted_list,
    text_literal,
)
from deriva_server.sql.modelstore import last_change

Source = sa.FromClause
"""The rows of one table at one moment; its columns bear the storage names."""


def past_source(connection: Connection, table: Table, live: Table | None, moment: int) -> Source:
    """The rows of a table as they were.

    A table whose rows did not change since is read as it is, with all its indexes.

    Parameters
    ----------
    connection : Connection
        A transaction on the catalog.
    table : Table
        As it was at that moment; names of the result are its names.
    live : Table or None
        As it is now, None when it was dropped since.
    moment : int
        Microseconds since 1970.
    """
    x = connection.dialect.expressions
    unchanged = (
        live is not None and live.live_since <= moment and last_change(connection, table.rid) <= moment
    )
    if unchanged and live is not None:
        return _present(x, table, live)
    superseded = x.superseded(connection, table, stored_time(moment))
    if live is None or live.live_since > moment:
        return superseded.subquery()
    rmt = {column.name: column.storage for column in live.columns}["RMT"]
    by_rid = {column.rid: column for column in live.columns}
    values = [x.merged(by_rid[column.rid]).label(column.storage) for column in table.columns]
    current = (
        sa.select(*values).select_from(x.source(live)).where(sa.column(rmt) <= x.moment(stored_time(moment)))
    )
    return sa.union_all(current, superseded).subquery()


def _present(x: Expressions, table: Table, live: Table) -> Source:
    storages = {column.rid: column.storage for column in live.columns}
    if all(storages[column.rid] == column.storage for column in table.columns):
        rows = x.source(live)
        return sa.table(
            rows.name, *(sa.column(column.storage) for column in table.columns), schema=rows.schema
        )
    return _renamed(x, table, live).subquery()


def _renamed(x: Expressions, table: Table, live: Table) -> sa.Select[tuple[object, ...]]:
    """The live rows under the names that the columns had then."""
    storages = {column.rid: column.storage for column in live.columns}
    present = x.source(live)
    return sa.select(*(present.c[storages[column.rid]].label(column.storage) for column in table.columns))


def create_history(connection: Connection, table: Table) -> None:
    """Make the history table of a new table."""
    name = history_name(table.rid)
    moment = connection.dialect.types["moment"]
    columns = ", ".join(history_clause(connection, column) for column in table.columns)
    connection.run(
        f"CREATE TABLE {quote(name)}"
        f" (rid TEXT NOT NULL, since {moment} NOT NULL, until {moment} NOT NULL, {columns})"
    )
    connection.dialect.tables.index_versions(connection, name)
    connection.run(f"CREATE INDEX {quote(f'{name}_until')} ON {quote(name)} (until)")


def history_clause(connection: Connection, column: Column) -> str:
    """Declaration of a column of a history table."""
    tables = connection.dialect.tables
    return f"{quote(tables.history_column(column))} {tables.history_type(column)}".rstrip()


def version_columns(connection: Connection, table: Table) -> str:
    """The columns of a history table that a version of a row is written to."""
    tables = connection.dialect.tables
    return f"rid, since, until, {quoted_list([tables.history_column(column) for column in table.columns])}"


def version_begin(table: Table, rmt: str) -> str:
    """SQL for the moment from which the live version of a row is valid; `rmt` is its RMT in SQL."""
    if not table.live_since:
        return rmt
    since = text_literal(stored_time(table.live_since))
    return f"CASE WHEN {rmt} > {since} THEN {rmt} ELSE {since} END"


def is_new_version(table: Table, rid: str, since: str) -> str:
    """SQL for whether a row has no superseded version of the same begin; both are given in SQL, with the table named."""
    versions = quote(history_name(table.rid))
    return f"NOT EXISTS (SELECT 1 FROM {versions} h WHERE h.rid = {rid} AND h.since = {since})"


def supersede_all(connection: Connection, table: Table, now: int) -> None:
    """Copy every live row to the history, ending now: from now on history alone tells the past of the table."""
    columns = {column.name: f"t.{quote(column.storage)}" for column in table.columns}
    since, end = version_begin(table, columns["RMT"]), text_literal(stored_time(now))
    connection.run(
        f"INSERT INTO {quote(history_name(table.rid))} ({version_columns(connection, table)})"
        f" SELECT {columns['RID']}, {since}, {end}, {', '.join(columns.values())}"
        f" FROM {connection.dialect.tables.named(table)} t"
        f" WHERE {since} < {end} AND {is_new_version(table, columns['RID'], since)}"
    )


def tables_with_history(connection: Connection) -> list[str]:
    """RIDs of all tables that ever were."""
    return [name[len(HISTORY) :] for name in connection.dialect.list_tables(connection, HISTORY)]


NEVER_REDACTED = frozenset(("RID", "RMT", "RMB"))
"""Columns that keep their values in every version."""


def redact(
    connection: Connection,
    table_rid: str,
    column_rid: str,
    period: tuple[int, int],
    condition: tuple[Column, Stored] | None = None,
) -> int:
    """Set a column to NULL in superseded versions that lie wholly inside a period.

    Parameters
    ----------
    connection : Connection
        A write transaction.
    table_rid, column_rid : str
        What is redacted.
    period : tuple of int
        Begin and end, in microseconds since 1970.
    condition : tuple, optional
        Column and stored value that a version must have.

    Returns
    -------
    int
        Number of versions changed.
    """
    tables = connection.dialect.tables
    where = "since >= ? AND until <= ?"
    parameters: list[Stored] = [stored_time(moment) for moment in period]
    if condition is not None and condition[1] is None:
        where += f" AND {quote(tables.history_column(condition[0]))} IS NULL"
    elif condition is not None:
        mark, value = tables.parameter(condition[0].type, condition[1])
        where += f" AND {quote(tables.history_column(condition[0]))} = {mark}"
        parameters.append(value)
    names = tables.history_columns(connection, table_rid, column_rid)
    assignments = ", ".join(f"{quote(name)} = NULL" for name in names)
    return connection.run(
        f"UPDATE {quote(history_name(table_rid))} SET {assignments} WHERE {where}", tuple(parameters)
    ).rowcount


def truncate(connection: Connection, until: int) -> int:
    """Forget every version of rows that ended at or before `until`.

    Returns
    -------
    int
        Number of versions forgotten.
    """
    text = stored_time(until)
    return sum(
        connection.run(f"DELETE FROM {quote(history_name(rid))} WHERE until <= ?", (text,)).rowcount
        for rid in tables_with_history(connection)
    )
