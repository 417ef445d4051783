import hashlib
from graphlib import CycleError

import pytest
from tests.deployments import column, reference
from tests.deployments import table as table_document

from deriva_ml.asset import define
from deriva_ml.bag import layout, seal, write
from deriva_ml.bag import load as loading
from deriva_ml.bag.load import BagCatalogLoader, in_reference_order, matching_rows
from deriva_ml.ermrest import objects, rows
from deriva_ml.ermrest.leases import lease
from deriva_ml.errors import (
    DerivaMLAuthenticationError,
    DerivaMLConflictError,
    DerivaMLConnectionError,
    DerivaMLDataError,
)
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.document import DocumentModel
from deriva_ml.model.types import BuiltinTypes


def referring(**targets):
    """Tables by schema and name, each with a foreign key to every table named."""
    documents = {}
    for name, others in targets.items():
        keys = [reference("s", f"To {other}", other, "RID") for other in others]
        for key in keys:
            key["foreign_key_columns"][0] |= {"schema_name": "s", "table_name": name}
        columns = [column(f"To {other}", "text") for other in others]
        documents[name] = table_document("s", name, columns, [], keys)
    model = DocumentModel({"schemas": {"s": {"schema_name": "s", "tables": documents}}})
    return {("s", name): model.schemas["s"].tables[name] for name in targets}


@pytest.fixture
def tables(ml_session, fresh):
    """An asset table, and the model's table of its types."""
    name = fresh("Photo")
    define.create_asset(ml_session, name, column_defs=[ColumnDefinition("Code", BuiltinTypes.text)])
    return name, ml_session.table(name)


@pytest.fixture
def bag_of(ml_session, tables, tmp_path):
    """Makes a bag of files: name to bytes."""
    name, table = tables
    numbers = iter(range(100))

    def make(contents, rids=None, tag="Input_File"):
        folder = tmp_path / f"bag{next(numbers)}"
        rids = rids or lease(ml_session.connection, len(contents))
        found, fetch, types = [], [], []
        for rid, (file_name, content) in zip(rids, contents.items(), strict=True):
            path = tmp_path / f"{rid}-{file_name}"
            path.write_bytes(content)
            md5 = hashlib.md5(content).hexdigest()
            url = objects.object_url(name, f"{md5}.{file_name}")
            found.append({"RID": rid, "URL": url, "Filename": file_name, "Length": len(content), "MD5": md5})
            fetch.append(
                write.FetchEntry(path.as_uri(), len(content), layout.asset_file(name, rid, file_name), md5)
            )
            types.append({name: rid, "Asset_Type": tag})
        write.write_json_rows(folder, table.schema.name, name, found)
        write.write_json_rows(folder, table.schema.name, f"{name}_Asset_Type", types)
        seal.seal(folder, fetch=fetch)
        return folder, rids

    return make


def load(ml_session, folder, **options):
    return BagCatalogLoader(ml_session.connection, ml_session.model, folder, **options).load()


def test_files_and_rows_are_loaded_once(ml_session, tables, bag_of):
    name, table = tables
    folder, rids = bag_of({"a b.txt": b"a", "c.txt": b"c"})
    key = (table.schema.name, name)
    assert load(ml_session, folder).inserted[key] == 2
    again = load(ml_session, folder, resumed=True)
    assert (again.inserted[key], again.existing[key], again.rids) == (0, 2, {})
    found = {row["RID"]: row for row in rows.read(ml_session.connection, table)}
    assert set(found) == set(rids)
    assert ml_session.connection.store.get_obj(found[rids[0]]["URL"]).content == b"a"
    assert rows.count(ml_session.connection, ml_session.table(f"{name}_Asset_Type")) == 2


def test_a_known_file_keeps_its_rid(ml_session, tables, bag_of):
    name, table = tables
    folder, [rid] = bag_of({"a.txt": b"a"})
    load(ml_session, folder)
    folder, [other, new] = bag_of({"a.txt": b"a", "b.txt": b"b"}, tag="Output_File")
    report = load(ml_session, folder)
    assert report.rids == {other: rid}
    assert report.existing_assets[other]["RID"] == rid
    tags = rows.read(ml_session.connection, ml_session.table(f"{name}_Asset_Type"), where={name: [rid]})
    assert {tag["Asset_Type"] for tag in tags} == {"Input_File", "Output_File"}
    assert {row["RID"] for row in rows.read(ml_session.connection, table)} == {rid, new}


def test_a_rid_used_for_other_content_is_replaced(ml_session, tables, bag_of):
    folder, [rid] = bag_of({"a.txt": b"before"})
    load(ml_session, folder)
    folder, _ = bag_of({"a.txt": b"after"}, rids=[rid])
    report = load(ml_session, folder, resumed=True)
    fresh = report.rids[rid]
    found = {row["RID"]: row["Length"] for row in rows.read(ml_session.connection, tables[1])}
    assert found == {rid: 6, fresh: 5}


def test_a_rid_used_for_other_content_gives_way_to_that_of_the_content(ml_session, tables, bag_of):
    """What refers to the row in the bag then means the one that the catalog had all along."""
    folder, [rid, known] = bag_of({"a.txt": b"before", "b.txt": b"after"})
    load(ml_session, folder)
    folder, _ = bag_of({"b.txt": b"after"}, rids=[rid], tag="Output_File")
    report = load(ml_session, folder, resumed=True)
    assert report.rids[rid] == known
    assert report.existing_assets[rid]["RID"] == known
    types = ml_session.table(f"{tables[0]}_Asset_Type")
    tagged = rows.read(ml_session.connection, types, where={"Asset_Type": ["Output_File"]})
    assert known in {tag[tables[0]] for tag in tagged}


