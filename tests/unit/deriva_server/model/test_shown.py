"""Columns as texts: the same as value by value, whatever a column holds beside."""

import csv
import json
import random
import struct

import pytest

from deriva_server.model.shown import csv_texts, filling, joining, json_texts
from deriva_server.model.types import TYPES
from deriva_server.model.values import json_from_stored

RANDOM = random.Random(7)
FLOATS = [struct.unpack("<d", RANDOM.randbytes(8))[0] for _ in range(2000)] + [
    0.1 + 0.2,
    5.0,
    -0.0,
    1e16,
    1e22,
    5e-324,
    1.7976931348623157e308,
    0.37,
    -12.5,
    1e15,
    123456789012345680.0,
]
NUMBERS = [value for value in FLOATS if value == value and abs(value) != float("inf")]
MOMENTS = [
    f"2025-01-11T10:00:{at:02}.{micro}+00:00" for at in range(60) for micro in ("000000", "450000", "000001")
]


@pytest.mark.parametrize("type_name", ["float8", "numeric"])
@pytest.mark.parametrize("more", [[], [None], ["NaN"], [float("inf"), float("-inf")], [7, None, "NaN"]])
def test_numbers_read_back_as_they_were(type_name: str, more: list[object]) -> None:
    values = NUMBERS + more
    texts = json_texts(TYPES[type_name])(values)
    assert [json.loads(text) for text in texts] == [json_from_stored(TYPES[type_name], v) for v in values]
    assert not any(text.endswith(".0") for text in texts)
    plain = csv_texts(TYPES[type_name])(values)
    assert list(plain) == ["" if text == "null" else text.strip('"') for text in texts]


def test_a_long_decimal_keeps_its_digits() -> None:
    values = ["12345678901234567890.12345678901234567890", 1, None]
    assert list(json_texts(TYPES["numeric"])(values)) == [values[0], "1", "null"]


@pytest.mark.parametrize(
    "values",
    [
        MOMENTS,
        MOMENTS[::3],
        MOMENTS[2::3],
        MOMENTS[1::3],
        [*MOMENTS, None],
        [None],
    ],
)
def test_moments_lose_trailing_zeros(values: list[str | None]) -> None:
    expected = [json_from_stored(TYPES["timestamptz"], value) for value in values]
    assert list(map(json.loads, json_texts(TYPES["timestamptz"])(values))) == expected
    shown = ["" if v is None else str(v).replace("T", " ").replace("+00:00", "+00") for v in expected]
    assert list(csv_texts(TYPES["timestamptz"])(values)) == shown


def test_local_moments() -> None:
    values = [moment[:26] for moment in MOMENTS]
    expected = [json_from_stored(TYPES["timestamp"], value) for value in values]
    assert list(map(json.loads, json_texts(TYPES["timestamp"])(values))) == expected


TEXTS = ["plain", "", "a,b", 'say "so"', "two\nlines", "\r", "\\", "é\u2028", "\x01", ",", "NULL"]


@pytest.mark.parametrize(
    "values", [TEXTS, ["a", "b"], ["a", ""], ["a", "x,y"], ["a", None, "x,y"], [None, None]]
)
def test_csv_reads_back(values: list[str | None]) -> None:
    lines = joining([csv_texts(TYPES["text"]), csv_texts(TYPES["int4"])])([(value, 1) for value in values])
    read = [
        next(csv.reader([line], strict=True)) if "\n" not in line and "\r" not in line else None
        for line in lines
    ]
    assert all(
        found is None or found == [value or "", "1"] for found, value in zip(read, values, strict=True)
    )
    assert [line == ",1" for line in lines] == [value is None for value in values]
    assert [line == '"",1' for line in lines] == [value == "" for value in values]


def test_no_rows_make_no_texts() -> None:
    ways = [json_texts(TYPES["text"])]
    assert filling(['{"a":'], ways, "}")([]) == joining(ways)([]) == []


def test_json_objects_read_back() -> None:
    ways = [json_texts(TYPES[name]) for name in ("text", "boolean", "jsonb", "int8")]
    rows = [(text, at % 2, '{"a":[null,"\\n"]}', None if at else 1 << 62) for at, text in enumerate(TEXTS)]
    texts = filling(['{"a":', ',"b":', ',"c":', ',"d":'], ways, "}")(rows)
    assert [json.loads(text) for text in texts] == [
        {"a": text, "b": bool(flag), "c": {"a": [None, "\n"]}, "d": n} for text, flag, _, n in rows
    ]
