"""Is a change legal? Rules that need the whole model."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model.elements import SYSTEM_COLUMNS, Column, ForeignKey, Key, Model, Schema, Table
from deriva_server.model.parse import ForeignKeyRequest
from deriva_server.model.types import is_serial
from deriva_server.names import NAME_BYTES

_UNCOMPARABLE = frozenset(("json",))


def require_schema(model: Model, name: str) -> Schema:
    """The schema of that name.

    Raises
    ------
    Conflict
        If there is none.
    """
    found = model.schemas.get(name)
    if found is None:
        raise Conflict(f'Schema "{name}" does not exist.')
    return found


def check_schema_name(model: Model, name: str) -> None:
    """Whether a schema may get a name.

    Raises
    ------
    Conflict
        If it is taken, or reserved for the service.
    """
    if name in model.schemas:
        raise Conflict(f'Schema "{name}" already exists.')
    if name == "_ermrest" or name.startswith("_ermrest_"):
        raise Conflict(f'Schema name "{name}" is reserved.')


def require_table(model: Model, schema: str, name: str) -> Table:
    """The table of that name.

    Raises
    ------
    Conflict
        If there is none.
    """
    found = require_schema(model, schema).tables.get(name)
    if found is None:
        raise Conflict(f'Table "{schema}:{name}" does not exist.')
    return found


def require_column(table: Table, name: str) -> Column:
    """The column of that name.

    Raises
    ------
    Conflict
        If there is none.
    """
    found = table.column_by_name.get(name)
    if found is None:
        raise Conflict(f'Column "{name}" does not exist in table "{table.schema}:{table.name}".')
    return found


def find_key(table: Table, columns: Collection[str]) -> Key | None:
    """The key over exactly these columns, in any order."""
    wanted = frozenset(columns)
    return next((key for key in table.keys if frozenset(key.columns) == wanted), None)


def find_foreign_keys(table: Table, columns: Collection[str]) -> list[ForeignKey]:
    """The foreign keys over exactly these columns, in any order."""
    wanted = frozenset(columns)
    return [fkey for fkey in table.foreign_keys if frozenset(fkey.columns) == wanted]


def is_same_mapping(fkey: ForeignKey, request: ForeignKeyRequest) -> bool:
    """Whether a foreign key relates the same columns."""
    return (fkey.referenced_schema, fkey.referenced_table) == request.referenced and dict(
        zip(fkey.columns, fkey.referenced_columns, strict=True)
    ) == dict(zip(request.columns, request.referenced_columns, strict=True))


def constraint_names(model: Model) -> Iterator[str]:
    """Names of all keys and foreign keys."""
    for table in model.tables():
        yield from (key.name for key in table.keys)
        yield from (fkey.name for fkey in table.foreign_keys)


def choose_name(table: str, columns: Collection[str], suffix: str, taken: Collection[str]) -> str:
    """A free name for a constraint.

    >>> choose_name("T", ["a", "b"], "key", {"T_a_b_key"})
    'T_a_b_key1'
    """
    count, plain = 0, "_".join((table, *columns))
    while True:
        tail = f"_{suffix}{count or ''}"
        name = plain + tail
        if len(name.encode()) > NAME_BYTES:
            digest = hashlib.sha256(plain.encode()).hexdigest()[:5]
            room = NAME_BYTES - len(f"..{digest}{tail}")
            name = plain.encode()[:room].decode(errors="ignore") + f"..{digest}{tail}"
        if name not in taken:
            return name
        count += 1


def check_key(model: Model, table: Table, key: Key) -> None:
    """Whether `key` may be added to `table`.

    Raises
    ------
    BadRequest
        If a column is unknown.
    Conflict
        If the columns are a key already, cannot be compared, or the name is taken.
    """
    for name in key.columns:
        if name not in table.column_by_name:
            raise BadRequest(f'Column "{name}" does not exist in table "{table.schema}:{table.name}".')
        _check_key_type(table.column_by_name[name])
    if find_key(table, key.columns) is not None:
        raise Conflict(
            f'Columns {", ".join(key.columns)} of table "{table.schema}:{table.name}" are a key already.'
        )
    check_key_name(model, table, key.name)


def _check_key_type(column: Column) -> None:
    if column.type.scalar in _UNCOMPARABLE:
        raise Conflict(
            f'Column "{column.name}" has type json, which cannot be compared and hence not be in a key.'
        )


def check_type(model: Model, table: Table, old: Column, new: Column) -> None:
    """Whether the keys and foreign keys over a column allow another type.

    Raises
    ------
    Conflict
        If one does not.
    """
    if is_serial(new.type):
        raise Conflict(f'Column "{old.name}" cannot become one that numbers rows; add a new column for that.')
    if any(old.name in key.columns for key in table.keys):
        _check_key_type(new)
    for fkey in table.foreign_keys:
        target = model.schemas[fkey.referenced_schema].tables[fkey.referenced_table]
        for name, referenced in zip(fkey.columns, fkey.referenced_columns, strict=True):
            if name == old.name and (target.rid, referenced) != (table.rid, old.name):
                _check_comparable(new, target.column_by_name[referenced])
    for other, fkey in model.referrers.get(table.qualified, ()):
        for name, referenced in zip(fkey.columns, fkey.referenced_columns, strict=True):
            if referenced == old.name and (other.rid, name) != (table.rid, old.name):
                _check_comparable(other.column_by_name[name], new)


def check_key_name(model: Model, table: Table, name: str) -> None:
    """Whether a key of `table` may bear a name, which no other key of the schema or constraint of the table may have."""
    if any(fkey.name == name for fkey in table.foreign_keys):
        raise Conflict(f'Constraint "{name}" exists already on table "{table.schema}:{table.name}".')
    for other in model.schemas[table.schema].tables.values():
        if any(key.name == name for key in other.keys):
            raise Conflict(f'Constraint "{name}" exists already in schema "{table.schema}".')


def check_foreign_key(model: Model, table: Table, request: ForeignKeyRequest) -> None:
    """Whether the foreign key asked for may be added to `table`.

    Raises
    ------
    Conflict
        If names are unknown, no key is referenced, types differ, or it exists already.
    """
    for name in request.columns:
        require_column(table, name)
    target = require_table(model, *request.referenced)
    for name in request.referenced_columns:
        require_column(target, name)
    if find_key(target, request.referenced_columns) is None:
        raise Conflict(
            f'Columns {", ".join(request.referenced_columns)} are not a key of table "{target.schema}:{target.name}".'
        )
    for name, referenced in zip(request.columns, request.referenced_columns, strict=True):
        _check_comparable(table.column_by_name[name], target.column_by_name[referenced])
    if any(is_same_mapping(fkey, request) for fkey in table.foreign_keys):
        raise Conflict(f'The same foreign key exists already on table "{table.schema}:{table.name}".')
    if request.name is not None:
        check_foreign_key_name(table, request.name)


def check_foreign_key_name(table: Table, name: str) -> None:
    """Whether a foreign key of `table` may bear a name."""
    if name in {fkey.name for fkey in table.foreign_keys} | {key.name for key in table.keys}:
        raise Conflict(f'Constraint "{name}" exists already on table "{table.schema}:{table.name}".')


_NUMBERS = ("int", "serial", "float", "numeric", "oid")


def _family(column: Column) -> str:
    scalar = column.type.scalar
    family = "number" if scalar.startswith(_NUMBERS) else scalar
    return f"{family}[]" if column.type.is_array else family


def _check_comparable(column: Column, referenced: Column) -> None:
    if _family(column) != _family(referenced):
        raise Conflict(
            f'Key columns "{column.name}" and "{referenced.name}" are of incompatible types: '
            f"{column.type.name} and {referenced.type.name}."
        )


def referrers_from_elsewhere(model: Model, table: Table) -> list[tuple[Table, ForeignKey]]:
    """Foreign keys of other tables that refer to a table."""
    return [
        (other, fkey) for other, fkey in model.referrers.get(table.qualified, ()) if other.rid != table.rid
    ]


def referrers_of_key(model: Model, table: Table, key: Key) -> list[tuple[Table, ForeignKey]]:
    """Foreign keys that refer to a key."""
    wanted = frozenset(key.columns)
    return [
        (other, fkey)
        for other, fkey in model.referrers.get(table.qualified, ())
        if frozenset(fkey.referenced_columns) == wanted
    ]


def check_drop_key(model: Model, table: Table, key: Key) -> None:
    """Whether a key may go.

    Raises
    ------
    Conflict
        If a foreign key refers to it, or no other key identifies rows.
    """
    users = referrers_of_key(model, table, key)
    if users:
        raise Conflict(
            f'Key ({", ".join(key.columns)}) of table "{table.schema}:{table.name}" is referenced by foreign key '
            f'"{users[0][1].name}" of table "{users[0][0].schema}:{users[0][0].name}".'
        )
    columns: Mapping[str, Column] = table.column_by_name
    others = [other for other in table.keys if other is not key]
    if not any(all(not columns[name].nullok for name in other.columns) for other in others):
        raise Conflict(
            f'The last key of table "{table.schema}:{table.name}" without nullable columns cannot go.'
        )


def check_drop_column(model: Model, table: Table, column: Column) -> None:
    """Whether a column may go with the keys and foreign keys of its table that use it.

    Raises
    ------
    Conflict
        If it is a system column or a foreign key elsewhere needs it.
    """
    if column.name in SYSTEM_COLUMNS:
        raise Conflict(f'System column "{column.name}" cannot be dropped.')
    for key in table.keys:
        if column.name in key.columns:
            own = {fkey.rid for fkey in table.foreign_keys if column.name in fkey.columns}
            users = [user for user in referrers_of_key(model, table, key) if user[1].rid not in own]
            if users:
                raise Conflict(
                    f'Column "{column.name}" is part of a key that foreign key "{users[0][1].name}" of table '
                    f'"{users[0][0].schema}:{users[0][0].name}" refers to.'
                )
