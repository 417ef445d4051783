"""The rows of ``public:ERMrest_Client`` and ``public:ERMrest_Group``, one per client or group that ever used the catalog."""

from __future__ import annotations

from collections.abc import Mapping

from deriva_server.model.elements import Table
from deriva_server.sql.dialect import Connection, quote


def stored_value(connection: Connection, table: Table, column: str, id: str) -> str | None:
    """What a column holds for an ID, None when it has no row."""
    columns = table.column_by_name
    row = connection.run(
        f"SELECT {quote(columns[column].storage)} FROM {connection.dialect.tables.named(table)}"
        f" WHERE {quote(columns['ID'].storage)} = ?",
        (id,),
    ).first()
    return None if row is None else row[0]


def put_row(connection: Connection, table: Table, values: Mapping[str, str | None]) -> None:
    """Insert a row, or bring the one with its ID up to date.

    Parameters
    ----------
    connection : Connection
        A write transaction.
    table : Table
        With a key on its column ID.
    values : mapping
        Stored values of columns by name; those of RID, RCT and RCB only matter for a new row.
    """
    names = {name: quote(table.column_by_name[name].storage) for name in values}
    changing = [column for name, column in names.items() if name not in ("ID", "RID", "RCT", "RCB")]
    connection.run(
        f"INSERT INTO {connection.dialect.tables.named(table)} ({', '.join(names.values())}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT ({names['ID']}) DO UPDATE SET "
        + ", ".join(f"{column} = excluded.{column}" for column in changing),
        tuple(values[name] for name in names),
    )
