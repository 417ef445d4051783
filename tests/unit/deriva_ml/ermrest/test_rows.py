import pytest

from deriva_ml.ermrest import rows
from deriva_ml.ermrest.leases import lease
from deriva_ml.errors import DerivaMLConflictError, DerivaMLReadOnlyError, DerivaMLValidationError
from deriva_ml.model.define import ColumnDefinition, KeyDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes


@pytest.fixture
def table(ml_session, fresh):
    definition = TableDefinition(
        name=fresh("Thing"),
        columns=[
            ColumnDefinition("Name", nullok=False),
            ColumnDefinition("Size", BuiltinTypes.int4, default=7),
            ColumnDefinition("Tags", BuiltinTypes.text_array),
            ColumnDefinition("Info", BuiltinTypes.jsonb),
        ],
        keys=[KeyDefinition(["Name"])],
    )
    return ml_session.create_tables([definition], navbar=False)[0]


def names(found):
    return [row["Name"] for row in found]


def test_insert_and_read(ml_catalog, table):
    given = [
        {"Name": "a, b/c&d;e=f", "Tags": ["x", "y,z"], "Info": {"k": [1, None]}},
        {"Name": "é", "Tags": [], "Info": None},
    ]
    made = rows.insert(ml_catalog, table, given)
    assert names(made) == ["a, b/c&d;e=f", "é"]
    assert [row["Size"] for row in made] == [7, 7]
    assert list(rows.read(ml_catalog, table)) == made
    assert names(rows.read(ml_catalog, table, where={"Name": ["a, b/c&d;e=f"]})) == ["a, b/c&d;e=f"]
    assert list(rows.read(ml_catalog, table, columns=["Tags"], where={"Size": [7], "Name": ["é"]})) == [
        {"Tags": []}
    ]
    assert rows.count(ml_catalog, table) == 2


def test_pages_and_batches_give_every_row_once_in_order(ml_catalog, table, monkeypatch):
    monkeypatch.setattr(rows, "LOCAL_FILTER_BYTES", 5000)
    made = rows.insert(ml_catalog, table, [{"Name": f"n{number:05}" * 5} for number in range(700)])
    rids = [row["RID"] for row in made]
    assert [row["RID"] for row in rows.read(ml_catalog, table, page=97)] == rids
    assert [row["RID"] for row in rows.read(ml_catalog, table, where={"RID": rids[::-1]})] == rids
    assert [
        row["RID"] for row in rows.read(ml_catalog, table, where={"Name": {row["Name"] for row in made}})
    ] == rids
    assert rows.count(ml_catalog, table, {"RID": rids[:500]}) == 500
    assert rows.count(ml_catalog, table, {"RID": []}) == 0


def test_chunks_are_whole(ml_catalog, table):
    given = [{"Name": "a"}, {"Name": "b"}, {"Name": "c"}, {"Name": "a"}]
    with pytest.raises(DerivaMLConflictError, match="already exists"):
        rows.insert(ml_catalog, table, given, chunk=2)
    assert names(rows.read(ml_catalog, table)) == ["a", "b"]
    assert names(rows.insert(ml_catalog, table, given[:3], skip_conflicts=True)) == ["c"]


def test_a_server_in_this_process_gets_more_rows_at_once(ml_catalog, table, monkeypatch):
    sent = []
    post = type(ml_catalog).post
    monkeypatch.setattr(
        type(ml_catalog),
        "post",
        lambda self, path, json, **options: sent.append(len(json)) or post(self, path, json=json, **options),
    )
    given = [{"Name": str(number)} for number in range(2 * rows.CHUNK)]
    rows.insert(ml_catalog, table, given)
    assert sent == [2 * rows.CHUNK]


def test_unknown_columns_are_refused(ml_catalog, table):
    with pytest.raises(DerivaMLValidationError, match="no column Nmae"):
        rows.insert(ml_catalog, table, [{"Nmae": "a"}])


def test_update(ml_catalog, table):
    one, two = rows.insert(ml_catalog, table, [{"Name": "a"}, {"Name": "b"}])
    changed = rows.update(ml_catalog, table, [{"RID": one["RID"], "Size": 1}], columns=["Size"])
    assert changed == [{"RID": one["RID"], "Size": 1}]
    stale = {"RID": one["RID"], "RMT": one["RMT"], "Size": 2}
    assert rows.update(ml_catalog, table, [stale], keys=("RID", "RMT"), columns=["Size"]) == []
    current = {"RID": two["RID"], "RMT": two["RMT"], "Size": 3}
    assert len(rows.update(ml_catalog, table, [current], keys=("RID", "RMT"), columns=["Size"])) == 1
    with pytest.raises(DerivaMLConflictError, match="gone"):
        rows.update_one(ml_catalog, table, "9-ZZZZ", Size=1)


def test_delete(ml_catalog, table):
    rows.insert(ml_catalog, table, [{"Name": name} for name in "abc"])
    assert rows.delete(ml_catalog, table, {"Name": ["a", "z"]}) == 1
    assert rows.delete(ml_catalog, table, {"Name": ["a", "z"]}) == 0
    assert names(rows.read(ml_catalog, table)) == ["b", "c"]
    with pytest.raises(DerivaMLValidationError):
        rows.delete(ml_catalog, table, {})


def test_leased_rids_are_kept_and_may_be_sent_again(ml_catalog, table):
    rids = lease(ml_catalog, 3)
    assert len(set(rids)) == 3
    given = [{"RID": rid, "Name": rid} for rid in rids]
    assert [row["RID"] for row in rows.insert(ml_catalog, table, given, with_rids=True)] == rids
    assert rows.insert(ml_catalog, table, given, with_rids=True, skip_conflicts=True) == []


def test_many_leases(ml_catalog):
    rids = lease(ml_catalog, 2500, chunk=1000)
    assert len(set(rids)) == 2500 and rids == sorted(rids)


def test_snapshots_refuse_writes(ml_catalog, table):
    rows.insert(ml_catalog, table, [{"Name": "then"}])
    then = ml_catalog.at(ml_catalog.snaptime())
    rows.insert(ml_catalog, table, [{"Name": "now"}])
    assert names(rows.read(then, table)) == ["then"]
    with pytest.raises(DerivaMLReadOnlyError):
        rows.insert(then, table, [{"Name": "never"}])
