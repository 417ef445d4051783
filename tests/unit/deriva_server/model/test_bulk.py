import pytest

from deriva_server.errors import BadRequest, Conflict


def test_cycles_between_tables(build, table_document, reference):
    model = build(
        [
            {"schema_name": "t"},
            {"schema_name": "s"},
            table_document("T", ["u"], [], [reference("u", "s", "U")], schema_name="t"),
            table_document("U", ["t"], [], [reference("t", "t", "T")], schema_name="s"),
        ]
    )
    assert model.schemas["t"].tables["T"].foreign_keys[0].referenced_table == "U"
    assert model.schemas["s"].tables["U"].foreign_keys[0].referenced_schema == "t"


def test_foreign_keys_as_members_of_their_own(build, model, reference):
    document = reference("z", "s", "A", names=[["placeholder", "my_fk"]], on_delete="cascade")
    document["foreign_key_columns"] = [{"schema_name": "s", "table_name": "B", "column_name": "z"}]
    fkey = build([document], model).schemas["s"].tables["B"].foreign_keys[-1]
    assert (fkey.name, fkey.on_delete, fkey.on_update) == ("my_fk", "CASCADE", "NO ACTION")
    assert fkey.acls == {"insert": ["*"], "update": ["*"]}


@pytest.mark.parametrize(
    "body",
    [
        None,
        5,
        {},
        {"schemas": []},
        ["x"],
        [{"nothing": 1}],
        {"schemas": {"a": {"schema_name": "b"}}},
        [{"table_name": 3}],
    ],
)
def test_other_shapes_are_bad_requests(build, body):
    with pytest.raises(BadRequest):
        build(body)


def test_table_in_a_missing_schema_conflicts(build, table_document):
    with pytest.raises(Conflict, match="nowhere"):
        build([table_document("T", schema_name="nowhere")])


@pytest.mark.parametrize("missing", ["RID", "RCT", "RMT", "RCB", "RMB"])
def test_system_columns_are_required(build, table_document, missing):
    document = table_document("T")
    document["column_definitions"] = [c for c in document["column_definitions"] if c["name"] != missing]
    with pytest.raises(BadRequest, match=missing):
        build({"schemas": {"s": {"tables": {"T": document}}}})


def test_system_columns_have_fixed_types(build, table_document):
    document = table_document("T")
    document["column_definitions"] = [{**c, "nullok": True} for c in document["column_definitions"]]
    with pytest.raises(BadRequest, match="RID"):
        build({"schemas": {"s": {"tables": {"T": document}}}})


def test_the_rid_key_is_required(build, table_document):
    document = table_document("T", ["a"])
    document["keys"] = [{"unique_columns": ["RID", "a"]}]
    with pytest.raises(BadRequest, match="RID"):
        build({"schemas": {"s": {"tables": {"T": document}}}})


def test_defaults_are_kept_as_given(build, table_document):
    defaults = {
        "t": ("ermrest_curie", "P:{RID}"),
        "b": ("boolean", False),
        "n": ("int4", 0),
        "j": ("jsonb", {}),
        "e": ("jsonb", ""),
        "l": ("jsonb", []),
    }
    columns = [
        {"name": name, "type": {"typename": type_}, "default": value}
        for name, (type_, value) in defaults.items()
    ]
    model = build({"schemas": {"s": {"tables": {"T": table_document("T", columns)}}}})
    made = model.schemas["s"].tables["T"].column_by_name
    assert {name: made[name].default for name in defaults} == {
        name: value for name, (_, value) in defaults.items()
    }


def test_defaults_must_suit_their_type(build, table_document):
    column = {"name": "n", "type": {"typename": "int4"}, "default": "many"}
    with pytest.raises(BadRequest, match="many"):
        build({"schemas": {"s": {"tables": {"T": table_document("T", [column])}}}})
