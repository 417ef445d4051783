import pytest

from deriva_server.catalogs.registry import Registry
from deriva_server.identity import Client
from deriva_server.model.bulk import Bulk
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES
from deriva_server.sql.databases import open_databases


@pytest.fixture
def client():
    return Client("kim", "kim", "Kim Lee", "kim@example.org", ("admin",))


@pytest.fixture
def databases(tmp_path, address):
    return open_databases(tmp_path, "deployment", address)


@pytest.fixture
def registry(databases):
    made = Registry(databases)
    yield made
    made.close()


@pytest.fixture
def catalog(registry, client):
    return registry.catalog(registry.create_catalog(client, {}))


@pytest.fixture
def table_document():
    def make(name, *columns, keys=(), **more):
        system = [
            {"name": column, "type": {"typename": type_}, "nullok": SYSTEM_NULLOK[column]}
            for column, type_ in SYSTEM_TYPES.items()
        ]
        given = [
            column if isinstance(column, dict) else {"name": column, "type": {"typename": "text"}}
            for column in columns
        ]
        keys = [{"unique_columns": key} for key in (["RID"], *keys)]
        return {"table_name": name, "column_definitions": system + given, "keys": keys, **more}

    return make


@pytest.fixture
def extend(client):
    """Add the elements of a bulk document to a catalog."""

    def add(catalog, body):
        with catalog.write(client, alters=True) as writing:
            bulk = Bulk(writing.model, lambda: writing.rids()[0], lambda _model, element: element)
            return writing.change_model(bulk.add(body))

    return add
