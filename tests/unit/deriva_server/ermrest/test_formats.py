"""CSV as PostgreSQL writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deriva_server.ermrest.formats import csv_field
from deriva_server.ermrest.split import parse_csv
from deriva_server.errors import BadRequest

FIELDS = st.none() | st.text(alphabet='ab," \n\r;é\\', max_size=6)


@given(st.lists(st.lists(FIELDS, min_size=2, max_size=4), max_size=4))
def test_round_trip(lines):
    def written(field):
        return "" if field is None else csv_field(field)

    text = "".join(",".join(written(field) for field in line) + "\n" for line in lines)
    assert list(parse_csv(text)) == lines


def test_line_ends():
    assert list(parse_csv("a,b\r\nc,\r\n")) == [["a", "b"], ["c", None]]
    assert list(parse_csv("a")) == [["a"]]


@pytest.mark.parametrize("text", ['"a"b', 'a"b', '"a'])
def test_misplaced_quotes(text):
    with pytest.raises(BadRequest):
        list(parse_csv(text))
