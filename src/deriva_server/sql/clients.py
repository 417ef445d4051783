"""The rows of ``public:ERMrest_Client``, one per client that ever used the catalog."""

from __future__ import annotations

from collections.abc import Mapping

from deriva_server.model.elements import Table
from deriva_server.sql.dialect import Connection, quote


def stored_client(connection: Connection, table: Table, client_id: str) -> str | None:
    """The stored client object of a client, None when it has no row."""
    columns = table.column_by_name
    row = connection.run(
        f"SELECT {quote(columns['Client_Object'].storage)} FROM {connection.dialect.tables.named(table)}"
        f" WHERE {quote(columns['ID'].storage)} = ?",
        (client_id,),
    ).first()
    return None if row is None else row[0]


def put_client(connection: Connection, table: Table, values: Mapping[str, str | None]) -> None:
    """Insert the row of a client, or bring the one with its ID up to date.

    Parameters
    ----------
    connection : Connection
        A write transaction.
    table : Table
        The client table.
    values : mapping
        Stored values of all columns by name; those of RID, RCT and RCB only matter for a new row.
    """
    names = {
        name: quote(table.column_by_name[name].storage) for name in values if name in table.column_by_name
    }
    changing = [column for name, column in names.items() if name not in ("ID", "RID", "RCT", "RCB")]
    connection.run(
        f"INSERT INTO {connection.dialect.tables.named(table)} ({', '.join(names.values())}) VALUES ({', '.join('?' * len(names))})"
        f" ON CONFLICT ({names['ID']}) DO UPDATE SET "
        + ", ".join(f"{column} = excluded.{column}" for column in changing),
        tuple(values[name] for name in names),
    )
