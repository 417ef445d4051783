"""PUT /entity, PUT /attributegroup, DELETE /entity and DELETE /attribute."""

import pytest


def test_update(catalog):
    rids = catalog.column("/entity/S:Subject", "RID")
    before = catalog.rows("/entity/S:Subject")[0]
    answer = catalog.put(
        "/attributegroup/S:Subject/RID;age,weight", [{"RID": rids[0], "age": 31, "weight": None}]
    )
    assert answer.rows == [{"RID": rids[0], "age": 31, "weight": None}]
    after = catalog.rows("/entity/S:Subject")[0]
    assert after["age"] == 31 and after["RMT"] > before["RMT"] and after["RCT"] == before["RCT"]
    assert {**after, "age": 30, "RMT": before["RMT"]} == before


def test_missing_target_is_null(catalog):
    catalog.put("/attributegroup/S:Subject/name;age", [{"name": "ann"}])
    assert catalog.rows("/attribute/S:Subject/name=ann/age") == [{"age": None}]


def test_fields_may_be_renamed(catalog):
    body = [{"o": "ann", "n": "anna"}, {"o": "nobody", "n": "x"}]
    assert catalog.put("/attributegroup/S:Site/o:=code;n:=code", [{"o": "NY", "n": "NYC"}]).rows == [
        {"o": "NY", "n": "NYC"}
    ]
    catalog.delete("/entity/S:Scan")
    assert catalog.put("/attributegroup/S:Subject/o:=name;n:=name", body).rows == [body[0]]
    assert catalog.column("/entity/S:Subject", "name")[0] == "anna"


def test_null_matches_null(catalog):
    answer = catalog.put("/attributegroup/S:Site/city;code", [{"city": None, "code": "N0"}])
    assert answer.rows == [{"city": None, "code": "N0"}]


def test_one_input_row_may_change_several(catalog):
    assert (
        len(catalog.put("/attributegroup/S:Subject/site;weight", [{"site": "LA", "weight": 1.5}]).rows) == 2
    )
    assert catalog.column("/entity/S:Subject/site=LA", "weight") == [1.5, 1.5]


def test_optimistic_locking(catalog):
    row = catalog.rows("/entity/S:Subject")[0]
    path = "/attributegroup/S:Subject/RID,RMT;age"
    body = [{"RID": row["RID"], "RMT": row["RMT"], "age": 1}]
    assert catalog.put(path, body).rows == body
    assert catalog.put(path, body).rows == []


def test_order_is_that_of_the_input(catalog):
    body = [{"name": name, "age": at} for at, name in enumerate(("eve", "nobody", "ann", "cyd"))]
    assert [row["name"] for row in catalog.put("/attributegroup/S:Subject/name;age", body).rows] == [
        "eve",
        "ann",
        "cyd",
    ]


def test_update_by_csv(catalog):
    answer = catalog.put(
        "/attributegroup/S:Subject/name;age,tags", b'name,age,tags\nann,5,"{x,y}"\n', Content_Type="text/csv"
    )
    assert answer.text == 'name,age,tags\nann,5,"{x,y}"\n'


@pytest.mark.parametrize(
    ("path", "rows", "status"),
    [
        ("S:Subject/name", [{"name": "ann"}], 400),
        ("S:Subject/name;age", [{"name": "ann", "age": 1}, {"name": "ann", "age": 2}], 400),
        ("S:Subject/name;name", [{"name": "ann"}], 400),
        ("S:Subject/name;n:=cnt(*)", [{"name": "ann"}], 400),
        ("S:Subject/age=1/name;age", [{"name": "ann"}], 400),
        ("S:Subject/name;nothing", [{"name": "ann"}], 409),
        ("S:Subject/name;RMT", [{"name": "ann"}], 403),
        ("S:Subject/name;RID", [{"name": "ann"}], 403),
        ("S:Subject/name;age", [{"name": "ann", "age": "x"}], 400),
        ("S:Subject/n:=name;name", [{"n": "ann", "name": None}], 409),
        ("S:Subject/n:=name;name", [{"n": "ann", "name": "bob"}], 409),
        ("S:Subject/name;site", [{"name": "ann", "site": "Atlantis"}], 409),
        ("S:Site/c:=code;code", [{"c": "LA", "code": "gone"}], 409),
    ],
)
def test_updates_refused(catalog, path, rows, status):
    before = catalog.rows("/entity/S:Subject")
    answer = catalog.put(f"/attributegroup/{path}", rows)
    assert answer.status == status, answer.text
    assert catalog.rows("/entity/S:Subject") == before


def test_update_conflicts_speak_postgresql(catalog):
    text = catalog.put("/attributegroup/S:Subject/n:=name;name", [{"n": "dan", "name": "bob"}]).text
    assert 'unique constraint "Subject_name_key"\nDETAIL:  Key (name)=(bob) already exists.' in text
    text = catalog.put("/attributegroup/S:Subject/name;site", [{"name": "ann", "site": "Atlantis"}]).text
    assert "Key (site)=(Atlantis) is not present" in text
    text = catalog.put("/attributegroup/S:Site/c:=code;code", [{"c": "LA", "code": "gone"}]).text
    assert (
        'update or delete on table "Site" violates foreign key constraint "Subject_site_fkey" on table "Subject"'
        in text
    )


