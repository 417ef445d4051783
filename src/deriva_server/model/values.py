"""Values between their three forms: JSON, text (URL literals and CSV fields) and what the database stores.

Stored forms are canonical, so that equal values are stored alike and the order of stored forms is the order of values:

=====================  =======================================================================================
text and its domains   text
boolean                0 or 1
int, serial            integer
float                  double; not-a-number as the text ``NaN``, which sorts after every number
numeric                integer or double where that is exact, else the decimal text
date                   ``2020-01-31``
timestamptz            ``2020-01-31T01:02:03.456789+00:00``, always UTC with six digits
timestamp              the same without offset
time, timetz           ``01:02:03.5``, ``01:02:03.5+00``
interval, uuid         PostgreSQL's text
json, jsonb            compact JSON text; jsonb with its keys ordered by length, then by code point
arrays                 compact JSON text of an array of JSON forms
=====================  =======================================================================================
"""

from __future__ import annotations

import json
import math
import re
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model import times
from deriva_server.model.arrays import parse_array
from deriva_server.model.elements import Json, Type

Stored = str | int | float | None
"""A value as the database keeps it."""

INTEGER_BITS = {"int2": 15, "int4": 31, "int8": 63, "serial2": 15, "serial4": 31, "serial8": 63, "oid": 63}
"""Bits of the integer types without the sign."""
_TRUE = frozenset(("true", "t", "yes", "y", "on", "1"))
_FALSE = frozenset(("false", "f", "no", "n", "off", "0"))
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_SPACE = " \t\n\v\f\r"
"""Python strips more, such as separators of records, but does not take them for space in a number."""


def stored_from_json(type_: Type, value: Json) -> Stored:
    """Convert a JSON value given for a column.

    Parameters
    ----------
    type_ : Type
        The column's type.
    value : JSON value
        None is NULL, except in a json or jsonb column, where it is the JSON null.

    Raises
    ------
    BadRequest
        If the value cannot be of that type.
    Conflict
        If the type forbids the value for another reason than its syntax.
    """
    return json_reader(type_)(value)


def json_from_stored(type_: Type, value: Stored) -> Json:
    """The JSON value that stands for a stored one."""
    if value is None:
        return None
    if type_.is_array:
        return json.loads(str(value))
    scalar = type_.scalar
    if scalar in ("json", "jsonb"):
        return json.loads(str(value))
    if scalar == "boolean":
        return bool(value)
    if scalar in ("timestamptz", "timestamp"):
        return times.shorten(str(value))
    if scalar == "numeric" and isinstance(value, str) and value != "NaN":
        return float(value)
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


@lru_cache(maxsize=512)
def json_reader(type_: Type) -> Callable[[Json], Stored]:
    """The conversion from JSON for one type, to be called for every row."""
    if type_.is_array:
        return _array_reader(type_)
    scalar = type_.scalar
    if scalar in ("json", "jsonb"):
        return lambda value: compact(value, ordered=scalar == "jsonb")
    convert = _CONVERTERS.get(scalar, _text)
    if type_.name == "color_rgb_hex":
        convert = _color

    def read(value: Json) -> Stored:
        return None if value is None else convert(value, type_)

    return read


@lru_cache(maxsize=512)
def text_reader(type_: Type) -> Callable[[str], Stored]:
    """The conversion from text for one type, to be called for every row."""
    if type_.is_array:
        element = text_reader(type_.base) if type_.base is not None else _identity
        inner = _array_reader(type_)

        def read_array(text: str) -> Stored:
            if text.lstrip().startswith("["):
                return inner(load(text))
            members = parse_array(text, lambda part: json_from_stored(_element(type_), element(part)))
            return compact(members)

        return read_array
    scalar = type_.scalar
    if scalar in ("json", "jsonb"):
        return lambda text: compact(load(text), ordered=scalar == "jsonb")
    return json_reader(type_)


