"""Random walks over rows and model: every snapshot ever handed out still answers as it did."""

import io
import json
import random
from urllib.parse import quote

import pytest
from werkzeug.datastructures import Headers

from deriva_server.catalogs.registry import Registry
from deriva_server.ermrest.face import ErmrestFace
from deriva_server.errors import ServiceError
from deriva_server.http.message import Request
from deriva_server.identity import Client
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES

KIM = Client("kim", "kim", "Kim", None, ("admin",))
SYSTEM = [
    {"name": name, "type": {"typename": type_}, "nullok": SYSTEM_NULLOK[name]}
    for name, type_ in SYSTEM_TYPES.items()
]
VALUES = {
    "text": lambda i: f"v{i}",
    "markdown": lambda i: f"*{i}*",
    "int4": lambda i: i,
    "int8": lambda i: i * 10**12,
    "float8": lambda i: i / 7,
    "jsonb": lambda i: {"i": [i, None]},
}


class Walk:
    """One catalog under random changes, with everything it ever showed."""

    def __init__(self, folder, seed):
        self.random = random.Random(seed)
        self.registry = Registry(folder)
        self.face = ErmrestFace(self.registry)
        self.base = f"/catalog/{self.send('POST', '/catalog')[1]['id']}"
        self.count = 0
        self.seen = []
        tables = {
            "A": table("A", [("x", "text"), ("n", "int4")], [["x"]]),
            "B": table("B", [("a", "text"), ("v", "float8")], [], reference("a", "A", on_delete="SET NULL")),
        }
        self.ask("POST", "/schema", {"schemas": {"s": {"tables": tables}}})

    def send(self, method, target, body=None):
        raw = b"" if body is None else json.dumps(body).encode()
        request = Request(method, f"/ermrest{target}", Headers(), io.BytesIO(raw), len(raw), client=KIM)
        try:
            response = self.face.handle(request)
        except ServiceError as error:
            assert error.status < 500, error
            return error.status, None
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return response.status, json.loads(content) if content else None

    def ask(self, method, path, body=None):
        return self.send(method, self.base + path, body)

    def shown(self, at=""):
        status, tables = self.ask("GET", f"{at}/schema/s/table")
        assert status == 200
        found = {}
        for document in tables:
            status, rows = self.ask("GET", f"{at}/entity/s:{name_of(document)}")
            assert status == 200
            columns = [(c["RID"], c["name"], c["type"]["typename"]) for c in document["column_definitions"]]
            found[document["table_name"]] = columns, sorted(rows, key=lambda row: row["RID"])
        return found

    def note(self):
        self.seen.append((self.ask("GET", "")[1]["snaptime"], self.shown()))

    def step(self):
        self.count += 1
        tables = self.ask("GET", "/schema/s/table")[1]
        if not tables:
            self.new_table(None, [], [])
            return
        document = self.random.choice(tables)
        rows = self.ask("GET", f"/entity/s:{name_of(document)}")[1]
        columns = [column for column in document["column_definitions"] if column["name"] not in SYSTEM_TYPES]
        self.random.choice(ACTIONS)(self, document, columns, rows)

    def value(self, column):
        if any(column["name"] == name for name in ("a", "A")):
            return None
        return VALUES[column["type"]["typename"]](self.count)

    def insert(self, document, columns, _rows):
        rows = [{column["name"]: self.value(column) for column in columns}]
        self.ask("POST", f"/entity/s:{name_of(document)}", rows)

    def update(self, document, columns, rows):
        if rows and columns:
            column, row = self.random.choice(columns), self.random.choice(rows)
            path = f"/attributegroup/s:{name_of(document)}/RID;{quoted(column['name'])}"
            self.ask("PUT", path, [{"RID": row["RID"], column["name"]: self.value(column)}])

    def refer(self, document, columns, rows):
        """Point a row of the table that refers somewhere to a row there."""
        for fkey in document["foreign_keys"]:
            target = fkey["referenced_columns"][0]
            others = self.ask("GET", f"/entity/s:{quoted(target['table_name'])}")[1]
            if rows and others:
                name = fkey["foreign_key_columns"][0]["column_name"]
                change = {"RID": self.random.choice(rows)["RID"], name: self.random.choice(others)["RID"]}
                self.ask("PUT", f"/attributegroup/s:{name_of(document)}/RID;{quoted(name)}", [change])

    def delete(self, document, _columns, rows):
        if rows:
            self.ask("DELETE", f"/entity/s:{name_of(document)}/RID={self.random.choice(rows)['RID']}")

    def add_column(self, document, _columns, _rows):
        more = self.random.choice([{}, {"default": "5"}, {"default": "6", "nullok": False}])
        type_ = self.random.choice(["text", "int4", "float8"])
        column = {"name": f"c{self.count}", "type": {"typename": type_}, **more}
        self.ask("POST", f"/schema/s/table/{name_of(document)}/column", column)

    def drop_column(self, document, columns, _rows):
        if columns:
            self.ask("DELETE", self.column_path(document, columns))

    def rename_column(self, document, columns, _rows):
        if columns:
            path = self.column_path(document, columns)
            self.ask(
                "PUT", path, {"name": self.random.choice([path[-1].swapcase(), f"r{self.count}", "rowid"])}
            )

    def retype_column(self, document, columns, _rows):
        if columns:
            change = {"type": {"typename": self.random.choice(list(VALUES))}}
            self.ask(
                "PUT",
                self.column_path(document, columns),
                change | self.random.choice([{}, {"nullok": False}]),
            )

    def column_path(self, document, columns):
        name = self.random.choice(columns)["name"]
        return f"/schema/s/table/{name_of(document)}/column/{quoted(name)}"

    def rename_table(self, document, _columns, _rows):
        name = self.random.choice([document["table_name"].swapcase(), f"N{self.count}"])
        self.ask("PUT", f"/schema/s/table/{name_of(document)}", {"table_name": name})

    def drop_table(self, document, _columns, _rows):
        if self.random.random() < 0.3:
            self.ask("DELETE", f"/schema/s/table/{name_of(document)}")

    def new_table(self, document, _columns, _rows):
        links = reference("x", document["table_name"]) if document and self.random.random() < 0.5 else []
        name = f"X{self.count}"
        self.ask("POST", "/schema/s/table", table(name, [("x", "text"), ("n", "int4")], [["x", "n"]], links))


