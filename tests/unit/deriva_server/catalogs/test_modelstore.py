from tests.statements import counted

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


def test_opening_takes_no_more_statements_for_more_tables(catalog, client, extend, table_document, databases):
    def opened():
        twin = Catalog(catalog.id, databases.catalog(catalog.id))
        with counted() as sent, twin.read(client) as reading:
            tables = len(list(reading.model.tables()))
        twin.close()
        return tables, len(sent)

    before, statements = opened()
    tables = {f"T{number}": table_document(f"T{number}", *"abcdef") for number in range(50)}
    extend(catalog, {"schemas": {"s": {"tables": tables}}})
    assert opened() == (before + 50, statements)
