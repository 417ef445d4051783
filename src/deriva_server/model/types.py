"""Column types: their names, their documents and which of them clients may use for new columns.

A domain is a named kind of a basic type: it is stored, compared and printed like its base.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model.elements import Type

_BASIC = (
    "boolean int2 int4 int8 float4 float8 numeric serial2 serial4 serial8 text uuid date timestamp timestamptz "
    "time timetz interval json jsonb oid tstzrange tsvector"
).split()

_TEXT_DOMAINS = (
    "longtext markdown gene_sequence color_rgb_hex uri url curie ermrest_uri ermrest_curie "
    "ermrest_rid ermrest_rcb ermrest_rmb"
).split()

_READ_ONLY = frozenset(("oid", "tstzrange", "tsvector"))

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "bool": "boolean",
        "smallint": "int2",
        "integer": "int4",
        "int": "int4",
        "bigint": "int8",
        "smallserial": "serial2",
        "serial": "serial4",
        "bigserial": "serial8",
        "real": "float4",
        "double precision": "float8",
        "character varying": "text",
        "varchar": "text",
        "character": "text",
        "char": "text",
        "bpchar": "text",
        "timestamp without time zone": "timestamp",
        "timestamp with time zone": "timestamptz",
        "time without time zone": "time",
        "time with time zone": "timetz",
    }
)
"""Other names that clients may give for a type."""


def _all_types() -> Mapping[str, Type]:
    types = {name: Type(name) for name in _BASIC}
    types |= {name: Type(name, types["text"], is_domain=True) for name in _TEXT_DOMAINS}
    types |= {
        name: Type(name, types["timestamptz"], is_domain=True) for name in ("ermrest_rct", "ermrest_rmt")
    }
    return MappingProxyType(types)


TYPES = _all_types()
"""Every type that is not an array, by name."""

SYSTEM_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "RID": "ermrest_rid",
        "RCT": "ermrest_rct",
        "RMT": "ermrest_rmt",
        "RCB": "ermrest_rcb",
        "RMB": "ermrest_rmb",
    }
)
"""Type names of the system columns."""

SYSTEM_NULLOK: Mapping[str, bool] = MappingProxyType(
    {"RID": False, "RCT": False, "RMT": False, "RCB": True, "RMB": True}
)
"""Which system columns may be null."""


def array_of(element: Type) -> Type:
    """The array type with elements of type `element`.

    >>> array_of(TYPES["text"]).name
    'text[]'
    """
    return Type(f"{element.name}[]", element, is_array=True)


def type_named(name: str) -> Type:
    """Look up a type by its name or one of its aliases; ``text[]`` gives an array.

    Raises
    ------
    Conflict
        If there is no such type.
    """
    if name.endswith("[]"):
        return array_of(type_named(name[:-2]))
    found = TYPES.get(ALIASES.get(name, name))
    if found is None:
        raise Conflict(
            f'Unknown type "{name}". Types are {", ".join(sorted(set(TYPES) - _READ_ONLY))}; "text[]" is an array.'
        )
    return found


def type_from_document(document: Any) -> Type:
    """Read a type document as sent by clients.

    Domains may come bare, as their name alone; arrays need their `base_type`.

    Raises
    ------
    BadRequest
        If `document` has not the shape of a type document.
    Conflict
        If it names no type that a new column can have.
    """
    if not isinstance(document, Mapping):
        raise BadRequest("A type must be an object with a typename.")
    if document.get("is_array"):
        element = type_from_document(document.get("base_type"))
        return _array_for_column(element)
    name = document.get("typename")
    if not isinstance(name, str):
        raise BadRequest("A type must have a typename that is a string.")
    found = type_named(name)
    if found.base is not None and found.is_array:
        return _array_for_column(found.base)
    if found.scalar in _READ_ONLY:
        raise Conflict(f'Type "{name}" cannot be used for new columns.')
    return found


def _array_for_column(element: Type) -> Type:
    if element.is_array or is_serial(element) or element.scalar in _READ_ONLY:
        raise Conflict(f'Arrays of "{element.name}" are not supported as column types.')
    return array_of(element)


def type_document(type_: Type) -> dict[str, Any]:
    """The document of a type, in full.

    >>> type_document(TYPES["ermrest_rid"])
    {'typename': 'ermrest_rid', 'is_domain': True, 'base_type': {'typename': 'text'}}
    """
    document: dict[str, Any] = {"typename": type_.name}
    if type_.is_array:
        document["is_array"] = True
    if type_.is_domain:
        document["is_domain"] = True
    if type_.base is not None:
        document["base_type"] = type_document(type_.base)
    return document


def is_serial(type_: Type) -> bool:
    """Whether the default of a column of this type is the next number."""
    return type_.name.startswith("serial")
