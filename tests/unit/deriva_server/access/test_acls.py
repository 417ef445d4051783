import itertools

import pytest

from deriva_server.access.acls import SUFFICING, Rights
from deriva_server.identity import ANONYMOUS, Client
from deriva_server.model.bulk import Bulk
from deriva_server.model.elements import Model
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES

ME = Client("me", attributes=("team",))
GUARD = {"types": ["update"], "projection": ["RCB"], "projection_type": "acl"}


def make(catalog=None, schema=None, table=None, column=None, fkey=None, bindings=None, column_bindings=None):
    columns = [
        {"name": name, "type": {"typename": type_}, "nullok": SYSTEM_NULLOK[name]}
        for name, type_ in SYSTEM_TYPES.items()
    ]
    value = {
        "name": "v",
        "type": {"typename": "text"},
        "acls": column or {},
        "acl_bindings": column_bindings or {},
    }
    reference = {
        "foreign_key_columns": [{"column_name": "v"}],
        "referenced_columns": [{"column_name": "RID"}],
        "acls": fkey or {},
    }
    document = {
        "column_definitions": [*columns, value],
        "keys": [{"unique_columns": ["RID"]}],
        "foreign_keys": [reference],
        "acls": table or {},
        "acl_bindings": bindings or {},
    }
    numbers = itertools.count()
    bulk = Bulk(Model({}, {}, catalog or {}), lambda: str(next(numbers)), lambda _model, element: element)
    return bulk.add({"schemas": {"s": {"acls": schema or {}, "tables": {"T": document}}}})


def decide(model, client=ME):
    rights = Rights(model, client)
    table = model.schemas["s"].tables["T"]
    return rights, table, table.column_by_name["v"]


def test_nobody_may_anything_without_lists():
    rights, table, column = decide(make())
    for right in SUFFICING:
        assert rights.catalog(right) is False
        assert rights.schema(rights.model.schemas["s"], right) is False
        assert rights.table(table, right) is False
        assert rights.column(table, column, right) is False


@pytest.mark.parametrize("role", ["me", "team", "*"])
def test_any_role_of_the_caller_counts(role):
    assert Rights(make(catalog={"select": [role]}), ME).catalog("select") is True


@pytest.mark.parametrize(
    ("held", "right"), [(held, right) for right, lists in SUFFICING.items() for held in lists]
)
def test_stronger_lists_suffice(held, right):
    assert Rights(make(catalog={held: ["me"]}), ME).catalog(right) is True


def test_unset_lists_inherit_and_empty_ones_do_not():
    rights, table, column = decide(make(catalog={"select": ["me"]}, table={"select": []}))
    assert rights.schema(rights.model.schemas["s"], "select") is True
    assert rights.table(table, "select") is False
    assert rights.table(table, "enumerate") is True
    assert rights.column(table, column, "select") is False


def test_owners_of_a_parent_are_not_shut_out():
    rights, table, column = decide(
        make(schema={"owner": ["team"]}, table={"select": []}, column={"select": []})
    )
    assert rights.table(table, "select") is True
    assert rights.column(table, column, "select") is True


def test_a_schema_that_is_hidden_hides_its_tables():
    rights, table, _ = decide(make(schema={"enumerate": []}, table={"owner": ["me"]}))
    assert rights.table(table, "select") is False


def test_the_anonymous_only_look():
    rights, table, _ = decide(
        make(catalog={name: ["*"] for name in ("select", "insert", "owner")}), ANONYMOUS
    )
    assert rights.table(table, "select") is True
    assert rights.table(table, "enumerate") is True
    assert rights.table(table, "insert") is False
    assert rights.table(table, "owner") is False


def test_system_columns_are_the_services():
    rights, table, _ = decide(make(catalog={"owner": ["me"]}))
    columns = table.column_by_name
    assert [name for name in columns if rights.column(table, columns[name], "update")] == ["RCT", "v"]
    assert [name for name in columns if rights.column(table, columns[name], "insert")] == [
        "RID",
        "RCT",
        "RCB",
        "v",
    ]


def test_bindings_leave_the_decision_to_the_row():
    rights, table, column = decide(make(catalog={"enumerate": ["me"]}, bindings={"g": GUARD}))
    assert rights.table(table, "update") is None
    assert rights.table(table, "select") is None
    assert rights.table(table, "delete") is False
    assert rights.table(table, "insert") is False
    assert rights.column(table, column, "update") is None


@pytest.mark.parametrize("off", [False, {**GUARD, "scope_acl": ["somebody"]}])
def test_bindings_of_a_table_can_be_switched_off_on_a_column(off):
    model = make(
        {"enumerate": ["me"]}, column={"update": []}, bindings={"g": GUARD}, column_bindings={"g": off}
    )
    rights, table, column = decide(model)
    assert rights.column(table, column, "update") is False


def test_bindings_out_of_scope_do_not_count():
    rights, table, _ = decide(
        make({"enumerate": ["me"]}, bindings={"g": {**GUARD, "scope_acl": ["somebody"]}})
    )
    assert rights.table(table, "update") is False


def test_foreign_keys():
    rights, table, _ = decide(make({"enumerate": ["me"], "select": ["me"], "insert": ["me"]}))
    fkey = table.foreign_keys[0]
    assert rights.foreign_key(table, fkey, "insert") is True
    assert rights.foreign_key_right(table, fkey, "insert") is True
    assert rights.foreign_key_right(table, fkey, "update") is False
    assert rights.shows_foreign_key(table, fkey)
    rights, table, _ = decide(make({"enumerate": ["me"], "insert": ["me"]}, fkey={"insert": []}))
    fkey = table.foreign_keys[0]
    assert rights.foreign_key(table, fkey, "insert") is False
    assert not rights.shows_foreign_key(table, fkey)
