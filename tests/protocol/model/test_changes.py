import pytest


def names(document):
    return [column["name"] for column in document["column_definitions"]]


def rows(catalog, table, *columns):
    return [tuple(row[name] for name in columns) for row in catalog.get(f"/entity/{table}")]


def test_bulk_as_list(catalog, table, reference):
    body = [
        {"schema_name": "t"},
        table("U", "v", schema_name="t"),
        {"schema_name": "w", "tables": {"V": table("V", "u")}},
        {
            "foreign_key_columns": [{"schema_name": "w", "table_name": "V", "column_name": "u"}],
            "referenced_columns": [{"schema_name": "t", "table_name": "U", "column_name": "RID"}],
        },
    ]
    answer = catalog("POST", "/schema", body)
    assert answer.status == 201
    assert [document.get("table_name", document["schema_name"]) for document in answer.json] == [
        "t",
        "U",
        "w",
    ]
    assert answer.json[2]["tables"]["V"]["foreign_keys"][0]["names"] == [["w", "V_u_fkey"]]


def test_bulk_is_all_or_nothing(catalog, table, reference):
    broken = table("T", "v", foreign_keys=[reference(["v"], "s", "nowhere", ["RID"])])
    assert catalog("POST", "/schema", {"schemas": {"s": {"tables": {"T": broken}}}}).status == 409
    assert list(catalog.get("/schema")["schemas"]) == ["public"]


def test_create_one_by_one(catalog, table, reference):
    assert catalog("POST", "/schema/s").status == 201
    assert catalog("POST", "/schema/s").status == 409
    assert catalog("POST", "/schema/_ermrest").status == 409
    answer = catalog("POST", "/schema/s/table", table("T", "v"))
    assert (answer.status, answer.json["table_name"]) == (201, "T")
    assert catalog("POST", "/schema/s/table", table("T")).status == 409
    answer = catalog("POST", "/schema/s/table/T/column", {"name": "n", "type": {"typename": "int4"}})
    assert (answer.status, answer.json["nullok"], answer.json["type"]) == (201, True, {"typename": "int4"})
    answer = catalog(
        "POST", "/schema/s/table/T/key", {"unique_columns": ["n"], "names": [["placeholder", "k"]]}
    )
    assert (answer.status, answer.json[0]["names"]) == (201, [["s", "k"]])
    answer = catalog(
        "POST", "/schema/s/table/T/foreignkey", reference(["v"], "s", "T", ["RID"], on_delete="cascade")
    )
    assert (answer.status, answer.json[0]["on_delete"]) == (201, "CASCADE")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/schema/s/table", {}, 400),
        ("/schema/s/table", b"[", 400),
        ("/schema/s/table", {"table_name": "T"}, 400),
        ("/schema/s/table", {"table_name": "n" * 64}, 400),
        ("/schema/s/table", {"table_name": "T", "kind": "view"}, 409),
        ("/schema/s/table", {"table_name": "T", "schema_name": "else"}, 409),
        ("/schema/zz/table", {"table_name": "T"}, 409),
        ("/schema/s/table/A/column", {"name": "n"}, 400),
        ("/schema/s/table/A/column", {"type": {"typename": "text"}}, 400),
        ("/schema/s/table/A/column", {"name": "x", "type": {"typename": "text"}}, 409),
        ("/schema/s/table/A/column", {"name": "n", "type": {"typename": "nope"}}, 409),
        ("/schema/s/table/A/column", {"name": "n", "type": {"typename": "text"}, "nullok": False}, 409),
        ("/schema/s/table/A/column", {"name": "n", "type": {"typename": "int4"}, "default": "x"}, 400),
        ("/schema/s/table/A/column", {"name": "n", "type": {"typename": "text"}, "acls": {"owner": []}}, 409),
        ("/schema/s/table/A/column", {"name": "n", "type": {"typename": "text"}, "comment": 5}, 400),
        ("/schema/s/table/A/key", [], 400),
        ("/schema/s/table/A/key", {"unique_columns": ["nope"]}, 400),
        ("/schema/s/table/A/key", {"unique_columns": ["y", "x"]}, 409),
        ("/schema/s/table/A/key", {"unique_columns": ["y"], "names": ["k"]}, 400),
        ("/schema/s/table/A/key", {"unique_columns": ["y"], "names": [["s", "n" * 64]]}, 400),
        ("/schema/s/table/B/foreignkey", [], 400),
        ("/schema/s/table/B/foreignkey", {"foreign_key_columns": [], "referenced_columns": []}, 400),
        ("/schema/s/table/B/foreignkey", {"foreign_key_columns": ["a"], "referenced_columns": ["RID"]}, 400),
    ],
)
def test_what_cannot_be_created(small, path, body, status):
    assert small("POST", path, body).status == status


