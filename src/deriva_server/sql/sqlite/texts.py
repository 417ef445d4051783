"""Text that the database makes of stored values: JSON, CSV, and the form that patterns are matched against.

One row becomes one text, so that no Python object is made per value. Everything here is SQL in text form: the same
few shapes of rows are asked for again and again, and text is cheap to make and to keep.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from deriva_server.model.elements import Type
from deriva_server.plan.relation import Format
from deriva_server.sql.dialect import text_literal

_COUNTED = frozenset(("int2", "int4", "int8", "serial2", "serial4", "serial8", "oid"))
_FRACTIONAL = frozenset(("float4", "float8", "numeric"))
_DOCUMENTS = frozenset(("json", "jsonb"))
_AT_ONCE = 60
"""Columns per call of a function; SQLite takes 127 arguments."""


@lru_cache(maxsize=1024)
def row_text(names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...], form: Format) -> str:
    """SQL for the text of a whole row.

    Parameters
    ----------
    names, types, values : tuples of the same length
        The outputs; values are SQL expressions.
    form : str
        JSON object or CSV line.
    """
    if form == "json":
        return _json_object(list(zip(names, types, values, strict=True)))
    arrays = form == "csv-json-arrays"
    fields = [_csv_text(type_, value, arrays) for type_, value in zip(types, values, strict=True)]
    texts = [_joined(fields[start : start + _AT_ONCE]) for start in range(0, len(fields), _AT_ONCE)]
    return texts[0] if len(texts) == 1 else _joined(texts)


def _joined(fields: Sequence[str]) -> str:
    return _printed(",".join("%s" for _ in fields), fields)


def _json_object(outputs: Sequence[tuple[str, Type, str]]) -> str:
    """A JSON object; texts that are JSON already are put in as they are, between objects without their braces."""
    parts: list[str] = []
    plain: list[tuple[str, Type, str]] = []
    for name, type_, value in outputs:
        if type_.is_array or type_.scalar in _DOCUMENTS:
            parts += _members(plain)
            parts.append(_printed(_json_name(name) + ":%s", [json_text(type_, value)]))
            plain = []
        else:
            plain.append((name, type_, value))
    if not parts and len(plain) <= _AT_ONCE:
        return _object_of(plain)
    parts += _members(plain)
    texts = [_joined(parts[start : start + _AT_ONCE]) for start in range(0, len(parts), _AT_ONCE)]
    return _printed("{" + ",".join("%s" for _ in texts) + "}", texts)


def _members(outputs: Sequence[tuple[str, Type, str]]) -> list[str]:
    """Objects without their braces; no last member ends in a brace of its own."""
    chunks = [outputs[start : start + _AT_ONCE] for start in range(0, len(outputs), _AT_ONCE)]
    return [f"trim({_object_of(chunk)}, '{{}}')" for chunk in chunks]


def _object_of(outputs: Sequence[tuple[str, Type, str]]) -> str:
    arguments = [f"{text_literal(name)}, {_member(type_, value)}" for name, type_, value in outputs]
    return f"json_object({', '.join(arguments)})"


def _member(type_: Type, value: str) -> str:
    """A value as ``json_object`` takes it: integers and texts as they are, which is what makes it fast."""
    scalar = type_.scalar
    if scalar == "boolean" or scalar in _FRACTIONAL:
        return f"json({json_text(type_, value)})"
    return _json_moment(value) if scalar in ("timestamptz", "timestamp") else value


def json_text(type_: Type, value: str) -> str:
    """SQL for the JSON text of a value, ``null`` for NULL."""
    scalar = type_.scalar
    if type_.is_array or scalar in _DOCUMENTS or scalar in _COUNTED:
        return f"coalesce({value}, 'null')"
    if scalar == "boolean":
        return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if scalar in _FRACTIONAL:
        return _json_number(value)
    return f"json_quote({_json_moment(value) if scalar in ('timestamptz', 'timestamp') else value})"


def _json_number(value: str) -> str:
    """Whole numbers, and decimals of up to six places, which one exact division proves, by the database.

    Others are written by Python.
    """
    whole = f"abs({value}) < 1e15 AND {value} <> 0 AND {value} = CAST({value} AS INTEGER)"
    proof = f"abs({value}) < 1e9 AND {value} <> 0 AND round({value} * 1e6) / 1e6 = {value}"
    return (
        f"CASE typeof({value}) WHEN 'integer' THEN {value} WHEN 'null' THEN 'null'"
        f" WHEN 'real' THEN CASE WHEN {whole} THEN CAST({value} AS INTEGER)"
        f" WHEN {proof} THEN printf('%!.15g', {value}) ELSE deriva_number({value}) END"
        f" ELSE deriva_number({value}) END"
    )


def _json_moment(value: str) -> str:
    """A stored timestamp without the trailing zeros of its fraction."""
    return (
        f"CASE WHEN substr({value}, 26, 1) > '0' THEN {value}"
        f" ELSE substr({value}, 1, 19) || {_fraction(value)} || substr({value}, 27) END"
    )


def plain_text(type_: Type, value: str) -> str:
    """SQL for the text that patterns are matched against; NULL for NULL."""
    scalar = type_.scalar
    if type_.is_array:
        return f"deriva_array_text({value}, {text_literal(scalar)})"
    if scalar == "boolean":
        return f"CASE {value} WHEN 1 THEN 't' WHEN 0 THEN 'f' END"
    if scalar in _FRACTIONAL:
        return f"deriva_number_text({value})"
    if scalar in ("timestamptz", "timestamp"):
        pattern = "%s%sZ" if scalar == "timestamptz" else "%s%s"
        return f"CASE WHEN {value} IS NOT NULL THEN {_printed(pattern, _moment(value))} END"
    return f"CAST({value} AS TEXT)" if scalar in _COUNTED else value


def _printed(pattern: str, values: Sequence[str]) -> str:
    """SQL for `pattern` with each ``%s`` replaced by a value; ``%%`` is a per cent sign."""
    return f"printf({', '.join((text_literal(pattern), *values))})"


def _json_name(name: str) -> str:
    return json.dumps(name, ensure_ascii=False).replace("%", "%%")


def _moment(value: str) -> list[str]:
    """A stored timestamp up to the seconds, and its fraction without trailing zeros."""
    return [f"substr({value}, 1, 19)", _fraction(value)]


def _fraction(value: str) -> str:
    return f"rtrim(rtrim(substr({value}, 20, 7), '0'), '.')"


def _csv_text(type_: Type, value: str, json_arrays: bool) -> str:
    scalar = type_.scalar
    if type_.is_array:
        return _quoted(value if json_arrays else plain_text(type_, value))
    if scalar in ("timestamptz", "timestamp"):
        return f"coalesce(replace({_csv_moment(value, scalar)}, 'T', ' '), '')"
    if scalar in _COUNTED or scalar in ("date", "time", "timetz", "uuid"):
        return f"coalesce({value}, '')"
    if scalar == "boolean":
        return f"coalesce({plain_text(type_, value)}, '')"
    if scalar in _FRACTIONAL:
        return f"""CASE WHEN {value} IS NULL THEN '' ELSE trim({_json_number(value)}, '"') END"""
    return _quoted(value)


def _csv_moment(value: str, scalar: str) -> str:
    offset = "+00" if scalar == "timestamptz" else ""
    return (
        f"CASE WHEN substr({value}, 26, 1) > '0' THEN substr({value}, 1, 26 + {len(offset)})"
        f" ELSE substr({value}, 1, 19) || {_fraction(value)} || '{offset}' END"
    )


def _quoted(value: str) -> str:
    """A CSV field: empty for NULL, in quotes where needed."""
    special = " OR ".join(f"instr({value}, {text_literal(sign)})" for sign in '",\n\r')
    return (
        f"""CASE WHEN {special} OR {value} = '' THEN '"' || replace({value}, '"', '""') || '"'"""
        f" ELSE coalesce({value}, '') END"
    )
