"""POST /entity, where an answer has to be computed to be checked."""

from datetime import datetime

from deriva_server.names import encode_id, to_microseconds


def test_time_of_rows_is_the_snapshot(catalog):
    row = catalog.post("/entity/S:Site", [{"code": "x"}]).rows[0]
    assert encode_id(to_microseconds(datetime.fromisoformat(row["RMT"]))) == catalog.get("").json["snaptime"]


def test_serials(catalog):
    first = catalog.post("/entity/S:Counter?defaults=no", [{"what": "a"}, {"what": "b"}]).rows
    assert first[1]["no"] == first[0]["no"] + 1
    assert catalog.post("/entity/S:Counter?defaults=no", [{"what": "c"}]).rows[0]["no"] == first[0]["no"] + 2


def test_a_thousand_rows(catalog):
    rows = [{"name": f"s{at:04}", "site": "LA", "tags": ["x"], "note": {"at": at}} for at in range(1000)]
    answer = catalog.post("/entity/S:Subject?defaults=weight", rows)
    assert [row["name"] for row in answer.rows] == [row["name"] for row in rows]
