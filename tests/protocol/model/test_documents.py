from itertools import islice

RIGHTS = {"owner": True, "insert": True, "update": True, "delete": True, "select": True}


def test_whole_model(small):
    model = small.get("/schema")
    assert set(model) == {"snaptime", "annotations", "rights", "features", "schemas", "acls"}
    assert list(model["schemas"]) == ["public", "s"]
    schema = model["schemas"]["s"]
    assert set(schema) == {"RID", "schema_name", "comment", "rights", "annotations", "tables", "acls"}
    assert schema["comment"] == "small"


def test_table(small):
    document = small.get("/schema/s/table/B")
    assert document["kind"] == "table"
    assert document["rights"] == RIGHTS
    assert (document["schema_name"], document["table_name"], document["comment"]) == ("s", "B", None)
    assert [column["name"] for column in document["column_definitions"]] == [
        *("RID", "RCT", "RMT", "RCB", "RMB"),
        *("a", "x", "y"),
    ]
    assert document["acls"] == {}
    assert document["acl_bindings"] == {}
    assert small.get("/schema/s/table") == [small.get("/schema/s/table/A"), document]
    assert small.get("/schema/s")["tables"]["B"] == document


def test_columns(small):
    rid, *rest = small.get("/schema/s/table/B/column")
    assert rid["type"] == {"typename": "ermrest_rid", "is_domain": True, "base_type": {"typename": "text"}}
    assert (rid["nullok"], rid["default"]) == (False, None)
    assert rid["rights"] == {"insert": True, "update": False, "select": True, "delete": True}
    assert small.get("/schema/s/table/B/column/a") == next(column for column in rest if column["name"] == "a")
    assert set(rid) == {
        *("RID", "name", "type", "default", "nullok"),
        *("comment", "rights", "annotations", "acls", "acl_bindings"),
    }


def test_keys(small):
    keys = small.get("/schema/s/table/A/key")
    assert [(key["unique_columns"], key["names"]) for key in keys] == [
        (["RID"], [["s", "A_RID_key"]]),
        (["x", "y"], [["s", "A_x_y_key"]]),
    ]
    assert small.get("/schema/s/table/A/key/y,x") == keys[1]
    assert set(keys[0]) == {"RID", "unique_columns", "names", "comment", "annotations"}


def test_foreign_keys(small):
    ((document,),) = small.get("/schema/s/table/B/foreignkey")
    assert document["foreign_key_columns"] == [{"schema_name": "s", "table_name": "B", "column_name": "a"}]
    assert document["referenced_columns"] == [{"schema_name": "s", "table_name": "A", "column_name": "RID"}]
    assert document["names"] == [["s", "B_a_fkey"]]
    assert (document["on_delete"], document["on_update"]) == ("NO ACTION", "NO ACTION")
    assert document["rights"] == {"insert": True, "update": True}
    assert document["acls"] == {"insert": ["*"], "update": ["*"]}
    base = "/schema/s/table/B/foreignkey/a"
    for path in ("", "/reference", "/reference/s:A", "/reference/A", "/reference/s:A/RID"):
        assert small.get(base + path) == [document]
    assert small.get(base + "/reference/s:B") == []


def test_what_is_missing(small):
    expected = {
        "/schema/zz": 404,
        "/schema/zz/table": 409,
        "/schema/zz/table/T": 409,
        "/schema/s/table/T": 404,
        "/schema/s/table/T/column": 409,
        "/schema/s/table/T/key": 409,
        "/schema/s/table/T/foreignkey": 409,
        "/schema/s/table/A/column/zz": 404,
        "/schema/s/table/A/key/x": 404,
        "/schema/s/table/A/key/zz": 409,
        "/schema/s/table/B/foreignkey/x": 404,
        "/schema/s/table/B/foreignkey/x/reference/s:A": 409,
        "/schema/s/table/B/foreignkey/a/reference/s:T": 409,
        "/schema/s/table/A/comment": 404,
        "/schema/s/annotation/zz": 404,
        "/schema/s/acl/zz": 404,
        "/schema/s/table/A/acl_binding/zz": 404,
    }
    assert {path: small("GET", path).status for path in expected} == expected


def test_documents_can_be_posted_again(small, ermrest):
    document = small.get("/schema/s")
    twin = ermrest.below(f"/catalog/{ermrest('POST', '/catalog').json['id']}")
    answer = twin("POST", "/schema", [document])
    assert answer.status == 201

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items() if name != "RID"}
        return [plain(item) for item in value] if isinstance(value, list) else value

    assert plain(answer.json[0]) == plain(document)
    assert plain(twin.get("/schema/s")) == plain(document)


def test_replies_are_compact_lines(small):
    body = small("GET", "/schema/s/table/A").body
    assert body.count(b"\n") == 1
    assert b'": ' not in body
    assert all(
        small("GET", path).headers["Content-Type"] == "application/json" for path in ("", "/schema", "/acl")
    )


def test_hidden_elements_do_not_exist(small):
    small("PUT", "/acl/enumerate", ["*"])
    small("PUT", "/schema/s/table/A/acl/enumerate", [])
    other = small.as_client("other")
    assert list(other.get("/schema")["schemas"]["s"]["tables"]) == ["B"]
    assert other("GET", "/schema/s/table/A").status == 404
    assert other.get("/schema/s/table/B/foreignkey") == []
    assert small.get("/schema/s/table/B/foreignkey") != []
    small("PUT", "/schema/s/table/B/column/x/acl/enumerate", [])
    names = [column["name"] for column in other.get("/schema/s/table/B/column")]
    assert list(islice(names, 5, None)) == ["a", "y"]
    assert other("GET", "/schema/s/table/B/column/x").status == 404
