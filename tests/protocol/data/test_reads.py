"""Which rows a path gives, and what they look like."""

import pytest

from .conftest import q


def names(study, path):
    return study.column(f"/entity/{path}", "name")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("S:Subject", "ann bob cyd dan eve"),
        ("Subject", "ann bob cyd dan eve"),
        ("S:Subject/age=25", "cyd eve"),
        ("S:Subject/age::gt::25", "ann dan"),
        ("S:Subject/age::leq::30", "ann cyd eve"),
        ("S:Subject/age::null::", "bob"),
        ("S:Subject/!(age=25)", "ann dan"),
        ("S:Subject/!age::null::&site=LA", "ann"),
        ("S:Subject/age=25&site=SF;name=dan", "cyd dan eve"),
        ("S:Subject/(age=25;age=41)/!(name=eve)", "cyd dan"),
        ("S:Subject/name=any(ann,bob,nobody)", "ann bob"),
        ("S:Subject/name=all(ann,bob)", ""),
        ("S:Subject/tags=b", "ann dan"),
        ("S:Subject/tags=any(a,c%20d)", "ann dan eve"),
        ("S:Subject/tags=all(a,b)", "ann"),
        ("S:Subject/tags::geq::c", "dan"),
        ("S:Subject/!(tags=a)", "bob dan"),
        ("S:Subject/born::lt::1990-1-1", "dan"),
        ("S:Subject/seen=" + q("2020-01-02T08:00:00.5Z"), "cyd"),
        ("S:Subject/seen::gt::" + q("2020-01-01T10:00:00.123455Z") + "&seen::lt::2020-01-02", "eve"),
        ("S:Subject/note=" + q('{"k": 1}'), "ann"),
        ("S:Subject/note=null", "bob"),
        ("S:Subject/note::null::", "dan"),
        ("S:Subject/!(note::null::;note=null)", "ann cyd eve"),
        ("S:Subject/name::regexp::" + q("^[ab]"), "ann bob"),
        ("S:Subject/name::ciregexp::" + q("AN$"), "dan"),
        ("S:Subject/name::ciregexp::any(NN,YD)", "ann cyd"),
        ("S:Subject/seen::regexp::" + q("^2020-01-0[0-9]T10:00:00Z$"), "ann"),
        ("S:Subject/tags::regexp::" + q("c d"), "dan"),
        ("S:Subject/age::regexp::" + q("^(.*[^0-9.])?0*25([^0-9].*|$)"), "cyd eve"),
        ("S:Subject/*::ciregexp::sf", "cyd eve"),
        ("M:=S:Subject/M:*::ciregexp::all(sf,eve)", "eve"),
        ("S:Subject/weight=70.5", ""),
        ("S:Subject/name=%2A", ""),
    ],
)  # fmt: skip
def test_filters(study, path, expected):
    assert " ".join(names(study, path)) == expected


