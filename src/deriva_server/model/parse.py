"""Read the documents that clients send for new or changed elements.

Read-only and unknown fields are ignored, because clients send back what they have read. Names that documents refer
to are not looked up here, but in `check`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model.elements import EMPTY, Column, ForeignKey, Json, Key, Schema, Table, Type
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES, is_serial, type_from_document
from deriva_server.model.values import stored_from_json
from deriva_server.names import NAME_BYTES, is_identifier
from deriva_server.values import Frozen, field

NewRid = Callable[[], str]
"""Gives the next RID of the catalog."""

ACTIONS = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")

ACL_NAMES: Mapping[str, tuple[str, ...]] = {
    "catalog": ("owner", "create", "enumerate", "write", "insert", "update", "delete", "select"),
    "schema": ("owner", "create", "enumerate", "write", "insert", "update", "delete", "select"),
    "table": ("owner", "enumerate", "write", "insert", "update", "delete", "select"),
    "column": ("enumerate", "write", "insert", "update", "select"),
    "foreign_key": ("enumerate", "write", "insert", "update"),
}
"""Names of access lists by kind of element."""

FKEY_ACLS: Mapping[str, list[str]] = {"insert": ["*"], "update": ["*"]}
"""Access lists of a new foreign key where its document says nothing else."""


class ForeignKeyRequest(Frozen, frozen=True):
    """A foreign key as asked for; a `name` of None lets the service choose."""

    table: tuple[str, str]
    columns: tuple[str, ...]
    referenced: tuple[str, str]
    referenced_columns: tuple[str, ...]
    name: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def an_object(document: Any, what: str) -> Mapping[str, Any]:
    """`document` itself when it is a JSON object.

    Raises
    ------
    BadRequest
        If it is anything else.
    """
    if not isinstance(document, Mapping):
        raise BadRequest(f"The document of a {what} must be a JSON object.")
    return document


def identifier(value: Any, what: str) -> str:
    """`value` itself when it can name an element.

    Raises
    ------
    BadRequest
        If it is no string of 1 to 63 bytes.
    """
    if not is_identifier(value):
        raise BadRequest(f"The {what} must be a string of 1 to {NAME_BYTES} bytes, not {value!r}.")
    return str(value)


def comment(value: Any) -> str | None:
    """A comment: text or null."""
    if value is not None and not isinstance(value, str):
        raise BadRequest("A comment must be a string or null.")
    return value


def annotation_map(value: Any) -> Mapping[str, Json]:
    """The annotations of one element."""
    if value is None:
        return EMPTY
    if not isinstance(value, Mapping):
        raise BadRequest("Annotations must be a JSON object.")
    return dict(value)


def acl(value: Any, kind: str, name: str) -> list[str]:
    """One access list.

    Raises
    ------
    Conflict
        If elements of this kind have no list of that name.
    BadRequest
        If it is no list of strings, or opens to everybody what may not be.
    """
    if name not in ACL_NAMES[kind]:
        raise Conflict(f'Access list "{name}" is not supported on a {kind.replace("_", " ")}.')
    if not isinstance(value, list) or not all(isinstance(role, str) for role in value):
        raise BadRequest(f'Access list "{name}" must be a list of strings.')
    if "*" in value and kind != "foreign_key" and name not in ("enumerate", "select"):
        raise BadRequest(f'Access list "{name}" does not support wildcard member "*".')
    return list(value)


def acls(value: Any, kind: str) -> Mapping[str, list[str]]:
    """The access lists of one element."""
    if value is None:
        return EMPTY
    if not isinstance(value, Mapping):
        raise BadRequest("Access lists must be a JSON object.")
    return {name: acl(members, kind, name) for name, members in value.items()}


def acl_bindings(value: Any) -> Mapping[str, Json]:
    """The dynamic access rules of one element; what they refer to is checked in `check`."""
    if value is None:
        return EMPTY
    if not isinstance(value, Mapping):
        raise BadRequest("ACL bindings must be a JSON object.")
    return dict(value)


_DETAILS: Mapping[str, Callable[[Any, str], Any]] = {
    "comment": lambda value, _kind: comment(value),
    "annotations": lambda value, _kind: annotation_map(value),
    "acls": acls,
    "acl_bindings": lambda value, _kind: acl_bindings(value),
}

_DETAILS_OF: Mapping[str, tuple[str, ...]] = {
    "schema": ("comment", "annotations", "acls"),
    "table": ("comment", "annotations", "acls", "acl_bindings"),
    "column": ("comment", "annotations", "acls", "acl_bindings"),
    "key": ("comment", "annotations"),
    "foreign_key": ("comment", "annotations", "acls", "acl_bindings"),
}


def details(document: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Comment, annotations and access rules as far as a document mentions them."""
    return {name: _DETAILS[name](document[name], kind) for name in _DETAILS_OF[kind] if name in document}


