"""Rows from bodies: the same whatever the pieces a body is read in, and whatever the size of a column."""

import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deriva_server.ermrest.decode import decode
from deriva_server.ermrest.split import parse_csv
from deriva_server.errors import BadRequest, ServiceError
from deriva_server.http.negotiate import CSV, JSON, JSON_STREAM
from deriva_server.model.columns import json_column, text_column
from deriva_server.model.elements import Column
from deriva_server.model.types import type_named
from deriva_server.model.values import json_reader, text_reader
from deriva_server.plan.writes import Field

WHOLE = 1 << 30
SCALARS = ["text", "int2", "int4", "int8", "float4", "float8", "numeric", "boolean", "date", "timestamp"]
SCALARS += ["timestamptz", "uuid", "json", "jsonb", "color_rgb_hex", "markdown"]
TYPES = st.sampled_from([type_named(name) for name in SCALARS])


def field(name, type_name):
    return Field(name, Column(name, name, type_named(type_name)))


FIELDS = (field("a", "text"), field("n", "int4"), field("é", "jsonb"))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 9),
    st.text('ab ,"\\\né😀\0', max_size=5),
    st.lists(st.none(), max_size=2),
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "n", "é", "x"]), VALUES), max_size=5)


def outcome(body, media_type, piece):
    """All rows, or the status of the error."""
    try:
        return [row for rows in decode(io.BytesIO(body), media_type, FIELDS, (), piece) for row in rows]
    except ServiceError as error:
        return error.status


def assert_same(body, media_type, piece):
    assert outcome(body, media_type, piece) == outcome(body, media_type, WHOLE)


@given(ROWS, st.integers(1, 30), st.sampled_from([None, 1]), st.booleans())
def test_json_arrays(rows, piece, indent, escaped):
    assert_same(json.dumps(rows, indent=indent, ensure_ascii=escaped).encode(), JSON, piece)


@given(
    ROWS,
    st.integers(1, 30),
    st.integers(0, 200),
    st.sampled_from([b"", b"]", b",", b"{", b'"', b"\xff", b"1"]),
)
def test_broken_json(rows, piece, at, sign):
    body = json.dumps(rows, ensure_ascii=False).encode()
    for media_type in (JSON, JSON_STREAM):
        assert_same(body[:at] + sign + body[at + 1 :], media_type, piece)
        assert_same(body[:at], media_type, piece)


@given(ROWS, st.integers(1, 30), st.sampled_from([b"\n", b"\r\n", b"\n\n "]))
def test_json_lines(rows, piece, end):
    assert_same(b"".join(json.dumps(row).encode() + end for row in rows), JSON_STREAM, piece)


@pytest.mark.parametrize(
    "body",
    [
        "",
        " ",
        "[",
        "[]",
        "[ ] ",
        "[]x",
        "{}",
        "1",
        "[1]",
        "[{}",
        "[{},]",
        "[{} {}]",
        "[NaN]",
        "null",
        "[{}],",
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 5])
def test_odd_arrays(body, piece):
    assert_same(body.encode(), JSON, piece)


def test_a_defect_is_found_without_reading_on():
    body = io.BytesIO(b'[{"a": "x"}, {"a" "y"}, ' + b'{"a": "z"}, ' * 100_000)
    with pytest.raises(BadRequest):
        list(decode(body, JSON, FIELDS, (), 1000))
    assert body.tell() < 10_000


def test_a_byte_order_mark_is_passed_over():
    assert outcome(b'\xef\xbb\xbf[{"a": "x"}]', JSON, 1) == [("x", None, None)]


FIELD_TEXTS = st.sampled_from(
    ["", "1", "x", '""', '"x"', '"a,b"', '"a\nb"', '"a""b"', '"', 'x"y', '"x"y', "é"]
)


@given(
    st.lists(st.lists(FIELD_TEXTS, min_size=3, max_size=3), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(1, 30),
)
def test_csv(lines, end, ends, piece):
    text = end.join([",".join(["a", "n", "é"]), *(",".join(line) for line in lines)]) + (end if ends else "")
    assert_same(text.encode(), CSV, piece)


@given(st.text(alphabet='a,"\n\r', max_size=30))
@example('a\r"b"')
def test_quick_and_careful_lines_agree(text):
    def lines(whole):
        try:
            return list(parse_csv(whole))
        except BadRequest:
            return None

    # A quoted field in front of every line makes the quick way impossible, an escaped quote in it even more so.
    found = lines(text)
    shielded = lines('"""",' + text) if text and text[0] not in "\r\n" else None
    if found and shielded:
        assert shielded[0] == ['"', *found[0]]


SIGNS = st.sampled_from(["a", " ", "é", ",", "\n", "\r\n", "\r", '"', '"b"', '"x,y"', '"",', "z"])


@given(st.lists(SIGNS, max_size=9).map("".join))
def test_plain_and_careful_texts_agree(text):
    def lines(whole):
        try:
            return list(parse_csv(whole))
        except BadRequest:
            return None

    # An escaped quote on a line of its own makes the plain way impossible for the lines after it.
    shielded = lines('""""\n' + text)
    assert shielded == (None if lines(text) is None else [['"'], *lines(text)])


JSON_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["\ud800", "a\0b", "1", "2020-01-02", "2020-01-02T03:04:05Z", "#aabbcc", "true", "1e5"]),
    st.lists(st.integers(), max_size=2),
)


def value_by_value(read, values):
    try:
        return [read(value) for value in values]
    except ServiceError as error:
        return error.status


def as_column(convert, values):
    try:
        return list(convert(values))
    except ServiceError as error:
        return error.status


@given(TYPES, st.lists(JSON_VALUES, max_size=4))
def test_columns_of_json(type_, values):
    assert repr(as_column(json_column(type_), values)) == repr(value_by_value(json_reader(type_), values))


@given(TYPES, st.lists(st.integers() | st.floats() | st.booleans(), min_size=1, max_size=4))
def test_columns_of_numbers(type_, values):
    assert repr(as_column(json_column(type_), values)) == repr(value_by_value(json_reader(type_), values))


TEXTS = st.one_of(
    st.none(),
    st.text(max_size=4),
    st.integers(-(2**65), 2**65).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["t", "false", "YES", "1_0", " 1 ", "٣", "inf", "nan", "1e400", "a\0", "2020-01-02 03:04:05.1"]
    ),
)


@given(TYPES, st.lists(TEXTS, max_size=4))
def test_columns_of_texts(type_, values):
    read = text_reader(type_)
    expected = value_by_value(lambda value: None if value is None else read(value), values)
    assert repr(as_column(text_column(type_), values)) == repr(expected)
