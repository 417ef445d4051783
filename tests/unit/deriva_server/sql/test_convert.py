import pytest

from deriva_server.errors import BadRequest
from deriva_server.model.elements import Column
from deriva_server.model.types import TYPES
from deriva_server.sql.ddl import is_stored_alike
from deriva_server.sql.sqlite.convert import convert, default_literal


@pytest.mark.parametrize(
    ("value", "old", "new", "expected"),
    [
        (None, "text", "int4", None),
        (5, "int4", "text", "5"),
        ("5", "text", "int4", 5),
        (1, "boolean", "text", "true"),
        ("yes", "text", "boolean", 1),
        (2.6, "float8", "int4", 3),
        (7, "int8", "float8", 7.0),
        ('{"a":1}', "jsonb", "text", '{"a":1}'),
        ('{"a":1}', "text", "jsonb", '{"a":1}'),
        ("2020-01-02", "date", "timestamptz", "2020-01-02T00:00:00.000000+00:00"),
        ('["a","b"]', "text[]", "jsonb", '["a","b"]'),
        ("2020-01-31T00:00:00.500000+00:00", "timestamptz", "text", "2020-01-31T00:00:00.5+00:00"),
    ],
)
def test_values_take_the_form_of_the_new_type(value, old, new, expected):
    assert convert(value, old, new) == expected


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(BadRequest):
        convert("x", "text", "int4")


def test_domains_of_one_base_are_stored_alike():
    assert is_stored_alike(TYPES["text"], TYPES["markdown"])
    assert is_stored_alike(TYPES["serial4"], TYPES["int4"])
    assert not is_stored_alike(TYPES["text"], TYPES["int4"])


@pytest.mark.parametrize(
    ("type_", "default", "literal"),
    [
        ("text", "it's", "'it''s'"),
        ("boolean", False, "0"),
        ("int8", -3, "-3"),
        ("float8", 0.1, "0.1"),
        ("jsonb", {"a": None}, "'{\"a\":null}'"),
        ("text", None, "NULL"),
    ],
)
def test_defaults_as_sql(type_, default, literal):
    assert default_literal(Column("1-0000", "c", TYPES[type_], default=default)) == literal
