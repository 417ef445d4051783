"""A catalog with a small study in it, spoken to in the protocol's own words."""

import io
import json
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from werkzeug.datastructures import Headers

from deriva_server.embed import LocalServer
from deriva_server.http.message import Request


@dataclass
class Answer:
    """A response, read."""

    status: int
    headers: Headers
    body: bytes

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def rows(self):
        assert self.status == 200, self.text
        return self.json


class Client:
    """Sends requests to one catalog."""

    def __init__(self, server, catalog):
        self.server = server
        self.base = f"/ermrest/catalog/{catalog}"
        self.filled = None

    def send(self, method, path, body=None, **headers):
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
        response = self.server.handle(
            Request(method, f"{self.base}{path}", given, io.BytesIO(data), len(data))
        )
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return Answer(response.status, response.headers, content)

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def rows(self, path):
        return self.get(path).rows

    def column(self, path, name):
        return [row[name] for row in self.rows(path)]

    def post(self, path, body, **headers):
        return self.send("POST", path, body, **headers)

    def put(self, path, body, **headers):
        return self.send("PUT", path, body, **headers)

    def clear(self, name):
        if self.rows(f"/entity/S:{name}?limit=1"):
            assert self.delete(f"/entity/S:{name}").status == 204

    def delete(self, path, **headers):
        return self.send("DELETE", path, **headers)


def column(name, type_name, **more):
    type_document = {"typename": type_name}
    if type_name.endswith("[]"):
        type_document |= {"is_array": True, "base_type": {"typename": type_name[:-2]}}
    return {"name": name, "type": type_document, **more}


SYSTEM = [
    column("RID", "ermrest_rid", nullok=False),
    column("RCT", "ermrest_rct", nullok=False),
    column("RMT", "ermrest_rmt", nullok=False),
    column("RCB", "ermrest_rcb"),
    column("RMB", "ermrest_rmb"),
]


def table(name, columns, keys=(), references=(), schema="S"):
    """A table document; references are (columns, table, referenced columns)."""
    return {
        "schema_name": schema,
        "table_name": name,
        "column_definitions": SYSTEM + columns,
        "keys": [{"unique_columns": ["RID"]}] + [{"unique_columns": list(key)} for key in keys],
        "foreign_keys": [
            {
                "foreign_key_columns": [{"column_name": name} for name in own],
                "referenced_columns": [
                    {"schema_name": schema, "table_name": target, "column_name": name} for name in others
                ],
            }
            for own, target, others in references
        ],
    }


TYPED = {
    "boolean": "b",
    "int2": "i2",
    "int4": "i4",
    "int8": "i8",
    "float4": "f4",
    "float8": "f8",
    "numeric": "n",
    "text": "x",
    "uuid": "u",
    "date": "d",
    "timestamp": "ts",
    "timestamptz": "tz",
    "time": "t",
    "timetz": "ttz",
    "interval": "iv",
    "json": "j",
    "jsonb": "jb",
    "text[]": "xs",
    "int4[]": "is",
    "timestamptz[]": "tzs",
}


