import pytest

ELEMENTS = {
    "catalog": "",
    "schema": "/schema/s",
    "table": "/schema/s/table/B",
    "column": "/schema/s/table/B/column/x",
    "key": "/schema/s/table/B/key/RID",
    "foreign_key": "/schema/s/table/B/foreignkey/a/reference/s:A/RID",
}
GUARD = {"types": ["update", "delete"], "projection": ["RCB"], "projection_type": "acl"}


@pytest.mark.parametrize("element", ELEMENTS)
def test_annotations(small, element):
    path = ELEMENTS[element] + "/annotation"
    assert small("PUT", path, {"tag:a,b": 1, "n": None}).status == 204
    assert small.get(path) == {"tag:a,b": 1, "n": None}
    assert small("PUT", f"{path}/n", [1]).status == 201
    assert small("PUT", f"{path}/n", [2]).status == 204
    assert small.get(f"{path}/n") == [2]
    assert small.get(f"{path}/tag%3Aa%2Cb") == 1
    assert small("DELETE", f"{path}/n").status == 204
    assert small("DELETE", f"{path}/n").status == 404
    assert small("PUT", path, [1]).status == 400
    assert small("PUT", path, b"nonsense").status == 400
    assert small.get(path) == {"tag:a,b": 1}


@pytest.mark.parametrize("element", [name for name in ELEMENTS if name != "catalog"])
def test_comments(small, element):
    path = ELEMENTS[element] + "/comment"
    assert small("PUT", path, "größer {".encode()).status == 204
    answer = small("GET", path)
    assert (answer.text, answer.headers["Content-Type"]) == ("größer {\n", "text/plain")
    assert small("DELETE", path).status == 204
    assert small("GET", path).status == 404


@pytest.mark.parametrize("element", [name for name in ELEMENTS if name != "key"])
def test_acls(small, element):
    path = ELEMENTS[element] + "/acl"
    before = small.get(path)
    answer = small("PUT", f"{path}/select" if element != "foreign_key" else f"{path}/insert", ["x"])
    assert (answer.status, answer.json) == (200, ["x"])
    assert small("PUT", f"{path}/enumerate", ["*"]).json == ["*"]
    assert small("PUT", f"{path}/enumerate", None).json in (None, [])
    assert small("PUT", f"{path}/nonsense", []).status == 409
    assert small("DELETE", f"{path}/nonsense").status == 404
    assert small("PUT", f"{path}/update", "x").status == 400
    assert small("PUT", f"{path}/update", [5]).status == 400
    assert small("PUT", path, {"update": None}).status == 400
    assert small("PUT", path, [1]).status == 400
    assert small("PUT", path, {"nonsense": []}).status == 409
    open_write = small("PUT", f"{path}/update", ["*"])
    assert open_write.status == (200 if element == "foreign_key" else 400)
    assert small("DELETE", f"{path}/update").status == 204
    whole = {"owner": ["kim"]} if element in ("catalog", "schema", "table") else {"update": ["x"]}
    answer = small("PUT", path, whole)
    assert answer.status == 200
    assert {name: members for name, members in answer.json.items() if members} == whole
    assert small.get(path) == answer.json
    if element == "catalog":
        assert before.keys() == answer.json.keys()


def test_unset_acls_read_as_null(small):
    assert small.get("/schema/s/acl/select") is None
    assert small.get("/acl/select") == []


def test_nobody_gives_up_ownership_by_accident(small):
    assert small("PUT", "/acl/owner", ["somebody"]).status == 403
    assert small("PUT", "/acl", None).status == 403
    assert small("DELETE", "/acl").status == 403
    assert small("PUT", "/schema/s/acl/owner", ["somebody"]).status == 200
    assert small.get("/acl")["owner"] == ["kim"]


