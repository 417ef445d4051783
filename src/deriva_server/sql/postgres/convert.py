"""Conversion of the values of a column to another type."""

from __future__ import annotations

from deriva_server.model.elements import Type
from deriva_server.sql.postgres.values import column_type

_FAMILIES = (
    frozenset(("int2", "int4", "int8", "float4", "float8", "numeric")),
    frozenset(("date", "timestamp", "timestamptz")),
)


def converted(expression: str, old: Type, new: Type) -> str:
    """SQL for the values of `expression`, of type `old`, as values of type `new`.

    >>> from deriva_server.model.types import TYPES
    >>> converted('"c"', TYPES["int4"], TYPES["text"])
    '"c"::text::text'
    """
    target = column_type(new)
    if old.is_array and not new.is_array:
        text = f"to_json({expression})::text"
        return text if target == "text" else f"{text}::{target}"
    names = {column_type(old), target}
    if any(names <= family for family in _FAMILIES):
        return f"{expression}::{target}"
    if old.scalar in ("timestamp", "timestamptz") and target == "text":
        return f"""trim(both '"' from to_json({expression})::text)"""
    return f"{expression}::text::{target}"
