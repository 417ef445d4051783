"""How each change of the model turns one model into the next.

Every function takes a model and gives a new one, sharing what did not change. Names that refer to a renamed element
follow it. Storage names of new elements are left empty for the database to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from deriva_server.errors import BadRequest, Conflict, Forbidden
from deriva_server.model import check, parse
from deriva_server.model.elements import SYSTEM_COLUMNS, Column, ForeignKey, Key, Model, Schema, Table
from deriva_server.model.parse import ForeignKeyRequest, NewRid
from deriva_server.model.types import type_from_document

HISTORY_CAPTURE = "tag:isrd.isi.edu,2020:history-capture"
"""Annotation of a table that is false where no history of the table shall be kept."""

_Named = TypeVar("_Named", Schema, Table)


def _renamed(items: Mapping[str, _Named], old: str, new: _Named) -> dict[str, _Named]:
    """The mapping with one member replaced in its place."""
    return {
        (new.name if name == old else name): (new if name == old else item) for name, item in items.items()
    }


def put_schema(model: Model, schema: Schema, was: str | None = None) -> Model:
    """Add a schema, or replace the one named `was`."""
    if was is None:
        return replace(model, schemas={**model.schemas, schema.name: schema})
    return replace(model, schemas=_renamed(model.schemas, was, schema))


def put_table(model: Model, table: Table, was: Table | None = None) -> Model:
    """Add a table, or replace `was`, which may lie in another schema or bear another name."""
    if was is None or was.schema != table.schema:
        if was is not None:
            left = model.schemas[was.schema]
            model = put_schema(
                model,
                replace(left, tables={n: t for n, t in left.tables.items() if n != was.name}),
                left.name,
            )
        schema = model.schemas[table.schema]
        return put_schema(model, replace(schema, tables={**schema.tables, table.name: table}), schema.name)
    schema = model.schemas[table.schema]
    return put_schema(model, replace(schema, tables=_renamed(schema.tables, was.name, table)), schema.name)


def with_member(table: Table, new: Column | Key | ForeignKey) -> Table:
    """The table with another version of one of its columns, keys or foreign keys."""
    match new:
        case Column():
            return replace(
                table, columns=tuple(new if item.rid == new.rid else item for item in table.columns)
            )
        case Key():
            return replace(table, keys=tuple(new if item.rid == new.rid else item for item in table.keys))
        case ForeignKey():
            fkeys = tuple(new if item.rid == new.rid else item for item in table.foreign_keys)
            return replace(table, foreign_keys=fkeys)


def _update_references(
    model: Model, change: Callable[[ForeignKey], ForeignKey], target: tuple[str, str]
) -> Model:
    """Apply `change` to every foreign key that refers to the table `target`."""
    for table in {table.rid: table for table, _ in model.referrers.get(target, ())}.values():
        fkeys = tuple(
            change(fkey) if (fkey.referenced_schema, fkey.referenced_table) == target else fkey
            for fkey in table.foreign_keys
        )
        model = put_table(model, replace(table, foreign_keys=fkeys), table)
    return model


def add_schema(model: Model, schema: Schema) -> Model:
    """Add an empty schema."""
    check.check_schema_name(model, schema.name)
    return put_schema(model, schema)


def alter_schema(model: Model, schema: Schema, name: str | None, details: Mapping[str, Any]) -> Model:
    """Rename a schema or replace its comment, annotations or access lists."""
    model = put_schema(model, replace(schema, **details), schema.name)
    if name is None or name == schema.name:
        return model
    check.check_schema_name(model, name)
    for table in schema.tables.values():
        model = _update_references(
            model, lambda fkey: replace(fkey, referenced_schema=name), (schema.name, table.name)
        )
    now = model.schemas[schema.name]
    tables = {table.name: replace(table, schema=name) for table in now.tables.values()}
    return put_schema(model, replace(now, name=name, tables=tables), schema.name)


def drop_schema(model: Model, schema: Schema) -> Model:
    """Remove an empty schema."""
    if schema.tables:
        raise Conflict(f'Schema "{schema.name}" is not empty.')
    return replace(model, schemas={name: item for name, item in model.schemas.items() if name != schema.name})


def add_table(model: Model, table: Table, keys: Iterable[Any], new_rid: NewRid) -> Model:
    """Add a table with its keys, given as documents; its foreign keys are added apart."""
    schema = check.require_schema(model, table.schema)
    if table.name in schema.tables:
        raise Conflict(f'Table "{table.schema}:{table.name}" already exists.')
    names = [column.name for column in table.columns]
    if len(set(names)) < len(names):
        raise Conflict(f'Table "{table.name}" defines a column twice.')
    model = put_table(model, table)
    for document in keys:
        model = add_key(model, model.schemas[table.schema].tables[table.name], document, new_rid)[0]
    return model


def alter_table(
    model: Model, table: Table, name: str | None, schema: str | None, details: Mapping[str, Any]
) -> Model:
    """Rename or move a table or replace its comment, annotations or access rules."""
    name, schema = name or table.name, schema or table.schema
    if (schema, name) == table.qualified:
        return put_table(model, replace(table, **details), table)
    target = check.require_schema(model, schema)
    if name in target.tables:
        raise Conflict(f'Table "{schema}:{name}" already exists.')
    if schema != table.schema:
        for key in table.keys:
            check.check_key_name(model, replace(table, schema=schema), key.name)
    new = (schema, name)
    model = _update_references(
        model, lambda fkey: replace(fkey, referenced_schema=new[0], referenced_table=new[1]), table.qualified
    )
    now = model.schemas[table.schema].tables[table.name]
    return put_table(model, replace(now, schema=schema, name=name, **details), table)


def drop_table(model: Model, table: Table) -> Model:
    """Remove a table that no other table refers to."""
    users = check.referrers_from_elsewhere(model, table)
    if users:
        other, fkey = users[0]
        raise Conflict(
            f'Table "{table.schema}:{table.name}" is referenced by foreign key "{fkey.name}" of table '
            f'"{other.schema}:{other.name}".'
        )
    schema = model.schemas[table.schema]
    return put_schema(
        model,
        replace(schema, tables={name: item for name, item in schema.tables.items() if name != table.name}),
        schema.name,
    )


def add_column(model: Model, table: Table, column: Column) -> Model:
    """Add a column after the last one."""
    if column.name in table.column_by_name:
        raise Conflict(f'Column "{column.name}" already exists in table "{table.schema}:{table.name}".')
    return put_table(model, replace(table, columns=(*table.columns, column)), table)


def altered_column(column: Column, body: Mapping[str, Any]) -> Column:
    """The column with what a document says of it, and nothing else, changed.

    Raises
    ------
    BadRequest, Conflict
        If the document is malformed, or its type or default cannot be.
    Forbidden
        If it changes what makes a system column.
    """
    fields = parse.details(body, "column")
    if "name" in body:
        fields["name"] = parse.identifier(body["name"], "name of a column")
    if "type" in body:
        fields["type"] = type_from_document(body["type"])
    if "nullok" in body:
        fields["nullok"] = parse.boolean(body["nullok"], "nullok")
    if "default" in body and column.name not in SYSTEM_COLUMNS:
        fields["default"] = parse.column_default(fields.get("type", column.type), body["default"])
    new = replace(column, **fields)
    if column.name in SYSTEM_COLUMNS and (new.name, new.type, new.nullok) != (
        column.name,
        column.type,
        column.nullok,
    ):
        raise Forbidden(f'System column "{column.name}" cannot be renamed or retyped.')
    if new.name != column.name and new.name in SYSTEM_COLUMNS:
        raise Forbidden(f'"{new.name}" is the name of a system column.')
    if "default" not in body and new.type != column.type:
        new = replace(new, default=parse.column_default(new.type, new.default))
    return new


def alter_column(model: Model, table: Table, column: Column, new: Column) -> Model:
    """Replace a column by another version of it, maybe renamed."""
    renamed = new.name != column.name
    if renamed and new.name in table.column_by_name:
        raise Conflict(f'Column "{new.name}" already exists in table "{table.schema}:{table.name}".')

    def follow(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new.name if name == column.name else name for name in names)

    columns = tuple(new if item.rid == column.rid else item for item in table.columns)
    if new.type != column.type:
        check.check_type(model, table, column, new)
    if not renamed:
        return put_table(model, replace(table, columns=columns), table)
    model = _update_references(
        model,
        lambda fkey: replace(fkey, referenced_columns=follow(fkey.referenced_columns)),
        table.qualified,
    )
    now = model.schemas[table.schema].tables[table.name]
    return put_table(
        model,
        replace(
            now,
            columns=columns,
            keys=tuple(replace(key, columns=follow(key.columns)) for key in now.keys),
            foreign_keys=tuple(replace(fkey, columns=follow(fkey.columns)) for fkey in now.foreign_keys),
        ),
        table,
    )


def drop_column(model: Model, table: Table, column: Column) -> Model:
    """Remove a column with the keys and foreign keys of its table that use it."""
    check.check_drop_column(model, table, column)
    return put_table(
        model,
        replace(
            table,
            columns=tuple(item for item in table.columns if item.rid != column.rid),
            keys=tuple(key for key in table.keys if column.name not in key.columns),
            foreign_keys=tuple(fkey for fkey in table.foreign_keys if column.name not in fkey.columns),
        ),
        table,
    )


def add_key(model: Model, table: Table, document: Any, new_rid: NewRid) -> tuple[Model, Key]:
    """Add the key that a document describes."""
    key, unnamed = parse.key(document, new_rid)
    if unnamed:
        taken = frozenset(check.constraint_names(model))
        key = replace(key, name=check.choose_name(table.name, key.columns, "key", taken))
    check.check_key(model, table, key)
    return put_table(model, replace(table, keys=(*table.keys, key)), table), key


def alter_key(model: Model, table: Table, key: Key, document: Mapping[str, Any]) -> tuple[Model, Key]:
    """Rename a key or replace its comment or annotations."""
    if "unique_columns" in document and set(parse.key_columns(document)) != set(key.columns):
        raise BadRequest("The columns of a key cannot change.")
    new = replace(key, **parse.details(document, "key"))
    name = parse.constraint_name(document.get("names"))
    if name is not None and name != key.name:
        check.check_key_name(model, table, name)
        new = replace(new, name=name)
    return put_table(model, with_member(table, new), table), new


def drop_key(model: Model, table: Table, key: Key) -> Model:
    """Remove a key that nothing refers to."""
    check.check_drop_key(model, table, key)
    return put_table(model, replace(table, keys=tuple(item for item in table.keys if item is not key)), table)


def add_foreign_key(model: Model, request: ForeignKeyRequest, new_rid: NewRid) -> tuple[Model, ForeignKey]:
    """Add the foreign key asked for."""
    table = check.require_table(model, *request.table)
    check.check_foreign_key(model, table, request)
    name = request.name
    if name is None:
        taken = frozenset(check.constraint_names(model))
        name = check.choose_name(table.name, request.columns, "fkey", taken)
    fkey = parse.new_foreign_key(request, name, new_rid)
    return put_table(model, replace(table, foreign_keys=(*table.foreign_keys, fkey)), table), fkey


def put_foreign_key(model: Model, table: Table, new: ForeignKey) -> Model:
    """Replace a foreign key by another version of it."""
    was = next(item for item in table.foreign_keys if item.rid == new.rid)
    if new.name != was.name:
        check.check_foreign_key_name(table, new.name)
    return put_table(model, with_member(table, new), table)


def drop_foreign_key(model: Model, table: Table, fkey: ForeignKey) -> Model:
    """Remove a foreign key."""
    fkeys = tuple(item for item in table.foreign_keys if item.rid != fkey.rid)
    return put_table(model, replace(table, foreign_keys=fkeys), table)


def with_history(model: Model) -> Model:
    """The model as snapshots show it: without tables that keep no history, and without references to them."""
    hidden = {table.qualified for table in model.tables() if table.annotations.get(HISTORY_CAPTURE) is False}
    for table in [table for table in model.tables() if hidden]:
        if table.qualified in hidden:
            schema = model.schemas[table.schema]
            tables = {name: item for name, item in schema.tables.items() if name != table.name}
            model = put_schema(model, replace(schema, tables=tables), schema.name)
            continue
        fkeys = tuple(
            f for f in table.foreign_keys if (f.referenced_schema, f.referenced_table) not in hidden
        )
        if len(fkeys) < len(table.foreign_keys):
            model = put_table(model, replace(table, foreign_keys=fkeys), table)
    return model