def test_foreign_keys_that_do_not_fit(small, reference):
    def post(*arguments, **more):
        return small("POST", "/schema/s/table/B/foreignkey", reference(*arguments, **more)).status

    assert post(["a"], "s", "A", ["RID"]) == 409
    assert post(["nope"], "s", "A", ["RID"]) == 409
    assert post(["x"], "s", "A", ["nope"]) == 409
    assert post(["x"], "s", "A", ["x"]) == 409
    assert post(["x", "y"], "s", "A", ["x"]) == 400
    assert post(["x"], "s", "A", ["RID"], on_delete="EXPLODE") == 400
    assert post(["x"], "s", "A", ["RID"]) == 409
    assert post(["y"], "s", "A", ["RID"]) == 201
    assert post(["y", "x"], "s", "A", ["y", "x"]) == 201


def test_new_columns_are_filled(small):
    column = {"name": "n", "type": {"typename": "float8"}, "nullok": False, "default": 1.5}
    assert small("POST", "/schema/s/table/A/column", column).status == 201
    assert rows(small, "s:A", "n") == [(1.5,)]
    small(
        "POST", "/schema/s/table/A/column", {"name": "m", "type": {"typename": "jsonb"}, "default": {"a": []}}
    )
    assert rows(small, "s:A", "m") == [({"a": []},)]


def test_alter_schema(small):
    answer = small("PUT", "/schema/s", {"schema_name": "ß", "comment": None, "annotations": {"a": None}})
    assert (answer.status, answer.json["schema_name"], answer.json["tables"]) == (200, "ß", {})
    document = small.get("/schema/%C3%9F")
    assert (document["comment"], document["annotations"]) == (None, {"a": None})
    assert document["tables"]["B"]["foreign_keys"][0]["names"] == [["ß", "B_a_fkey"]]
    assert rows(small, "%C3%9F:A", "x") == [("1",)]
    assert small("PUT", "/schema/%C3%9F", {"schema_name": "public"}).status == 409
    assert small("PUT", "/schema/new", {"schemas": {"new": {}}}).status == 200
    assert small("DELETE", "/schema/new").status == 204
    assert small("DELETE", "/schema/new").status == 404
    assert small("DELETE", "/schema/%C3%9F").status == 409


def test_alter_table(small):
    rid = small.get("/schema/s/table/A")["RID"]
    answer = small("PUT", "/schema/s/table/A", {"table_name": "a", "comment": "renamed"})
    assert (answer.status, answer.json["RID"], answer.json["comment"]) == (200, rid, "renamed")
    assert rows(small, "s:a", "x") == [("1",)]
    assert small.get("/schema/s/table/B/foreignkey")[0][0]["referenced_columns"][0]["table_name"] == "a"
    assert small("POST", "/entity/s:B", [{"a": "nowhere"}]).status == 409
    assert small("PUT", "/schema/s/table/a", {"table_name": "B"}).status == 409
    assert small("PUT", "/schema/s/table/a", {"schema_name": "nowhere"}).status == 409
    small("POST", "/schema/t")
    answer = small("PUT", "/schema/s/table/a", {"schema_name": "t"})
    assert answer.json["keys"][1]["names"] == [["t", "A_x_y_key"]]
    assert rows(small, "t:a", "x") == [("1",)]