def test_a_rid_may_be_spelled_in_any_way(study):
    rid = study.rows("/entity/S:Subject?limit=1")[0]["RID"]
    for spelling in (rid, rid.lower(), rid.replace("-", ""), rid.replace("0", "o")):
        assert names(study, f"S:Subject/RID={spelling}") == ["ann"]
        assert names(study, f"S:Subject/RID=any({spelling},9-ZZZZ)") == ["ann"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("S:Nothing", 409),
        ("No:Subject", 409),
        ("Nothing", 409),
        ("Site", 409),
        ("X:S:Subject", 400),
        ("S:Subject/nothing=1", 409),
        ("S:Subject/Subject:name=ann", 409),
        ("S:Subject/S:Subject:name=ann", 409),
        ("S:Subject/age=x", 400),
        ("S:Subject/age=", 400),
        ("S:Subject/note=x", 400),
        ("S:Subject/born=x", 409),
        ("S:Subject/seen=2020-13-01", 409),
        ("S:Subject/*=x", 400),
        ("S:Subject/*::null::", 400),
        ("S:Subject/name::ts::x", 400),
        ("S:Subject/name::regexp::%28", 400),
        ("S:Subject/$X", 400),
        ("A:=S:Subject/A:=S:Scan", 400),
        ("S:Subject@sort(nothing)", 409),
        ("S:Subject/", 400),
        ("S:Subject?limit=x", 400),
        ("S:Subject?limit=-1", 400),
    ],
)
def test_wrong_names_and_literals(study, path, status):
    answer = study.get(f"/entity/{path}")
    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/plain")
    if status == 409:
        assert answer.text.startswith("Request conflicts with state of server.")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("S:Site/S:Subject", "ann bob cyd eve"),
        ("S:Site/code=SF/S:Subject", "cyd eve"),
        ("S:Scan/S:Subject", "ann cyd"),
        ("S:Scan/kind=T2/(subject)", "ann"),
        ("S:Scan/(S:Subject:name)", "ann cyd"),
        ("S:Site/(code)", "ann bob cyd eve"),
        ("S:Site/(S:Subject:site)", "ann bob cyd eve"),
        ("S:Scan/run=1/(subject)=(S:Subject:name)", "ann cyd"),
        ("A:=S:Subject/B:=S:Scan/kind=T2/$A", "ann"),
        ("A:=S:Subject/B:=S:Scan/$A/B:kind=T2", "ann"),
        ("A:=S:Subject/B:=(A:age)=(S:Subject:age)/B:name=eve/$A", "cyd eve"),
        ("A:=S:Subject/B:=left(name)=(S:Scan:subject)/$A", "ann bob cyd dan eve"),
        ("A:=S:Subject/B:=left(name)=(S:Scan:subject)/RID::null::/$A", "bob dan eve"),
        ("F:=S:Scan/RID::null::/M:=right(subject)=(S:Subject:name)", "bob dan eve"),
        ("S:Site/M:=full(code)=(S:Subject:site)/!name::null::", "ann bob cyd dan eve"),
        ("A:=S:Site/S:Subject/S:Scan/(A:code)=(S:Subject:site)", "ann bob cyd eve"),
    ],
)
def test_links(study, path, expected):
    assert sorted(names(study, path)) == expected.split()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("S:Subject/S:Subject", 409),
        ("S:Subject/S:Term", 409),
        ("S:Subject/(age)", 409),
        ("S:A/(b1,b2)", 409),
        ("S:B/(RID)", 409),
        ("S:Subject/(name,age)=(S:Scan:subject)", 400),
        ("S:Subject/(Z:name)=(S:Scan:subject)", 409),
        ("S:Subject/(name)=(subject)", 409),
        ("A:=S:Subject/(name)=(A:name)", 409),
        ("S:Subject/(name,age)=(S:Scan:subject,S:Site:code)", 409),
    ],
)
def test_links_that_are_not_exactly_one(study, path, status):
    assert study.get(f"/entity/{path}").status == status


def test_several_foreign_keys_relate_by_any(catalog):
    b = catalog.post("/entity/S:B", [{"x": "1"}, {"x": "2"}, {"x": "3"}]).rows
    catalog.post("/entity/S:A", [{"b1": b[0]["RID"], "b2": b[1]["RID"]}])
    assert catalog.column("/entity/S:A/S:B", "x") == ["1", "2"]


def test_an_unmatched_context_is_one_empty_row(study):
    rows = study.rows("/entity/S:Subject/left(name)=(S:Scan:subject)")
    assert len(rows) == 4
    assert [row for row in rows if row["RID"] is None] == [dict.fromkeys(rows[0])]


def test_attribute(study):
    assert study.rows("/attribute/S:Subject/name=ann/age,who:=name,S:=site") == [
        {"age": 30, "who": "ann", "S": "LA"}
    ]
    rows = study.rows("/attribute/A:=S:Subject/B:=S:Scan/$A/name,B:kind@sort(name)")
    assert [row["name"] for row in rows] == ["ann", "cyd"]
    assert rows[0]["kind"] in ("T1", "T2")
    assert len(study.rows("/attribute/A:=S:Subject/B:=S:Scan/A:name,kind")) == 3


