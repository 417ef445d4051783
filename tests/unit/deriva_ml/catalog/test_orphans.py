"""Rows of a slice whose references lead out of it are refused, emptied or left out."""

import sqlite3
from contextlib import closing

import pytest
from tests.deployments import column, reference, table

from deriva_ml.bag.database import BagDatabase
from deriva_ml.catalog.orphans import OrphanStrategy, settle
from deriva_ml.catalog.replay import loading_order
from deriva_ml.errors import DerivaMLConflictError, DerivaMLDataError
from deriva_ml.model.document import DocumentModel


def model_of(*tables):
    documents = {each["table_name"]: each for each in tables}
    for each in tables:
        for key in each["foreign_keys"]:
            key["foreign_key_columns"][0] |= {"schema_name": "s", "table_name": each["table_name"]}
    return DocumentModel({"schemas": {"s": {"schema_name": "s", "tables": documents}}})


def refers(target, nullok=True, name="To"):
    return [column(name, "text", nullok=nullok)], [reference("s", name, target, "RID")]


def named(name, target=None, nullok=True):
    columns, keys = ([], []) if target is None else refers(target, nullok)
    return table("s", name, columns, [], keys)


@pytest.fixture
def slice_of(tmp_path):
    """Makes the SQLite file of a slice: table to rows."""

    def make(model, rows):
        path = tmp_path / "rows.db"
        database = BagDatabase(path)
        for name, found in rows.items():
            database.add(model.schemas["s"].tables[name], found)
        database.close()
        return path

    return make


MODEL = model_of(named("A"), named("B", "A"), named("C", "B", nullok=False), named("D", "C", nullok=False))
ROWS = {
    "A": [{"RID": "a1"}],
    "B": [{"RID": "b1", "To": "a1"}, {"RID": "b2", "To": "gone"}, {"RID": "b3", "To": None}],
    "C": [{"RID": "c1", "To": "b1"}, {"RID": "c2", "To": "b2"}, {"RID": "c3", "To": "gone"}],
    "D": [{"RID": "d1", "To": "c2"}, {"RID": "d3", "To": "c3"}],
}


def left(path):
    with closing(sqlite3.connect(path)) as connection:
        found = {name: connection.execute(f'SELECT RID FROM "s:{name}" ORDER BY RID') for name in ROWS}
        return {name: "".join(rid[1] for (rid,) in rids) for name, rids in found.items()}


def test_refused(slice_of):
    path = slice_of(MODEL, ROWS)
    with pytest.raises(
        DerivaMLConflictError, match=r"1 rows of B by To to A \(b2\); 1 rows of C by To to B \(c3\)"
    ):
        settle(path, MODEL, OrphanStrategy.FAIL)
    assert left(path) == {"A": "1", "B": "123", "C": "123", "D": "13"}


def test_emptied_where_that_may_be(slice_of):
    path = slice_of(MODEL, ROWS)
    assert settle(path, MODEL, OrphanStrategy.NULLIFY) == {("s", "B"): 1, ("s", "C"): 1, ("s", "D"): 1}
    assert left(path) == {"A": "1", "B": "123", "C": "12", "D": "1"}


def test_left_out_with_what_refers_to_it(slice_of):
    path = slice_of(MODEL, ROWS)
    assert settle(path, MODEL, OrphanStrategy.DELETE) == {("s", "B"): 1, ("s", "C"): 2, ("s", "D"): 2}
    assert left(path) == {"A": "1", "B": "13", "C": "1", "D": ""}


def test_whole_table_left_out(slice_of):
    path = slice_of(MODEL, {name: rows for name, rows in ROWS.items() if name != "A"})
    assert settle(path, MODEL, OrphanStrategy.NULLIFY)["s", "B"] == 2


def order(*tables):
    found = model_of(*tables).schemas["s"].tables
    return loading_order({("s", name): each for name, each in found.items()})


def test_circles_are_broken_where_references_may_be_empty():
    ordered, late = order(named("A", "B"), named("B", "A", nullok=False))
    assert ([name for _, name in ordered], late) == (["A", "B"], {("s", "A"): {"To"}})
    assert order(named("A", "A"))[1] == {("s", "A"): {"To"}}
    with pytest.raises(DerivaMLDataError, match="circle"):
        order(named("A", "B", nullok=False), named("B", "A", nullok=False))
