"""POST /entity."""

import pytest

from deriva_server.names import encode_id


def test_answers_the_rows_in_input_order(catalog):
    rows = [{"code": f"c{at}", "nonsense": 1} for at in (5, 3, 9)]
    answer = catalog.post("/entity/S:Site", rows)
    assert answer.status == 200
    assert [row["code"] for row in answer.json] == ["c5", "c3", "c9"]
    row = answer.json[0]
    assert list(row) == ["RID", "RCT", "RMT", "RCB", "RMB", "code", "city"]
    assert row["RCT"] == row["RMT"] and row["RCB"] == row["RMB"]
    assert row["RID"] < answer.json[1]["RID"]


def test_time_of_rows_is_the_snapshot(catalog):
    row = catalog.post("/entity/S:Site", [{"code": "x"}]).rows[0]
    from datetime import datetime

    from deriva_server.names import to_microseconds

    assert encode_id(to_microseconds(datetime.fromisoformat(row["RMT"]))) == catalog.get("").json["snaptime"]


def test_defaults_and_missing_values(catalog):
    path = "/entity/S:Subject"
    rows = catalog.post(path, [{"name": "p"}]).rows
    assert rows[0]["weight"] is None and rows[0]["tags"] == [] and rows[0]["note"] is None
    rows = catalog.post(
        f"{path}?defaults=weight,age", [{"name": "q", "weight": 1, "tags": None, "note": None}]
    ).rows
    assert rows[0]["weight"] == 70.5 and rows[0]["tags"] is None and rows[0]["age"] is None
    assert catalog.rows(f"{path}/note::null::/name=q") == []
    rows = catalog.post(f"{path}?defaults=weight&nondefaults=weight", [{"name": "r", "weight": 1}]).rows
    assert rows[0]["weight"] == 1


def test_templates(catalog):
    row = catalog.post("/entity/S:Term?defaults=ID", [{"Name": "x", "URI": "/id/{RID}/{RID}"}]).rows[0]
    assert row["ID"] == f"P:{row['RID']}"
    assert row["URI"] == f"/id/{row['RID']}/{{RID}}"


def test_serials(catalog):
    first = catalog.post("/entity/S:Counter?defaults=no", [{"what": "a"}, {"what": "b"}]).rows
    assert first[1]["no"] == first[0]["no"] + 1
    assert catalog.post("/entity/S:Counter?defaults=no", [{"what": "c"}]).rows[0]["no"] == first[0]["no"] + 2


@pytest.mark.parametrize(
    ("path", "rows", "status"),
    [
        ("S:Site", {"code": "x"}, 400),
        ("S:Site", [1], 400),
        ("S:Site", b"[", 400),
        ("S:Site", b'[{"code": NaN}]', 400),
        ("S:Site", b"\xff", 400),
        ("S:Site", [{"city": "x"}], 409),
        ("S:Site", [{"code": "LA"}], 409),
        ("S:Site", [{"code": "x"}, {"code": "x"}], 400),
        ("S:Subject", [{"name": "x", "age": "old"}], 400),
        ("S:Subject", [{"name": "x", "age": 2**40}], 400),
        ("S:Subject", [{"name": "x", "tags": "a"}], 400),
        ("S:Subject", [{"name": "x", "born": "soon"}], 400),
        ("S:Subject", [{"name": "x", "site": "Atlantis"}], 409),
        ("S:Subject/name=x", [{"name": "x"}], 400),
        ("S:Site/S:Subject", [{"name": "x"}], 400),
        ("S:Nothing", [{"name": "x"}], 409),
        ("S:Site?defaults=nothing", [{"code": "x"}], 409),
        ("S:Site?defaults=code,city", [{"code": "x"}], 409),
        ("S:Site?onconflict=replace", [{"code": "x"}], 400),
        ("S:Site?nondefaults=RMT", [], 403),
        ("S:Site?nondefaults=RMB", [{"code": "x"}], 403),
        ("S:Site?nondefaults=RID", [{"code": "x", "RID": "what?"}], 409),
        ("S:Site", [{"code": "x", "RCT": "soon"}], 400),
    ],
)
def test_refused(catalog, path, rows, status):
    before = catalog.rows("/aggregate/S:Site/n:=cnt(*)")
    answer = catalog.post(f"/entity/{path}", rows)
    assert answer.status == status, answer.text
    assert catalog.rows("/aggregate/S:Site/n:=cnt(*)") == before


def test_media_types(catalog):
    assert catalog.post("/entity/S:Site", b"x", Content_Type="text/plain").status == 415
    lines = b'{"code":"l1"}\n{"code":"l2"}\n'
    answer = catalog.post("/entity/S:Site", lines, Content_Type="application/x-json-stream")
    assert answer.headers["Content-Type"] == "application/x-json-stream"
    assert len(answer.text.splitlines()) == 2
    answer = catalog.post(
        "/entity/S:Site", b'code,city\nk1,\nk2,""\n', Content_Type="text/csv; charset=utf-8"
    )
    assert answer.headers["Content-Type"] == "text/csv"
    assert [line.split(",")[5:] for line in answer.text.splitlines()[1:]] == [["k1", ""], ["k2", '""']]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400),
        ("code\nx\n", 400),
        ("code,city,what\nx,y,z\n", 409),
        ("code,city,city\nx,y,z\n", 400),
        ("code,city\nx\n", 400),
        ('code,city\n"x"y,z\n', 400),
        ('code,city\n"x,z\n', 400),
        ("code,city\n", 200),
        ("code,city,RCT\r\nx,y,2020-01-01\r\n", 200),
        ('code,city,RCT\nx2,y,""\n', 400),
    ],
)
def test_csv(catalog, text, status):
    assert catalog.post("/entity/S:Site", text.encode(), Content_Type="text/csv").status == status