def schema(document: Any, new_rid: NewRid, name: str | None = None) -> Schema:
    """A new schema without its tables.

    Parameters
    ----------
    document : JSON
        The schema document.
    new_rid : callable
        Gives RIDs.
    name : str, optional
        The name it must have where that is known from elsewhere.
    """
    document = an_object(document, "schema")
    given = document.get("schema_name", name)
    if name is not None and given != name:
        raise BadRequest(f'Schema name "{given}" in the document differs from "{name}".')
    return Schema(new_rid(), identifier(given, "schema_name"), **details(document, "schema"))


def column(document: Any, new_rid: NewRid) -> Column:
    """A new column; the document must have a name and a type."""
    document = an_object(document, "column")
    name = identifier(document.get("name"), "name of a column")
    if "type" not in document:
        raise BadRequest(f'Column "{name}" must have a type.')
    type_ = type_from_document(document["type"])
    nullok = boolean(document.get("nullok", True), "nullok")
    if name in SYSTEM_TYPES and (type_.name, nullok) != (SYSTEM_TYPES[name], SYSTEM_NULLOK[name]):
        raise BadRequest(
            f'System column "{name}" must have type {SYSTEM_TYPES[name]} and nullok {str(SYSTEM_NULLOK[name]).lower()}.'
        )
    default = None if name in SYSTEM_TYPES else column_default(type_, document.get("default"))
    return Column(new_rid(), name, type_, nullok, default, **details(document, "column"))


def column_default(type_: Type, value: Json) -> Json:
    """`value` itself when it can be the default of a column; serial columns number by themselves and have none.

    Raises
    ------
    BadRequest, Conflict
        If the type cannot hold it.
    """
    if value is None or is_serial(type_):
        return None
    stored_from_json(type_, value)
    return value


def boolean(value: Any, what: str) -> bool:
    """`value` itself when it is true or false; null counts as true."""
    if value is None:
        return True
    if not isinstance(value, bool):
        raise BadRequest(f"{what} must be true or false.")
    return value


def constraint_name(value: Any) -> str | None:
    """The name in a list of ``[schema, name]`` pairs, None where the service shall choose; schema parts are ignored."""
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise BadRequest("The names of a constraint must be a list of [schema, name] pairs.")
    return identifier(value[0][1], "name of a constraint")