def test_upsert(catalog):
    answer = catalog.put("/entity/S:Site", [{"code": "new", "city": "x"}, {"code": "LA", "city": "L.A."}])
    assert [(row["code"], row["city"]) for row in answer.rows] == [("LA", "L.A."), ("new", "x")]
    assert catalog.column("/entity/S:Site", "code") == ["LA", "SF", "NY", "new"]
    assert catalog.put("/entity/S:Site", [{"code": "LA"}]).rows[0]["city"] is None
    assert catalog.put("/entity/S:Term", [{"Name": "x"}]).status == 409


def test_delete(catalog):
    assert catalog.delete("/entity/S:Scan/kind=T2").status == 204
    assert catalog.delete("/entity/S:Scan/kind=T2").status == 404
    assert len(catalog.rows("/entity/S:Scan")) == 2
    assert catalog.delete("/entity/S:Subject/age=25/S:Scan").status == 204
    assert catalog.column("/entity/S:Scan", "subject") == ["ann"]
    assert catalog.delete("/entity/A:=S:Subject/left(name)=(S:Scan:subject)/RID::null::/$A").status == 204
    assert catalog.column("/entity/S:Subject", "name") == ["ann"]


def test_restricted_delete(catalog):
    answer = catalog.delete("/entity/S:Site/code=SF")
    assert answer.status == 409
    assert (
        'update or delete on table "Site" violates foreign key constraint "Subject_site_fkey" on table "Subject"'
        in answer.text
    )
    assert 'DETAIL:  Key (code)=(SF) is still referenced from table "Subject".' in answer.text
    assert len(catalog.rows("/entity/S:Site")) == 3


def test_rows_that_refer_to_each_other_go_together(catalog):
    rows = [
        {"RID": "8-000A", "name": "x", "parent": "8-000C"},
        {"RID": "8-000C", "name": "y", "parent": "8-000A"},
    ]
    catalog.post("/entity/S:Subject?nondefaults=RID", rows)
    assert catalog.delete("/entity/S:Subject/name=x").status == 409
    assert catalog.delete("/entity/S:Subject/name=any(x,y)").status == 204


def test_clear(catalog):
    before = catalog.rows("/entity/S:Subject/name=ann")[0]
    assert catalog.delete("/attribute/S:Subject/name=ann/weight,site").status == 204
    after = catalog.rows("/entity/S:Subject/name=ann")[0]
    assert (after["weight"], after["site"], after["age"]) == (None, None, before["age"])
    assert after["RMT"] > before["RMT"]
    assert catalog.delete("/attribute/S:Subject/name=nobody/site").status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("S:Subject/name", 409),
        ("S:Subject/nothing", 409),
        ("A:=S:Site/S:Subject/A:city", 409),
        ("S:Subject/x:=weight", 400),
        ("S:Subject/RMB", 409),
    ],
)
def test_clears_refused(catalog, path, status):
    assert catalog.delete(f"/attribute/{path}").status in (status, 403)


def test_snapshots_keep_what_was(catalog):
    before = catalog.get("").json["snaptime"]
    rows = catalog.rows("/entity/S:Subject")
    catalog.put("/attributegroup/S:Subject/name;age", [{"name": "ann", "age": 99}])
    catalog.delete("/entity/S:Scan")
    catalog.delete("/entity/S:Subject/name=dan")
    catalog.base += f"@{before}"
    try:
        assert sorted(catalog.rows("/entity/S:Subject"), key=lambda row: row["RID"]) == rows
        assert catalog.rows("/aggregate/S:Scan/n:=cnt(*)") == [{"n": 3}]
        assert catalog.column("/entity/S:Subject/name=ann/S:Scan@sort(run)", "run") == [1, 2]
    finally:
        catalog.base = catalog.base.partition("@")[0]


def test_rids_lead_to_tables(catalog):
    row = catalog.rows("/entity/S:Scan")[0]
    found = {"RID": row["RID"], "schema_name": "S", "table_name": "Scan"}
    assert catalog.get(f"/entity_rid/{row['RID'].lower().replace('-', '')}").json == found
    visible = catalog.get("").json["snaptime"]
    catalog.delete("/entity/S:Scan")
    gone = catalog.get(f"/entity_rid/{row['RID']}").json
    assert {**gone, **found} == gone
    assert gone["last_visible_snaptime"] == visible
    assert " " in gone["deleted_at"] and gone["deleted_at"] > gone["last_visible_at"]
    assert catalog.get("/entity_rid/9-ZZZZ-ZZZZ").status == 404
    assert catalog.get("/entity_rid/what").status == 404
    assert catalog.send("DELETE", "/entity_rid/1").status == 405
    assert catalog.get("/textfacet/x").rows == []
