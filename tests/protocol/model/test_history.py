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
            f"/entity/{schema}:{table}" for schema in model["schemas"] for table in model["schemas"][schema]["tables"]
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
    assert small.get() ["snaptime"] == end
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
