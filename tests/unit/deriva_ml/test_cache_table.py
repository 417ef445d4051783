"""Rows of tables are kept, and are never older than the catalog without saying so."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from deriva_ml import DerivaML
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import Connection
from deriva_ml.errors import DerivaMLOfflineError, DerivaMLTableNotFound
from deriva_ml.model.define import ColumnDefinition, TableDefinition
from deriva_ml.model.types import BuiltinTypes


@pytest.fixture
def ml(ml_catalog: Connection, tmp_path: Path) -> DerivaML:
    return DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work")


@pytest.fixture
def plants(ml: DerivaML, fresh):
    columns = [
        ColumnDefinition("Name"),
        ColumnDefinition("Height", BuiltinTypes.float8),
        ColumnDefinition("Facts", BuiltinTypes.jsonb),
    ]
    table = ml.create_table(TableDefinition(fresh("Plant"), columns))
    found = [{"Name": "Ahorn", "Height": 30, "Facts": {"öl": [1]}}, {"Name": None, "Height": None}]
    rows.insert(ml._session.connection, table, found)
    return table


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables whose rows the catalog was asked for."""
    asked, read = [], rows.read

    def noted(connection, table, **options):
        asked.append(table.name)
        return read(connection, table, **options)

    monkeypatch.setattr(rows, "read", noted)
    return asked


def test_kept_rows_are_those_of_the_table(ml: DerivaML, plants, reads: list[str]) -> None:
    first, again = ml.cache_table(plants.name), ml.cache_table(plants)
    assert reads == [plants.name]
    expected = ml.get_table_as_dataframe(plants)
    for frame in (first, again):
        assert frame.equals(expected) and list(frame.dtypes) == list(expected.dtypes)
    assert list(again["Facts"]) == [{"öl": [1]}, None] and again["Name"][1] is None


def test_any_change_and_force_read_again(ml: DerivaML, plants, reads: list[str]) -> None:
    ml.cache_table(plants)
    rows.insert(ml._session.connection, plants, [{"Name": "Birke"}])
    assert "Birke" in list(ml.cache_table(plants)["Name"])
    ml.cache_table(plants, force=True)
    assert reads == [plants.name] * 3
    rows.delete(ml._session.connection, plants, {"Name": ["Birke"]})
    assert len(ml.cache_table(plants)) == 2


def test_a_snapshot_keeps_its_own(ml: DerivaML, plants, reads: list[str]) -> None:
    then = ml.catalog_snapshot(ml._session.connection.snaptime())
    assert len(then.cache_table(plants.name)) == 2
    rows.insert(ml._session.connection, plants, [{"Name": "Birke"}])
    assert len(ml.cache_table(plants)) == 3
    before = len(reads)
    assert len(then.cache_table(plants.name)) == 2 and len(reads) == before


def test_offline_says_how_old_the_rows_are(
    ml: DerivaML, ml_catalog: Connection, tmp_path: Path, plants, caplog: pytest.LogCaptureFixture
) -> None:
    ml.refresh_schema()
    offline = DerivaML(ml_catalog.host, ml_catalog.catalog_id, working_dir=tmp_path / "work", mode="offline")
    with pytest.raises(DerivaMLOfflineError, match=f"{plants.name}, of which nothing is kept"):
        offline.cache_table(plants.name)
    ml.cache_table(plants)
    snapshot = ml._session.connection.snaptime()
    caplog.set_level(logging.WARNING, "deriva_ml")
    assert list(offline.cache_table(plants.name)["Height"].dropna()) == [30.0]
    assert any(plants.name in said and snapshot in said for said in caplog.messages)
    with pytest.raises(DerivaMLOfflineError, match=f"{plants.name} again"):
        offline.cache_table(plants.name, force=True)


def test_the_cache_knows_them(ml: DerivaML, plants, reads: list[str]) -> None:
    empty = ml.get_cache_size()["total_bytes"]
    ml.cache_table(plants)
    assert ml.get_cache_size()["total_bytes"] > empty
    assert ml.clear_cache(older_than_days=1)["dirs_removed"] == 0
    assert ml.clear_cache()["dirs_removed"] == 1
    assert ml.get_cache_size()["total_bytes"] == empty
    ml.cache_table(plants)
    (path,) = (ml.cache_dir / "tables").glob("*/now.json")
    path.write_bytes(path.read_bytes().replace(b"Ahorn", b"Eiche"))
    assert "Ahorn" in list(ml.cache_table(plants)["Name"])
    assert reads == [plants.name] * 3


def test_tables_whose_files_have_the_same_name(ml: DerivaML, fresh) -> None:
    stem = fresh("Leaf")
    columns = [ColumnDefinition("Name")]
    one, two = (ml.create_table(TableDefinition(f"{stem}{letter}", columns)) for letter in "äö")
    rows.insert(ml._session.connection, two, [{"Name": "one"}])
    assert [len(ml.cache_table(table)) for table in (one, two, one)] == [0, 1, 0]


def test_no_such_table(ml: DerivaML) -> None:
    with pytest.raises(DerivaMLTableNotFound, match="Nonsense"):
        ml.cache_table("Nonsense")
