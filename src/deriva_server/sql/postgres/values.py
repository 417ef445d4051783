"""Types and values in PostgreSQL's form, from the stored forms that the service works with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from deriva_server.model.arrays import format_array
from deriva_server.model.elements import Json, Type
from deriva_server.model.values import Stored, compact

_SERIALS = {"serial2": "int2", "serial4": "int4", "serial8": "int8"}
_DOCUMENTS = frozenset(("json", "jsonb"))
Writer = Callable[[Any], str]


def column_type(type_: Type) -> str:
    """PostgreSQL's type of a column; serial numbers are dealt out by the service."""
    scalar = _SERIALS.get(type_.scalar, type_.scalar)
    return f"{scalar}[]" if type_.is_array else scalar


@lru_cache(maxsize=256)
def writer(type_: Type) -> Writer | None:
    """What turns a stored value that is not NULL into text for PostgreSQL; None where it is that text."""
    if type_.is_array:
        return lambda document: _array(type_, json.loads(document))
    if type_.scalar == "boolean":
        return lambda value: "t" if value else "f"
    if type_.scalar == "numeric" or type_.scalar.startswith(("int", "float", "serial", "oid")):
        return lambda value: value if isinstance(value, str) else repr(value)
    return None


def text_value(type_: Type, value: Stored) -> str | None:
    """One stored value as text for PostgreSQL."""
    write = writer(type_)
    return value if value is None or write is None else write(value)  # type: ignore[return-value]


def text_columns(types: Sequence[Type], rows: Sequence[Sequence[Stored]]) -> list[Sequence[str | None]]:
    """Rows of stored values as columns of texts."""
    if not rows:
        return [() for _ in types]
    found: list[Sequence[str | None]] = []
    for type_, values in zip(types, zip(*rows, strict=True), strict=True):
        write = writer(type_)
        found.append(
            values if write is None else [None if value is None else write(value) for value in values]
        )
    return found


def list_text(type_: Type, values: Sequence[Stored]) -> str:
    """Stored values as the text of an array."""
    return format_array([text_value(type_, value) for value in values], str)


def _array(type_: Type, members: list[Json]) -> str:
    if type_.scalar in _DOCUMENTS:
        # A list is a document here, not an array within the array.
        members = [None if member is None else compact(member) for member in members]

    def write(member: Json) -> str:
        if isinstance(member, bool):
            return "t" if member else "f"
        return member if isinstance(member, str) else repr(member)

    return format_array(members, write)
