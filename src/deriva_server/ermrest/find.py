"""Find the model element that a URL names, as far as the caller may see it.

What is missing is 404 when it is what the URL is about, and 409 when it lies on the way there.
"""

from __future__ import annotations

from deriva_server.access.acls import Rights
from deriva_server.catalogs.catalog import Reading
from deriva_server.errors import Conflict, NotFound
from deriva_server.grammar.nodes import QName
from deriva_server.grammar.routes import ColumnRoute, ForeignKeyRoute, KeyRoute
from deriva_server.model import check
from deriva_server.model.elements import Column, ForeignKey, Key, Model, Schema, Table


def find_schema(reading: Reading, name: str) -> Schema | None:
    """The visible schema of that name."""
    found = reading.model.schemas.get(name)
    return found if found is not None and reading.rights.schema(found, "enumerate") else None


def schema_on_the_way(reading: Reading, name: str) -> Schema:
    """The visible schema of that name, else a conflict."""
    found = find_schema(reading, name)
    if found is None:
        raise Conflict(f'Schema "{name}" does not exist.')
    return found


def schema_itself(reading: Reading, name: str) -> Schema:
    """The visible schema that the request is about."""
    found = find_schema(reading, name)
    if found is None:
        raise NotFound(f"schema {name}")
    return found


def find_table(reading: Reading, schema: str, name: str) -> Table | None:
    """The visible table of that name in an existing schema."""
    found = schema_on_the_way(reading, schema).tables.get(name)
    return found if found is not None and reading.rights.table(found, "enumerate") else None


def table_on_the_way(reading: Reading, schema: str, name: str) -> Table:
    """The visible table of that name, else a conflict."""
    found = find_table(reading, schema, name)
    if found is None:
        raise Conflict(f'Table "{schema}:{name}" does not exist.')
    return found


def table_itself(reading: Reading, schema: str, name: str) -> Table:
    """The visible table that the request is about."""
    found = find_table(reading, schema, name)
    if found is None:
        raise NotFound(f"table {schema}:{name}")
    return found


def find_column(reading: Reading, table: Table, name: str) -> Column | None:
    """The visible column of that name."""
    found = table.column_by_name.get(name)
    return found if found is not None and reading.rights.column(table, found, "enumerate") else None


def column_itself(reading: Reading, route: ColumnRoute) -> tuple[Table, Column]:
    """The visible column that the request is about, with its table."""
    table = table_on_the_way(reading, route.schema, route.table)
    found = find_column(reading, table, route.column)
    if found is None:
        raise NotFound(f"column {route.column} in table {route.schema}:{route.table}")
    return table, found


def find_key(reading: Reading, route: KeyRoute) -> tuple[Table, Key | None]:
    """The visible key over the columns in the URL, with its table."""
    table = table_on_the_way(reading, route.schema, route.table)
    _require_columns(reading, table, route.columns)
    found = check.find_key(table, route.columns)
    return table, found if found is not None and reading.rights.shows_key(table, found) else None


def key_itself(reading: Reading, route: KeyRoute) -> tuple[Table, Key]:
    """The visible key that the request is about, with its table."""
    table, found = find_key(reading, route)
    if found is None:
        raise NotFound(f"key {','.join(route.columns)} in table {route.schema}:{route.table}")
    return table, found


def _require_columns(reading: Reading, table: Table, names: tuple[str, ...]) -> None:
    for name in names:
        if find_column(reading, table, name) is None:
            raise Conflict(f'Column "{name}" does not exist in table "{table.schema}:{table.name}".')


def foreign_keys(reading: Reading, route: ForeignKeyRoute) -> tuple[Table, list[ForeignKey]]:
    """The visible foreign keys that a URL selects, maybe none in the longer forms."""
    table = table_on_the_way(reading, route.schema, route.table)
    _require_columns(reading, table, route.columns)
    found = [
        fkey
        for fkey in check.find_foreign_keys(table, route.columns)
        if reading.rights.shows_foreign_key(table, fkey)
    ]
    if not found and route.referenced is None:
        raise NotFound(f"foreign key {','.join(route.columns)} in table {route.schema}:{route.table}")
    if route.referenced is None:
        return table, found
    if not found:
        raise Conflict(
            f'No foreign key over {",".join(route.columns)} in table "{route.schema}:{route.table}".'
        )
    target = referenced_table(reading.model, reading.rights, route.referenced)
    found = [fkey for fkey in found if (fkey.referenced_schema, fkey.referenced_table) == target.qualified]
    if route.referenced_columns is not None:
        _require_columns(reading, target, route.referenced_columns)
        if check.find_key(target, route.referenced_columns) is None:
            raise Conflict(f'{",".join(route.referenced_columns)} is no key of table "{route.referenced}".')
        found = [fkey for fkey in found if _maps(fkey, route.columns, route.referenced_columns)]
    return table, found


def foreign_key_itself(reading: Reading, route: ForeignKeyRoute) -> tuple[Table, ForeignKey]:
    """The one visible foreign key that the full form of a URL names, with its table."""
    table, found = foreign_keys(reading, route)
    if len(found) != 1:
        raise NotFound(f"foreign key {','.join(route.columns)} in table {route.schema}:{route.table}")
    return table, found[0]


def _maps(fkey: ForeignKey, columns: tuple[str, ...], referenced: tuple[str, ...]) -> bool:
    """Whether a foreign key relates the columns as listed; lists that differ in order may still name it."""
    mapping = dict(zip(fkey.columns, fkey.referenced_columns, strict=True))
    if len(columns) != len(referenced):
        return False
    listed = dict(zip(columns, referenced, strict=True))
    return mapping == listed or (set(mapping) == set(columns) and set(mapping.values()) == set(referenced))


def referenced_table(model: Model, rights: Rights, name: QName) -> Table:
    """The visible table that a possibly unqualified name means.

    Raises
    ------
    Conflict
        If there is none or several.
    """
    if len(name.parts) > 2:
        raise Conflict(f'"{name}" is no table name.')
    if len(name.parts) == 2:
        schema = model.schemas.get(name.parts[0])
        candidates = [schema.tables[name.parts[1]]] if schema and name.parts[1] in schema.tables else []
    else:
        candidates = list(model.tables_by_name.get(name.parts[0], ()))
    visible = [table for table in candidates if rights.table(table, "enumerate")]
    if len(visible) != 1:
        raise Conflict(f'Table "{name}" {"is ambiguous" if visible else "does not exist"}.')
    return visible[0]
