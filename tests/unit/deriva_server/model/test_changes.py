import pytest

from deriva_server.errors import BadRequest, Conflict
from deriva_server.model import changes, parse


def table(model, name, schema="s"):
    return model.schemas[schema].tables[name]


def test_unchanged_tables_are_shared(model):
    new = changes.add_column(
        model, table(model, "B"), parse.column({"name": "n", "type": {"typename": "int4"}}, str)
    )
    assert table(new, "A") is table(model, "A")
    assert [column.name for column in table(new, "B").columns][-1] == "n"
    assert "n" not in table(model, "B").column_by_name


def test_rename_schema_is_followed_by_references(model):
    new = changes.alter_schema(model, model.schemas["s"], "t", {})
    assert list(new.schemas) == ["t"]
    assert {item.schema for item in new.tables()} == {"t"}
    assert table(new, "B", "t").foreign_keys[0].referenced_schema == "t"


def test_rename_table_is_followed_by_references(model):
    new = changes.alter_table(model, table(model, "A"), "A2", None, {})
    assert list(new.schemas["s"].tables) == ["A2", "B"]
    assert table(new, "B").foreign_keys[0].referenced_table == "A2"
    assert table(new, "A2").rid == table(model, "A").rid


def test_move_table_keeps_keys_and_references(model, build):
    model = build([{"schema_name": "t"}], model)
    new = changes.alter_table(model, table(model, "A"), None, "t", {"comment": "moved"})
    assert "A" not in new.schemas["s"].tables
    assert table(new, "A", "t").comment == "moved"
    assert table(new, "B").foreign_keys[0].referenced_schema == "t"
    assert len(table(new, "A", "t").keys) == 2


def test_rename_of_a_table_that_refers_to_itself(build, table_document, reference):
    model = build(
        [{"schema_name": "s"}, table_document("T", ["up"], [], [reference("up", "s", "T")], schema_name="s")]
    )
    new = changes.alter_table(model, table(model, "T"), "U", None, {})
    assert table(new, "U").foreign_keys[0].referenced_table == "U"


def test_rename_column_is_followed_by_keys_and_references(model):
    a = table(model, "A")
    new = changes.alter_column(
        model,
        a,
        a.column_by_name["RID"],
        parse.column({"name": "Q", "type": {"typename": "text"}}, lambda: a.columns[0].rid),
    )
    assert [key.columns for key in table(new, "A").keys] == [("Q",), ("x", "y")]
    assert table(new, "B").foreign_keys[0].referenced_columns == ("Q",)
    b = table(new, "B")
    renamed = changes.alter_column(
        new,
        b,
        b.column_by_name["a"],
        parse.column({"name": "aa", "type": {"typename": "text"}}, lambda: b.column_by_name["a"].rid),
    )
    assert table(renamed, "B").foreign_keys[0].columns == ("aa",)


def test_drop_column_takes_its_keys_and_references_along(model):
    b = table(model, "B")
    new = changes.drop_column(model, b, b.column_by_name["a"])
    assert table(new, "B").foreign_keys == ()
    new = changes.drop_column(model, b, b.column_by_name["z"])
    assert [key.columns for key in table(new, "B").keys] == [("RID",)]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: changes.add_schema(m, parse.schema({"schema_name": "s"}, str)),
        lambda m: changes.add_schema(m, parse.schema({"schema_name": "_ermrest"}, str)),
        lambda m: changes.drop_schema(m, m.schemas["s"]),
        lambda m: changes.drop_table(m, table(m, "A")),
        lambda m: changes.alter_table(m, table(m, "A"), "B", None, {}),
        lambda m: changes.alter_table(m, table(m, "A"), None, "nowhere", {}),
        lambda m: changes.drop_column(m, table(m, "A"), table(m, "A").column_by_name["RMT"]),
        lambda m: changes.drop_key(m, table(m, "A"), table(m, "A").keys[0]),
        lambda m: changes.add_key(m, table(m, "A"), {"unique_columns": ["y", "x"]}, str),
        lambda m: changes.add_key(
            m, table(m, "A"), {"unique_columns": ["y"], "names": [["s", "B_z_key"]]}, str
        ),
    ],
)
def test_changes_that_do_not_fit_conflict(model, change):
    with pytest.raises(Conflict):
        change(model)


def test_names_that_the_service_chooses(model, new_rid):
    assert [key.name for key in table(model, "A").keys] == ["A_RID_key", "A_x_y_key"]
    assert table(model, "B").foreign_keys[0].name == "B_a_fkey"
    new, key = changes.add_key(model, table(model, "B"), {"unique_columns": ["a"], "names": []}, new_rid)
    assert key.name == "B_a_key"
    new = changes.put_table(new, table(new, "B"), table(new, "B"))
    long = "n" * 63
    new, key = changes.add_key(
        changes.alter_table(new, table(new, "A"), long, None, {}),
        table(changes.alter_table(new, table(new, "A"), long, None, {}), long),
        {"unique_columns": ["y"]},
        new_rid,
    )
    assert len(key.name.encode()) <= 63
    assert key.name.endswith("_key")


def test_key_over_an_unknown_column_is_a_bad_request(model):
    with pytest.raises(BadRequest, match="nope"):
        changes.add_key(model, table(model, "A"), {"unique_columns": ["nope"]}, str)


def test_foreign_key_must_refer_to_a_key(model, reference, new_rid):
    request = parse.foreign_key(reference("z", "s", "A", "y"), ("s", "B"))
    with pytest.raises(Conflict, match="not a key"):
        changes.add_foreign_key(model, request, new_rid)


def test_same_foreign_key_twice_conflicts(model, reference, new_rid):
    request = parse.foreign_key(reference("a", "s", "A"), ("s", "B"))
    with pytest.raises(Conflict, match="same foreign key"):
        changes.add_foreign_key(model, request, new_rid)
