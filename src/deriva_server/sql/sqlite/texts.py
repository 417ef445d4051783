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
_AT_ONCE = 90


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
    texts = []
    for start in range(0, len(names), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        pairs = list(zip(types[part], values[part], strict=True))
        if form == "json":
            pattern = ",".join(_json_name(name) + ":%s" for name in names[part])
            pattern = pattern if len(names) > _AT_ONCE else "{" + pattern + "}"
            texts.append(_printed(pattern, [json_text(type_, value) for type_, value in pairs]))
        else:
            arrays = form == "csv-json-arrays"
            texts.append(
                _printed(",".join("%s" for _ in pairs), [_csv_text(*pair, arrays) for pair in pairs])
            )
    if len(texts) == 1:
        return texts[0]
    joined = ",".join("%s" for _ in texts)
    return _printed("{" + joined + "}" if form == "json" else joined, texts)


def json_text(type_: Type, value: str) -> str:
    """SQL for the JSON text of a value, ``null`` for NULL."""
    scalar = type_.scalar
    if type_.is_array or scalar in _DOCUMENTS or scalar in _COUNTED:
        return f"coalesce({value}, 'null')"
    if scalar == "boolean":
        return f"CASE {value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END"
    if scalar in _FRACTIONAL:
        return f"deriva_number({value})"
    if scalar in ("timestamptz", "timestamp"):
        offset = "+00:00" if scalar == "timestamptz" else ""
        pattern = f'"%s%s{offset}"'
        return f"CASE WHEN {value} IS NULL THEN 'null' ELSE {_printed(pattern, _moment(value))} END"
    return f"json_quote({value})"


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
        parts = [f"substr({value}, 1, 10)", f"substr({value}, 12, 8)", _fraction(value)]
        pattern = "%s %s%s+00" if scalar == "timestamptz" else "%s %s%s"
        return f"CASE WHEN {value} IS NOT NULL THEN {_printed(pattern, parts)} ELSE '' END"
    if scalar in _COUNTED or scalar in ("date", "time", "timetz", "uuid"):
        return f"coalesce({value}, '')"
    if scalar == "boolean" or scalar in _FRACTIONAL:
        return f"coalesce({plain_text(type_, value)}, '')"
    return _quoted(value)


def _quoted(value: str) -> str:
    """A CSV field: empty for NULL, in quotes where needed."""
    signs = text_literal('*[",\n\r]*')
    return (
        f"CASE WHEN {value} IS NULL THEN '' WHEN {value} = '' OR {value} GLOB {signs}"
        f""" THEN printf('"%s"', replace({value}, '"', '""')) ELSE {value} END"""
    )
