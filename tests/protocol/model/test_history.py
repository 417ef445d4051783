import pytest


def snaptime(catalog):
    return catalog.get()["snaptime"]


def test_snapshots_show_the_model_of_then(small):
    steps = [
        lambda: None,
        lambda: small("PUT", "/schema/s/table/A", {"table_name": "A2"}),
        lambda: small("PUT", "/schema/s/table/A2/column/x", {"name": "n", "type": {"typename": "int4"}}),
        lambda: small("POST", "/entity/s:A2", [{"n": 5, "y": "5"}]),
        lambda: small("PUT", "/annotation/k", 1),
        lambda: small("DELETE", "/schema/s/table/A2/column/y"),
        lambda: small("DELETE", "/schema/s/table/B"),
        lambda: small("DELETE", "/schema/s/table/A2"),
        lambda: small("DELETE", "/schema/s"),
    ]
    seen = []
    for step in steps:
        answer = step()
        assert answer is None or answer.status < 300, answer.body
        model = small.get("/schema")
        tables = [
            f"/entity/{schema}:{table}"
            for schema in model["schemas"]
            for table in model["schemas"][schema]["tables"]
        ]
        seen.append((snaptime(small), model["schemas"], {path: small.get(path) for path in tables}))
    for moment, schemas, contents in seen:
        past = small.below(f"@{moment}")
        assert past.get()["snaptime"] == moment
        assert past.get("/schema")["schemas"].keys() == schemas.keys()
        assert {path: past.get(path) for path in contents} == contents
        for name, schema in schemas.items():
            tables = past.get(f"/schema/{name}")["tables"]
            assert {table: document["keys"] for table, document in tables.items()} == {
                table: document["keys"] for table, document in schema["tables"].items()
            }


def test_rights_in_a_snapshot(small):
    past = small.below(f"@{snaptime(small)}")
    assert past.get()["rights"] == {"owner": False, "create": False}
    rights = past.get("/schema/s/table/A")["rights"]
    assert rights == {"owner": False, "insert": False, "update": False, "delete": False, "select": True}


def test_snapshots_are_not_changed(small, table):
    past = small.below(f"@{snaptime(small)}")
    for method, path, body in (
        ("DELETE", "", None),
        ("PUT", "/annotation/x", 1),
        ("POST", "/schema/t", None),
        ("POST", "/entity/s:A", [{"x": "3"}]),
        ("DELETE", "/entity/s:A", None),
    ):
        assert past(method, path, body).status == 403, (method, path)
    assert past("GET", "/history/,").status == 404


def test_snapshot_ids_are_read_leniently(small):
    moment = snaptime(small)
    for spelling in (moment.lower(), moment.replace("-", ""), "ZZZZ-ZZZZ-ZZZZ"):
        assert small.below(f"@{spelling}").get()["snaptime"] == moment
    answer = small.below("@2")("GET")
    assert answer.status == 409
    assert 'Requested catalog revision "2"' in answer.text
    assert "is prior to any known revision." in answer.text
    assert small.below("@u*u")("GET").status in (400, 409)


def test_validators_of_a_snapshot_stand_still(small):
    past = small.below(f"@{snaptime(small)}")
    tags = [past("GET", path).headers["ETag"] for path in ("", "/schema", "/entity/s:A")]
    small("POST", "/entity/s:A", [{"x": "3"}])
    small("PUT", "/annotation/x", 1)
    assert [past("GET", path).headers["ETag"] for path in ("", "/schema", "/entity/s:A")] == tags


def test_range_of_history(small):
    first, last = small.get("/history/,")["snaprange"]
    now = snaptime(small)
    assert last == now
    assert small.get(f"/history/{now.lower()},") == {"snaprange": [now, now], "amendver": None}
    assert small.get(f"/history/{first},{now}")["snaprange"] == [first, now]
    assert small("GET", "/history/2,").status == 409


def test_truncate(small):
    before = snaptime(small)
    small("PUT", "/attributegroup/s:A/RID;x", [{"RID": small.get("/entity/s:A")[0]["RID"], "x": "new"}])
    small("POST", "/entity/s:A", [{"x": "3"}])
    end = snaptime(small)
    model, rows = small.get("/schema"), small.get("/entity/s:A")
    assert small("DELETE", f"/history/{before},{end}").status == 400
    assert small("DELETE", "/history/,").status == 400
    assert small("DELETE", f"/history/,{end}").status == 204
    assert small.get()["snaptime"] == end
    past = small.below(f"@{end}")
    assert past.get("/entity/s:A") == rows
    assert past.get("/schema")["schemas"].keys() == model["schemas"].keys()
    assert small.below(f"@{before}")("GET").status == 409
    assert small("DELETE", f"/history/,{end}").status == 404
    assert small("DELETE", f"/history/,{before}").status == 409
    assert small("POST", "/entity/s:A", [{"x": "4"}]).status == 200


