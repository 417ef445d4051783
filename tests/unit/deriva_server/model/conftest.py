"""A small model made of documents: tables A and B of schema s, where B refers to A."""

from itertools import count

import pytest

from deriva_server.model.bulk import Bulk
from deriva_server.model.elements import Model
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES
from deriva_server.names import encode_id

SYSTEM = [
    {"name": name, "type": {"typename": type_}, "nullok": SYSTEM_NULLOK[name]}
    for name, type_ in SYSTEM_TYPES.items()
]


@pytest.fixture
def new_rid():
    numbers = count(2**19)
    return lambda: encode_id(next(numbers))


@pytest.fixture
def table_document():
    def make(name, columns=(), keys=(), foreign_keys=(), **more):
        return {
            "table_name": name,
            "column_definitions": SYSTEM
            + [
                column if isinstance(column, dict) else {"name": column, "type": {"typename": "text"}}
                for column in columns
            ],
            "keys": [{"unique_columns": key} for key in (["RID"], *keys)],
            "foreign_keys": list(foreign_keys),
            **more,
        }

    return make


@pytest.fixture
def reference():
    def make(column, schema, table, referenced="RID", **more):
        return {
            "foreign_key_columns": [{"column_name": column}],
            "referenced_columns": [{"schema_name": schema, "table_name": table, "column_name": referenced}],
            **more,
        }

    return make


@pytest.fixture
def build(new_rid):
    def make(body, model=None):
        return Bulk(model or Model({}, {}, {"owner": ["me"]}), new_rid, lambda _model, element: element).add(
            body
        )

    return make


@pytest.fixture
def model(build, table_document, reference):
    return build(
        {
            "schemas": {
                "s": {
                    "tables": {
                        "A": table_document("A", ["x", "y"], [["x", "y"]]),
                        "B": table_document("B", ["a", "z"], [["z"]], [reference("a", "s", "A")]),
                    }
                }
            }
        }
    )
