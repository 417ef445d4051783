"""Whole columns of stored values to the texts that answers show, much faster than value by value (pure).

A column is looked at as a whole; only where some value needs care is every value written by itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any

from deriva_server.model import times
from deriva_server.model.arrays import format_array
from deriva_server.model.elements import Type
from deriva_server.model.values import INTEGER_BITS, Stored

ColumnTexts = Callable[[Sequence[Any]], Sequence[str]]
"""Stored values to texts, one for each."""

RowTexts = Callable[[Sequence[Sequence[Any]]], list[str]]
"""Rows of stored values to texts, one for each."""

FRACTIONAL = frozenset(("float4", "float8", "numeric"))
DOCUMENTS = frozenset(("json", "jsonb"))
_MOMENTS = {"timestamptz": 32, "timestamp": 26}
"""Characters of the stored forms."""
_LAST_DIGIT = 25
_PLAIN_NUMBERS = frozenset((float, int))
_CSV_SIGNS = '",\n\r'
_WORDS = {1: "true", 0: "false"}
_LETTERS = {1: "t", 0: "f"}
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=512)
def json_texts(type_: Type) -> ColumnTexts:
    """The way from values of one type to JSON texts, ``null`` for NULL."""
    scalar = type_.scalar
    if type_.is_array or scalar in DOCUMENTS:
        return _with_nulls(_unchanged, "null")
    if scalar == "boolean":
        return _with_nulls(lambda values: list(map(_WORDS.__getitem__, values)), "null")
    if scalar in FRACTIONAL:
        return _with_nulls(lambda values: _numbers(values, number), "null")
    if scalar in INTEGER_BITS:
        return _with_nulls(lambda values: list(map(str, values)), "null")
    if scalar in _MOMENTS:
        return _with_nulls(lambda values: _in_quotes(_moments(values, _MOMENTS[scalar])), "null")
    return _with_nulls(lambda values: list(map(_ENCODER.encode, values)), "null")


@lru_cache(maxsize=512)
def csv_texts(type_: Type, *, json_arrays: bool = False) -> ColumnTexts:
    """The way from values of one type to CSV fields, empty for NULL."""
    scalar = type_.scalar
    if type_.is_array and not json_arrays:
        return _with_nulls(lambda values: [csv_field(array_text(value, scalar)) for value in values], "")
    if not type_.is_array:
        if scalar == "boolean":
            return _with_nulls(lambda values: list(map(_LETTERS.__getitem__, values)), "")
        if scalar in FRACTIONAL:
            return _with_nulls(lambda values: _numbers(values, number_text), "")
        if scalar in INTEGER_BITS:
            return _with_nulls(lambda values: list(map(str, values)), "")
        if scalar in _MOMENTS:
            return _with_nulls(lambda values: _csv_moments(values, _MOMENTS[scalar]), "")
    return _with_nulls(_csv_fields, "")


def joining(ways: Sequence[ColumnTexts]) -> RowTexts:
    """The way from rows to lines with commas between their columns; rows may hold more than these."""

    def texts(rows: Sequence[Sequence[Any]]) -> list[str]:
        columns = [way(values) for way, values in zip(ways, zip(*rows, strict=True), strict=False)]
        return list(map(",".join, zip(*columns, strict=True)))

    return texts


def filling(befores: Sequence[str], ways: Sequence[ColumnTexts], after: str) -> RowTexts:
    """The way from rows to texts with a fixed text before each column and at the end; rows may hold more than these."""

    def texts(rows: Sequence[Sequence[Any]]) -> list[str]:
        if not rows:
            return []
        parts: list[Iterable[str]] = []
        for before, way, values in zip(befores, ways, zip(*rows, strict=True), strict=False):
            parts += (repeat(before), way(values))
        return list(map("".join, zip(*parts, repeat(after), strict=False)))

    return texts


def json_key(name: str) -> str:
    """How a member of a JSON object begins."""
    return json.dumps(name, ensure_ascii=False) + ":"


def number(value: float | str) -> str:
    """JSON text of a stored number."""
    if isinstance(value, str):
        return '"NaN"' if value == "NaN" else value
    if isinstance(value, float) and math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    return repr(value).removesuffix(".0")


def number_text(value: float | str) -> str:
    """Text of a stored number."""
    return number(value).strip('"')


def array_text(document: str, scalar: str) -> str:
    """PostgreSQL's text of a stored array."""
    return format_array(json.loads(document), lambda value: _member(value, scalar))


def csv_field(text: str) -> str:
    """One field of a CSV line, in quotes where needed."""
    if text and not ("," in text or '"' in text or "\n" in text or "\r" in text):
        return text
    return '"' + text.replace('"', '""') + '"'


def _with_nulls(convert: ColumnTexts, missing: str) -> ColumnTexts:
    def texts(values: Sequence[Stored]) -> Sequence[str]:
        if None not in values:
            return convert(values)
        found = iter(convert([value for value in values if value is not None]))
        return [missing if value is None else next(found) for value in values]

    return texts


def _unchanged(values: Sequence[str]) -> Sequence[str]:
    return values


def _numbers(values: Sequence[float | str], write: Callable[[float | str], str]) -> Sequence[str]:
    if _PLAIN_NUMBERS.issuperset(map(type, values)):
        text = "\n".join(map(repr, values))
        if "inf" not in text:
            return (text + "\n").replace(".0\n", "\n")[:-1].split("\n")
    return list(map(write, values))


def _moments(values: Sequence[str], width: int) -> str:
    """Timestamps without the trailing zeros of their fractions, one per line."""
    text = "\n".join(values)
    ending_in_zero = text[_LAST_DIGIT :: width + 1].count("0")
    if not ending_in_zero:
        return text
    if text.count(".000000") == ending_in_zero:
        return text.replace(".000000", "")
    # Many rows are written at the same time.
    shortened = {value: times.shorten(value) for value in set(values)}
    return "\n".join(map(shortened.__getitem__, values))


def _in_quotes(lines: str) -> Sequence[str]:
    return ('"' + lines.replace("\n", '"\n"') + '"').split("\n")


def _csv_moments(values: Sequence[str], width: int) -> Sequence[str]:
    return _moments(values, width).replace("T", " ").replace("+00:00", "+00").split("\n")


def _csv_fields(values: Sequence[str]) -> Sequence[str]:
    text = "".join(values)
    if "" not in values and not any(sign in text for sign in _CSV_SIGNS):
        return values
    if '"' in text or "\n" in text or "\r" in text:
        return list(map(csv_field, values))
    return [f'"{value}"' if "," in value or not value else value for value in values]


def _member(value: Any, scalar: str) -> str:
    if isinstance(value, bool) and scalar == "boolean":
        return "t" if value else "f"
    if isinstance(value, str):
        if scalar == "timestamptz":
            return value.replace("T", " ").replace("+00:00", "+00")
        return value.replace("T", " ") if scalar == "timestamp" else value
    if isinstance(value, float):
        return number_text(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
