"""Text that the database makes of stored values: JSON, CSV, and the form that patterns are matched against.

One row becomes one text, so that no Python object is made per value.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from deriva_server.model.elements import Type
from deriva_server.plan.relation import Format

Expression = sa.ColumnElement[Any]

_COUNTED = frozenset(("int2", "int4", "int8", "serial2", "serial4", "serial8", "oid"))
_FRACTIONAL = frozenset(("float4", "float8", "numeric"))
_DOCUMENTS = frozenset(("json", "jsonb"))
_AT_ONCE = 100


def printed(pattern: str, values: Sequence[Expression]) -> Expression:
    """`pattern` with each ``%s`` replaced by a value; ``%%`` is a per cent sign."""
    return sa.func.printf(sa.literal(pattern), *values, type_=sa.String)


def row_text(names: Sequence[str], types: Sequence[Type], values: Sequence[Expression], form: Format) -> Expression:
    """The text of a whole row.

    Parameters
    ----------
    names, types, values : sequences of the same length
        The outputs.
    form : str
        JSON object or CSV line.
    """
    texts: list[Expression] = []
    for start in range(0, len(names), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        pairs = list(zip(types[part], values[part], strict=True))
        if form == "json":
            pattern = ",".join(_json_name(name) + ":%s" for name in names[part])
            pattern = pattern if len(names) > _AT_ONCE else "{" + pattern + "}"
            texts.append(printed(pattern, [json_text(type_, value) for type_, value in pairs]))
        else:
            arrays = form == "csv-json-arrays"
            pattern = ",".join("%s" for _ in pairs)
            texts.append(printed(pattern, [_csv_text(type_, value, arrays) for type_, value in pairs]))
    if len(texts) == 1:
        return texts[0]
    joined = ",".join("%s" for _ in texts)
    return printed("{" + joined + "}" if form == "json" else joined, texts)


def _json_name(name: str) -> str:
    return json.dumps(name, ensure_ascii=False).replace("%", "%%")


def json_text(type_: Type, value: Expression) -> Expression:
    """JSON text of a value, ``null`` for NULL."""
    scalar = type_.scalar
    if type_.is_array or scalar in _DOCUMENTS or scalar in _COUNTED:
        return sa.func.coalesce(value, sa.literal("null"))
    if scalar == "boolean":
        return sa.case((value == 1, sa.literal("true")), (value == 0, sa.literal("false")), else_=sa.literal("null"))
    if scalar in _FRACTIONAL:
        return sa.func.deriva_number(value)
    if scalar in ("timestamptz", "timestamp"):
        return sa.case(
            (value.is_(None), sa.literal("null")),
            else_=printed('"%s%s%s"', [*_moment(value), sa.literal("+00:00" if scalar == "timestamptz" else "")]),
        )
    return sa.func.json_quote(value)


def plain_text(type_: Type, value: Expression) -> Expression:
    """The text that patterns are matched against; NULL for NULL."""
    scalar = type_.scalar
    if type_.is_array:
        return sa.func.deriva_array_text(value, scalar)
    if scalar == "boolean":
        return sa.case((value == 1, sa.literal("t")), (value == 0, sa.literal("f")))
    if scalar in _FRACTIONAL:
        return sa.func.deriva_number_text(value)
    if scalar == "timestamptz":
        return sa.case((value.is_not(None), printed("%s%sZ", _moment(value))))
    if scalar == "timestamp":
        return sa.case((value.is_not(None), printed("%s%s", _moment(value))))
    return sa.cast(value, sa.Text) if scalar in _COUNTED else value


def order_value(type_: Type, value: Expression) -> Expression:
    """What values of a type are compared and sorted by."""
    if not type_.is_array and type_.scalar == "numeric":
        is_digits = sa.and_(sa.func.typeof(value) == "text", value != "NaN")
        return sa.case((is_digits, sa.cast(value, sa.Double)), else_=value)
    if not type_.is_array and type_.scalar == "interval":
        return sa.func.deriva_interval(value)
    return value


def _moment(value: Expression) -> list[Expression]:
    """A stored timestamp up to the seconds, and its fraction without trailing zeros."""
    fraction = sa.func.rtrim(sa.func.rtrim(sa.func.substr(value, 20, 7), "0"), ".")
    return [sa.func.substr(value, 1, 19), fraction]


def _csv_text(type_: Type, value: Expression, json_arrays: bool) -> Expression:
    scalar = type_.scalar
    if type_.is_array:
        return _quoted(value if json_arrays else sa.func.deriva_array_text(value, scalar))
    if scalar in ("timestamptz", "timestamp"):
        parts = [sa.func.substr(value, 1, 10), sa.func.substr(value, 12, 8), _moment(value)[1]]
        pattern = "%s %s%s+00" if scalar == "timestamptz" else "%s %s%s"
        return sa.case((value.is_not(None), printed(pattern, parts)), else_=sa.literal(""))
    if scalar in _COUNTED or scalar in ("date", "time", "timetz", "uuid"):
        return sa.func.coalesce(value, sa.literal(""))
    if scalar == "boolean" or scalar in _FRACTIONAL:
        return sa.func.coalesce(plain_text(type_, value), sa.literal(""))
    return _quoted(value)


def _quoted(value: Expression) -> Expression:
    """A CSV field: empty for NULL, in quotes where needed."""
    needs_quotes = sa.or_(value == "", value.op("GLOB")('*[",\n\r]*'))
    return sa.case(
        (value.is_(None), sa.literal("")),
        (needs_quotes, printed('"%s"', [sa.func.replace(value, '"', '""')])),
        else_=value,
    )
