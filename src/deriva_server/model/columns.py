"""Whole columns of values to their stored forms, much faster than value by value where nothing is unusual.

A column is looked at as a whole; as soon as any value needs care, every value is converted by itself (see `values`),
so results and errors are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

from deriva_server.model.elements import Json, Type
from deriva_server.model.values import CONVERTED, INTEGER_BITS, Stored, json_reader, text_reader

JsonColumn = Callable[[Sequence[Json]], Sequence[Stored]]
TextColumn = Callable[[Sequence[str | None]], Sequence[Stored]]

_DOCUMENTS = frozenset(("json", "jsonb"))
_NONE = type(None)
_WORDS: Mapping[str | None, int | None] = {None: None, "t": 1, "f": 0, "true": 1, "false": 0}
_LONGEST_NUMBER = 40


@lru_cache(maxsize=512)
def json_column(type_: Type) -> JsonColumn:
    """The conversion from JSON values for one type; None is NULL."""
    read, quick = json_reader(type_), _quick(type_, _JSON)

    def convert(values: Sequence[Json]) -> Sequence[Stored]:
        found = quick(values, type_) if quick is not None else None
        if found is None and {str, _NONE}.issuperset(map(type, values)):
            found = _each_once(values, read)
        return [read(value) for value in values] if found is None else found

    return convert


@lru_cache(maxsize=512)
def text_column(type_: Type) -> TextColumn:
    """The conversion from texts for one type; None is NULL."""
    read, quick = text_reader(type_), _quick(type_, _TEXT)

    def read_text(value: str | None) -> Stored:
        return None if value is None else read(value)

    def convert(values: Sequence[str | None]) -> Sequence[Stored]:
        found = quick(values, type_) if quick is not None else None
        return _each_once(values, read_text) if found is None else found

    return convert


def _each_once(values: Sequence[str | None], read: Callable[[str | None], Stored]) -> Sequence[Stored]:
    """Convert texts; equal ones are converted together, in the order of their first appearance."""
    known = {value: read(value) for value in dict.fromkeys(values)}
    return [known[value] for value in values]


Quick = Callable[[Sequence[Json], Type], Sequence[Stored] | None]


def _quick(type_: Type, known: Mapping[str, Quick]) -> Quick | None:
    scalar = type_.scalar
    if type_.is_array or scalar in _DOCUMENTS or type_.name == "color_rgb_hex":
        return None
    return known.get(scalar) if scalar in CONVERTED else _texts


def _texts(values: Sequence[Json], _type: Type) -> Sequence[Stored] | None:
    if not {str, _NONE}.issuperset(map(type, values)):
        return None
    joined = "".join(filter(None, values))
    if "\0" in joined:
        return None
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:
            return None
    return values


def _in_range(values: Sequence[int | None], type_: Type) -> Sequence[int | None] | None:
    numbers = [value for value in values if value is not None]
    limit = 1 << INTEGER_BITS[type_.scalar]
    return values if not numbers or (-limit <= min(numbers) and max(numbers) < limit) else None


def _integers(values: Sequence[Json], type_: Type) -> Sequence[Stored] | None:
    return _in_range(values, type_) if {int, _NONE}.issuperset(map(type, values)) else None


def _text_integers(values: Sequence[Json], type_: Type) -> Sequence[Stored] | None:
    joined = "".join(filter(None, values))
    if (
        not joined.isascii()
        or "_" in joined
        or max(map(len, filter(None, values)), default=0) > _LONGEST_NUMBER
    ):
        return None
    try:
        return _in_range([None if value is None else int(value) for value in values], type_)
    except ValueError:
        return None


def _finite(values: Sequence[float | None]) -> Sequence[float | None] | None:
    return values if all(map(math.isfinite, [value for value in values if value is not None])) else None


def _floats(values: Sequence[Json], _type: Type) -> Sequence[Stored] | None:
    kinds = set(map(type, values))
    if kinds <= {float, _NONE}:
        return _finite(values)
    if not kinds <= {float, int, _NONE}:
        return None
    try:
        return _finite([None if value is None else float(value) for value in values])
    except OverflowError:
        return None


def _text_floats(values: Sequence[Json], _type: Type) -> Sequence[Stored] | None:
    if any("_" in value for value in values if value is not None):
        return None
    try:
        return _finite([None if value is None else float(value) for value in values])
    except ValueError:
        return None


def _booleans(values: Sequence[Json], _type: Type) -> Sequence[Stored] | None:
    if not {bool, _NONE}.issuperset(map(type, values)):
        return None
    return [None if value is None else int(value) for value in values]


def _text_booleans(values: Sequence[Json], _type: Type) -> Sequence[Stored] | None:
    return [_WORDS[value] for value in values] if _WORDS.keys() >= set(values) else None


_JSON: Mapping[str, Quick] = {
    **dict.fromkeys(INTEGER_BITS, _integers),
    "float8": _floats,
    "boolean": _booleans,
}
_TEXT: Mapping[str, Quick] = {
    **dict.fromkeys(INTEGER_BITS, _text_integers),
    "float8": _text_floats,
    "boolean": _text_booleans,
}
