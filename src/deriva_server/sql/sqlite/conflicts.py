"""Why the database refused a write, in PostgreSQL's words, which clients parse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deriva_server.errors import Conflict
from deriva_server.model.elements import ForeignKey, Key, Model, Table
from deriva_server.model.values import Stored
from deriva_server.sql.dialect import Connection, quote
from deriva_server.sql.rows import null_conflict

Row = Sequence[Stored]


def explain_write(
    connection: Connection,
    model: Model,
    table: Table,
    columns: Sequence[str],
    rows: Iterable[Row],
    error: Exception,
) -> Conflict:
    """The conflict behind an integrity error.

    Parameters
    ----------
    connection : Connection
        The transaction, after the failed statement.
    model : Model
        Its model.
    table : Table
        What was written.
    columns : sequence of str
        Names of the columns of `rows`.
    rows : iterable of rows
        What was to be stored, from the row that failed on, or all of them.
    error : Exception
        The database's own error.
    """
    text = str(getattr(error, "orig", error))
    index = {name: at for at, name in enumerate(columns)}
    listed = list(rows)
    if "NOT NULL" in text:
        storage = text.rpartition(".")[2]
        name = next((column.name for column in table.columns if column.storage == storage), storage)
        return null_conflict(table, name)
    if "UNIQUE" in text:
        for row in listed:
            for key in table.keys:
                if set(key.columns) <= index.keys() and _is_taken(connection, table, key, index, row):
                    return _key_conflict(key, [row[index[name]] for name in key.columns])
        names = [part.rpartition(".")[2] for part in text.rpartition(": ")[2].split(", ")]
        key_name = next((k.name for k in table.keys if _storages(table, k) == set(names)), ", ".join(names))
        return Conflict(f'duplicate key value violates unique constraint "{key_name}"')
    return missing_reference(connection, model, table, columns, listed) or Conflict(text)


def missing_reference(
    connection: Connection, model: Model, table: Table, columns: Sequence[str], rows: Iterable[Row]
) -> Conflict | None:
    """The first reference of `rows` that leads nowhere, as a conflict; None if all of them are good."""
    index = {name: at for at, name in enumerate(columns)}
    listed = list(rows)
    for fkey in table.foreign_keys:
        if not set(fkey.columns) <= index.keys():
            continue
        target = model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
        values = {tuple(row[index[name]] for name in fkey.columns): None for row in listed}
        for value in values:
            if None not in value and not _exists(connection, target, fkey.referenced_columns, value):
                return Conflict(
                    f'insert or update on table "{table.name}" violates foreign key constraint "{fkey.name}"\n'
                    f"DETAIL:  Key ({', '.join(fkey.columns)})=({_shown(value)}) is not present"
                    f' in table "{target.name}".'
                )
    return None


def explain_delete(connection: Connection, model: Model, table: Table, rids: str) -> Conflict:
    """The conflict behind a delete, or a change of key values, that other rows forbid.

    Parameters
    ----------
    rids : str
        JSON array of the RIDs of the rows.
    """
    for child, fkey in model.referrers.get(table.qualified, ()):
        if fkey.on_delete in ("NO ACTION", "RESTRICT"):
            found = _referenced(connection, table, child, fkey, rids)
            if found is not None:
                return Conflict(
                    f'update or delete on table "{table.name}" violates foreign key constraint "{fkey.name}"'
                    f' on table "{child.name}"\n'
                    f"DETAIL:  Key ({', '.join(fkey.referenced_columns)})=({_shown(found)}) is still referenced"
                    f' from table "{child.name}".'
                )
    return Conflict(
        f'update or delete on table "{table.name}" violates a foreign key constraint of another table'
    )


def _key_conflict(key: Key, values: Sequence[Stored]) -> Conflict:
    return Conflict(
        f'duplicate key value violates unique constraint "{key.name}"\n'
        f"DETAIL:  Key ({', '.join(key.columns)})=({_shown(values)}) already exists."
    )


def _is_taken(connection: Connection, table: Table, key: Key, index: dict[str, int], row: Row) -> bool:
    """Whether another row than this one has its key values."""
    values = [row[index[name]] for name in key.columns]
    if None in values:
        return False
    by_name = table.column_by_name
    rid = by_name["RID"].storage
    condition = " AND ".join(f"{quote(by_name[name].storage)} = ?" for name in key.columns)
    found = connection.run(
        f"SELECT {quote(rid)}, {quote(by_name['RMT'].storage)} FROM {quote(table.storage)} WHERE {condition}",
        tuple(values),
    ).first()
    if found is None:
        return False
    same = "RID" in index and found[0] == row[index["RID"]]
    return not same or ("RMT" in index and found[1] != row[index["RMT"]])


def _exists(connection: Connection, table: Table, columns: Sequence[str], values: Sequence[Stored]) -> bool:
    condition = " AND ".join(f"{quote(table.column_by_name[name].storage)} = ?" for name in columns)
    statement = f"SELECT 1 FROM {quote(table.storage)} WHERE {condition} LIMIT 1"
    return connection.run(statement, tuple(values)).first() is not None


def _referenced(
    connection: Connection, table: Table, child: Table, fkey: ForeignKey, rids: str
) -> Sequence[Stored] | None:
    own, other = table.column_by_name, child.column_by_name
    pairs = zip(fkey.columns, fkey.referenced_columns, strict=True)
    condition = " AND ".join(f"c.{quote(other[a].storage)} = p.{quote(own[b].storage)}" for a, b in pairs)
    wanted = ", ".join(f"p.{quote(own[name].storage)}" for name in fkey.referenced_columns)
    chosen = "(SELECT value FROM json_each(?))"
    statement = (
        f"SELECT {wanted} FROM {quote(table.storage)} p JOIN {quote(child.storage)} c ON {condition}"
        f" WHERE p.{quote(own['RID'].storage)} IN {chosen}"
    )
    parameters: tuple[str, ...] = (rids,)
    if child.rid == table.rid:
        statement += f" AND c.{quote(own['RID'].storage)} NOT IN {chosen}"
        parameters = (rids, rids)
    found = connection.run(statement + " LIMIT 1", parameters).first()
    return None if found is None else tuple(found)


def _storages(table: Table, key: Key) -> set[str]:
    return {table.column_by_name[name].storage for name in key.columns}


def _shown(values: Sequence[Stored]) -> str:
    return ", ".join("null" if value is None else str(value) for value in values)
