"""Sort keys of values whose stored forms do not sort as the values do: decimals of any length, and arrays."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from deriva_server.model.values import Stored
from deriva_server.plan.relation import NUMBERS

_BIAS = 50_000
_COMPLEMENT = str.maketrans("0123456789", "9876543210")
_LEAST, _ZERO, _INFINITE, _NO_NUMBER = "-", "1", "3", "4"


def decimal_key(value: Stored) -> str | None:
    """A text that sorts as the number does; not-a-number comes last.

    >>> keys = [decimal_key(value) for value in (float("-inf"), -12.5, -12, -0.5, 0, "0.30", 0.4, 2, 10, "NaN")]
    >>> keys == sorted(keys)
    True
    """
    if value is None:
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        return _NO_NUMBER if number.is_nan() else _INFINITE if number > 0 else _LEAST
    if not number:
        return _ZERO
    digits = "".join(map(str, number.as_tuple().digits)).rstrip("0")
    size = f"{number.adjusted() + _BIAS:06d}{digits}"
    # The tilde makes the shorter of two negative numbers that begin alike the greater one.
    return f"2{size}" if number > 0 else f"0{size.translate(_COMPLEMENT)}~"


def array_key(document: str | None, scalar: str) -> bytes | None:
    """Bytes that sort as PostgreSQL's arrays do: member by member, NULL after every value.

    >>> array_key("[]", "text") < array_key('["a"]', "text") < array_key('["a","b"]', "text") < array_key("[null]", "text")
    True
    >>> array_key("[9]", "int4") < array_key("[10]", "int4")
    True
    """
    if document is None:
        return None
    return b"".join(_member_key(member, scalar) for member in json.loads(document, parse_float=Decimal))


def _member_key(member: Any, scalar: str) -> bytes:
    if member is None:
        return b"\2"
    if scalar in NUMBERS:
        text = decimal_key(member) or ""
    elif isinstance(member, str):
        text = member
    else:
        text = json.dumps(member, separators=(",", ":"), ensure_ascii=False, default=float)
    return b"\1" + text.encode() + b"\0"


class Least:
    """The value whose sort key is the least."""

    def __init__(self) -> None:
        self._value: Stored = None
        self._key: Any = None

    def step(self, value: Stored, key: Any) -> None:
        """Take one row."""
        if key is not None and (self._key is None or self._is_before(key, self._key)):
            self._value, self._key = value, key

    def _is_before(self, key: Any, other: Any) -> bool:
        return bool(key < other)

    def finalize(self) -> Stored:
        """The value; NULL without any."""
        return self._value


class Greatest(Least):
    """The value whose sort key is the greatest."""

    def _is_before(self, key: Any, other: Any) -> bool:
        return bool(key > other)
