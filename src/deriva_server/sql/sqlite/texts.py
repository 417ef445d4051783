"""Text of stored values: JSON, CSV, and the form that patterns are matched against.

As little as possible is done value by value in Python. SQL has the form of text here: the same few shapes of rows
are asked for again and again, and text is cheap to make and to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from deriva_server.model.elements import Type
from deriva_server.model.shown import (
    DOCUMENTS,
    FRACTIONAL,
    ColumnTexts,
    csv_texts,
    filling,
    joining,
    json_key,
    json_texts,
)
from deriva_server.plan.relation import Format
from deriva_server.sql.dialect import RowParts, first_column, text_literal

_COUNTED = frozenset(("int2", "int4", "int8", "serial2", "serial4", "serial8", "oid"))
_SPECIAL = FRACTIONAL | DOCUMENTS | {"boolean", "timestamptz", "timestamp"}
_AT_ONCE = 60
"""Columns per call of a function; SQLite takes 127 arguments."""


@lru_cache(maxsize=1024)
def row_object(names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...]) -> str:
    """SQL for the JSON object of a row; values are SQL expressions."""
    return _json_object(list(zip(names, types, values, strict=True)))


@lru_cache(maxsize=1024)
def row_parts(
    names: tuple[str, ...], types: tuple[Type, ...], values: tuple[str, ...], form: Format
) -> RowParts:
    """What to select for the text of a whole row, and how to make the text of it.

    The database writes integers and texts as JSON faster than Python does; the other values are made texts by
    Python, a column of some rows at a time.
    """
    if not names:
        return RowParts(("'{}'" if form == "json" else "''",), first_column)
    outputs = list(zip(names, types, values, strict=True))
    if form == "json":
        return _json_parts(outputs)
    arrays = form == "csv-json-arrays"
    return RowParts(values, joining([csv_texts(type_, json_arrays=arrays) for type_ in types]))


def _json_parts(outputs: Sequence[tuple[str, Type, str]]) -> RowParts:
    columns: list[str] = []
    befores: list[str] = []
    ways: list[ColumnTexts] = []
    plain: list[tuple[str, Type, str]] = []
    for at, output in enumerate(outputs):
        name, type_, value = output
        if not _is_special(type_):
            plain.append(output)
            if len(plain) < _AT_ONCE and at + 1 < len(outputs) and not _is_special(outputs[at + 1][1]):
                continue
            columns.append(_object_of(plain))
            befores.append(",")
            ways.append(_members_of)
            plain = []
        else:
            columns.append(value)
            befores.append(f",{json_key(name)}")
            ways.append(json_texts(type_))
    if ways == [_members_of]:
        return RowParts(tuple(columns), first_column)
    befores[0] = "{" + befores[0][1:]
    return RowParts(tuple(columns), filling(befores, ways, "}"))


def _is_special(type_: Type) -> bool:
    return type_.is_array or type_.scalar in _SPECIAL


def _members_of(objects: Sequence[str]) -> list[str]:
    return [text[1:-1] for text in objects]


def _joined(fields: Sequence[str]) -> str:
    return _printed(",".join("%s" for _ in fields), fields)


def _json_object(outputs: Sequence[tuple[str, Type, str]]) -> str:
    """A JSON object; texts that are JSON already are put in as they are, between objects without their braces."""
    parts: list[str] = []
    plain: list[tuple[str, Type, str]] = []
    for name, type_, value in outputs:
        if type_.is_array or type_.scalar in DOCUMENTS:
            parts += _members(plain)
            parts.append(_printed(_json_name(name) + "%s", [json_text(type_, value)]))
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
    if scalar == "boolean" or scalar in FRACTIONAL:
        return f"json({json_text(type_, value)})"
    return _json_moment(value) if scalar in ("timestamptz", "timestamp") else value


def json_text(type_: Type, value: str) -> str:
    """SQL for the JSON text of a value, ``null`` for NULL."""
    scalar = type_.scalar
    if type_.is_array or scalar in DOCUMENTS or scalar in _COUNTED:
        return f"coalesce({value}, 'null')"
    if scalar == "boolean":
        return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if scalar in FRACTIONAL:
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
    if scalar in FRACTIONAL:
        return f"deriva_number_text({value})"
    if scalar in ("timestamptz", "timestamp"):
        pattern = "%s%sZ" if scalar == "timestamptz" else "%s%s"
        return f"CASE WHEN {value} IS NOT NULL THEN {_printed(pattern, _moment(value))} END"
    return f"CAST({value} AS TEXT)" if scalar in _COUNTED else value


def _printed(pattern: str, values: Sequence[str]) -> str:
    """SQL for `pattern` with each ``%s`` replaced by a value; ``%%`` is a per cent sign."""
    return f"printf({', '.join((text_literal(pattern), *values))})"


def _json_name(name: str) -> str:
    return json_key(name).replace("%", "%%")


def _moment(value: str) -> list[str]:
    """A stored timestamp up to the seconds, and its fraction without trailing zeros."""
    return [f"substr({value}, 1, 19)", _fraction(value)]


def _fraction(value: str) -> str:
    return f"rtrim(rtrim(substr({value}, 20, 7), '0'), '.')"