def load(text: str) -> Json:
    """Parse a JSON text strictly.

    Raises
    ------
    BadRequest
        If it is none; not-a-number literals are none.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"Not a JSON value: {text[:80]!r}.") from error


def compact(value: Json, *, ordered: bool = False) -> str:
    """Write a JSON value without spaces, keys in jsonb's order if `ordered`.

    >>> compact({"bb": 1, "a": [None, "é"]}, ordered=True)
    '{"a":[null,"é"],"bb":1}'
    """
    try:
        if ordered:
            value = _ordered(value)
        text: str = _ENCODER.encode(value)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            "A JSON value holds a number that is not finite, or is nested too deeply."
        ) from error
    if "\\u0000" in text and _holds_nul(value):
        raise BadRequest("A text may not hold the character U+0000.")
    return text if text.isascii() else _unicode(text)


def _ordered(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (len(key), key))}
    if isinstance(value, list):
        return [_ordered(member) for member in value]
    return value


def _holds_nul(value: Json) -> bool:
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(member) for key, member in value.items())
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value


def _plain(value: object) -> Json:
    if isinstance(value, Decimal):
        return float(value)
    raise ValueError("not a JSON value")


def _no_constant(name: str) -> Json:
    raise ValueError(name)


def _identity(text: str) -> Stored:
    return text


def _element(type_: Type) -> Type:
    assert type_.base is not None
    return type_.base


def _array_reader(type_: Type) -> Callable[[Json], Stored]:
    element_type = _element(type_)
    element = json_reader(element_type)
    keeps_null = element_type.scalar in ("json", "jsonb")

    def member(value: Json) -> Json:
        if isinstance(value, list) and not keeps_null:
            return [member(inner) for inner in value]
        return None if value is None else json_from_stored(element_type, element(value))

    def read(value: Json) -> Stored:
        if value is None:
            return None
        if isinstance(value, str) and value.startswith("{"):
            return text_reader(type_)(value)
        if not isinstance(value, list):
            raise BadRequest(f"A value of type {type_.name} must be a JSON array.")
        return compact([member(inner) for inner in value])

    return read


def _wrong(value: Json, type_: Type) -> BadRequest:
    shown = value if isinstance(value, str) else compact(value)
    return BadRequest(f'invalid input syntax for type {type_.name}: "{shown[:80]}"')


def _text(value: Json, _type: Type) -> Stored:
    return storable(value if isinstance(value, str) else compact(value))


def storable(text: str) -> str:
    """A text as every database can keep it.

    Raises
    ------
    BadRequest
        If it holds the character U+0000, or half of a surrogate pair.
    """
    if "\0" in text:
        raise BadRequest("A text may not hold the character U+0000.")
    return text if text.isascii() else _unicode(text)


def _unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRequest("A text holds half of a surrogate pair.") from error
    return text


def _color(value: Json, type_: Type) -> Stored:
    if not isinstance(value, str) or _COLOR.fullmatch(value) is None:
        raise Conflict(
            f'value for domain {type_.name} violates check constraint: "{value}" is not # and six hex digits'
        )
    return value


def _boolean(value: Json, type_: Type) -> Stored:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (str, int)):
        word = str(value).strip().lower()
        if word in _TRUE:
            return 1
        if word in _FALSE:
            return 0
    raise _wrong(value, type_)


def _integer(value: Json, type_: Type) -> Stored:
    if isinstance(value, bool):
        raise _wrong(value, type_)
    if isinstance(value, str):
        digits = value.strip(_SPACE)
        if _INTEGER.fullmatch(digits) is None or len(value) > 40:
            raise _wrong(value, type_)
        number = int(digits)
    elif isinstance(value, int):
        number = value
    elif isinstance(value, (float, Decimal)) and math.isfinite(value) and value == int(value):
        number = int(value)
    else:
        raise _wrong(value, type_)
    limit = 1 << INTEGER_BITS[type_.scalar]
    if not -limit <= number < limit:
        raise BadRequest(f'value "{number}" is out of range for type {type_.name}')
    return number


def _float(value: Json, type_: Type) -> Stored:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise _wrong(value, type_)
    try:
        if isinstance(value, str) and "_" in value:
            raise ValueError
        number = float(value)
        if math.isinf(number) and not (isinstance(value, str) and "inf" in value.lower()):
            raise OverflowError
        if type_.scalar == "float4":
            number = single(number)
    except OverflowError as error:
        raise BadRequest(f'"{str(value)[:80]}" is out of range for type {type_.name}') from error
    except ValueError as error:
        raise _wrong(value, type_) from error
    return "NaN" if math.isnan(number) else number


LARGEST_SINGLE = 3.4028235e38
"""The greatest number of single precision, as its shortest decimal."""


def single(number: float) -> float:
    """The double whose shortest decimal is that of `number` in single precision.

    >>> single(0.1), single(2 / 3)
    (0.1, 0.6666667)
    """
    if not math.isfinite(number):
        return number
    packed = struct.pack("<f", number)
    number = float(struct.unpack("<f", packed)[0])
    for digits in range(6, 10):
        short = float(f"{number:.{digits}g}")
        if struct.pack("<f", short) == packed:
            return short
    return number


def _numeric(value: Json, type_: Type) -> Stored:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise _wrong(value, type_)
    try:
        number = (
            value
            if isinstance(value, Decimal)
            else Decimal(repr(value) if isinstance(value, float) else value)
        )
    except InvalidOperation as error:
        raise _wrong(value, type_) from error
    if number.is_nan():
        return "NaN"
    if number.is_infinite():
        return float(number)
    if abs(number.adjusted()) > 16383:
        raise BadRequest(f"The value is out of range for type {type_.name}.")
    return exact_number(number)


def exact_number(number: Decimal) -> Stored:
    """Integer or double where one is exactly `number`, else its decimal text."""
    if number == number.to_integral_value() and abs(number) < 1 << 63:
        return int(number)
    near = float(number)
    if math.isfinite(near) and Decimal(repr(near)) == number:
        return near
    return f"{number:f}"


def _uuid(value: Json, type_: Type) -> Stored:
    try:
        return str(uuid.UUID(value))
    except (ValueError, AttributeError, TypeError) as error:
        raise _wrong(value, type_) from error


def _time(parse: Callable[[str], str]) -> Callable[[Json, Type], Stored]:
    def convert(value: Json, type_: Type) -> Stored:
        if not isinstance(value, str):
            raise _wrong(value, type_)
        try:
            return parse(value)
        except (ValueError, OverflowError) as error:
            raise _wrong(value, type_) from error

    return convert


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain)
_CONVERTERS: dict[str, Callable[[Any, Type], Stored]] = {
    "boolean": _boolean,
    **dict.fromkeys(INTEGER_BITS, _integer),
    "float4": _float,
    "float8": _float,
    "numeric": _numeric,
    "uuid": _uuid,
    "date": _time(times.date),
    "timestamp": _time(times.timestamp),
    "timestamptz": _time(times.timestamptz),
    "time": _time(times.time),
    "timetz": _time(times.timetz),
    "interval": _time(times.interval),
}
CONVERTED = frozenset(_CONVERTERS)
"""Scalar types that are stored otherwise than as the text that was given; besides documents."""
