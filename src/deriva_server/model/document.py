"""The documents of model elements as clients read them.

What a caller may see, and which rights a document shows, is asked of a `Viewer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from deriva_server.model.elements import Column, ForeignKey, Key, Model, Schema, Table
from deriva_server.model.parse import ACL_NAMES
from deriva_server.model.types import type_document

Document = dict[str, Any]


class Viewer(Protocol):
    """Decisions for the caller that a document is made for; None where the row decides."""

    def catalog(self, right: str) -> bool | None:
        """Decide about the catalog."""

    def schema(self, schema: Schema, right: str) -> bool | None:
        """Decide about a schema."""

    def table(self, table: Table, right: str) -> bool | None:
        """Decide about a table."""

    def column(self, table: Table, column: Column, right: str) -> bool | None:
        """Decide about a column."""

    def shows_key(self, table: Table, key: Key) -> bool:
        """Whether a key is visible."""

    def shows_foreign_key(self, table: Table, fkey: ForeignKey) -> bool:
        """Whether a foreign key is visible."""

    def foreign_key_right(self, table: Table, fkey: ForeignKey, right: str) -> bool | None:
        """Decide about using a foreign key."""


_SWITCHES = (
    "trs tcrs history_control implicit_fkey_index catalog_post_input catalog_alias quantified_value_lists "
    "quantified_rid_lists rid_lease registry_catalog csv_array_json object_metrics walk"
)

FEATURES: Mapping[str, Any] = {
    **dict.fromkeys(_SWITCHES.split(), True),
    "indexing_preferences": {"btree": True, "btree_column_list": True, "trgm": True, "gin_array": True},
}
"""What the service can do, as clients ask for it."""


class Documents:
    """Makes documents for one caller at one moment.

    Parameters
    ----------
    viewer : Viewer
        The caller's decisions.
    is_past : bool
        Whether the model is one of a snapshot, where nothing may be changed.
    """

    def __init__(self, viewer: Viewer, *, is_past: bool = False) -> None:
        self.viewer = viewer
        self.is_past = is_past

    def _right(self, right: str, decision: bool | None) -> bool | None:
        return False if self.is_past and right != "select" else decision

    def catalog_rights(self) -> Document:
        """Rights on the catalog."""
        return {right: self._right(right, self.viewer.catalog(right)) for right in ("owner", "create")}

    def catalog_acls(self, model: Model) -> Document:
        """Access lists of the catalog, all names."""
        return {name: model.acls.get(name, []) for name in ACL_NAMES["catalog"]}

    def model(self, model: Model, snaptime: str) -> Document:
        """The whole model."""
        document: Document = {
            "snaptime": snaptime,
            "annotations": dict(model.annotations),
            "rights": self.catalog_rights(),
            "features": FEATURES,
            "schemas": {
                schema.name: self.schema(schema)
                for schema in model.schemas.values()
                if self.viewer.schema(schema, "enumerate")
            },
        }
        if self.viewer.catalog("owner"):
            document["acls"] = self.catalog_acls(model)
        return document

    def schema(self, schema: Schema, *, with_tables: bool = True) -> Document:
        """A schema with its tables."""
        decide = self.viewer.schema
        document: Document = {
            "RID": schema.rid,
            "schema_name": schema.name,
            "comment": schema.comment,
            "rights": {right: self._right(right, decide(schema, right)) for right in ("owner", "create")},
            "annotations": dict(schema.annotations),
            "tables": {table.name: self.table(table) for table in self.tables(schema)} if with_tables else {},
        }
        if decide(schema, "owner"):
            document["acls"] = dict(schema.acls)
        return document

    def tables(self, schema: Schema) -> list[Table]:
        """The visible tables of a schema."""
        return [table for table in schema.tables.values() if self.viewer.table(table, "enumerate")]

    def table(self, table: Table) -> Document:
        """A table with columns, keys and foreign keys."""
        decide = self.viewer.table
        document: Document = {
            "RID": table.rid,
            "schema_name": table.schema,
            "table_name": table.name,
            "kind": table.kind,
            "comment": table.comment,
            "rights": {
                right: self._right(right, decide(table, right))
                for right in ("owner", "insert", "update", "delete", "select")
            },
            "annotations": dict(table.annotations),
            "column_definitions": [self.column(table, column) for column in self.columns(table)],
            "keys": [self.key(table, key) for key in table.keys if self.viewer.shows_key(table, key)],
            "foreign_keys": [self.foreign_key(table, fkey) for fkey in self.foreign_keys(table)],
        }
        if decide(table, "owner"):
            document["acls"] = dict(table.acls)
            document["acl_bindings"] = dict(table.acl_bindings)
        return document

    def columns(self, table: Table) -> list[Column]:
        """The visible columns of a table."""
        return [column for column in table.columns if self.viewer.column(table, column, "enumerate")]

    def foreign_keys(self, table: Table) -> list[ForeignKey]:
        """The visible foreign keys of a table."""
        return [fkey for fkey in table.foreign_keys if self.viewer.shows_foreign_key(table, fkey)]

    def column(self, table: Table, column: Column) -> Document:
        """A column."""
        decide = self.viewer.column
        document: Document = {
            "RID": column.rid,
            "name": column.name,
            "type": type_document(column.type),
            "default": column.default,
            "nullok": column.nullok,
            "comment": column.comment,
            "rights": {
                right: self._right(right, decide(table, column, right))
                for right in ("insert", "update", "select", "delete")
            },
            "annotations": dict(column.annotations),
        }
        if self.viewer.table(table, "owner"):
            document["acls"] = dict(column.acls)
            document["acl_bindings"] = dict(column.acl_bindings)
        return document

    def key(self, table: Table, key: Key) -> Document:
        """A key."""
        return {
            "RID": key.rid,
            "unique_columns": list(key.columns),
            "names": [[table.schema, key.name]],
            "comment": key.comment,
            "annotations": dict(key.annotations),
        }

    def foreign_key(self, table: Table, fkey: ForeignKey) -> Document:
        """A foreign key."""
        document: Document = {
            "RID": fkey.rid,
            "foreign_key_columns": [
                {"schema_name": table.schema, "table_name": table.name, "column_name": name}
                for name in fkey.columns
            ],
            "referenced_columns": [
                {
                    "schema_name": fkey.referenced_schema,
                    "table_name": fkey.referenced_table,
                    "column_name": name,
                }
                for name in fkey.referenced_columns
            ],
            "names": [[table.schema, fkey.name]],
            "rights": {
                right: self._right(right, self.viewer.foreign_key_right(table, fkey, right))
                for right in ("insert", "update")
            },
            "comment": fkey.comment,
            "annotations": dict(fkey.annotations),
            "on_delete": fkey.on_delete,
            "on_update": fkey.on_update,
        }
        if self.viewer.table(table, "owner"):
            document["acls"] = dict(fkey.acls)
            document["acl_bindings"] = dict(fkey.acl_bindings)
        return document
