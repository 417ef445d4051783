from dataclasses import replace

import pytest

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model import bindings, changes
from deriva_server.model.bindings import check_binding

GUARD = {"types": ["update", "delete"], "projection": ["RCB"], "projection_type": "acl"}
FAR = {
    "types": ["select"],
    "projection": [{"outbound": ["s", "B_a_fkey"], "alias": "A"}, {"filter": ["A", "x"], "operand": 1}, "y"],
}


def table(model, name):
    return model.schemas["s"].tables[name]


@pytest.mark.parametrize(
    "binding",
    [
        False,
        GUARD,
        FAR,
        {"types": ["select"], "projection": "RID"},
        {
            "types": ["owner"],
            "projection": [{"or": [{"filter": "z"}, {"and": [{"filter": [None, "a"]}]}]}, "z"],
        },
        {"types": ["select"], "projection": ["z"], "scope_acl": ["x"], "comment": "why"},
    ],
)
def test_legal(model, binding):
    check_binding(model, table(model, "B"), binding, "table")


@pytest.mark.parametrize(
    "binding",
    [
        None,
        True,
        [],
        {"projection": "RID"},
        {"types": [], "projection": "RID"},
        {"types": ["insert"], "projection": "RID"},
        {"types": ["select"]},
        {"types": ["select"], "projection": []},
        {"types": ["select"], "projection": [{"nothing": 1}, "RID"]},
        {"types": ["select"], "projection": "RID", "scope_acl": []},
        {"types": ["select"], "projection": "RID", "projection_type": "other"},
        {"types": ["select"], "projection": "RID", "more": 1},
        {"types": ["select"], "projection": [{"filter": ["nowhere", "x"]}, "RID"]},
    ],
)
def test_malformed(model, binding):
    with pytest.raises(BadRequest):
        check_binding(model, table(model, "B"), binding, "table")


@pytest.mark.parametrize(
    "binding",
    [
        {"types": ["select"], "projection": "nope"},
        {"types": ["select"], "projection": [{"outbound": ["s", "nope"]}, "RID"]},
        {"types": ["select"], "projection": [{"inbound": ["s", "B_a_fkey"]}, "RID"]},
        {"types": ["select"], "projection": "RCT", "projection_type": "acl"},
    ],
)
def test_unknown_names_and_wrong_directions(model, binding):
    with pytest.raises(Conflict):
        check_binding(model, table(model, "B"), binding, "table")


@pytest.fixture
def guarded(model):
    b = replace(table(model, "B"), acl_bindings={"far": FAR, "guard": GUARD})
    return changes.put_table(model, b, b)


def test_bindings_follow_renames(guarded):
    a = table(guarded, "A")
    column = a.column_by_name["y"]
    new = changes.alter_column(guarded, a, column, replace(column, name="yy"))
    b = table(new, "B")
    new = changes.put_foreign_key(new, b, replace(b.foreign_keys[0], name="renamed"))
    followed = table(bindings.follow(guarded, new), "B").acl_bindings
    assert followed["far"]["projection"] == [
        {"outbound": ["s", "renamed"], "alias": "A"},
        {"filter": ["A", "x"], "operand": 1},
        "yy",
    ]
    assert followed["guard"] == GUARD


def test_bindings_go_with_what_they_need(guarded):
    b = table(guarded, "B")
    new = changes.drop_foreign_key(guarded, b, b.foreign_keys[0])
    assert set(table(bindings.follow(guarded, new), "B").acl_bindings) == {"guard"}


def test_nothing_changes_without_need(guarded):
    assert bindings.follow(guarded, guarded) is guarded
