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
        names = reading.connection.dialect.tables
        tables = [names.key(table.schema, table.storage) for table in reading.model.tables()]
        columns = [names.fold(column.storage) for column in reading.model.schemas["s"].tables["T"].columns]
        is_sqlite = reading.connection.dialect.name == "sqlite"
    assert len(set(tables)) == len(tables)
    assert len(set(columns)) == len(columns)
    assert not (is_sqlite and {"rowid", "oid", "_rowid_"} & set(columns))


def test_a_change_writes_what_changed(catalog, client, extend, table_document):
    tables = {f"T{number}": table_document(f"T{number}", "x") for number in range(20)}
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    with catalog.write(client, alters=True) as writing:
        writing.change_model(writing.model.__class__(writing.model.schemas, {"new": 1}, writing.model.acls))
        run, now = writing.connection.run, (writing.now,)
        assert run("SELECT count(*) FROM _ermrest_model WHERE since = ?", now).scalar() == 1
        assert run("SELECT count(*) FROM _ermrest_model_history WHERE until = ?", now).scalar() == 1


def test_opening_fifty_tables_is_quick(catalog, client, extend, table_document, databases):
    tables = {f"T{number}": table_document(f"T{number}", *"abcdef") for number in range(50)}
    start = time.perf_counter()
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    assert time.perf_counter() - start < 2
    best = 1.0
    for _ in range(3):
        twin = Catalog(catalog.id, databases.catalog(catalog.id))
        start = time.perf_counter()
        with twin.read(client):
            best = min(best, time.perf_counter() - start)
        twin.close()
    assert best < 0.1
