"""Text that PostgreSQL makes of values: JSON, CSV, and the form that patterns are matched against."""

from __future__ import annotations

import json
from functools import lru_cache

from deriva_server.model.elements import Type
from deriva_server.plan.relation import Format
from deriva_server.sql.dialect import text_literal

_COUNTED = frozenset(("int2", "int4", "int8", "serial2", "serial4", "serial8", "oid"))
_DOCUMENTS = frozenset(("json", "jsonb"))
_UNQUOTED = _COUNTED | {
    "float4",
    "float8",
    "numeric",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "uuid",
}
_SPACES = r"""'("(?:[^"\\]|\\.)*")|\s+'"""


@lru_cache(maxsize=1024)
def row_text(names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...], form: Format) -> str:
    """SQL for the text of a whole row."""
    if form != "json":
        fields = [_csv_text(type_, value, form) for type_, value in zip(types, values, strict=True)]
        return " || ',' || ".join(fields)
    parts, before = [], "{"
    for name, type_, value in zip(names, types, values, strict=True):
        parts.append(text_literal(f"{before}{json.dumps(name, ensure_ascii=False)}:"))
        parts.append(json_text(type_, value))
        before = ","
    return " || ".join([*parts, "'}'"])


def json_text(type_: Type, value: str) -> str:
    """SQL for the JSON text of a value, ``null`` for NULL."""
    scalar = type_.scalar
    if type_.is_array:
        return f"coalesce(to_json({value})::text, 'null')"
    if scalar in _COUNTED or scalar in _DOCUMENTS or scalar == "boolean":
        return f"coalesce(({value})::text, 'null')"
    # Cheaper than `to_json` where nothing can need an escape; offsets are always those of UTC.
    if scalar in ("timestamptz", "timestamp"):
        end = ':00"' if scalar == "timestamptz" else '"'
        return f"""coalesce('"' || replace(({value})::text, ' ', 'T') || '{end}', 'null')"""
    if scalar in ("date", "time", "timetz", "uuid") or type_.name == "ermrest_rid":
        return f"""coalesce('"' || ({value})::text || '"', 'null')"""
    return f"coalesce(to_json({value})::text, 'null')"


def plain_text(type_: Type, value: str) -> str:
    """SQL for the text that patterns are matched against; NULL for NULL."""
    scalar = type_.scalar
    if type_.is_array:
        return f"({value})::text"
    if scalar == "jsonb":
        # PostgreSQL prints a space after each comma and colon.
        return f"regexp_replace(({value})::text, {_SPACES}, '\\1', 'g')"
    if scalar == "boolean":
        return f"CASE {value} WHEN true THEN 't' WHEN false THEN 'f' END"
    if scalar in ("timestamptz", "timestamp"):
        return f"""replace(trim(both '"' from to_json({value})::text), '+00:00', 'Z')"""
    return value if scalar == "text" else f"({value})::text"


def _csv_text(type_: Type, value: str, form: Format) -> str:
    if type_.is_array:
        return _quoted(f"to_json({value})::text" if form == "csv-json-arrays" else f"({value})::text")
    scalar = type_.scalar
    if scalar == "boolean":
        return f"coalesce({plain_text(type_, value)}, '')"
    if scalar in _UNQUOTED or type_.name == "ermrest_rid":
        return f"coalesce(({value})::text, '')"
    return _quoted(plain_text(type_, value))


def _quoted(value: str) -> str:
    """A CSV field: empty for NULL, in quotes where needed."""
    special = " OR ".join(f"{value} LIKE E'%{sign}%'" for sign in ('"', ",", "\\n", "\\r"))
    return (
        f"CASE WHEN {value} IS NULL THEN '' WHEN {value} = '' OR {special}"
        f""" THEN '"' || replace({value}, '"', '""') || '"' ELSE {value} END"""
    )
