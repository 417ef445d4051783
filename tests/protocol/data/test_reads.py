"""Reads of many rows and pages that must agree with each other."""


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
