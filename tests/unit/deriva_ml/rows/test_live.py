from pathlib import Path

from deriva_ml.ermrest import rows
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes
from deriva_ml.rows.reader import Reader


def test_reads_what_is_there(ml_session):
    reader = ml_session.reader
    assert isinstance(reader, Reader)
    status = reader.model.name_to_table("Execution_Status")
    assert reader.count(status) == len(list(reader.rows(status))) == 7
    assert [row["Name"] for row in reader.rows(status, where={"Name": ["Failed", "Created", "No"]})] == [
        "Created",
        "Failed",
    ]
    assert list(reader.rows(status, where={"Name": []})) == []
    assert list(next(reader.rows(status, columns=["Name"]))) == ["Name"]


def test_reads_a_snapshot(ml_session):
    then = ml_session.at(ml_session.connection.snaptime())
    table = ml_session.table("Workflow")
    before = then.reader.count(then.table("Workflow"))
    rows.insert(ml_session.connection, table, [{"Name": "Later"}])
    assert then.reader.count(then.table("Workflow")) == before
    assert ml_session.reader.count(table) == before + 1


def test_files_on_this_disk(ml_session, tmp_path):
    file = ml_session.table("File")
    path = tmp_path / "a b.txt"
    path.write_text("x")
    url = f"tag://machine,2024-01-01:file://{tmp_path}/a%20b.txt"
    assert ml_session.reader.file(file, {"URL": url}) == path
    assert ml_session.reader.file(file, {"URL": "/hatrac/x"}) is None
    assert ml_session.reader.file(file, {"URL": f"file://{tmp_path}/no"}) is None
    assert isinstance(path, Path)


def test_many_accepted_values_take_few_requests(ml_session, fresh, monkeypatch):
    table = ml_session.create_tables(
        [TableDefinition(fresh("Many"), [ColumnDefinition("Number", BuiltinTypes.text)])], "lab"
    )[0]
    rows.insert(ml_session.connection, table, [{"Number": f"number {n}"} for n in range(50)])
    accepted = [f"number {n}" for n in range(7, 40_000)]
    sent = []
    plain = type(ml_session.connection)._request
    monkeypatch.setattr(
        type(ml_session.connection),
        "_request",
        lambda self, *given, **options: sent.append(given) or plain(self, *given, **options),
    )
    found = list(ml_session.reader.rows(table, where={"Number": accepted}, columns=["Number"]))
    assert len(sent) <= 2
    assert found == [{"Number": name} for name in accepted[:43]]
    assert list(ml_session.reader.rows(table, where={"Number": accepted, "RID": []})) == []