ACTIONS = [
    *[Walk.insert] * 4,
    *[Walk.update] * 2,
    *[Walk.refer] * 2,
    *[Walk.delete] * 2,
    Walk.add_column,
    Walk.drop_column,
    Walk.rename_column,
    Walk.retype_column,
    Walk.rename_table,
    Walk.drop_table,
    Walk.new_table,
]


def quoted(name):
    return quote(name, safe="")


def name_of(document):
    return quoted(document["table_name"])


def table(name, columns, keys=(), foreign_keys=()):
    given = [{"name": column, "type": {"typename": type_}} for column, type_ in columns]
    unique = [{"unique_columns": key} for key in (["RID"], *keys)]
    return {
        "table_name": name,
        "column_definitions": SYSTEM + given,
        "keys": unique,
        "foreign_keys": list(foreign_keys),
    }


def reference(column, target, **more):
    own = [{"column_name": column}]
    return [
        {
            "foreign_key_columns": own,
            "referenced_columns": [{"schema_name": "s", "table_name": target, "column_name": "RID"}],
            **more,
        }
    ]


def walk(folder, seed, steps):
    made = Walk(folder, seed)
    made.note()
    for _ in range(steps):
        made.step()
        made.note()
    for moment, shown in made.seen:
        assert made.shown(f"@{moment}") == shown, (seed, moment)
    made.registry.close()


@pytest.mark.parametrize("seed", range(4))
def test_snapshots_never_change(tmp_path, seed):
    walk(tmp_path, seed, 30)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
def test_snapshots_never_change_for_long(tmp_path, seed):
    walk(tmp_path, seed, 120)
