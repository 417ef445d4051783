"""Bring the tables of a catalog from one model to the next.

Tables are compared by RID and by identity, so that unchanged ones cost nothing. What a difference of models asks of
the tables is told here; how each database does it, in its own folder. Keys and references are named by RIDs in the
database, so renaming a constraint touches no table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Column, ForeignKey, Model, Schema, Table, Type
from deriva_server.model.types import is_serial
from deriva_server.model.values import Stored, json_reader
from deriva_server.sql import modelstore
from deriva_server.sql.dialect import INTERNAL, Connection, Tables, quote, quoted_list

Reference = tuple[tuple[str, ...], tuple[str, ...], tuple[str, str, str]]
"""Column RIDs, referenced column RIDs, and RID of the referenced table with both actions: a foreign key as databases
know it, free of names."""


def with_storage(model: Model, tables: Tables, old: Model) -> Model:
    """Name the storage of new and renamed tables and columns.

    Names of the old model stay taken, so that any order of statements works.
    """
    before = {table.rid: table for table in old.tables()}
    pending = [table for table in model.tables() if before.get(table.rid) is not table]
    if not pending:
        return model
    taken = {tables.key(table.schema, table.storage): rid for rid, table in before.items()}
    taken |= {tables.key(table.schema, table.storage): table.rid for table in model.tables() if table.storage}
    named: dict[str, Table] = {}
    for table in pending:
        was = before.get(table.rid)
        storage = table.storage
        if was is None or was.qualified != table.qualified or not storage:
            others = [name for name, rid in taken.items() if rid != table.rid]
            storage = tables.table_storage(table, frozenset(others))
            taken[tables.key(table.schema, storage)] = table.rid
        columns = _columns_with_storage(table, was, tables)
        named[table.rid] = replace(table, storage=storage, columns=columns)
    return replace(
        model, schemas={name: _with_tables(schema, named) for name, schema in model.schemas.items()}
    )


def _with_tables(schema: Schema, named: Mapping[str, Table]) -> Schema:
    if not any(table.rid in named for table in schema.tables.values()):
        return schema
    return replace(
        schema, tables={name: named.get(table.rid, table) for name, table in schema.tables.items()}
    )


def _columns_with_storage(table: Table, was: Table | None, tables: Tables) -> tuple[Column, ...]:
    before = {column.rid: column for column in was.columns} if was else {}
    taken = {tables.fold(column.storage): rid for rid, column in before.items()}
    columns = []
    for column in table.columns:
        old = before.get(column.rid)
        storage = column.storage
        if old is None or old.name != column.name or not storage:
            others = frozenset(name for name, rid in taken.items() if rid != column.rid)
            storage = tables.column_storage(column, others)
            taken[tables.fold(storage)] = column.rid
        columns.append(column if column.storage == storage else replace(column, storage=storage))
    return tuple(columns)


def apply(connection: Connection, old: Model, new: Model, now: int) -> Model:
    """Run the statements that lead from `old` to `new` and check the references they added.

    Returns
    -------
    Model
        `new`, with the moments noted from which live rows tell the past.

    Raises
    ------
    Conflict
        If the data present does not fit the new model.
    """
    return connection.dialect.tables.change(connection, old, new, now)


def with_live_since(model: Model, aged: Mapping[str, Table]) -> Model:
    """The model with the tables in `aged`, given by RID, whose live rows tell the past since now only."""
    if not aged:
        return model
    return replace(
        model, schemas={name: _with_tables(schema, aged) for name, schema in model.schemas.items()}
    )


def is_stored_alike(old: Type, new: Type) -> bool:
    """Whether both types store their values in the same form, as domains of one base do."""
    return (old.is_array, _form(old)) == (new.is_array, _form(new))


def is_colour(type_: Type) -> bool:
    """Whether a type holds texts of colours only, which no database checks by itself."""
    return type_.name in ("color_rgb_hex", "color_rgb_hex[]")


def _form(type_: Type) -> str:
    if is_colour(type_):
        return "color_rgb_hex"
    return {"serial2": "int2", "serial4": "int4", "serial8": "int8"}.get(type_.scalar, type_.scalar)


def stored_default(column: Column) -> Stored:
    """The stored form of a column's default, None when it has none."""
    return None if column.default is None else json_reader(column.type)(column.default)


