"""Bodies that are read a part at a time: the rules hold over all of them, and one request is one transaction."""

import json

import pytest

COUNT = 2500
PADDING = "x" * 1000
"""With it, rows come in several batches."""


def sites(count=COUNT, city=PADDING):
    return [{"code": f"c{at:05}", "city": city} for at in range(count)]


def csv_of(rows):
    lines = ["code,city", *(f"{row['code']},{row['city']}" for row in rows)]
    return "\n".join(lines).encode()


def lines_of(rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


FORMATS = {
    "application/json": lambda rows: json.dumps(rows).encode(),
    "application/x-json-stream": lines_of,
    "text/csv": csv_of,
}


@pytest.mark.parametrize("kind", FORMATS)
def test_rows_come_back_in_order(catalog, kind):
    answer = catalog.post(
        "/entity/S:Site", FORMATS[kind](sites()), Content_Type=kind, Accept="application/json"
    )
    assert [row["code"] for row in answer.rows] == [row["code"] for row in sites()]
    assert int(answer.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("options", ["", "?onconflict=skip"])
def test_twins_far_apart(catalog, options):
    rows = [*sites(), {"code": "c00003", "city": "again"}]
    assert catalog.post(f"/entity/S:Site{options}", rows).status == 400
    assert catalog.rows("/entity/S:Site/code=c00001") == []


def test_a_late_conflict_undoes_everything(catalog):
    assert catalog.post("/entity/S:Site", [*sites(), {"code": "LA"}]).status == 409
    assert catalog.post("/entity/S:Site", [*sites(), {"code": None}]).status == 409
    assert catalog.post("/entity/S:Site", json.dumps(sites()).encode()[:-2]).status == 400
    assert catalog.rows("/entity/S:Site/code=c00001") == []


def test_skipped_rows_are_not_sent_back(catalog):
    rows = [*sites(), {"code": "LA", "city": "skipped"}, {"code": "zz", "city": None}]
    answer = catalog.post("/entity/S:Site?onconflict=skip", rows)
    assert [row["code"] for row in answer.rows] == [row["code"] for row in sites()] + ["zz"]


def test_upsert(catalog):
    rows = [*sites(), {"code": "LA", "city": "L"}, {"code": "SF", "city": "S"}]
    answer = catalog.put("/entity/S:Site", rows)
    assert [row["code"] for row in answer.rows] == ["LA", "SF"] + [row["code"] for row in sites()]
    assert catalog.put("/entity/S:Site", [*rows, {"code": "c00000", "city": "twin"}]).status == 400


def test_update(catalog):
    catalog.post("/entity/S:Site", sites(city="before"))
    answer = catalog.put("/attributegroup/S:Site/code;city", [*sites(), {"code": "none", "city": "x"}])
    assert [row["code"] for row in answer.rows] == [row["code"] for row in sites()]
    assert catalog.rows("/aggregate/S:Site/city=before/n:=cnt(*)") == [{"n": 0}]
    twin = [*sites(), {"code": "c00000", "city": "twin"}]
    assert catalog.put("/attributegroup/S:Site/code;city", twin).status == 400


def test_keys_that_move_are_sought_as_they_were(catalog):
    catalog.post("/entity/S:Site", sites(city="before"))
    moves = [{"o": f"c{at:05}", "n": f"c{at + 1:05}", "city": PADDING} for at in reversed(range(COUNT))]
    answer = catalog.put("/attributegroup/S:Site/o:=code;n:=code,city", moves)
    assert [row["n"] for row in answer.rows] == [row["n"] for row in moves]


def test_rows_of_one_large_body_may_refer_to_each_other(catalog):
    rows = [
        {"RID": f"9-{at:04}", "name": f"{at}{PADDING}", "parent": f"9-{COUNT - 1 - at:04}"}
        for at in range(COUNT)
    ]
    assert catalog.post("/entity/S:Subject?nondefaults=RID", rows).status == 200