def test_tables_whose_names_the_database_cannot_tell_apart(small, table):
    small("POST", "/schema/t")
    assert small("POST", "/schema/t/table", table("A", "X", "x")).status == 201
    assert small("POST", "/schema/s/table", table("a")).status == 201
    small("POST", "/entity/t:A", [{"X": "big", "x": "small"}])
    assert rows(small, "t:A", "X", "x") == [("big", "small")]
    assert rows(small, "s:A", "x") == [("1",)]
    assert small.get("/entity/s:a") == []


def test_alter_column(small):
    base = "/schema/s/table/A/column"
    assert (
        small("PUT", f"{base}/x", {"name": "X x", "type": {"typename": "int4"}, "default": 7}).status == 200
    )
    document = small.get(f"{base}/X%20x")
    assert (document["type"], document["default"]) == ({"typename": "int4"}, 7)
    assert rows(small, "s:A", "X x") == [(1,)]
    assert small.get("/schema/s/table/A/key/X%20x,y")["names"] == [["s", "A_x_y_key"]]
    assert small("PUT", f"{base}/X%20x", {"nullok": False, "default": None}).json["nullok"] is False
    assert small("POST", "/entity/s:A", [{"y": "3"}]).status == 409
    assert small("PUT", "/schema/s/table/B/column/y", {"nullok": False}).status == 409
    small("POST", "/entity/s:B", [{"x": "word"}])
    assert small("PUT", "/schema/s/table/B/column/x", {"type": {"typename": "int4"}}).status == 409
    assert rows(small, "s:B", "x") == [("1",), ("word",)]
    assert small("PUT", f"{base}/RID", {"type": {"typename": "text"}}).status == 403
    assert small("PUT", f"{base}/RID", {"comment": "mine", "default": "x"}).status == 200
    assert small("PUT", f"{base}/X%20x", {"name": "y"}).status == 409
    assert small("PUT", f"{base}/new", {"type": {"typename": "text"}}).status == 200
    assert names(small.get("/schema/s/table/A"))[-1] == "new"


def test_alter_key(small):
    answer = small("PUT", "/schema/s/table/A/key/x,y", {"names": [["any", "other"]], "comment": "c"})
    assert (answer.status, answer.json["names"], answer.json["comment"]) == (200, [["s", "other"]], "c")
    assert small("PUT", "/schema/s/table/A/key/x,y", {"unique_columns": ["x"]}).status == 400
    assert small("PUT", "/schema/s/table/B/key/y", {}).status == 200
    assert small("POST", "/entity/s:A", [{"x": "1", "y": "2"}]).status == 409
    assert small("DELETE", "/schema/s/table/A/key/y,x").status == 204
    assert small("POST", "/entity/s:A", [{"x": "1", "y": "2"}]).status == 200
    assert small("POST", "/schema/s/table/A/key", {"unique_columns": ["x", "y"]}).status == 409
    assert small("DELETE", "/schema/s/table/A/key/RID").status == 409


def test_alter_foreign_key(small):
    path = "/schema/s/table/B/foreignkey/a/reference/s:A/RID"
    answer = small("PUT", path, {"on_delete": "cascade", "names": [["s", "fk"]], "acls": {}})
    assert (answer.status, answer.json["on_delete"], answer.json["names"]) == (200, "CASCADE", [["s", "fk"]])
    assert answer.json["acls"] == {}
    assert small("PUT", path, [{"comment": "c"}]).json["comment"] == "c"
    assert (
        small("PUT", path, {"referenced_columns": [{"column_name": "RID", "table_name": "B"}]}).status == 400
    )
    assert small("PUT", path, {"on_update": "perhaps"}).status == 400
    assert small("PUT", "/schema/s/table/B/foreignkey/a/reference/s:A", {}).status == 405
    assert small("DELETE", "/entity/s:A").status == 204
    assert small.get("/entity/s:B") == []
    assert small("DELETE", path).status == 204
    assert small("DELETE", path).status == 409
    assert small("POST", "/entity/s:B", [{"a": "anything"}]).status == 200


