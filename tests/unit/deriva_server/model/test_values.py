"""Values between JSON, text and stored form."""

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model.arrays import format_array, parse_array
from deriva_server.model.types import TYPES, array_of
from deriva_server.model.values import compact, json_from_stored, stored_from_json, text_reader

TEXTS = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("type_name", "value", "stored"),
    [
        ("text", "x", "x"),
        ("text", {"a": 1}, '{"a":1}'),
        ("text", True, "true"),
        ("markdown", 5, "5"),
        ("boolean", "yes", 1),
        ("boolean", False, 0),
        ("boolean", "F", 0),
        ("int4", "5", 5),
        ("int4", 5.0, 5),
        ("int2", -32768, -32768),
        ("float8", "1e3", 1000.0),
        ("float8", "NaN", "NaN"),
        ("float8", "-Infinity", -math.inf),
        ("float4", 0.1, 0.1),
        ("numeric", "1.10", 1.1),
        ("numeric", "12345678901234567890.5", "12345678901234567890.5"),
        ("numeric", Decimal("0.1"), 0.1),
        ("date", "2020-1-9", "2020-01-09"),
        ("timestamptz", "2018-01-1T01:00:00.0", "2018-01-01T01:00:00.000000+00:00"),
        ("timestamptz", "2020-01-31 01:02:03.5-0700", "2020-01-31T08:02:03.500000+00:00"),
        ("timestamptz", "2020-01-31", "2020-01-31T00:00:00.000000+00:00"),
        ("timestamp", "2020-01-31T01:02:03+05", "2020-01-31T01:02:03.000000"),
        ("time", "1:02", "01:02:00"),
        ("timetz", "01:02:03.50Z", "01:02:03.5+00"),
        ("interval", "1 day 2 hours", "1 day 02:00:00"),
        ("interval", "-90 minutes", "-01:30:00"),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("json", {"b": 1, "a": [None]}, '{"b":1,"a":[null]}'),
        ("jsonb", {"bb": 1, "a": 2}, '{"a":2,"bb":1}'),
        ("jsonb", None, "null"),
        ("text", None, None),
    ],
)
def test_stored_forms(type_name, value, stored):
    assert stored_from_json(TYPES[type_name], value) == stored


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("int4", "x"),
        ("int4", ""),
        ("int4", "\x1c7"),
        ("int4", "\u00a07"),
        ("int4", True),
        ("int4", 1.5),
        ("int4", 2**31),
        ("int2", 40000),
        ("float8", "x"),
        ("float8", 10**400),
        ("boolean", "maybe"),
        ("date", "2020-02-30"),
        ("date", 5),
        ("timestamptz", ""),
        ("interval", "soon"),
        ("uuid", "x"),
        ("text", "a\0b"),
        ("text", "\ud800"),
        ("jsonb", {"a": "\0"}),
        ("numeric", "x"),
        ("numeric", "1e99999"),
    ],
)
def test_impossible_values(type_name, value):
    with pytest.raises(BadRequest):
        stored_from_json(TYPES[type_name], value)


def test_colors_are_checked():
    assert stored_from_json(TYPES["color_rgb_hex"], "#00ffAA") == "#00ffAA"
    with pytest.raises(Conflict):
        stored_from_json(TYPES["color_rgb_hex"], "red")


def test_arrays():
    texts, times = array_of(TYPES["text"]), array_of(TYPES["timestamptz"])
    assert stored_from_json(texts, ["a", None, 5]) == '["a",null,"5"]'
    assert stored_from_json(texts, None) is None
    assert text_reader(texts)('{a,"b c",NULL}') == '["a","b c",null]'
    assert text_reader(texts)('["a"]') == '["a"]'
    assert stored_from_json(times, ["2020-01-31"]) == '["2020-01-31T00:00:00+00:00"]'
    assert text_reader(array_of(TYPES["int4"]))("{1,2}") == "[1,2]"
    for wrong in ("x", {"a": 1}, 5):
        with pytest.raises(BadRequest):
            stored_from_json(texts, wrong)


def test_compact_refuses_what_json_cannot_say():
    with pytest.raises(BadRequest):
        compact(math.nan)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadRequest):
        compact(deep)


@given(TEXTS)
def test_text_is_kept(text):
    assert json_from_stored(TYPES["text"], stored_from_json(TYPES["text"], text)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_kept(number):
    assert json_from_stored(TYPES["float8"], stored_from_json(TYPES["float8"], number)) == number


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_single_precision_is_kept(number):
    import struct

    stored = stored_from_json(TYPES["float4"], number)
    assert struct.pack("<f", stored) == struct.pack("<f", number)


@given(JSON)
def test_documents_are_kept(value):
    for type_name in ("json", "jsonb"):
        assert json_from_stored(TYPES[type_name], stored_from_json(TYPES[type_name], value)) == value


@given(st.dictionaries(TEXTS, JSON, max_size=4))
def test_equal_documents_are_stored_alike(document):
    turned = dict(reversed(document.items()))
    assert stored_from_json(TYPES["jsonb"], document) == stored_from_json(TYPES["jsonb"], turned)


@given(st.datetimes(), st.datetimes())
def test_order_of_stored_times_is_their_order(one, other):
    stored = [stored_from_json(TYPES["timestamptz"], time.isoformat()) for time in (one, other)]
    assert (stored[0] < stored[1]) == (one < other)
    assert (
        stored_from_json(TYPES["timestamptz"], json_from_stored(TYPES["timestamptz"], stored[0])) == stored[0]
    )


@given(st.lists(st.none() | TEXTS, max_size=4))
def test_array_text_is_kept(members):
    assert parse_array(format_array(members, str), str) == members


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_decimals_are_exact(number):
    stored = stored_from_json(TYPES["numeric"], str(number))
    assert Decimal(stored if isinstance(stored, (str, int)) else repr(stored)) == number


@given(st.lists(JSON, max_size=3))
def test_arrays_of_documents(members):
    stored = stored_from_json(array_of(TYPES["jsonb"]), members)
    assert json.loads(stored) == members
