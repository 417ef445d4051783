"""Names of a URL in a hand-made model."""

import re

import pytest

from deriva_server.errors import BadRequest, Conflict
from deriva_server.grammar.parse import parse_data_path
from deriva_server.model.elements import Column, ForeignKey, Key, Model, Schema, Table
from deriva_server.model.types import TYPES
from deriva_server.operators import PATTERNS, Pattern
from deriva_server.plan import relation as r
from deriva_server.plan.bind import bind


def _table(name, columns, keys, fkeys=()):
    listed = tuple(
        Column(f"{name}.{c}", c, TYPES[t], nullok=c != "RID", storage=c) for c, t in columns.items()
    )
    return Table(
        name,
        "S",
        name,
        listed,
        tuple(Key(f"{name}-{at}", f"key{at}", key) for at, key in enumerate(keys)),
        tuple(
            ForeignKey(f"{name}+{c}", f"{name}_{c}", (c,), "S", target, (other,))
            for c, target, other in fkeys
        ),
    )


TABLES = [
    _table("P", {"RID": "ermrest_rid", "x": "int4"}, [("RID",)]),
    _table("C", {"RID": "ermrest_rid", "p": "text", "y": "text"}, [("RID",)], [("p", "P", "RID")]),
    _table("G", {"RID": "ermrest_rid", "c": "text"}, [("RID",), ("c",)], [("c", "C", "RID")]),
]
MODEL = Model({"S": Schema("S", "S", {table.name: table for table in TABLES})})


def joined(path):
    return bind(MODEL, parse_data_path(f"entity/{path}")).joined


@pytest.mark.parametrize(
    ("path", "determined"),
    [
        ("P", {0}),
        ("C/P", {1}),
        ("P/C", {0, 1}),
        ("P/C/G", {0, 1, 2}),
        ("P/C/G/(c)", {0, 1, 2, 3}),
        ("A:=C/G/$A", {0, 1}),
        ("A:=P/C/$A", {0}),
        ("C/G", {0, 1}),
        ("G/C", {0, 1}),
    ],
)
def test_what_a_context_row_determines(path, determined):
    assert joined(path).determined() == determined


def test_an_operator_may_make_its_pattern_of_the_value(monkeypatch):
    monkeypatch.setitem(PATTERNS, "regexp", Pattern(of=lambda value: f"^{re.escape(value)}"))
    (match,) = joined("C/y::regexp::a.b").where
    assert match.patterns == (r"^a\.b",)


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ("P/C", set()),
        ("P/left(RID)=(C:p)", {1}),
        ("P/right(RID)=(C:p)", {0}),
        ("P/full(RID)=(C:p)", {0, 1}),
        ("P/C/right(RID)=(G:c)", {0, 1}),
        ("P/left(RID)=(C:p)/(RID)=(G:c)", {1}),
    ],
)
def test_what_outer_joins_can_leave_out(path, missing):
    found = joined(path)
    assert {at for at in range(len(found.tables)) if found.may_be_missing(at)} == missing


def test_equalities_of_one_column_become_a_list():
    (where,) = joined("P/x=1;x=2;RID=1-A;x=any(3,4)").where
    assert isinstance(where, r.AnyOf)
    assert [term.values for term in where.terms] == [(1, 2, 3, 4), ("1-A", "1A")]
    (where,) = joined("P/x=1;x=2").where
    assert isinstance(where, r.Compare)


def test_every_value_of_a_list_must_hold():
    (where,) = joined("P/x=all(1,2)").where
    assert where.every and where.values == (1, 2)


@pytest.mark.parametrize(
    ("request_text", "error"),
    [
        ("entity/P/$B", BadRequest),
        ("entity/A:=P/A:=C", BadRequest),
        ("entity/A:=A:=P", BadRequest),
        ("entity/P/x=a", BadRequest),
        ("entity/P/Q:x=1", Conflict),
        ("attribute/P/Q:x", BadRequest),
        ("entity/P@sort(RID)@before(1)", BadRequest),
        ("entity/P/P", Conflict),
        ("entity/P/G", Conflict),
    ],
)
def test_refused(request_text, error):
    with pytest.raises(error):
        bind(MODEL, parse_data_path(request_text))