def test_wildcards(study):
    row = study.rows("/attribute/A:=S:Site/code=LA/*,A:*")[0]
    assert list(row) == [
        *("RID", "RCT", "RMT", "RCB", "RMB", "code", "city"),
        *("A:RID", "A:RCT", "A:RMT", "A:RCB", "A:RMB", "A:code", "A:city"),
    ]
    assert study.rows("/attribute/A:=S:Site/A:*@sort(A%3Acode)?limit=1")[0]["A:code"] == "LA"


def test_any_output_name(study):
    for name in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~":
        assert study.rows(f"/attribute/S:Site/code=LA/{q(name)}:=code") == [{name: "LA"}]
        assert study.get(f"/attribute/S:Site/code=LA/{q(name)}:=code?accept=csv").text.splitlines()[1] == "LA"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("attribute/S:Subject/name,name", 400),
        ("attribute/S:Subject/x:=*", 400),
        ("attribute/S:Subject/Z:name", 400),
        ("attribute/S:Subject/nothing", 409),
        ("attribute/S:Subject/name@sort(age)", 400),
        ("attribute/S:Subject/n:=cnt(name)", 400),
        ("aggregate/S:Subject/name", 400),
        ("aggregate/S:Subject/cnt(*)", 400),
        ("aggregate/S:Subject/n:=cnt_d(*)", 400),
        ("aggregate/S:Subject/n:=sum(name)", 409),
        ("aggregate/S:Subject/n:=min(note)", 409),
        ("aggregate/S:Subject/n:=cnt(*)@sort(n)", 400),
        ("attributegroup/S:Subject/n:=cnt(*)", 400),
        ("attributegroup/S:Subject/site;t:=trs(name)", 409),
        ("attributegroup/S:Subject/b:=bin(name;2;0;1)", 409),
        ("attributegroup/S:Subject/b:=bin(age;x;0;1)", 400),
        ("attributegroup/S:Subject/b:=bin(age;2;;1)", 400),
        ("attributegroup/S:Subject/b:=bin(age;2;1;1)", 409),
    ],
)
def test_wrong_projections(study, path, status):
    assert study.get(f"/{path}").status == status


def test_aggregates(study):
    path = "/aggregate/M:=S:Subject/all:=cnt(*),n:=cnt(age),d:=cnt_d(age),lo:=min(age),hi:=max(seen),s:=sum(age),a:=avg(age)"
    assert study.rows(path) == [
        {"all": 5, "n": 4, "d": 3, "lo": 25, "hi": "2020-03-01T00:00:00+00:00", "s": 121, "a": 30.25}
    ]
    row = study.rows("/aggregate/M:=S:Subject/a:=array(age),d:=array_d(age),t:=array(tags),r:=array_d(M:*)")[
        0
    ]
    assert row["a"] == [30, None, 25, 41, 25]
    assert row["d"] == [25, 30, 41, None]
    assert row["t"] == [["a", "b"], [], None, ["b", "c d"], ["a"]]
    assert {entry["name"] for entry in row["r"]} == {"ann", "bob", "cyd", "dan", "eve"}


def test_aggregates_of_nothing(study):
    path = "/aggregate/S:Subject/name=nobody/n:=cnt(*),s:=sum(age),a:=array(age),m:=max(age)"
    assert study.rows(path) == [{"n": 0, "s": None, "a": None, "m": None}]


def test_groups(study):
    assert study.rows("/attributegroup/S:Subject/site;n:=cnt(*),who:=array(name)@sort(site)") == [
        {"site": "LA", "n": 2, "who": ["ann", "bob"]},
        {"site": "SF", "n": 2, "who": ["cyd", "eve"]},
        {"site": None, "n": 1, "who": ["dan"]},
    ]
    assert study.column("/attributegroup/S:Subject/age@sort(age::desc::)", "age") == [None, 41, 30, 25]
    rows = study.rows(
        "/attributegroup/A:=S:Subject/B:=left(name)=(S:Scan:subject)/A:name;k:=B:kind,r:=array_d(B:*)@sort(name)"
    )
    assert [(row["name"], row["k"]) for row in rows] == [
        ("ann", "T1"), ("bob", None), ("cyd", "T1"), ("dan", None), ("eve", None)
    ]  # fmt: skip
    assert [len(row["r"]) for row in rows] == [2, 1, 1, 1, 1]
    assert rows[1]["r"] == [None]


