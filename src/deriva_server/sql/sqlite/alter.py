"""Change SQLite tables: with its own statements where there are some, else by building the table anew.

SQLite cannot change the type, the null rule or the references of a column: such a table is rebuilt from the model
with foreign keys suspended, which the caller arranges for.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from deriva_server.errors import Conflict
from deriva_server.model.elements import Column, Model, Table
from deriva_server.model.types import is_serial
from deriva_server.sql import history
from deriva_server.sql.ddl import (
    Difference,
    create_indexes,
    indexes,
    number_rows,
    reference_clause,
    references,
    with_live_since,
)
from deriva_server.sql.dialect import (
    INTERNAL,
    Connection,
    history_name,
    quote,
    quoted_list,
    storages,
)
from deriva_server.sql.sqlite.convert import converted, default_literal
from deriva_server.sql.sqlite.functions import prepare
from deriva_server.sql.sqlite.naming import column_type, fold

_BUILDING = f"{INTERNAL}building"


class Migration:
    """One change of a model; `run` does it."""

    def __init__(self, connection: Connection, old: Model, new: Model, now: int) -> None:
        self.connection = connection
        self.old, self.new, self.now = old, new, now
        self.before = {table.rid: table for table in old.tables()}
        self.after = {table.rid: table for table in new.tables()}
        self.aged: dict[str, Table] = {}
        self.unchecked: list[Table] = []

    def run(self) -> Model:
        """Change the tables; returns the new model, with the moments from which live rows tell the past."""
        prepare(self.connection)
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
        return with_live_since(self.new, self.aged)

    def execute(self, statement: str) -> None:
        self.connection.run(statement)

    def drop(self, table: Table) -> None:
        history.supersede_all(self.connection, table, self.now)
        self.execute(f"DROP TABLE {quote(table.storage)}")

    def create(self, table: Table) -> None:
        self.execute(self.table_statement(table, table.storage))
        create_indexes(self.connection, table, indexes(table))
        history.create_history(self.connection, table)
        self.create_triggers(table)

    def rename(self, old: Table, new: Table) -> None:
        self.drop_triggers(old)
        name = old.storage
        if fold(name) == fold(new.storage):
            self.execute(f"ALTER TABLE {quote(name)} RENAME TO {quote(_BUILDING)}")
            name = _BUILDING
        self.execute(f"ALTER TABLE {quote(name)} RENAME TO {quote(new.storage)}")

    def alter(self, old: Table, new: Table) -> None:
        """Change a table whose storage already bears its new name."""
        change = Difference(old, new)
        same_references = references(self.before, old).keys() == references(self.after, new).keys()
        if change.loses_values:
            history.supersede_all(self.connection, replace(old, storage=new.storage), self.now)
            new = self.aged[new.rid] = replace(new, live_since=self.now)
        for column in change.added:
            self.execute(
                f"ALTER TABLE {quote(history_name(new.rid))}"
                f" ADD COLUMN {history.history_clause(self.connection, column)}"
            )
        rebuilt = _needs_rebuild(change) or not same_references
        indexes_before, indexes_after = indexes(old), indexes(new)
        moved = bool(change.added or change.renamed) or old.storage != new.storage
        if rebuilt or moved:
            self.drop_triggers(new)
        for was, now in change.renamed:
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
        for column in change.added:
            self.execute(
                f"ALTER TABLE {quote(new.storage)} ADD COLUMN {self.column_clause(column, filled=True)}"
            )
        create_indexes(
            self.connection,
            new,
            {name: spec for name, spec in indexes_after.items() if name not in indexes_before},
        )
        if moved:
            self.create_triggers(new)

    def rebuild(self, old: Table, new: Table) -> None:
        """Make the table anew; its columns bear their new names already, its rows are copied in their order."""
        before = {column.rid: column.type for column in old.columns}
        values = [
            converted(quote(column.storage), before[column.rid], column.type)
            if column.rid in before
            else _filler(column)
            for column in new.columns
        ]
        self.execute(self.table_statement(new, _BUILDING))
        targets = quoted_list(storages(new))
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
        number_rows(self.connection, new, Difference(old, new).added)
        create_indexes(self.connection, new, indexes(new))
        self.create_triggers(new)

    def table_statement(self, table: Table, name: str) -> str:
        tables = self.connection.dialect.tables
        clauses = [self.column_clause(column) for column in table.columns]
        clauses += [reference_clause(tables, self.new, table, fkey) for fkey in table.foreign_keys]
        return f"CREATE TABLE {quote(name)} ({', '.join(clauses)})"

    def column_clause(self, column: Column, *, filled: bool = False) -> str:
        words = [quote(column.storage), column_type(column.type)]
        if not column.nullok:
            words.append("NOT NULL")
        if filled and column.default is not None:
            words.append(f"DEFAULT {default_literal(column)}")
        return " ".join(word for word in words if word)

    def check_references(self, table: Table) -> None:
        found = self.connection.run(f"PRAGMA foreign_key_check({quote(table.storage)})").first()
        if found is None:
            return
        # SQLite numbers the clauses of a table from the last one.
        fkey = table.foreign_keys[len(table.foreign_keys) - 1 - found[3]]
        raise Conflict(
            f'insert or update on table "{table.name}" violates foreign key constraint "{fkey.name}"\n'
            f"DETAIL:  Key ({', '.join(fkey.columns)}) of some row is not present in"
            f' table "{fkey.referenced_table}".'
        )

    def create_triggers(self, table: Table) -> None:
        """Triggers that write the history of a table and touch rows changed by foreign-key actions."""
        columns = {column.name: quote(column.storage) for column in table.columns}
        rid, rmt, rmb = columns["RID"], columns["RMT"], columns["RMB"]
        live, name = quote(table.storage), f"{INTERNAL}%s_{table.rid}"
        since = history.version_begin(table, f"OLD.{rmt}")
        keep = (
            f"INSERT INTO {quote(history_name(table.rid))}"
            f" ({history.version_columns(self.connection, table)})"
            f" SELECT OLD.{rid}, {since}, now, {', '.join(f'OLD.{quote(name)}' for name in storages(table))}"
            f" FROM {INTERNAL}state WHERE now > {since}"
            f" AND {history.is_new_version(table, f'OLD.{rid}', since)}"
        )
        touch = (
            f"UPDATE {live} SET {rmt} = (SELECT now FROM {INTERNAL}state),"
            f" {rmb} = (SELECT client FROM {INTERNAL}state)"
            f" WHERE {rid} = NEW.{rid} AND NEW.{rmt} = OLD.{rmt} AND {rmt} <> (SELECT now FROM {INTERNAL}state)"
        )
        update, delete = quote(name % "update"), quote(name % "delete")
        self.execute(f"CREATE TRIGGER {update} AFTER UPDATE ON {live} BEGIN {keep}; {touch}; END")
        self.execute(f"CREATE TRIGGER {delete} AFTER DELETE ON {live} BEGIN {keep}; END")

    def drop_triggers(self, table: Table) -> None:
        """Remove the triggers of a table while it is being altered."""
        for event in ("update", "delete"):
            self.execute(f"DROP TRIGGER IF EXISTS {quote(f'{INTERNAL}{event}_{table.rid}')}")


def _needs_rebuild(change: Difference) -> bool:
    return (
        change.loses_values
        or any(was.nullok != now.nullok for was, now in change.kept)
        or any(column_type(was.type) != column_type(now.type) for was, now in change.retyped)
        or any(
            is_serial(column.type) or (not column.nullok and column.default is None)
            for column in change.added
        )
    )


def _filler(column: Column) -> str:
    """What rows that are there hold in a new column."""
    return "row_number() OVER (ORDER BY _rowid_)" if is_serial(column.type) else default_literal(column)
