"""Stored values in DDL: defaults as SQL literals, and the conversion of a column's values to another type."""

from __future__ import annotations

from deriva_server.model.elements import Column, Type
from deriva_server.model.types import type_named
from deriva_server.model.values import Stored, json_from_stored, json_reader, text_reader
from deriva_server.sql.ddl import is_stored_alike, stored_default
from deriva_server.sql.dialect import INTERNAL, text_literal

FUNCTION = f"{INTERNAL}convert"
"""Name of `convert` in SQL."""


def default_literal(column: Column) -> str:
    """The stored form of a column's default as an SQL literal, ``NULL`` when it has none."""
    value = stored_default(column)
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return text_literal(value)
    text = repr(value)
    return text.replace("inf", "9e999")


def converted(expression: str, old: Type, new: Type) -> str:
    """SQL for the values of `expression`, stored as type `old`, in the stored form of type `new`."""
    if is_stored_alike(old, new):
        return expression
    return f"{FUNCTION}({expression}, {text_literal(old.name)}, {text_literal(new.name)})"


def convert(value: Stored, old: str, new: str) -> Stored:
    """Convert one stored value between types given by name.

    >>> convert(5, "int4", "text")
    '5'
    >>> convert("7", "text", "int8")
    7
    """
    if value is None:
        return None
    source, target = type_named(old), type_named(new)
    if source.is_array and not target.is_array:
        return str(value) if target.scalar == "text" else json_reader(target)(json_from_stored(source, value))
    json_value = json_from_stored(source, value)
    if source.scalar in ("json", "jsonb") and target.scalar == "text" and not target.is_array:
        return str(value)
    if isinstance(json_value, str):
        return text_reader(target)(json_value)
    if isinstance(json_value, bool) and target.scalar == "text":
        return "true" if json_value else "false"
    if isinstance(json_value, float) and target.scalar.startswith("int"):
        return json_reader(target)(round(json_value))
    return json_reader(target)(json_value)