def test_a_file_that_the_catalog_takes_under_no_rid_is_named(ml_session, tables, bag_of):
    folder, [rid] = bag_of({"a.txt": b"before"})
    load(ml_session, folder)
    folder, _ = bag_of({"a.txt": b"after"}, rids=[rid])
    with pytest.raises(DerivaMLConflictError, match=f"1 files were refused by table '{tables[0]}'.*'a.txt'"):
        load(ml_session, folder)


def test_rows_that_only_their_rid_tells_apart_are_loaded_once(ml_session, fresh, tmp_path):
    text = ColumnDefinition("Text", BuiltinTypes.text)
    [table] = ml_session.create_tables([TableDefinition(fresh("Plain"), [text])])
    key, rids = (table.schema.name, table.name), lease(ml_session.connection, 2)
    write.write_json_rows(tmp_path / "bag", *key, [{"RID": rid, "Text": "same"} for rid in rids])
    seal.seal(tmp_path / "bag")
    first = load(ml_session, tmp_path / "bag")
    assert (first.inserted, first.existing) == ({key: 2}, {key: 0})
    again = load(ml_session, tmp_path / "bag", resumed=True)
    assert (again.inserted, again.existing) == ({key: 0}, {key: 2})
    assert {row["RID"] for row in rows.read(ml_session.connection, table)} == set(rids)


@pytest.mark.parametrize("kind", [DerivaMLConnectionError, DerivaMLAuthenticationError])
def test_once_the_store_is_away_or_refuses_us_the_rest_is_not_tried(
    ml_session, tables, bag_of, monkeypatch, kind
):
    folder, rids = bag_of({f"{number}.txt": b"%d" % number for number in range(4)})
    asked = []

    def away(connection, uploads, progress_of):
        asked.append(len(uploads))
        yield from (kind("nobody there") for _ in uploads)

    monkeypatch.setattr(loading, "batches", lambda connection, jobs, path_of: [jobs[:2], jobs[2:]])
    monkeypatch.setattr(loading, "put_batch", away)
    report = load(ml_session, folder, workers=1)
    assert asked == [2]
    assert [report.failures[tables[0], rid] for rid in rids] == [
        "nobody there",
        *3 * ["not tried, because others failed"],
    ]


def test_a_missing_file_stops_the_rows(ml_session, tables, bag_of, tmp_path):
    folder, [first, second] = bag_of({"a.txt": b"a", "b.txt": b"b"})
    (tmp_path / f"{first}-a.txt").unlink()
    (tmp_path / f"{second}-b.txt").write_bytes(b"changed")
    report = load(ml_session, folder)
    assert set(report.failures) == {(tables[0], first), (tables[0], second)}
    assert "changed" in report.failures[tables[0], second]
    assert rows.count(ml_session.connection, tables[1]) == 0


def test_many_values_are_matched_with_few_requests(ml_session, fresh, monkeypatch):
    [table] = ml_session.create_tables(
        [
            TableDefinition(
                fresh("Many"),
                [ColumnDefinition("Code", BuiltinTypes.text)],
            )
        ]
    )
    rows.insert(ml_session.connection, table, [{"Code": f"code {number}"} for number in range(1200)])
    wanted = {f"code {number}" for number in range(0, 1200, 2)} | {"nothing"}
    asked = []
    get = type(ml_session.connection).get
    monkeypatch.setattr(
        type(ml_session.connection),
        "get",
        lambda self, path, **options: asked.append(path) or get(self, path, **options),
    )
    found = list(matching_rows(ml_session.connection, table, "Code", wanted, ("RID",)))
    assert len(found) == 600
    assert len(asked) == 2
    assert {row["Code"] for row in matching_rows(ml_session.connection, table, "Code", ["code 1"])} == {
        "code 1"
    }


def test_refused_rows_are_an_error_and_may_be_sent_again(ml_session, tables, bag_of):
    name, table = tables
    folder, rids = bag_of({"a.txt": b"a"}, tag="Nonsense")
    with pytest.raises(DerivaMLConflictError, match=f"{name}_Asset_Type"):
        load(ml_session, folder)
    assert {row["RID"] for row in rows.read(ml_session.connection, table)} == set(rids)
    write.write_json_rows(
        folder, table.schema.name, f"{name}_Asset_Type", [{name: rids[0], "Asset_Type": "File"}]
    )
    load(ml_session, folder, resumed=True)
    assert rows.count(ml_session.connection, ml_session.table(f"{name}_Asset_Type")) == 1


def test_tables_come_after_those_they_refer_to():
    tables = referring(A="B", B="CD", C="DC", D="", E="A")
    assert [name for _, name in in_reference_order(tables)] == ["D", "C", "B", "A", "E"]
    # What is referred to and not among them does not come by that.
    del tables["s", "B"]
    assert set(in_reference_order(tables)) == set(tables)


def test_tables_in_a_circle_are_named_unless_a_reference_of_it_does_not_count():
    tables = referring(A="B", B="A")
    with pytest.raises(
        DerivaMLDataError, match="in a circle: (s:A -> s:B -> s:A|s:B -> s:A -> s:B)"
    ) as caught:
        list(in_reference_order(tables))
    assert isinstance(caught.value.__cause__, CycleError)
    ordered = in_reference_order(tables, lambda key: key.table.name == "A")
    assert [name for _, name in ordered] == ["A", "B"]