def test_others_may_look_at_the_range_only(small):
    small("PUT", "/acl/enumerate", ["*"])
    other = small.as_client("other")
    assert "snaprange" in other.get("/history/,")
    assert other("DELETE", f"/history/,{snaptime(small)}").status == 403
    assert other("GET", "/history/,/acl").status == 403


@pytest.mark.parametrize("value", [False, True])
def test_tables_without_history_are_absent_from_snapshots(small, value):
    small("PUT", "/schema/s/table/A/annotation/tag%3Aisrd.isi.edu%2C2020%3Ahistory-capture", value)
    past = small.below(f"@{snaptime(small)}")
    assert past("GET", "/schema/s/table/A").status == (200 if value else 404)
    assert past("GET", "/entity/s:A").status == (200 if value else 409)
    assert len(past.get("/schema/s/table/B/foreignkey")) == (1 if value else 0)


@pytest.fixture
def versions(small):
    """Snapshots between which one row of A has x = 1, then p, then q, then r."""
    (row,) = small.get("/entity/s:A")
    moments = [snaptime(small)]
    for value in "pqr":
        small("PUT", "/attributegroup/s:A/RID;x", [{"RID": row["RID"], "x": value}])
        moments.append(snaptime(small))
    return moments


def shown(catalog, moments):
    return [catalog.below(f"@{moment}").get("/entity/s:A")[0]["x"] for moment in moments]


def column_rid(catalog, table, name):
    return catalog.get(f"/schema/s/table/{table}/column/{name}")["RID"]


def test_redact(small, versions):
    assert shown(small, versions) == ["1", "p", "q", "r"]
    x, other = column_rid(small, "A", "x"), column_rid(small, "B", "x")
    period = f"/history/{versions[1]},{versions[3]}"
    tags = [small.below(f"@{moment}")("GET", "/entity/s:A").headers["ETag"] for moment in versions]
    assert small("DELETE", f"{period}/attribute/{x}/{x}=%22nothing%22").status == 204
    assert shown(small, versions) == ["1", "p", "q", "r"]
    assert small("DELETE", f"{period}/attribute/{x}/{x}=%22q%22").status == 204
    assert shown(small, versions) == ["1", "p", None, "r"]
    assert small("DELETE", f"{period}/attribute/{x}").status == 204
    assert shown(small, versions) == ["1", None, None, "r"]
    now = [small.below(f"@{moment}")("GET", "/entity/s:A").headers["ETag"] for moment in versions]
    assert [before == after for before, after in zip(tags, now, strict=True)] == [True, False, False, True]
    assert small.get(f"/history/{versions[0]},{versions[1]}")["amendver"] is None
    assert small.get(f"{period}/attribute/{x}")["amendver"] is not None
    for path, status in {
        f"/history/,{versions[3]}/attribute/{x}": 400,
        f"{period}/attribute/{column_rid(small, 'A', 'RID')}": 409,
        f"{period}/attribute/ZZZZ": 404,
        f"{period}/attribute/{x}/{x}=nonsense": 400,
        f"{period}/attribute/{x}/{other}=1": 409,
    }.items():
        assert small("DELETE", path).status == status, path


def test_amend_configuration(small, versions):
    small("PUT", "/schema/s/table/A/annotation/live", 1)
    table, column = small.get("/schema/s/table/A"), column_rid(small, "A", "x")
    period = f"/history/{versions[1]},{versions[3]}"
    assert small("PUT", f"{period}/annotation/{table['RID']}", {"then": 1}).status == 204
    assert small("PUT", f"{period}/acl/{column}", {"select": ["x"]}).status == 204
    assert small("PUT", f"{period}/annotation", {"c": 1}).status == 204
    documents = [small.below(f"@{moment}").get("/schema/s/table/A") for moment in versions]
    assert [document["annotations"] for document in documents] == [{}, {"then": 1}, {"then": 1}, {}]
    acls = [document["column_definitions"][5]["acls"] for document in documents]
    assert acls == [{}, {"select": ["x"]}, {"select": ["x"]}, {}]
    assert [small.below(f"@{moment}").get("/annotation").get("c") for moment in versions] == [
        None,
        1,
        1,
        None,
    ]
    assert small.get("/schema/s/table/A")["annotations"] == {"live": 1}
    for path, body, status in (
        (f"{period}/annotation", [], 400),
        (f"{period}/annotation/ZZZZ", {}, 404),
        (f"{period}/annotation", {"tag:isrd.isi.edu,2020:history-capture": False}, 400),
        (f"{period}/acl", {"nonsense": []}, 409),
        (f"{period}/acl", {"select": 5}, 400),
        (f"{period}/acl/{table['keys'][0]['RID']}", {}, 409),
        (f"{period}/acl_binding", {}, 409),
        (f"{period}/acl_binding/{table['RID']}", {"b": 5}, 400),
        (f"/history/{versions[1]},/acl", {}, 400),
    ):
        assert small("PUT", path, body).status == status, path
