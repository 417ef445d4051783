"""Load and save the model of one catalog.

A stored document is the whole of one element group: the catalog's own settings, a schema without its tables, or a
table with columns, keys and foreign keys. Groups that did not change are recognised by identity and not written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deriva_server.model.elements import EMPTY, Column, ForeignKey, Key, Model, Schema, Table, Type
from deriva_server.model.types import type_named
from deriva_server.names import decode_id
from deriva_server.sql import modelstore
from deriva_server.sql.dialect import Connection

CATALOG = "catalog"
"""Key of the catalog's own settings, in place of a RID."""
_Stored = dict[str, Any]


def load(connection: Connection, as_of: int | None = None) -> Model:
    """The model as it is, or as it was at a snapshot."""
    if as_of is None:
        rows = modelstore.read_documents(connection)
    else:
        rows = modelstore.read_past_documents(connection, as_of)
    catalog: _Stored = {}
    schemas: dict[str, Schema] = {}
    tables: dict[str, dict[str, Table]] = {}
    types: dict[str, Type] = {}
    for rid, document in sorted(rows, key=lambda row: -1 if row[0] == CATALOG else decode_id(row[0])):
        stored = json.loads(document)
        if rid == CATALOG:
            catalog = stored
        elif "schema" in stored:
            table = _load_table(rid, stored, types)
            tables.setdefault(table.schema, {})[table.name] = table
        else:
            schemas[stored["name"]] = Schema(rid, **stored)
    return Model(
        {name: replace(schema, tables=tables.get(name, {})) for name, schema in schemas.items()},
        catalog.get("annotations", {}),
        catalog.get("acls", {}),
    )


def save(connection: Connection, old: Model, new: Model, now: int) -> None:
    """Store what differs between two models, keeping what was as history."""
    before, after = _groups(old), _groups(new)
    changed = {
        rid: text(_stored(group)) for rid, group in after.items() if not _is_same(before.get(rid), group)
    }
    modelstore.write_documents(connection, changed, before.keys() - after.keys(), now)


def text(stored: _Stored) -> str:
    """A stored document as it is kept."""
    return json.dumps(stored, separators=(",", ":"), ensure_ascii=False)


def _groups(model: Model) -> dict[str, Model | Schema | Table]:
    groups: dict[str, Model | Schema | Table] = {}
    if model.schemas or model.acls:
        groups[CATALOG] = model
    for schema in model.schemas.values():
        groups[schema.rid] = schema
        for table in schema.tables.values():
            groups[table.rid] = table
    return groups


def _is_same(old: Model | Schema | Table | None, new: Model | Schema | Table) -> bool:
    if old is new:
        return True
    return old is not None and not isinstance(new, Table) and _stored(old) == _stored(new)


def _stored(group: Model | Schema | Table) -> _Stored:
    if isinstance(group, Model):
        return {"annotations": dict(group.annotations), "acls": dict(group.acls)}
    if isinstance(group, Schema):
        return {"name": group.name} | _details(group, "comment", "annotations", "acls")
    return (
        {
            "schema": group.schema,
            "name": group.name,
            "storage": group.storage,
            "columns": [_stored_column(column) for column in group.columns],
            "keys": [_stored_key(key) for key in group.keys],
            "foreign_keys": [_stored_foreign_key(fkey) for fkey in group.foreign_keys],
        }
        | _details(group, "comment", "annotations", "acls", "acl_bindings", "live_since")
        | ({} if group.kind == "table" else {"kind": group.kind})
    )


def _details(element: object, *names: str) -> _Stored:
    """The fields that say something; most elements have few."""
    values = {name: getattr(element, name) for name in names}
    return {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in values.items()
        if value or value == ""
    }


def _stored_column(column: Column) -> _Stored:
    stored: _Stored = {"rid": column.rid, "name": column.name, "type": column.type.name}
    stored |= _details(column, "comment", "annotations", "acls", "acl_bindings")
    if not column.nullok:
        stored["nullok"] = False
    if column.default is not None:
        stored["default"] = column.default
    if column.storage != column.name:
        stored["storage"] = column.storage
    return stored


def _stored_key(key: Key) -> _Stored:
    return {"rid": key.rid, "name": key.name, "columns": list(key.columns)} | _details(
        key, "comment", "annotations"
    )


def _stored_foreign_key(fkey: ForeignKey) -> _Stored:
    return {
        "rid": fkey.rid,
        "name": fkey.name,
        "columns": list(fkey.columns),
        "referenced_schema": fkey.referenced_schema,
        "referenced_table": fkey.referenced_table,
        "referenced_columns": list(fkey.referenced_columns),
        "on_update": fkey.on_update,
        "on_delete": fkey.on_delete,
    } | _details(fkey, "comment", "annotations", "acls", "acl_bindings")


def _load_table(rid: str, stored: _Stored, types: dict[str, Type]) -> Table:
    columns, keys, fkeys = stored.pop("columns"), stored.pop("keys"), stored.pop("foreign_keys")
    return Table(
        rid,
        columns=tuple(_load_column(column, types) for column in columns),
        keys=tuple(Key(**key | {"columns": tuple(key["columns"])}) for key in keys),
        foreign_keys=tuple(_load_foreign_key(fkey) for fkey in fkeys),
        **stored,
    )


def _load_column(stored: _Stored, types: dict[str, Type]) -> Column:
    name = stored["type"]
    found = types.get(name)
    if found is None:
        found = types[name] = type_named(name)
    stored["type"] = found
    stored.setdefault("storage", stored["name"])
    return Column(**stored)


def _load_foreign_key(stored: _Stored) -> ForeignKey:
    stored["columns"] = tuple(stored["columns"])
    stored["referenced_columns"] = tuple(stored["referenced_columns"])
    return ForeignKey(**stored)


NOTHING = Model(EMPTY, EMPTY, {})
"""The model of a catalog that is being created."""
