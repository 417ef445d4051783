"""Row history: superseded versions of rows, kept by triggers, and the rows of a table as of a snapshot.

Each table has a history table, named by its RID, whose columns are named by column RIDs: names may change, history
does not. A version is valid in ``since <= T < until``. The newest version of a present row is only in the live
table, valid from its RMT or from `Table.live_since`, whichever is later.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from deriva_server.model.elements import Table
from deriva_server.names import stored_time
from deriva_server.sql.connect import Connection
from deriva_server.sql.dialect import INTERNAL, quote, quoted_list, text_literal
from deriva_server.sql.modelstore import last_change

Source = sa.FromClause
"""The rows of one table at one moment; its columns bear the storage names."""

_HISTORY = f"{INTERNAL}history_"


def history_name(table_rid: str) -> str:
    """Name of the history table of a table."""
    return _HISTORY + table_rid


def live_source(table: Table) -> Source:
    """The rows of a table as they are."""
    return sa.table(table.storage, *(sa.column(column.storage) for column in table.columns))


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
    text = stored_time(moment)
    unchanged = (
        live is not None and live.live_since <= moment and last_change(connection, table.rid) <= moment
    )
    if unchanged and live is not None:
        return _present(table, live)
    history = sa.table(
        history_name(table.rid),
        sa.column("since"),
        sa.column("until"),
        *(sa.column(column.rid) for column in table.columns),
    )
    superseded = sa.select(*(history.c[column.rid].label(column.storage) for column in table.columns)).where(
        history.c.since <= text, history.c.until > text
    )
    if live is None or live.live_since > moment:
        return superseded.subquery()
    rmt = {column.name: column.storage for column in live.columns}["RMT"]
    current = _renamed(table, live).where(sa.column(rmt) <= text)
    return sa.union_all(current, superseded).subquery()


def _present(table: Table, live: Table) -> Source:
    storages = {column.rid: column.storage for column in live.columns}
    if all(storages[column.rid] == column.storage for column in table.columns):
        return sa.table(live.storage, *(sa.column(column.storage) for column in table.columns))
    return _renamed(table, live).subquery()


def _renamed(table: Table, live: Table) -> sa.Select[tuple[object, ...]]:
    """The live rows under the names that the columns had then."""
    storages = {column.rid: column.storage for column in live.columns}
    present = live_source(live)
    return sa.select(*(present.c[storages[column.rid]].label(column.storage) for column in table.columns))


def create_history(connection: Connection, table: Table) -> None:
    """Make the history table of a new table."""
    name = history_name(table.rid)
    columns = quoted_list([column.rid for column in table.columns])
    run = connection.raw.exec_driver_sql
    run(
        f"CREATE TABLE {quote(name)} (rid TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL, {columns})"
    )
    run(f"CREATE UNIQUE INDEX {quote(f'{name}_rid')} ON {quote(name)} (rid, since)")
    run(f"CREATE INDEX {quote(f'{name}_until')} ON {quote(name)} (until)")


def extend_history(connection: Connection, table: Table, column_rids: Iterable[str]) -> None:
    """Give a history table more columns."""
    for rid in column_rids:
        connection.raw.exec_driver_sql(
            f"ALTER TABLE {quote(history_name(table.rid))} ADD COLUMN {quote(rid)}"
        )


def create_triggers(connection: Connection, table: Table) -> None:
    """Make the triggers of a table that write its history and touch rows changed by foreign-key actions."""
    columns = {column.name: quote(column.storage) for column in table.columns}
    rid, rmt, rmb = columns["RID"], columns["RMT"], columns["RMB"]
    live, name = quote(table.storage), f"{INTERNAL}%s_{table.rid}"
    since = f"OLD.{rmt}"
    if table.live_since:
        since = f"max({since}, {text_literal(stored_time(table.live_since))})"
    keep = (
        f"INSERT OR IGNORE INTO {quote(history_name(table.rid))}"
        f" (rid, since, until, {quoted_list([column.rid for column in table.columns])})"
        f" SELECT OLD.{rid}, {since}, now, {', '.join(f'OLD.{quote(c.storage)}' for c in table.columns)}"
        f" FROM {INTERNAL}state WHERE now > {since}"
    )
    touch = (
        f"UPDATE {live} SET {rmt} = (SELECT now FROM {INTERNAL}state), {rmb} = (SELECT client FROM {INTERNAL}state)"
        f" WHERE {rid} = NEW.{rid} AND NEW.{rmt} = OLD.{rmt} AND {rmt} <> (SELECT now FROM {INTERNAL}state)"
    )
    run = connection.raw.exec_driver_sql
    run(f"CREATE TRIGGER {quote(name % 'update')} AFTER UPDATE ON {live} BEGIN {keep}; {touch}; END")
    run(f"CREATE TRIGGER {quote(name % 'delete')} AFTER DELETE ON {live} BEGIN {keep}; END")


def drop_triggers(connection: Connection, table: Table) -> None:
    """Remove the triggers of a table while it is being altered."""
    for event in ("update", "delete"):
        connection.raw.exec_driver_sql(f"DROP TRIGGER IF EXISTS {quote(f'{INTERNAL}{event}_{table.rid}')}")


def supersede_all(connection: Connection, table: Table, now: int) -> None:
    """Copy every live row to the history, ending now: from now on history alone tells the past of the table."""
    columns = {column.name: quote(column.storage) for column in table.columns}
    since = f"max({columns['RMT']}, {text_literal(stored_time(table.live_since))})"
    end = text_literal(stored_time(now))
    connection.raw.exec_driver_sql(
        f"INSERT OR IGNORE INTO {quote(history_name(table.rid))}"
        f" (rid, since, until, {quoted_list([column.rid for column in table.columns])})"
        f" SELECT {columns['RID']}, {since}, {end}, {', '.join(quote(c.storage) for c in table.columns)}"
        f" FROM {quote(table.storage)} WHERE {since} < {end}"
    )


def tables_with_history(connection: Connection) -> list[str]:
    """RIDs of all tables that ever were."""
    names = connection.raw.exec_driver_sql(
        "SELECT substr(name, ?) FROM sqlite_schema WHERE type = 'table' AND name GLOB ?",
        (len(_HISTORY) + 1, _HISTORY + "*"),
    )
    return list(names.scalars())


def table_of_column(connection: Connection, column_rid: str) -> str | None:
    """RID of the table whose history has a column, also when table or column are gone."""
    found: str | None = connection.raw.exec_driver_sql(
        "SELECT substr(t.name, ?) FROM sqlite_schema AS t, pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' AND t.name GLOB ? AND c.name = ?",
        (len(_HISTORY) + 1, _HISTORY + "*", column_rid),
    ).scalar()
    return found


def redact(
    connection: Connection,
    table_rid: str,
    column_rid: str,
    period: tuple[int, int],
    condition: tuple[str, str | int | float | None] | None = None,
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
        Column RID and stored value that a version must have.

    Returns
    -------
    int
        Number of versions changed.
    """
    where = "since >= ? AND until <= ?"
    parameters: list[str | int | float | None] = [stored_time(moment) for moment in period]
    if condition is not None:
        where += f" AND {quote(condition[0])} IS ?"
        parameters.append(condition[1])
    return connection.raw.exec_driver_sql(
        f"UPDATE {quote(history_name(table_rid))} SET {quote(column_rid)} = NULL WHERE {where}",
        tuple(parameters),
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
        connection.raw.exec_driver_sql(
            f"DELETE FROM {quote(history_name(rid))} WHERE until <= ?", (text,)
        ).rowcount
        for rid in tables_with_history(connection)
    )