def test_delete(small):
    assert small("DELETE", "/schema/s/table/A").status == 409
    assert small("DELETE", "/schema/s/table/A/column/RID").status == 409
    assert small("DELETE", "/schema/s/table/B/column/a").status == 204
    assert small.get("/schema/s/table/B/foreignkey") == []
    assert small("DELETE", "/schema/s/table/A/column/x").status == 204
    assert [key["unique_columns"] for key in small.get("/schema/s/table/A/key")] == [["RID"]]
    assert rows(small, "s:A", "y") == [("2",)]
    for table in ("A", "B"):
        assert small("DELETE", f"/schema/s/table/{table}").status == 204
        assert small("DELETE", f"/schema/s/table/{table}").status == 404
    assert small("DELETE", "/schema/s").status == 204


def test_others_may_not_change_the_model(small, table):
    small("PUT", "/acl", {"owner": ["kim"], "select": ["*"]})
    other = small.as_client("other")
    for method, path, body in (
        ("POST", "/schema/t", None),
        ("POST", "/schema", [{"schema_name": "t"}]),
        ("POST", "/schema/s/table", table("T")),
        ("PUT", "/schema/s", {"comment": "x"}),
        ("PUT", "/schema/s/table/A", {"comment": "x"}),
        ("DELETE", "/schema/s/table/B", None),
        ("POST", "/schema/s/table/A/column", {"name": "n", "type": {"typename": "text"}}),
        ("DELETE", "/schema/s/table/A/key/x,y", None),
        ("PUT", "/schema/s/table/A/acl", {}),
    ):
        assert other(method, path, body).status == 403, (method, path)


def test_creators_own_what_they_create(small, table):
    small("PUT", "/acl", {"owner": ["kim"], "enumerate": ["*"], "create": ["other"]})
    small("PUT", "/schema/s/acl/create", ["other"])
    other = small.as_client("other")
    assert other("POST", "/schema/mine").status == 201
    assert other.get("/schema/mine")["acls"] == {"owner": ["other"]}
    answer = other("POST", "/schema/s/table", table("T", acls={"select": ["*"]}))
    assert answer.json["acls"] == {"owner": ["other"], "select": ["*"]}
    assert other("POST", "/schema/mine/table", table("U")).json["acls"] == {}


def test_indexes_serve_references_and_both_sides_of_associations(catalog, table, reference):
    link = table(
        "L",
        "a",
        "b",
        keys=[["a", "b"]],
        foreign_keys=[reference(["a"], "s", "A", ["RID"]), reference(["b"], "s", "B", ["RID"])],
    )
    body = {"schemas": {"s": {"tables": {"A": table("A"), "B": table("B", "n"), "L": link}}}}
    assert catalog("POST", "/schema", body).status == 201
    face = catalog.application.faces["ermrest"]
    with face._registry._opened("1")._database.read() as connection:
        explain, table_l, table_b, covering = "EXPLAIN QUERY PLAN", "L", "B", "COVERING INDEX"
        if connection.dialect.name == "postgresql":
            explain, table_l, table_b, covering = "EXPLAIN", 's."L"', 's."B"', "Index Only Scan"
            connection.run("SET LOCAL enable_seqscan = off")
            connection.run("SET LOCAL enable_bitmapscan = off")

        def plan(statement):
            return " ".join(str(row[-1]) for row in connection.run(f"{explain} {statement}"))

        assert covering in plan(f"SELECT b FROM {table_l} WHERE a = 'x'")
        assert covering in plan(f"SELECT a FROM {table_l} WHERE b = 'x'")
        assert "INDEX" in plan(f"SELECT n FROM {table_b} WHERE \"RID\" = 'x'").upper()
