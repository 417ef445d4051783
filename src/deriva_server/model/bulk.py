"""Many new elements at once: the two forms of a bulk document."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deriva_server.errors import BadRequest
from deriva_server.model import changes, parse
from deriva_server.model.bindings import check_binding
from deriva_server.model.elements import Model, Schema, Table
from deriva_server.model.parse import ForeignKeyRequest, NewRid

Owned = Callable[[Model, Schema | Table], Schema | Table]
"""Gives a new schema or table the access lists that make its creator own it."""


class Bulk:
    """Collects new elements; foreign keys are made last, so that tables may refer to each other.

    Parameters
    ----------
    model : Model
        The model so far.
    new_rid : callable
        Gives RIDs.
    owned : callable
        Decides about the ownership of new schemas and tables, and whether they may be made at all.

    Attributes
    ----------
    created : list of Schema or Table
        New schemas and tables in the order of the documents.
    """

    def __init__(self, model: Model, new_rid: NewRid, owned: Owned) -> None:
        self.model = model
        self.created: list[Schema | Table] = []
        self._before = model
        self._new_rid = new_rid
        self._owned = owned
        self._references: list[ForeignKeyRequest] = []

    def add(self, body: Any) -> Model:
        """Add everything that a bulk document describes.

        Raises
        ------
        BadRequest
            If it is in neither form.
        """
        if isinstance(body, Mapping):
            schemas = body.get("schemas")
            if not isinstance(schemas, Mapping):
                raise BadRequest("A bulk document must be a list, or an object with schemas.")
            for name, document in schemas.items():
                self.add_schema(document, name)
        elif isinstance(body, list):
            self._add_list(body)
        else:
            raise BadRequest("A bulk document must be a list, or an object with schemas.")
        return self.finish()

    def _add_list(self, documents: list[Any]) -> None:
        """Add listed elements: schemas first, so that they may be listed after their tables."""
        kinds = [_kind(document) for document in documents]
        created: dict[int, Schema | Table] = {}
        for wanted in ("schema", "table"):
            for place, (kind, document) in enumerate(zip(kinds, documents, strict=True)):
                if kind == wanted == "schema":
                    self.add_schema(document)
                elif kind == wanted:
                    self.add_table(document)
                else:
                    continue
                created[place] = self.created.pop()
        self.created = [created[place] for place in sorted(created)]
        for kind, document in zip(kinds, documents, strict=True):
            if kind == "foreign key":
                self._references.append(parse.foreign_key(document))

    def add_schema(self, document: Any, name: str | None = None) -> None:
        """Add a schema with its tables."""
        schema = self._owned(self.model, parse.schema(document, self._new_rid, name))
        assert isinstance(schema, Schema)
        self.model = changes.add_schema(self.model, schema)
        self.created.append(schema)
        tables = document.get("tables")
        tables = {} if tables is None else tables
        if not isinstance(tables, Mapping):
            raise BadRequest("tables of a schema must be a JSON object.")
        for table_name, table in tables.items():
            given = parse.an_object(table, "table")
            if given.get("table_name", table_name) != table_name:
                raise BadRequest(f'Table name "{given["table_name"]}" differs from "{table_name}".')
            self.add_table({**given, "table_name": table_name}, schema.name, listed=False)

    def add_table(self, document: Any, schema_name: str | None = None, *, listed: bool = True) -> None:
        """Add a table with columns and keys, and remember its foreign keys."""
        table, keys, references = parse.table(document, schema_name, self._new_rid)
        owned = self._owned(self.model, table)
        assert isinstance(owned, Table)
        self.model = changes.add_table(self.model, owned, keys, self._new_rid)
        self._references += [parse.foreign_key(reference, table.qualified) for reference in references]
        if listed:
            self.created.append(owned)

    def finish(self) -> Model:
        """Make the foreign keys and check the access rules; gives the model."""
        for request in self._references:
            self.model, fkey = changes.add_foreign_key(self.model, request, self._new_rid)
            target = self.model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
            for binding in fkey.acl_bindings.values():
                check_binding(self.model, target, binding, "foreign_key")
        known = {table.rid for table in self._before.tables()}
        for table in self.model.tables():
            if table.rid not in known:
                check_table_bindings(self.model, table)
        return self.model


def _kind(document: Any) -> str:
    if not isinstance(document, Mapping):
        raise BadRequest("Members of a bulk list must be JSON objects.")
    if "table_name" in document:
        return "table"
    if "foreign_key_columns" in document:
        return "foreign key"
    if "schema_name" in document:
        return "schema"
    raise BadRequest("A member of a bulk list must describe a schema, a table or a foreign key.")


def check_table_bindings(model: Model, table: Table) -> None:
    """Check the bindings of a table and its columns."""
    for binding in table.acl_bindings.values():
        check_binding(model, table, binding, "table")
    for column in table.columns:
        for binding in column.acl_bindings.values():
            check_binding(model, table, binding, "column")