@pytest.mark.parametrize("element", ["table", "column"])
def test_acl_bindings(small, element):
    path = ELEMENTS[element] + "/acl_binding"
    answer = small("PUT", path, {"guard": GUARD})
    assert (answer.status, answer.json) == (200, {"guard": GUARD})
    assert small("PUT", f"{path}/off", False).json is False
    assert small.get(path) == {"guard": GUARD, "off": False}
    assert small("PUT", f"{path}/bad", {"types": ["select"]}).status == 400
    assert small("PUT", f"{path}/bad", {"types": ["select"], "projection": "zz"}).status == 409
    assert small("DELETE", f"{path}/off").status == 204
    assert small("DELETE", f"{path}/off").status == 204
    assert small("DELETE", path).status == 204
    assert small.get(path) == {}


def test_acl_bindings_of_a_foreign_key_start_at_what_it_references(small):
    path = ELEMENTS["foreign_key"] + "/acl_binding/mine"
    binding = {"types": ["insert"], "projection": ["RCB"], "projection_type": "acl"}
    assert small("PUT", path, binding).status == 200
    assert small("PUT", path, {**binding, "projection": ["a"]}).status == 409
    assert small("PUT", path, GUARD).status == 400


def test_rules_in_documents_that_create(catalog, table):
    document = table(
        "T", "v", acls={"select": ["*"]}, acl_bindings={"g": GUARD}, annotations={"a": 1}, comment="c"
    )
    catalog("POST", "/schema/s")
    answer = catalog("POST", "/schema/s/table", document)
    assert {name: answer.json[name] for name in ("acls", "acl_bindings", "annotations", "comment")} == {
        "acls": {"select": ["*"]},
        "acl_bindings": {"g": GUARD},
        "annotations": {"a": 1},
        "comment": "c",
    }
    column = {"name": "n", "type": {"typename": "text"}, "acl_bindings": {"g": False}, "acls": {"select": []}}
    assert catalog("POST", "/schema/s/table/T/column", column).json["acl_bindings"] == {"g": False}
    wrong = {"types": ["select"], "projection": "zz"}
    assert catalog("PUT", "/schema/s/table/T", {"acl_bindings": {"g": wrong}}).status == 409
    assert catalog("DELETE", "/schema/s/table/T/column/RCB").status == 409


def test_altering_an_element_replaces_whole_collections(small):
    base = ELEMENTS["table"]
    small("PUT", base, {"annotations": {"a": 1}, "acls": {"select": ["*"]}, "acl_bindings": {"g": GUARD}})
    document = small("PUT", base, {"annotations": {}, "acl_bindings": {}}).json
    assert (document["annotations"], document["acl_bindings"], document["acls"]) == (
        {},
        {},
        {"select": ["*"]},
    )
    assert small("PUT", base, {"annotations": []}).status == 400
    assert small("PUT", base, {"acls": {"nonsense": []}}).status == 409


def test_rights_of_a_stranger(small):
    small("PUT", "/acl", {"owner": ["kim"], "enumerate": ["*"], "select": ["*"]})
    small("PUT", "/schema/s/table/A/acl/update", ["other"])
    small("PUT", "/schema/s/table/A/column/y/acl/update", [])
    small("PUT", "/schema/s/table/B/acl_binding/guard", {**GUARD, "types": ["update"]})
    small("PUT", "/schema/s/table/B/acl/select", [])
    other = small.as_client("other")
    a, b = (other.get(f"/schema/s/table/{name}") for name in "AB")
    assert a["rights"] == {"owner": False, "insert": False, "update": True, "delete": False, "select": True}
    assert b["rights"] == {"owner": False, "insert": False, "update": None, "delete": False, "select": None}
    updates = {column["name"]: column["rights"]["update"] for column in a["column_definitions"]}
    assert updates == {
        "RID": False,
        "RCT": True,
        "RMT": False,
        "RCB": False,
        "RMB": False,
        "x": True,
        "y": False,
    }
    assert "acls" not in a
    nobody = small.as_client("anonymous").get("/schema/s/table/A")
    assert nobody["rights"]["update"] is False
