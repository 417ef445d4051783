"""Encoding of row ids (RID) and snapshot ids, and the identifiers the service accepts.

Both ids are 64-bit integers written with 32 symbols in groups of four. A snapshot id is the
same encoding of a time in microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

_SYMBOLS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _SYMBOLS for second in _SYMBOLS]
_GROUP = 1 << 20
_VALUES = {symbol: value for value, symbol in enumerate(_SYMBOLS)}
_VALUES |= {symbol.lower(): value for symbol, value in _VALUES.items()}
_VALUES |= {"O": 0, "o": 0, "I": 1, "i": 1, "L": 1, "l": 1}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

FIRST_RID = 2**19
"""First row id of a catalog: ids then keep the same length for a long time and sort as text."""

NAME_BYTES = 63
"""Longest identifier in bytes of UTF-8."""


def encode_id(number: int) -> str:
    """Write a non-negative 64-bit number as a RID or snapshot id.

    The number is shifted left by one bit first, so the last symbol always has an even value.

    >>> encode_id(1), encode_id(16), encode_id(2**19)
    ('2', '10', '1-0000')
    """
    shifted = number << 1
    if shifted < _GROUP:
        return _joined(shifted)
    last = shifted & _GROUP - 1
    return f"{_joined(shifted >> 20)}-{_PAIRS[last >> 10]}{_PAIRS[last & 1023]}"


@lru_cache(maxsize=64)
def _joined(rest: int) -> str:
    symbols = []
    while rest:
        symbols.append(_SYMBOLS[rest & 31])
        rest >>= 5
    text = "".join(reversed(symbols)) or "0"
    head = len(text) % 4
    groups = [text[:head]] if head else []
    groups += [text[i : i + 4] for i in range(head, len(text), 4)]
    return "-".join(groups)


def decode_id(text: str) -> int:
    """Read a RID or snapshot id leniently: any case, dashes anywhere, O as 0, I and L as 1.

    Raises
    ------
    ValueError
        If `text` is empty, holds any other symbol, or stands for more than 63 bits.
    """
    number = 0
    symbols = text.replace("-", "")
    if not symbols or len(symbols) > 13:
        raise ValueError(f"not an id: {text!r}")
    for symbol in symbols:
        if symbol not in _VALUES:
            raise ValueError(f"not an id: {text!r}")
        number = number << 5 | _VALUES[symbol]
    if number >> 64:
        raise ValueError(f"not an id: {text!r}")
    return number >> 1


def normal_rid(text: str) -> str:
    """Canonical spelling of a RID, or `text` itself when it cannot be decoded."""
    try:
        return encode_id(decode_id(text))
    except ValueError:
        return text


def to_microseconds(time: dt.datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (time - _EPOCH) // dt.timedelta(microseconds=1)


def from_microseconds(number: int) -> dt.datetime:
    """Aware UTC time of microseconds since 1970."""
    return _EPOCH + dt.timedelta(microseconds=number)


def stored_time(number: int) -> str:
    """Stored text of a timestamptz: UTC, always six fraction digits, so that text order is time order.

    >>> stored_time(0)
    '1970-01-01T00:00:00.000000+00:00'
    """
    return from_microseconds(number).isoformat(timespec="microseconds")


def is_identifier(name: object) -> bool:
    """Whether `name` may name a schema, table, column or constraint."""
    return (
        isinstance(name, str)
        and 0 < len(name.encode("utf-8", "surrogatepass")) <= NAME_BYTES
        and "\0" not in name
    )
