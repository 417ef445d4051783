"""Change PostgreSQL tables in place.

Readers keep out while tables that they might read are altered (see `exclude_readers`); everybody else's tables are
left alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

import sqlalchemy as sa

from deriva_server.errors import Busy, Conflict
from deriva_server.model.elements import Column, ForeignKey, Model, Table
from deriva_server.model.types import is_serial
from deriva_server.sql import history
from deriva_server.sql.ddl import (
    Difference,
    create_indexes,
    indexes,
    is_colour,
    number_rows,
    reference_clause,
    references,
    stored_default,
    with_live_since,
)
from deriva_server.sql.dialect import (
    BUSY_SECONDS,
    INTERNAL,
    Connection,
    history_name,
    quote,
    storages,
    text_literal,
)
from deriva_server.sql.postgres.conflicts import explain
from deriva_server.sql.postgres.convert import converted
from deriva_server.sql.postgres.naming import GATE, SCHEMA, named, schema_storage
from deriva_server.sql.postgres.values import column_type, text_value

_LOCKED = "55P03"
_ATTEMPT = "SAVEPOINT gate; SET LOCAL lock_timeout = '400ms'"


class Migration:
    """One change of a model; `run` does it."""

    def __init__(self, connection: Connection, old: Model, new: Model, now: int) -> None:
        self.connection = connection
        self.old, self.new, self.now = old, new, now
        self.before = {table.rid: table for table in old.tables()}
        self.after = {table.rid: table for table in new.tables()}
        self.aged: dict[str, Table] = {}
        self.readers_excluded = False

    def run(self) -> Model:
        """Change the tables; returns the new model, with the moments from which live rows tell the past."""
        renamed = self.schemas()
        # Where the tables lie now, under the names that their columns still have.
        place = {
            rid: replace(table, schema=renamed.get(table.schema, table.schema))
            for rid, table in self.before.items()
        }
        dropped = [table for rid, table in self.before.items() if rid not in self.after]
        changed = [
            (self.before[rid], table)
            for rid, table in self.after.items()
            if rid in self.before and self.before[rid] is not table
        ]
        created = [table for rid, table in self.after.items() if rid not in self.before]
        for old in dropped:
            self.drop_references(place[old.rid], references(self.before, old).values())
        for old, new in changed:
            self.drop_references(place[old.rid], self.only_in(self.before, old, self.after, new))
        for old in dropped:
            history.supersede_all(self.connection, place[old.rid], self.now)
            self.alter(f"DROP TABLE {named(place[old.rid])}")
        for old, new in changed:
            self.move(place[old.rid], new)
        for table in created:
            self.create(table)
        for old, new in changed:
            self.change(replace(old, schema=new.schema, storage=new.storage), new)
        for table in created:
            self.add_references(table, references(self.after, table).values())
        for old, new in changed:
            self.add_references(new, self.only_in(self.after, new, self.before, old))
        kept = {schema.rid for schema in self.new.schemas.values()}
        for schema in self.old.schemas.values():
            if schema.rid not in kept:
                self.alter(f"DROP SCHEMA {quote(schema_storage(schema.name))}")
        return with_live_since(self.new, self.aged)

    def schemas(self) -> dict[str, str]:
        """Make new schemas and rename others; returns new names by old ones."""
        by_rid = {schema.rid: schema for schema in self.old.schemas.values()}
        renamed: dict[str, str] = {}
        for schema in self.new.schemas.values():
            old = by_rid.get(schema.rid)
            name = quote(schema_storage(schema.name))
            if old is None:
                self.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
            elif old.name != schema.name:
                renamed[old.name] = schema.name
                self.alter(f"ALTER SCHEMA {quote(schema_storage(old.name))} RENAME TO {name}")
        return renamed

    def execute(self, statement: str) -> None:
        """Run a statement that touches nothing which others might read."""
        try:
            self.connection.run(statement)
        except sa.exc.IntegrityError as error:
            raise explain(self.new, error) from error

    def alter(self, statement: str) -> None:
        """Run a statement that changes what is there."""
        if not self.readers_excluded:
            exclude_readers(self.connection)
            self.readers_excluded = True
        self.execute(statement)

    def move(self, old: Table, new: Table) -> None:
        """Give a table its new name and schema."""
        if schema_storage(old.schema) != schema_storage(new.schema):
            schema = quote(schema_storage(new.schema))
            if old.storage != new.storage:
                # The old name may be taken in the new schema, and the new one in the old.
                passing = f"{INTERNAL}moving_{new.rid}"
                self.alter(f"ALTER TABLE {named(old)} RENAME TO {quote(passing)}")
                old = replace(old, storage=passing)
            self.alter(f"ALTER TABLE {named(old)} SET SCHEMA {schema}")
            old = replace(old, schema=new.schema)
        if old.storage != new.storage:
            self.alter(f"ALTER TABLE {named(old)} RENAME TO {quote(new.storage)}")

    def create(self, table: Table) -> None:
        """Make a table, its indexes, its history and its triggers."""
        columns = ", ".join(_column_clause(column) for column in table.columns)
        self.execute(f"CREATE TABLE {named(table)} ({columns})")
        create_indexes(self.connection, table, indexes(table))
        history.create_history(self.connection, table)
        self.create_triggers(table)

    def change(self, old: Table, new: Table) -> None:
        """Change columns and indexes of a table that lies where it shall."""
        change = Difference(old, new)
        before, after = indexes(old), indexes(new)
        for name in before.keys() - after.keys():
            self.alter(f"DROP INDEX {quote(schema_storage(new.schema))}.{quote(name)}")
        if change.loses_values:
            history.supersede_all(self.connection, old, self.now)
            new = self.aged[new.rid] = replace(new, live_since=self.now)
        self.extend_history(change)
        if change.added or change.dropped or change.renamed or change.retyped:
            self.drop_triggers(new)
            numbered = [column for column in change.added if is_serial(column.type)]
            for column in numbered:
                self.execute(f"CREATE TEMPORARY SEQUENCE {_sequence(column)}")
            for statement in _column_statements(change):
                self.alter(f"ALTER TABLE {named(new)} {statement}")
            for column in numbered:
                self.execute(f"DROP SEQUENCE pg_temp.{_sequence(column)}")
            number_rows(self.connection, new, numbered)
            self.check_colours(new, [now for _, now in change.retyped])
            self.create_triggers(new)
        for was, now in change.kept:
            if was.nullok != now.nullok:
                rule = "DROP" if now.nullok else "SET"
                self.alter(f"ALTER TABLE {named(new)} ALTER COLUMN {quote(now.storage)} {rule} NOT NULL")
        create_indexes(
            self.connection, new, {name: spec for name, spec in after.items() if name not in before}
        )

    def check_colours(self, table: Table, columns: Iterable[Column]) -> None:
        """See that the texts in columns that became colours are some."""
        for column in columns:
            if not is_colour(column.type):
                continue
            name = quote(column.storage)
            members = f"unnest({name})" if column.type.is_array else f"LATERAL (SELECT {name})"
            if self.connection.run(
                f"SELECT 1 FROM {named(table)}, {members} AS m (colour)"
                " WHERE colour !~ '^#[0-9A-Fa-f]{6}$' LIMIT 1"
            ).first():
                raise Conflict(f'A value in table "{table.schema}:{table.name}" cannot take the new type.')

    def extend_history(self, change: Difference) -> None:
        """Give the history table a place for each column in its present type."""
        for column in [*change.added, *(now for _, now in change.retyped)]:
            self.alter(
                f"ALTER TABLE {quote(history_name(change.new.rid))}"
                f" ADD COLUMN IF NOT EXISTS {history.history_clause(self.connection, column)}"
            )

    def only_in(
        self,
        tables: Mapping[str, Table],
        table: Table,
        other_tables: Mapping[str, Table],
        other: Table,
    ) -> list[ForeignKey]:
        """Foreign keys of one state of a table that the other state has not, or has on other columns."""
        here, there = references(tables, table), references(other_tables, other)
        known = {(reference, fkey.rid) for reference, fkey in there.items()}
        retyped = {
            b.rid for a, b in Difference(other, table).kept if column_type(a.type) != column_type(b.type)
        }
        return [
            fkey
            for reference, fkey in here.items()
            if (reference, fkey.rid) not in known or retyped.intersection(reference[0])
        ]

    def drop_references(self, table: Table, fkeys: Iterable[ForeignKey]) -> None:
        """Remove foreign keys."""
        for fkey in fkeys:
            self.alter(f"ALTER TABLE {named(table)} DROP CONSTRAINT {quote(_constraint(fkey))}")

    def add_references(self, table: Table, fkeys: Iterable[ForeignKey]) -> None:
        """Add foreign keys; rows of one request may refer to each other, so checks can wait."""
        for fkey in fkeys:
            clause = reference_clause(self.connection.dialect.tables, self.new, table, fkey)
            self.execute(
                f"ALTER TABLE {named(table)} ADD CONSTRAINT {quote(_constraint(fkey))} {clause}"
                " DEFERRABLE INITIALLY IMMEDIATE"
            )

    def create_triggers(self, table: Table) -> None:
        """Triggers that write the history of a table and touch rows changed by foreign-key actions."""
        columns = {column.name: quote(column.storage) for column in table.columns}
        rmt, since = columns["RMT"], history.version_begin(table, f"o.{columns['RMT']}")
        keep = (
            f"INSERT INTO {SCHEMA}.{quote(history_name(table.rid))}"
            f" ({history.version_columns(self.connection, table)})"
            f" SELECT o.{columns['RID']}, {since}, s.now,"
            f" {', '.join(f'o.{quote(name)}' for name in storages(table))}"
            f" FROM old_rows o, {SCHEMA}.{INTERNAL}state s WHERE s.now > {since} ON CONFLICT DO NOTHING"
        )
        for event in ("UPDATE", "DELETE"):
            self.execute(
                f"CREATE TRIGGER {INTERNAL}{event.lower()} AFTER {event} ON {named(table)}"
                " REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT"
                f" EXECUTE FUNCTION {INTERNAL}keep({text_literal(keep)})"
            )
        self.execute(
            f"CREATE TRIGGER {INTERNAL}touch BEFORE UPDATE ON {named(table)} FOR EACH ROW"
            f" WHEN (NEW.{rmt} = OLD.{rmt}) EXECUTE FUNCTION {INTERNAL}touch()"
        )

    def drop_triggers(self, table: Table) -> None:
        """Remove the triggers of a table while it is being altered."""
        for event in ("update", "delete", "touch"):
            self.alter(f"DROP TRIGGER {INTERNAL}{event} ON {named(table)}")


def exclude_readers(connection: Connection) -> None:
    """Wait until nobody reads, and let nobody begin to.

    Tried again and again for short times, because readers queue behind whoever waits.

    Raises
    ------
    Busy
        If some reader reads on and on.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        connection.run(_ATTEMPT)
        try:
            connection.run(f"LOCK TABLE {GATE} IN ACCESS EXCLUSIVE MODE")
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCKED:
                raise
            connection.run("ROLLBACK TO SAVEPOINT gate")
            if time.monotonic() > end:
                raise Busy("Readers kept the catalog open.") from error
            time.sleep(0.05)
        else:
            connection.run("RELEASE SAVEPOINT gate")
            return