def test_nothing_to_insert(catalog):
    assert catalog.post("/entity/S:Site", []).body == b"[]\n"


def test_conflicts_speak_postgresql(catalog):
    text = catalog.post("/entity/S:Site", [{"code": "new"}, {"code": "LA"}]).text
    assert (
        'duplicate key value violates unique constraint "Site_code_key"\nDETAIL:  Key (code)=(LA) already exists.'
        in text
    )
    text = catalog.post(
        "/entity/S:Subject", [{"name": "x", "site": "SF"}, {"name": "y", "site": "Atlantis"}]
    ).text
    assert 'insert or update on table "Subject" violates foreign key constraint "Subject_site_fkey"\n' in text
    assert 'DETAIL:  Key (site)=(Atlantis) is not present in table "Site".' in text
    text = catalog.post("/entity/S:Scan", [{"subject": "ann", "run": 1}]).text
    assert "Key (subject, run)=(ann, 1) already exists." in text


def test_nulls_never_conflict(catalog):
    assert catalog.post("/entity/S:Scan", [{"subject": "dan"}, {"subject": "dan"}]).status == 200


def test_skipping(catalog):
    answer = catalog.post(
        "/entity/S:Site?onconflict=skip", [{"code": "LA"}, {"code": "n1"}, {"code": "NY"}, {"code": "n2"}]
    )
    assert [row["code"] for row in answer.rows] == ["n1", "n2"]
    assert catalog.post("/entity/S:Site?onconflict=skip", [{"code": "LA"}]).rows == []
    assert (
        catalog.post("/entity/S:Subject?onconflict=skip", [{"name": "x", "site": "Atlantis"}]).status == 409
    )


def test_skipping_by_rid(catalog):
    rid = catalog.post("/entity/S:Site", [{"code": "x"}]).rows[0]["RID"]
    rows = [{"RID": rid, "code": "y"}, {"code": "z"}]
    answer = catalog.post("/entity/S:Site?onconflict=skip&nondefaults=RID", rows)
    assert [row["code"] for row in answer.rows] == ["z"]


def test_rows_of_one_body_may_refer_to_each_other(catalog):
    rows = [
        {"RID": "8-000A", "name": "x", "parent": "8-000C"},
        {"RID": "8-000C", "name": "y", "parent": "8-000A"},
    ]
    assert catalog.post("/entity/S:Subject?nondefaults=RID", rows).status == 200
    answer = catalog.post("/entity/S:Subject", [{"name": "z", "parent": "8-0ZZZ"}])
    assert answer.status == 409 and "Key (parent)=(8-0ZZZ) is not present" in answer.text


def test_explicit_system_columns(catalog):
    made = catalog.post("/entity/S:Site", [{"code": "x"}]).rows[0]
    copy = {"RID": made["RID"], "RCT": "2001-01-01", "RCB": None, "Name": "copy"}
    row = catalog.post("/entity/S:Term?nondefaults=RID,RCT,RCB", [copy]).rows[0]
    assert (row["RID"], row["RCT"], row["RCB"]) == (made["RID"], "2001-01-01T00:00:00+00:00", made["RCB"])
    assert row["RMT"] > row["RCT"]


def test_generated_rids_follow_explicit_ones(catalog):
    catalog.post("/entity/S:Term?nondefaults=RID", [{"RID": "6-0004"}])
    assert catalog.post("/entity/S:Term", [{}]).rows[0]["RID"] > "6-0004"


def test_leases(catalog):
    leases = catalog.post("/entity/public:ERMrest_RID_Lease", [{"ID": "one"}, {"ID": "two"}]).rows
    rids = [lease["RID"] for lease in leases]
    assert catalog.post("/entity/public:ERMrest_RID_Lease?onconflict=skip", [{"ID": "one"}]).rows == []
    rows = catalog.post("/entity/S:Term?nondefaults=RID", [{"RID": rids[0], "Name": "leased"}]).rows
    assert rows[0]["RID"] == rids[0]
    assert catalog.column("/entity/public:ERMrest_RID_Lease/ID=any(one,two)", "ID") == ["two"]
    catalog.delete("/entity/public:ERMrest_RID_Lease")


def test_a_thousand_rows(catalog):
    rows = [{"name": f"s{at:04}", "site": "LA", "tags": ["x"], "note": {"at": at}} for at in range(1000)]
    answer = catalog.post("/entity/S:Subject?defaults=weight", rows)
    assert [row["name"] for row in answer.rows] == [row["name"] for row in rows]


def test_snapshots_are_not_written(catalog):
    snaptime = catalog.get("").json["snaptime"]
    catalog.base += f"@{snaptime}"
    try:
        assert len(catalog.rows("/entity/S:Site")) == 3
        assert catalog.post("/entity/S:Site", [{"code": "x"}]).status == 403
        assert catalog.put("/attributegroup/S:Site/code;city", []).status == 403
        assert catalog.delete("/entity/S:Site").status == 403
    finally:
        catalog.base = catalog.base.partition("@")[0]