def key_columns(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Columns of a key document."""
    names = document.get("unique_columns")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise BadRequest("unique_columns of a key must be a non-empty list of column names.")
    if len(set(names)) < len(names):
        raise BadRequest("unique_columns of a key must not repeat a column.")
    return tuple(names)


def key(document: Any, new_rid: NewRid) -> tuple[Key, bool]:
    """A new key, and whether the service must still choose its name."""
    document = an_object(document, "key")
    name = constraint_name(document.get("names"))
    return Key(new_rid(), name or "", key_columns(document), **details(document, "key")), name is None


def action(value: Any) -> str:
    """What a foreign key does when the referenced key changes or goes."""
    if value is None:
        return "NO ACTION"
    if not isinstance(value, str) or value.upper() not in ACTIONS:
        raise BadRequest(f"The action of a foreign key must be one of {', '.join(ACTIONS)}, not {value!r}.")
    return value.upper()


def _column_list(
    value: Any, what: str, table: tuple[str, str] | None
) -> tuple[tuple[str, str], tuple[str, ...]]:
    if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
        raise BadRequest(f"{what} of a foreign key must be a non-empty list of objects.")
    owners: set[tuple[str, str]] = set()
    names = []
    for item in value:
        if not isinstance(item.get("column_name"), str):
            raise BadRequest(f"Each member of {what} must have a column_name.")
        fallback = table or (None, None)
        owner = item.get("schema_name", fallback[0]), item.get("table_name", fallback[1])
        if not all(isinstance(part, str) for part in owner):
            raise BadRequest(f"All members of {what} must name their table.")
        owners.add(owner)
        names.append(item["column_name"])
    if len(owners) > 1:
        raise BadRequest(f"All members of {what} must name columns of one table.")
    return owners.pop(), tuple(names)


def foreign_key(document: Any, table: tuple[str, str] | None = None) -> ForeignKeyRequest:
    """A foreign key as asked for.

    Parameters
    ----------
    document : JSON
        The foreign-key document.
    table : pair of str, optional
        Schema and table that parts without one refer to.
    """
    document = an_object(document, "foreign key")
    owner, columns = _column_list(document.get("foreign_key_columns"), "foreign_key_columns", table)
    if table is not None and owner != table:
        raise BadRequest("foreign_key_columns must name columns of the table the foreign key is made on.")
    referenced, referenced_columns = _column_list(
        document.get("referenced_columns"), "referenced_columns", owner
    )
    if len(columns) != len(referenced_columns):
        raise BadRequest("foreign_key_columns and referenced_columns must have the same length.")
    if len(set(columns)) < len(columns) or len(set(referenced_columns)) < len(columns):
        raise BadRequest("A foreign key must not repeat a column.")
    given = details(document, "foreign_key")
    given["acls"] = {**FKEY_ACLS, **given.get("acls", {})}
    given["on_update"], given["on_delete"] = (
        action(document.get("on_update")),
        action(document.get("on_delete")),
    )
    name = constraint_name(document.get("names"))
    return ForeignKeyRequest(owner, columns, referenced, referenced_columns, name, given)


def new_foreign_key(request: ForeignKeyRequest, name: str, new_rid: NewRid) -> ForeignKey:
    """The element that a request asks for."""
    return ForeignKey(
        new_rid(), name, request.columns, *request.referenced, request.referenced_columns, **request.details
    )


def table(document: Any, schema_name: str | None, new_rid: NewRid) -> tuple[Table, list[Any], list[Any]]:
    """A new table with its columns, and the documents of its keys and foreign keys.

    Raises
    ------
    BadRequest
        If the document is malformed or lacks what every table must have.
    Conflict
        If it contradicts the place where the table shall be.
    """
    document = an_object(document, "table")
    name = identifier(document.get("table_name"), "table_name")
    given = document.get("schema_name", schema_name)
    if schema_name is not None and given != schema_name:
        raise Conflict(f'Schema "{given}" in the document of table "{name}" differs from "{schema_name}".')
    if document.get("kind", "table") not in ("table", None):
        raise Conflict(f'Table "{name}" cannot be made with kind "{document["kind"]}".')
    columns = tuple(column(item, new_rid) for item in _list(document, "column_definitions"))
    keys = _list(document, "keys")
    missing = [system for system in SYSTEM_TYPES if system not in {item.name for item in columns}]
    if missing:
        raise BadRequest(f'Table "{name}" lacks required system column {", ".join(missing)}.')
    if not any(isinstance(item, Mapping) and item.get("unique_columns") == ["RID"] for item in keys):
        raise BadRequest(f'Table "{name}" lacks the required key on column RID.')
    made = Table(new_rid(), identifier(given, "schema_name"), name, columns, **details(document, "table"))
    return made, keys, _list(document, "foreign_keys")


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest(f"{name} must be a list.")
    return value