def _column_statements(change: Difference) -> Iterable[str]:
    """What follows ``ALTER TABLE name`` to bring the columns of a table to their new state."""
    for column in change.dropped:
        yield f"DROP COLUMN {quote(column.storage)}"
    for was, now in change.renamed:
        yield f"RENAME COLUMN {quote(was.storage)} TO {quote(now.storage)}"
    for was, now in change.retyped:
        name = quote(now.storage)
        if column_type(was.type) != column_type(now.type):
            yield (
                f"ALTER COLUMN {name} TYPE {column_type(now.type)} USING {converted(name, was.type, now.type)}"
            )
    for column in change.added:
        filler = _filler(column)
        yield f"ADD COLUMN {_column_clause(column)}{filler}"
        if filler:
            yield f"ALTER COLUMN {quote(column.storage)} DROP DEFAULT"


def _filler(column: Column) -> str:
    """The clause that gives rows that are there their values in a new column."""
    if is_serial(column.type):
        return f" DEFAULT nextval('pg_temp.{_sequence(column)}')"
    return "" if stored_default(column) is None else f" DEFAULT {_literal(column)}"


def _sequence(column: Column) -> str:
    return quote(f"{INTERNAL}numbers_{column.rid}")


def _column_clause(column: Column) -> str:
    rule = "" if column.nullok else " NOT NULL"
    return f"{quote(column.storage)} {column_type(column.type)}{rule}"


def _literal(column: Column) -> str:
    text = text_value(column.type, stored_default(column))
    return "NULL" if text is None else f"{text_literal(text)}::{column_type(column.type)}"


def _constraint(fkey: ForeignKey) -> str:
    return f"{INTERNAL}fkey_{fkey.rid}"
