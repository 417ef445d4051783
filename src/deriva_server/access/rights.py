"""Which right each operation on rows needs, and what of a model a caller can see."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from deriva_server.access.acls import Decision, Rights
from deriva_server.errors import Forbidden, ServiceError, Unauthorized
from deriva_server.model.elements import SYSTEM_COLUMNS, Column, Model, Schema, Table
from deriva_server.plan.relation import Joined, Query, RowRights
from deriva_server.plan.writes import Insert, Update


class RowAccess:
    """May a caller do something to rows?

    Parameters
    ----------
    rights : Rights
        The decisions for the caller on the model at the moment of the request.
    is_past : bool
        A snapshot is read: nothing in it can be changed.

    Attributes
    ----------
    model : Model
        What of the model the caller can see; names of anything else do not exist for it.
    """

    def __init__(self, rights: Rights, *, is_past: bool = False) -> None:
        self._rights = rights
        self._is_past = is_past
        self.model = self._visible(rights.model)

    @property
    def is_owner(self) -> bool:
        """Whether the caller owns the catalog."""
        return self._rights.catalog("owner") is True

    def _visible(self, model: Model) -> Model:
        if self.is_owner:
            return model
        return replace(
            model,
            schemas={
                name: self._visible_schema(schema)
                for name, schema in model.schemas.items()
                if self._rights.schema(schema, "enumerate")
            },
        )

    def _visible_schema(self, schema: Schema) -> Schema:
        tables = {
            name: self._visible_table(table)
            for name, table in schema.tables.items()
            if self._rights.table(table, "enumerate")
        }
        return replace(schema, tables=tables)

    def _visible_table(self, table: Table) -> Table:
        rights = self._rights
        columns = tuple(column for column in table.columns if rights.column(table, column, "enumerate"))
        fkeys = tuple(fkey for fkey in table.foreign_keys if rights.shows_foreign_key(table, fkey))
        return replace(table, columns=columns, foreign_keys=fkeys)

    def denied(self, what: str) -> ServiceError:
        """The error for an operation that the caller may not do."""
        error = Unauthorized if self._rights.is_anonymous else Forbidden
        return error(f"You may not {what}.")

    def _require(self, decision: Decision, what: str) -> None:
        if decision is not True:
            raise self.denied(what)

    def check_path(self, joined: Joined) -> None:
        """Refuse a path over tables, or filters on columns, that the caller may not select."""
        for table in joined.tables:
            self._require(self._rights.table(table, "select"), f'select rows of table "{table.name}"')
        self._check_columns(joined, joined.columns_filtered())

    def check_read(self, query: Query) -> None:
        """Refuse a read that touches anything the caller may not select."""
        self.check_path(query.joined)
        self._check_columns(query.joined, query.columns_read())

    def _check_columns(self, joined: Joined, columns: Iterable[tuple[int, Column]]) -> None:
        if self.is_owner:
            return
        for instance, column in columns:
            table = joined.tables[instance]
            self._require(
                self._rights.column(table, column, "select"),
                f'select column "{column.name}" of table "{table.name}"',
            )

    def check_insert(self, plan: Insert, references: Iterable[str]) -> None:
        """Refuse an insert; `references` names the foreign keys with values."""
        table = plan.table
        self._require(self._rights.table(table, "insert"), f'insert rows into table "{table.name}"')
        for field in plan.given:
            name = field.column.name
            if name in ("RMT", "RMB") or (name in ("RCT", "RCB") and not self.is_owner):
                raise self.denied(f'give values for column "{name}"')
            if name not in SYSTEM_COLUMNS:
                self._require(self._rights.column(table, field.column, "insert"), f'insert column "{name}"')
        self._check_references(table, references, "insert")

    def check_update(self, plan: Update, references: Iterable[str]) -> None:
        """Refuse an update; `references` names the foreign keys that get values."""
        table = plan.table
        self._require(self._rights.table(table, "update"), f'update rows of table "{table.name}"')
        for field in plan.targets:
            if field.column.name in SYSTEM_COLUMNS and field.column.name != "RCT":
                raise self.denied(f'update column "{field.column.name}"')
            self._require(
                self._rights.column(table, field.column, "update"), f'update column "{field.column.name}"'
            )
        self._check_references(table, references, "update")

    def check_clear(self, table: Table, columns: Iterable[Column]) -> None:
        """Refuse to set columns to NULL."""
        self._require(self._rights.table(table, "update"), f'update rows of table "{table.name}"')
        for column in columns:
            if column.name in SYSTEM_COLUMNS:
                raise self.denied(f'update column "{column.name}"')
            self._require(self._rights.column(table, column, "update"), f'update column "{column.name}"')

    def check_delete(self, table: Table) -> None:
        """Refuse to delete rows."""
        self._require(self._rights.table(table, "delete"), f'delete rows of table "{table.name}"')

    def _check_references(self, table: Table, references: Iterable[str], right: str) -> None:
        wanted = set(references)
        for fkey in table.foreign_keys:
            if fkey.name in wanted:
                self._require(
                    self._rights.foreign_key(table, fkey, right),
                    f'refer to rows through foreign key "{fkey.name}"',
                )

    def summary(self, query: Query) -> dict[tuple[int, bool], str]:
        """JSON text of every rights summary of a query, by table instance and whether it goes by column."""
        found = {}
        for output in query.outputs:
            if isinstance(output.expression, RowRights):
                table = query.joined.tables[output.expression.instance]
                by_column = output.expression.by_column
                found[output.expression.instance, by_column] = self._summary(table, by_column)
        return found

    def _summary(self, table: Table, by_column: bool) -> str:
        document: dict[str, object] = {
            right: self._rights.table(table, right) is True and not self._is_past
            for right in ("update", "delete")
        }
        if by_column:
            document["column_update"] = {
                column.name: column.name not in SYSTEM_COLUMNS
                and not self._is_past
                and self._rights.column(table, column, "update") is True
                for column in table.columns
            }
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
