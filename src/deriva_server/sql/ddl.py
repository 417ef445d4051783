"""Bring the tables of a catalog from one model to the next.

Tables are compared by RID and by identity, so that unchanged ones cost nothing. Renames, new columns, keys and
indexes use the database's own statements; everything else rebuilds the table from the model with foreign keys
suspended, which the caller arranges for. Keys and references are indexes and clauses named by RIDs, so renaming a
constraint touches no table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Column, ForeignKey, Model, Schema, Table
from deriva_server.sql import history
from deriva_server.sql.connect import Connection
from deriva_server.sql.convert import converted, default_literal, is_stored_alike
from deriva_server.sql.dialect import INTERNAL, Dialect, quote, quoted_list

_BUILDING = f"{INTERNAL}building"

Shape = tuple[tuple[object, ...], ...]


def with_storage(model: Model, dialect: Dialect, old: Model) -> Model:
    """Name the storage of new and renamed tables and columns.

    Names of the old model stay taken, so that any order of statements works.
    """
    before = {table.rid: table for table in old.tables()}
    pending = [table for table in model.tables() if before.get(table.rid) is not table]
    if not pending:
        return model
    taken = {dialect.fold(table.storage): rid for rid, table in before.items()}
    taken |= {dialect.fold(table.storage): table.rid for table in model.tables() if table.storage}
    named: dict[str, Table] = {}
    for table in pending:
        was = before.get(table.rid)
        storage = table.storage
        if was is None or was.name != table.name or not storage:
            others = [name for name, rid in taken.items() if rid != table.rid]
            storage = dialect.table_storage(table.name, table.rid, frozenset(others))
            taken[dialect.fold(storage)] = table.rid
        columns = _columns_with_storage(table, was, dialect)
        named[table.rid] = replace(table, storage=storage, columns=columns)
    return replace(
        model, schemas={name: _with_tables(schema, named) for name, schema in model.schemas.items()}
    )


def _with_tables(schema: Schema, named: dict[str, Table]) -> Schema:
    if not any(table.rid in named for table in schema.tables.values()):
        return schema
    return replace(
        schema, tables={name: named.get(table.rid, table) for name, table in schema.tables.items()}
    )


def _columns_with_storage(table: Table, was: Table | None, dialect: Dialect) -> tuple[Column, ...]:
    before = {column.rid: column for column in was.columns} if was else {}
    taken = {dialect.fold(column.storage): rid for rid, column in before.items()}
    columns = []
    for column in table.columns:
        old = before.get(column.rid)
        storage = column.storage
        if old is None or old.name != column.name or not storage:
            others = frozenset(name for name, rid in taken.items() if rid != column.rid)
            storage = dialect.column_storage(column.name, column.rid, others)
            taken[dialect.fold(storage)] = column.rid
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
    return _Migration(connection, old, new, now).run()


class _Migration:
    def __init__(self, connection: Connection, old: Model, new: Model, now: int) -> None:
        self.connection = connection
        self.old, self.new, self.now = old, new, now
        self.before = {table.rid: table for table in old.tables()}
        self.after = {table.rid: table for table in new.tables()}
        self.aged: dict[str, Table] = {}
        self.unchecked: list[Table] = []

    def run(self) -> Model:
        for rid, table in self.before.items():
            if rid not in self.after:
                self.drop(table)
        moved = [
            (self.before[rid], table)
            for rid, table in self.after.items()
            if rid in self.before and self.before[rid] is not table
        ]
        for old, new in moved:
            if old.storage != new.storage:
                self.rename(old, new)
        for table in self.after.values():
            if table.rid not in self.before:
                self.create(table)
        for old, new in moved:
            self.alter(old, new)
        for table in self.unchecked:
            self.check_references(table)
        if not self.aged:
            return self.new
        return replace(
            self.new,
            schemas={name: _with_tables(schema, self.aged) for name, schema in self.new.schemas.items()},
        )

    def execute(self, statement: str) -> None:
        self.connection.raw.exec_driver_sql(statement)

    def drop(self, table: Table) -> None:
        history.supersede_all(self.connection, table, self.now)
        self.execute(f"DROP TABLE {quote(table.storage)}")

    def create(self, table: Table) -> None:
        self.execute(self.table_statement(table, table.storage))
        self.index(table, _indexes(table))
        history.create_history(self.connection, table)
        history.create_triggers(self.connection, table)

    def rename(self, old: Table, new: Table) -> None:
        history.drop_triggers(self.connection, old)
        fold = self.connection.dialect.fold
        name = old.storage
        if fold(name) == fold(new.storage):
            self.execute(f"ALTER TABLE {quote(name)} RENAME TO {quote(_BUILDING)}")
            name = _BUILDING
        self.execute(f"ALTER TABLE {quote(name)} RENAME TO {quote(new.storage)}")

    def alter(self, old: Table, new: Table) -> None:
        """Change a table whose storage already bears its new name."""
        before = {column.rid: column for column in old.columns}
        added = [column for column in new.columns if column.rid not in before]
        kept = [(before[column.rid], column) for column in new.columns if column.rid in before]
        retyped = [(was, now) for was, now in kept if was.type != now.type]
        lost = len(kept) < len(old.columns) or any(
            not is_stored_alike(was.type, now.type) for was, now in retyped
        )
        same_references = _references(self.before, old) == _references(self.after, new)
        rebuilt = (
            lost
            or not same_references
            or any(was.nullok != now.nullok for was, now in kept)
            or any(
                self.connection.dialect.column_type(a.type) != self.connection.dialect.column_type(b.type)
                for a, b in retyped
            )
            or any(not column.nullok and column.default is None for column in added)
        )
        if lost:
            history.supersede_all(self.connection, replace(old, storage=new.storage), self.now)
            new = self.aged[new.rid] = replace(new, live_since=self.now)
        if added:
            history.extend_history(self.connection, new, [column.rid for column in added])
        renamed = [(was, now) for was, now in kept if was.storage != now.storage]
        indexes_before, indexes_after = _indexes(old), _indexes(new)
        if rebuilt or added or renamed or old.storage != new.storage:
            history.drop_triggers(self.connection, new)
        for was, now in renamed:
            self.execute(
                f"ALTER TABLE {quote(new.storage)} RENAME COLUMN {quote(was.storage)} TO {quote(now.storage)}"
            )
        if rebuilt:
            self.rebuild(old, new)
            if not same_references:
                self.unchecked.append(new)
            return
        for name in indexes_before.keys() - indexes_after.keys():
            self.execute(f"DROP INDEX {quote(name)}")
        for column in added:
            self.execute(
                f"ALTER TABLE {quote(new.storage)} ADD COLUMN {self.column_clause(column, filled=True)}"
            )
        self.index(new, {name: spec for name, spec in indexes_after.items() if name not in indexes_before})
        if added or renamed or old.storage != new.storage:
            history.create_triggers(self.connection, new)

    def rebuild(self, old: Table, new: Table) -> None:
        """Make the table anew; its columns bear their new names already, its rows are copied in their order."""
        before = {column.rid: column.type for column in old.columns}
        values = [
            converted(quote(column.storage), before[column.rid], column.type)
            if column.rid in before
            else default_literal(column)
            for column in new.columns
        ]
        self.execute(self.table_statement(new, _BUILDING))
        targets = quoted_list([column.storage for column in new.columns])
        try:
            self.execute(
                f"INSERT INTO {quote(_BUILDING)} ({targets}) SELECT {', '.join(values)}"
                f" FROM {quote(new.storage)} ORDER BY _rowid_"
            )
        except sa.exc.IntegrityError as error:
            column_name = str(error.orig).rpartition(".")[2]
            raise Conflict(f'column "{column_name}" contains null values') from error
        except sa.exc.OperationalError as error:
            if "user-defined function" not in str(error.orig):
                raise
            raise Conflict(f'A value in table "{new.schema}:{new.name}" cannot take the new type.') from error
        self.execute(f"DROP TABLE {quote(new.storage)}")
        self.execute(f"ALTER TABLE {quote(_BUILDING)} RENAME TO {quote(new.storage)}")
        self.index(new, _indexes(new))
        history.create_triggers(self.connection, new)

    def table_statement(self, table: Table, name: str) -> str:
        clauses = [self.column_clause(column) for column in table.columns]
        clauses += [self.reference_clause(table, fkey) for fkey in table.foreign_keys]
        return f"CREATE TABLE {quote(name)} ({', '.join(clauses)})"

    def column_clause(self, column: Column, *, filled: bool = False) -> str:
        words = [quote(column.storage), self.connection.dialect.column_type(column.type)]
        if not column.nullok:
            words.append("NOT NULL")
        if filled and column.default is not None:
            words.append(f"DEFAULT {default_literal(column)}")
        return " ".join(word for word in words if word)

    def reference_clause(self, table: Table, fkey: ForeignKey) -> str:
        target = self.new.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
        own, other = table.column_by_name, target.column_by_name
        return (
            f"FOREIGN KEY ({quoted_list([own[name].storage for name in fkey.columns])})"
            f" REFERENCES {quote(target.storage)}"
            f" ({quoted_list([other[name].storage for name in fkey.referenced_columns])})"
            f" ON UPDATE {fkey.on_update} ON DELETE {fkey.on_delete}"
        )

    def index(self, table: Table, indexes: dict[str, tuple[bool, Shape]]) -> None:
        columns = {column.rid: column for column in table.columns}
        for name, (unique, shape) in indexes.items():
            storages = [columns[str(rid)].storage for (rid,) in shape]
            try:
                self.execute(
                    f"CREATE {'UNIQUE ' if unique else ''}INDEX {quote(name)}"
                    f" ON {quote(table.storage)} ({quoted_list(storages)})"
                )
            except sa.exc.IntegrityError as error:
                names = ", ".join(columns[str(rid)].name for (rid,) in shape)
                raise Conflict(
                    f'could not create unique index on table "{table.name}"\nDETAIL:  Key ({names}) is duplicated.'
                ) from error

    def check_references(self, table: Table) -> None:
        found = self.connection.raw.exec_driver_sql(
            f"PRAGMA foreign_key_check({quote(table.storage)})"
        ).first()
        if found is None:
            return
        # SQLite numbers the clauses of a table from the last one.
        fkey = table.foreign_keys[len(table.foreign_keys) - 1 - found[3]]
        raise Conflict(
            f'insert or update on table "{table.name}" violates foreign key constraint "{fkey.name}"\n'
            f"DETAIL:  Key ({', '.join(fkey.columns)}) of some row is not present in"
            f' table "{fkey.referenced_table}".'
        )


def _references(tables: dict[str, Table], table: Table) -> list[Shape]:
    """The foreign keys of a table as the database knows them, free of names."""
    by_name = {other.qualified: other for other in tables.values()}
    shapes: list[Shape] = []
    for fkey in table.foreign_keys:
        target = by_name[fkey.referenced_schema, fkey.referenced_table]
        own = tuple(table.column_by_name[name].rid for name in fkey.columns)
        other = tuple(target.column_by_name[name].rid for name in fkey.referenced_columns)
        shapes.append((own, other, (target.rid, fkey.on_update, fkey.on_delete)))
    return sorted(shapes, key=repr)


def _indexes(table: Table) -> dict[str, tuple[bool, Shape]]:
    """Indexes of a table by name: one per key, one per foreign key that no key serves.

    The index of a foreign key within a longer key takes the rest of that key along, so an association can be
    walked from either side without touching the table.
    """
    rids = {column.name: (column.rid,) for column in table.columns}
    found: dict[str, tuple[bool, Shape]] = {}
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
        found[f"{INTERNAL}fkey_{fkey.rid}" + "".join(f"+{rids[name][0]}" for name in rest)] = (False, shape)
    return found


def _rest_of_key(table: Table, columns: tuple[str, ...]) -> Iterable[str]:
    for key in table.keys:
        if len(key.columns) > len(columns) and set(columns) < set(key.columns):
            return [name for name in key.columns if name not in columns]
    return ()
