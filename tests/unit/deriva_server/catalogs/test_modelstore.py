import time

from deriva_server.catalogs import modelstore
from deriva_server.catalogs.catalog import Catalog


def test_the_stored_model_is_the_model(catalog, client, extend, table_document):
    extend(
        catalog,
        {
            "schemas": {
                "s": {
                    "comment": "",
                    "annotations": {"a": None},
                    "acls": {"select": ["*"], "insert": []},
                    "tables": {
                        "T": table_document(
                            "T",
                            {"name": "RowId", "type": {"typename": "int4"}, "default": 0, "nullok": False},
                            {"name": "rowid", "type": {"typename": "text"}, "annotations": {"x": [1]}},
                            {
                                "name": "ROWID",
                                "type": {"typename": "jsonb"},
                                "default": False,
                                "comment": "c",
                            },
                            comment="a table",
                            acl_bindings={"g": {"types": ["update"], "projection": ["RCB"]}},
                        ),
                        "t": table_document("t", "b"),
                    },
                },
                "S": {"tables": {"T": table_document("T")}},
            }
        },
    )
    with catalog.read(client) as reading:
        assert modelstore.load(reading.connection) == reading.model
        tables = [table.storage for table in reading.model.tables()]
        columns = [column.storage for column in reading.model.schemas["s"].tables["T"].columns]
    assert len({name.lower() for name in tables}) == len(tables)
    assert len({name.lower() for name in columns}) == len(columns)
    assert not {"rowid", "oid", "_rowid_"} & {name.lower() for name in columns}


def test_a_change_writes_what_changed(catalog, client, extend, table_document):
    tables = {f"T{number}": table_document(f"T{number}", "x") for number in range(20)}
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    with catalog.write(client, alters=True) as writing:
        changes = writing.connection.raw.exec_driver_sql("SELECT total_changes()").scalar_one()
        writing.change_model(writing.model.__class__(writing.model.schemas, {"new": 1}, writing.model.acls))
        assert writing.connection.raw.exec_driver_sql("SELECT total_changes()").scalar_one() - changes == 2


def test_opening_fifty_tables_is_quick(catalog, client, extend, table_document, tmp_path):
    tables = {f"T{number}": table_document(f"T{number}", *"abcdef") for number in range(50)}
    start = time.perf_counter()
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    assert time.perf_counter() - start < 2
    best = 1.0
    for _ in range(3):
        twin = Catalog(catalog.id, tmp_path / "catalogs" / f"{catalog.id}.db")
        start = time.perf_counter()
        with twin.read(client):
            best = min(best, time.perf_counter() - start)
        twin.close()
    assert best < 0.1
