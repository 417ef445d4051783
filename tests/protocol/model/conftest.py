"""The ERMrest face on a fresh folder, spoken to by requests as a client would send them."""

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from deriva_server.app import Application
from deriva_server.catalogs.registry import Registry
from deriva_server.ermrest.face import ErmrestFace
from deriva_server.http.message import Request
from deriva_server.identity import ANONYMOUS, Client
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES
from deriva_server.sql.databases import open_databases

OWNER = Client("kim", "kim", "Kim Lee", None, ("admin",))
CLIENTS = {"owner": OWNER, "other": Client("other"), "anonymous": ANONYMOUS}


@dataclass
class Answer:
    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Ermrest:
    """Sends requests below one path."""

    def __init__(self, application, path="/ermrest", client="owner"):
        self.application, self.path, self.client = application, path, client

    def __call__(self, method, path="", body=None, **headers):
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        named.append(("X-Client", self.client))
        request = Request(method, self.path + path, Headers(named), io.BytesIO(raw), len(raw))
        response = self.application.handle(request)
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        assert response.status < 500, content
        return Answer(response.status, response.headers, content)

    def get(self, path=""):
        answer = self("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    def below(self, path):
        return Ermrest(self.application, self.path + path, self.client)

    def as_client(self, client):
        return Ermrest(self.application, self.path, client)


@pytest.fixture
def ermrest(tmp_path, address):
    registry = Registry(open_databases(tmp_path, "deployment", address))
    yield Ermrest(
        Application({"ermrest": ErmrestFace(registry)}, lambda request: CLIENTS[request.headers["X-Client"]])
    )
    registry.close()


@pytest.fixture
def catalog(ermrest):
    return ermrest.below(f"/catalog/{ermrest('POST', '/catalog').json['id']}")


@pytest.fixture
def table():
    def make(name, *columns, keys=(), **more):
        system = [
            {"name": column, "type": {"typename": type_}, "nullok": SYSTEM_NULLOK[column]}
            for column, type_ in SYSTEM_TYPES.items()
        ]
        given = [
            column if isinstance(column, dict) else {"name": column, "type": {"typename": "text"}}
            for column in columns
        ]
        all_keys = [{"unique_columns": key} for key in (["RID"], *keys)]
        return {"table_name": name, "column_definitions": system + given, "keys": all_keys, **more}

    return make


@pytest.fixture
def reference():
    def make(columns, schema, table, referenced, **more):
        return {
            "foreign_key_columns": [{"column_name": name} for name in columns],
            "referenced_columns": [
                {"schema_name": schema, "table_name": table, "column_name": name} for name in referenced
            ],
            **more,
        }

    return make


@pytest.fixture
def small(catalog, table, reference):
    """Schema s with A(x, y; key x,y) and B(a to A.RID, x, y), one row each."""
    body = {
        "schemas": {
            "s": {
                "comment": "small",
                "tables": {
                    "A": table("A", "x", "y", keys=[["x", "y"]]),
                    "B": table("B", "a", "x", "y", foreign_keys=[reference(["a"], "s", "A", ["RID"])]),
                },
            }
        }
    }
    assert catalog("POST", "/schema", body).status == 201
    rid = catalog("POST", "/entity/s:A", [{"x": "1", "y": "2"}]).json[0]["RID"]
    assert catalog("POST", "/entity/s:B", [{"a": rid, "x": "1", "y": None}]).status == 200
    return catalog