def _create(server):
    made = server.handle(Request("POST", "/ermrest/catalog"))
    assert made.status == 201
    client = Client(server, json.loads(made.body)["id"])
    assert client.post("/schema/S", None).status == 201
    assert client.post("/schema/Q", None).status == 201
    documents = [
        table("Site", [column("code", "text", nullok=False), column("city", "text")], [["code"]]),
        table(
            "Subject",
            [
                column("name", "text", nullok=False),
                column("age", "int4"),
                column("site", "text"),
                column("weight", "float8", default=70.5),
                column("tags", "text[]"),
                column("born", "date"),
                column("note", "jsonb"),
                column("seen", "timestamptz"),
                column("parent", "text"),
            ],
            [["name"], ["name", "age"]],
            [(["site"], "Site", ["code"]), (["parent"], "Subject", ["RID"])],
        ),
        table(
            "Scan",
            [
                column("subject", "text", nullok=False),
                column("run", "int4"),
                column("kind", "text", default="T1"),
            ],
            [["subject", "run"]],
            [(["subject"], "Subject", ["name"])],
        ),
        table(
            "Term",
            [
                column("ID", "ermrest_curie", default="P:{RID}"),
                column("URI", "ermrest_uri"),
                column("Name", "text"),
            ],
        ),
        table("Every", [column(name, type_name) for type_name, name in TYPED.items()]),
        table("Counter", [column("no", "serial4", nullok=False), column("what", "text")]),
        table("A", [column("b1", "text"), column("b2", "text")]),
        table("B", [column("x", "text")]),
    ]
    for document in documents:
        answer = client.post("/schema/S/table", document)
        assert answer.status == 201, answer.text
    for name in ("b1", "b2"):
        answer = client.post(
            "/schema/S/table/A/foreignkey",
            {
                "foreign_key_columns": [{"schema_name": "S", "table_name": "A", "column_name": name}],
                "referenced_columns": [{"schema_name": "S", "table_name": "B", "column_name": "RID"}],
            },
        )
        assert answer.status == 201, answer.text
    assert client.post("/schema/Q/table", table("Site", [column("x", "text")], schema="Q")).status == 201
    return client


SITES = [
    {"code": "LA", "city": "Los Angeles"},
    {"code": "SF", "city": "San Francisco"},
    {"code": "NY", "city": None},
]
SUBJECTS = [
    {"name": "ann", "age": 30, "site": "LA", "tags": ["a", "b"], "born": "1990-01-02", "note": {"k": 1}, "seen": "2020-01-01T10:00:00Z"},
    {"name": "bob", "age": None, "site": "LA", "tags": [], "born": None, "note": None, "seen": None},
    {"name": "cyd", "age": 25, "site": "SF", "tags": None, "born": "1995-06-01", "note": {"k": 2}, "seen": "2020-01-02T10:00:00.5+02:00"},
    {"name": "dan", "age": 41, "site": None, "tags": ["b", "c d"], "born": "1979-12-31", "seen": "2020-03-01"},
    {"name": "eve", "age": 25, "site": "SF", "tags": ["a"], "born": "1995-06-01", "note": [1, None], "seen": "2020-01-01T10:00:00.123456Z"},
]  # fmt: skip
SCANS = [
    {"subject": "ann", "run": 1, "kind": "T1"},
    {"subject": "ann", "run": 2, "kind": "T2"},
    {"subject": "cyd", "run": 1, "kind": "T1"},
]


def fill(client):
    for name, rows in (("Site", SITES), ("Subject", SUBJECTS), ("Scan", SCANS)):
        answer = client.post(f"/entity/S:{name}", rows)
        assert answer.status == 200, answer.text


@pytest.fixture(scope="session")
def server(tmp_path_factory, shared_address):
    folder = tmp_path_factory.mktemp("deployment") / "lab"
    with LocalServer.open(folder, create=True, database=shared_address()) as server:
        yield server


@pytest.fixture(scope="session")
def study(server):
    """A filled catalog that no test changes."""
    client = _create(server)
    fill(client)
    return client


@pytest.fixture(scope="session")
def _scratch(server):
    return _create(server)


@pytest.fixture
def catalog(_scratch):
    """A filled catalog to change; made anew only when the test before did change it."""
    if _scratch.filled == _scratch.get("").json["snaptime"]:
        return _scratch
    for name in ("Scan", "Term", "Every", "Counter", "A", "B"):
        _scratch.clear(name)
    if _scratch.rows("/entity/S:Subject/!parent::null::?limit=1"):
        assert _scratch.delete("/attribute/S:Subject/parent").status == 204
    for name in ("Subject", "Site"):
        _scratch.clear(name)
    fill(_scratch)
    _scratch.filled = _scratch.get("").json["snaptime"]
    return _scratch


def q(text):
    """Escape a value for a URL."""
    return quote(text, safe="")
