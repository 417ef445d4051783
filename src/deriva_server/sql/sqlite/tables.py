"""The tables of a catalog in SQLite: their names, their changes and their rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Column, Model, Table, Type
from deriva_server.model.values import Stored
from deriva_server.sql.dialect import Connection, quote, quoted_list, storages
from deriva_server.sql.sqlite import conflicts, naming
from deriva_server.sql.sqlite.alter import Migration

_MOST_VARIABLES = 30_000


class SqliteTables:
    """SQLite behind the `Tables` protocol; values are bound in their stored forms."""

    def key(self, schema: str, storage: str) -> str:
        """SQLite has one room for all schemas."""
        return naming.fold(storage)

    def table_storage(self, table: Table, taken: Collection[str]) -> str:
        """The logical name where it can be had."""
        return naming.table_storage(table.name, table.rid, taken)

    def fold(self, name: str) -> str:
        """Without case."""
        return naming.fold(name)

    def column_storage(self, column: Column, taken: Collection[str]) -> str:
        """The logical name where it can be had."""
        return naming.column_storage(column.name, column.rid, taken)

    def named(self, table: Table) -> str:
        """The quoted name."""
        return quote(table.storage)

    def history_column(self, column: Column) -> str:
        """The RID of the column."""
        return column.rid

    def history_type(self, column: Column) -> str:
        """None: whatever is stored stays as it is."""
        return ""

    def index_versions(self, connection: Connection, name: str) -> None:
        """With the end, which saves looking at every version."""
        connection.run(f"CREATE INDEX {quote(f'{name}_rid')} ON {quote(name)} (rid, since, until)")

    def history_columns(self, connection: Connection, table_rid: str, column_rid: str) -> list[str]:
        """The RID of the column."""
        return [column_rid]

    def parameter(self, type_: Type, value: Stored) -> tuple[str, Any]:
        """The stored form."""
        return "?", value

    def listed(self, values: Sequence[str]) -> tuple[str, Any]:
        """Members of a JSON array."""
        return "IN (SELECT value FROM json_each(?))", json.dumps(values)

    def last_position(self, connection: Connection, table: Table) -> int | None:
        """The greatest number of a row."""
        return connection.run(f"SELECT max(_rowid_) FROM {quote(table.storage)}").scalar() or 0

    def change(self, connection: Connection, old: Model, new: Model, now: int) -> Model:
        """By the statements that SQLite has, or by building tables anew."""
        return Migration(connection, old, new, now).run()

    def insert(
        self,
        connection: Connection,
        table: Table,
        rows: Sequence[Sequence[Stored]],
        *,
        skip: bool,
        cyclic: bool,
    ) -> None:
        """One prepared statement for all rows."""
        if cyclic:
            connection.run("PRAGMA defer_foreign_keys=ON")
        connection.run(
            f"INSERT INTO {quote(table.storage)} ({quoted_list(storages(table))})"
            f" VALUES ({', '.join('?' for _ in table.columns)})"
            + (" ON CONFLICT DO NOTHING" if skip else ""),
            [tuple(row) for row in rows],
        )

    def matching(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        keys: Sequence[Sequence[Stored]],
    ) -> list[tuple[int, str]]:
        """A join with the keys as rows, some thousands at a time."""
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
            found += [(row[0], row[1]) for row in connection.run(statement, parameters)]
        return found

    def update(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        rows: Sequence[tuple[str, Sequence[Stored]]],
    ) -> None:
        """One prepared statement for all rows."""
        connection.run(
            f"UPDATE {quote(table.storage)} SET {', '.join(f'{quote(c.storage)} = ?' for c in columns)}"
            f" WHERE {quote(table.column_by_name['RID'].storage)} = ?",
            [(*values, rid) for rid, values in rows],
        )

    def explain_write(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        columns: Sequence[str],
        rows: Sequence[Sequence[Stored]],
        error: sa.exc.IntegrityError,
    ) -> Conflict:
        """By asking the rows present."""
        return conflicts.explain_write(connection, model, table, columns, rows, error)

    def missing_reference(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        columns: Sequence[str],
        rows: Sequence[Sequence[Stored]],
    ) -> Conflict | None:
        """Deferred checks would fail at the commit, without saying why."""
        return conflicts.missing_reference(connection, model, table, columns, rows)

    def explain_delete(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        rids: Sequence[str],
        error: sa.exc.IntegrityError,
    ) -> Conflict:
        """By asking the rows present."""
        return conflicts.explain_delete(connection, model, table, json.dumps(rids))
