"""The tables of a catalog in PostgreSQL: their names, their changes and their rows."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Column, Model, Table, Type
from deriva_server.model.types import TYPES
from deriva_server.model.values import Stored
from deriva_server.sql.dialect import Connection, history_name, quote, quoted_list, storages
from deriva_server.sql.postgres import conflicts, naming
from deriva_server.sql.postgres.alter import Migration
from deriva_server.sql.postgres.driver import as_sqlalchemy
from deriva_server.sql.postgres.values import column_type, list_text, text_columns, text_value

_FEW = 20


class PostgresTables:
    """PostgreSQL behind the `Tables` protocol; values are sent as texts and cast there."""

    def key(self, schema: str, storage: str) -> str:
        """Every schema has its own tables."""
        return f"{schema}\0{storage}"

    def table_storage(self, table: Table, taken: Collection[str]) -> str:
        """The logical name where it can be had."""
        return naming.table_storage(table.name)

    def fold(self, name: str) -> str:
        """Names differ by case."""
        return name

    def column_storage(self, column: Column, taken: Collection[str]) -> str:
        """The logical name where it can be had."""
        return naming.column_storage(column.name)

    def named(self, table: Table) -> str:
        """The quoted names of schema and table."""
        return naming.named(table)

    def history_column(self, column: Column) -> str:
        """RID and type of the column."""
        return naming.history_column(column)

    def history_type(self, column: Column) -> str:
        """As in the live table."""
        return column_type(column.type)

    def index_versions(self, connection: Connection, name: str) -> None:
        """Unique, as the triggers rely on; with the end, which saves looking at every version."""
        connection.run(
            f"CREATE UNIQUE INDEX {quote(f'{name}_rid')} ON {quote(name)} (rid, since) INCLUDE (until)"
        )

    def history_columns(self, connection: Connection, table_rid: str, column_rid: str) -> list[str]:
        """One for each type that the column ever had."""
        found = connection.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = CAST(? AS regclass) AND NOT attisdropped"
            " AND starts_with(attname, ?)",
            (f"{naming.SCHEMA}.{quote(history_name(table_rid))}", f"{column_rid}:"),
        )
        return list(found.scalars())

    def parameter(self, type_: Type, value: Stored) -> tuple[str, Any]:
        """A text that is cast."""
        return f"CAST(? AS {column_type(type_)})", text_value(type_, value)

    def listed(self, values: Sequence[str]) -> tuple[str, Any]:
        """One array."""
        return "= ANY(CAST(? AS text[]))", list_text(TYPES["text"], values)

    def last_position(self, connection: Connection, table: Table) -> int | None:
        """Rows lie anywhere."""
        return None

    def change(self, connection: Connection, old: Model, new: Model, now: int) -> Model:
        """By altering in place."""
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
        """A few rows as values, many by COPY; those that may be skipped through one JSON text."""
        if cyclic:
            connection.run("SET CONSTRAINTS ALL DEFERRED")
        target = f"{naming.named(table)} ({quoted_list(storages(table))})"
        columns = text_columns([column.type for column in table.columns], rows)
        if len(rows) <= _FEW:
            marks = "(" + ", ".join("?" for _ in columns) + ")"
            connection.run(
                f"INSERT INTO {target} VALUES {', '.join(marks for _ in rows)}"
                + (" ON CONFLICT DO NOTHING" if skip else ""),
                tuple(value for row in zip(*columns, strict=True) for value in row),
            )
        elif skip:
            values = ", ".join(_given(at, column) for at, column in enumerate(table.columns))
            connection.run(
                f"INSERT INTO {target} SELECT {values} FROM {_records(len(columns))} ON CONFLICT DO NOTHING",
                (_json(columns),),
            )
        else:
            _copy(connection, target, columns)
        if cyclic:
            connection.run("SET CONSTRAINTS ALL IMMEDIATE")

    def matching(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        keys: Sequence[Sequence[Stored]],
    ) -> list[tuple[int, str]]:
        """A join with the keys as records."""
        texts = text_columns([column.type for column in columns], keys) if columns else []
        tests = []
        for at, column in enumerate(columns):
            own, given = f"t.{quote(column.storage)}", _given(at, column)
            test = f"{own} = {given}"
            tests.append(f"({test} OR ({own} IS NULL AND u.c{at} IS NULL))" if None in texts[at] else test)
        rid = quote(table.column_by_name["RID"].storage)
        numbers = [str(at) for at in range(len(keys))]
        found = connection.run(
            f"SELECT CAST(u.c{len(texts)} AS int4), t.{rid} FROM {_records(len(texts) + 1)}"
            f" JOIN {naming.named(table)} t ON {' AND '.join(tests) or 'true'} ORDER BY 1",
            (_json([*texts, numbers]),),
        )
        return [(row[0], row[1]) for row in found]

    def update(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[Column],
        rows: Sequence[tuple[str, Sequence[Stored]]],
    ) -> None:
        """A join with the new values as records."""
        texts = text_columns([column.type for column in columns], [values for _, values in rows])
        values = ", ".join(f"{quote(c.storage)} = {_given(at, c)}" for at, c in enumerate(columns))
        rid = quote(table.column_by_name["RID"].storage)
        connection.run(
            f"UPDATE {naming.named(table)} t SET {values} FROM {_records(len(texts) + 1)}"
            f" WHERE t.{rid} = u.c{len(texts)}",
            (_json([*texts, [rid for rid, _ in rows]]),),
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
        """In the server's words."""
        return conflicts.explain(model, error)

    def missing_reference(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        columns: Sequence[str],
        rows: Sequence[Sequence[Stored]],
    ) -> Conflict | None:
        """None: the server has checked them already."""
        return None

    def explain_delete(
        self,
        connection: Connection,
        model: Model,
        table: Table,
        rids: Sequence[str],
        error: sa.exc.IntegrityError,
    ) -> Conflict:
        """In the server's words."""
        return conflicts.explain(model, error)


def _records(width: int) -> str:
    """Rows `u` with texts `c0`, `c1`, … out of the parameter."""
    names = ", ".join(f"c{at} text" for at in range(width))
    return f"json_to_recordset(CAST(? AS json)) AS u({names})"


def _given(at: int, column: Column) -> str:
    return f"CAST(u.c{at} AS {column_type(column.type)})"


def _json(columns: Sequence[Sequence[str | None]]) -> str:
    names = [f"c{at}" for at in range(len(columns))]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def _copy(connection: Connection, target: str, columns: Sequence[Sequence[str | None]]) -> None:
    driver: Any = connection.raw.connection.driver_connection
    statement = f"COPY {target} FROM STDIN"
    with as_sqlalchemy(connection.raw, statement), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in zip(*columns, strict=True):
            copy.write_row(row)