def test_bins(study):
    path = "/attributegroup/S:Subject/b:=bin(age;2;26;42);n:=cnt(*)@sort(b)"
    assert study.rows(path) == [
        {"b": [0, None, 26], "n": 2},
        {"b": [1, 26, 34], "n": 1},
        {"b": [2, 34, 42], "n": 1},
        {"b": [None, None, None], "n": 1},
    ]
    assert study.rows("/attributegroup/S:Subject/b:=bin(age;2;30;41)@sort(b)")[-2] == {"b": [3, 41, None]}
    assert study.rows("/attributegroup/S:Subject/name=dan/b:=bin(seen;2;2020-02-01;2020-04-01)") == [
        {"b": [1, "2020-02-01T00:00:00+00:00", "2020-03-02T00:00:00+00:00"]}
    ]
    assert study.rows("/attributegroup/S:Subject/name=bob/b:=bin(age;3;1;1)") == [{"b": [None, None, None]}]


def test_rights(study):
    row = study.rows("/attributegroup/M:=S:Site/RID;t:=trs(M:RID),c:=tcrs(M:RID)?limit=1")[0]
    assert row["t"] == {"update": True, "delete": True}
    assert row["c"]["column_update"]["code"] is True
    assert row["c"]["column_update"]["RMT"] is False


def test_methods_that_do_not_exist(study):
    for method, path in (
        ("POST", "attribute/S:Site/code"),
        ("POST", "attributegroup/S:Site/code;city"),
        ("PATCH", "entity/S:Site"),
    ):
        assert study.send(method, f"/{path}", []).status == 405
    assert study.send("HEAD", "/entity/S:Site").body == b""


def test_a_page_of_groups_is_the_head_of_all(study):
    path = (
        "/attributegroup/M:=S:Subject/B:=left(name)=(S:Scan:subject)/$M/RID,age;n:=cnt(B:RID),M:=array_d(M:*)"
    )
    for sort in ("@sort(RID)", "@sort(age,RID)", "@sort(age::desc::,RID)"):
        everything = study.rows(path + sort)
        assert len(everything) == 5
        assert study.rows(f"{path}{sort}?limit=2") == everything[:2]
    rid = everything[1]["RID"]
    age = everything[1]["age"]
    assert study.rows(f"{path}{sort}@after({age},{rid})?limit=2") == everything[2:4]
    rid, age = everything[3]["RID"], everything[3]["age"]
    assert study.rows(f"{path}{sort}@before({age},{rid})?limit=2") == everything[1:3]


def test_long_queries_are_stopped(catalog, monkeypatch):
    from deriva_server.sql import rows

    catalog.post("/entity/S:Every", [{"i4": 1} for _ in range(400)])
    monkeypatch.setattr(rows, "STATEMENT_SECONDS", 0.1)
    answer = catalog.get("/aggregate/A:=S:Every/B:=(i4)=(S:Every:i4)/C:=(i4)=(S:Every:i4)/n:=cnt(*)")
    assert answer.status == 400
    assert "Query run time limit exceeded" in answer.text
    assert len(catalog.rows("/entity/S:Every")) == 400


def test_long_lists(catalog):
    rows = catalog.post("/entity/S:Every", [{"i4": at} for at in range(3000)]).rows
    rids = [row["RID"] for row in rows]
    assert catalog.column(f"/entity/S:Every/RID=any({','.join(rids)})", "RID") == rids
    assert (
        catalog.column("/entity/S:Every/" + ";".join(f"RID={rid}" for rid in rids[:1500]), "RID")
        == rids[:1500]
    )
    assert catalog.get("/entity/S:Every/" + ";".join(f"i4::gt::{at}" for at in range(2000))).status == 400
    assert catalog.get("/entity/S:Every" + "/(i4)=(S:Every:i4)" * 70).status == 400
    assert catalog.delete(f"/entity/S:Every/RID=any({','.join(rids)})").status == 204