@dataclass(frozen=True)
class Difference:
    """One table before and after a change.

    Parameters
    ----------
    old, new : Table
        The same RID.
    """

    old: Table
    new: Table

    @cached_property
    def _before(self) -> Mapping[str, Column]:
        return {column.rid: column for column in self.old.columns}

    @cached_property
    def added(self) -> list[Column]:
        """New columns."""
        return [column for column in self.new.columns if column.rid not in self._before]

    @cached_property
    def dropped(self) -> list[Column]:
        """Columns that are gone."""
        after = {column.rid for column in self.new.columns}
        return [column for column in self.old.columns if column.rid not in after]

    @cached_property
    def kept(self) -> list[tuple[Column, Column]]:
        """Columns that stay, as they were and as they are."""
        return [
            (self._before[column.rid], column) for column in self.new.columns if column.rid in self._before
        ]

    @property
    def retyped(self) -> list[tuple[Column, Column]]:
        """Columns with another type."""
        return [(was, now) for was, now in self.kept if was.type != now.type]

    @property
    def renamed(self) -> list[tuple[Column, Column]]:
        """Columns stored under another name."""
        return [(was, now) for was, now in self.kept if was.storage != now.storage]

    @property
    def loses_values(self) -> bool:
        """Whether live rows can no longer tell what the columns held before."""
        return bool(self.dropped) or any(not is_stored_alike(a.type, b.type) for a, b in self.retyped)


def references(tables: Mapping[str, Table], table: Table) -> dict[Reference, ForeignKey]:
    """The foreign keys of a table by how the database knows them; `tables` are all of the model by RID."""
    by_name = {other.qualified: other for other in tables.values()}
    found: dict[Reference, ForeignKey] = {}
    for fkey in table.foreign_keys:
        target = by_name[fkey.referenced_schema, fkey.referenced_table]
        own = tuple(table.column_by_name[name].rid for name in fkey.columns)
        other = tuple(target.column_by_name[name].rid for name in fkey.referenced_columns)
        found[own, other, (target.rid, fkey.on_update, fkey.on_delete)] = fkey
    return found


def number_rows(connection: Connection, table: Table, added: Iterable[Column]) -> None:
    """Let new serial columns go on after the numbers that the rows of their table were given."""
    for column in added:
        if is_serial(column.type):
            named = connection.dialect.tables.named(table)
            count = connection.run(f"SELECT count(*) FROM {named}").scalar_one()
            modelstore.take_serials(connection, column.rid, count)


def reference_clause(tables: Tables, model: Model, table: Table, fkey: ForeignKey) -> str:
    """A foreign key of a table in SQL."""
    target = model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
    own, other = table.column_by_name, target.column_by_name
    return (
        f"FOREIGN KEY ({quoted_list([own[name].storage for name in fkey.columns])})"
        f" REFERENCES {tables.named(target)}"
        f" ({quoted_list([other[name].storage for name in fkey.referenced_columns])})"
        f" ON UPDATE {fkey.on_update} ON DELETE {fkey.on_delete}"
    )


def create_indexes(
    connection: Connection, table: Table, wanted: Mapping[str, tuple[bool, tuple[str, ...]]]
) -> None:
    """Make some of the `indexes` of a table.

    Raises
    ------
    Conflict
        If the rows present do not obey a key.
    """
    columns = {column.rid: column for column in table.columns}
    named = connection.dialect.tables.named(table)
    for name, (unique, rids) in wanted.items():
        members = [columns[rid] for rid in rids]
        try:
            connection.run(
                f"CREATE {'UNIQUE ' if unique else ''}INDEX {quote(name)} ON {named}"
                f" ({quoted_list([column.storage for column in members])})"
            )
        except sa.exc.IntegrityError as error:
            names = ", ".join(column.name for column in members)
            raise Conflict(
                f'could not create unique index on table "{table.name}"\nDETAIL:  Key ({names}) is duplicated.'
            ) from error


def indexes(table: Table) -> dict[str, tuple[bool, tuple[str, ...]]]:
    """Indexes of a table by name, with whether they are unique and RIDs of their columns.

    There is one per key, and one per foreign key that no key serves.

    The index of a foreign key within a longer key takes the rest of that key along, so an association can be
    walked from either side without touching the table.
    """
    rids = {column.name: column.rid for column in table.columns}
    found: dict[str, tuple[bool, tuple[str, ...]]] = {}
    served: set[tuple[str, ...]] = set()
    for key in table.keys:
        found[f"{INTERNAL}key_{key.rid}"] = (True, tuple(rids[name] for name in key.columns))
        served |= {key.columns[:length] for length in range(1, len(key.columns) + 1)}
    for fkey in table.foreign_keys:
        if fkey.columns in served or fkey.columns in (("RCB",), ("RMB",)):
            continue
        rest = _rest_of_key(table, fkey.columns)
        served.add(fkey.columns)
        shape = tuple(rids[name] for name in (*fkey.columns, *rest))
        # The rest belongs to the name: an index whose columns change must be made anew.
        found[f"{INTERNAL}fkey_{fkey.rid}" + "".join(f"+{rids[name]}" for name in rest)] = (False, shape)
    return found


def _rest_of_key(table: Table, columns: tuple[str, ...]) -> Iterable[str]:
    for key in table.keys:
        if len(key.columns) > len(columns) and set(columns) < set(key.columns):
            return [name for name in key.columns if name not in columns]
    return ()
