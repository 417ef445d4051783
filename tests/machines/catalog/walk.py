"""Random walks over the rows and the model of two schemas, which remember everything they were ever shown."""

import random
import time
from urllib.parse import quote

from tests import deployments
from tests.deployments import column, reference

from deriva_server.model.types import SYSTEM_TYPES

VALUES = {
    "text": lambda i: f"v{i}",
    "markdown": lambda i: f"*{i}*",
    "int4": lambda i: i,
    "int8": lambda i: i * 10**12,
    "float8": lambda i: i / 7,
    "jsonb": lambda i: {"i": [i, None]},
}


def start(caller):
    """Make a catalog to walk in; returns the root of its resources."""
    base = f"/ermrest/catalog/{caller.send('POST', '/ermrest/catalog').json['id']}"
    tables = {
        "A": table("A", [("x", "text"), ("n", "int4")], [["x"]]),
        "B": table(
            "B", [("a", "text"), ("v", "float8")], [], [reference("s", "a", "A", "RID", on_delete="SET NULL")]
        ),
    }
    made = caller.send("POST", f"{base}/schema", {"schemas": {"s": {"tables": tables}, "t": {}}})
    assert made.status == 201, made.body
    return base


class Walk:
    """Random changes of one catalog, with everything that it showed; several may walk at once."""

    def __init__(self, caller, base, seed):
        self.caller, self.base, self.seed = caller, base, seed
        self.random = random.Random(seed)
        self.count = 0
        self.seen = []
        self.busy = 0

    def send(self, method, path, body=None):
        """The answer, unless the server was busy: then ask again."""
        while True:
            answer = self.caller.send(method, self.base + path, body)
            if answer.status != 503:
                assert answer.status < 500, (method, path, answer.body)
                return answer
            self.busy += 1
            time.sleep(0.02)

    def ask(self, method, path, body=None):
        answer = self.send(method, path, body)
        return answer.status, answer.json if answer.status < 300 and answer.body else None

    def change(self, method, path, body=None):
        """Change something; what the snapshot that it makes shows is noted at once."""
        answer = self.send(method, path, body)
        if answer.status < 300:
            moment = answer.snapshot
            self.seen.append((moment, self.shown(f"@{moment}")))
        return answer.status

    def shown(self, at=""):
        found = {}
        for document in self.tables(at):
            status, rows = self.ask("GET", f"{at}/entity/{rows_of(document)}")
            assert status == 200
            place = f"{document['schema_name']}:{document['table_name']}"
            found[place] = structure(document), sorted(rows, key=lambda row: row["RID"])
        return found

    def tables(self, at=""):
        found = []
        for schema in "st":
            status, tables = self.ask("GET", f"{at}/schema/{schema}/table")
            assert status == 200
            found += tables
        return found

    def note(self):
        moment = self.ask("GET", "")[1]["snaptime"]
        self.seen.append((moment, self.shown(f"@{moment}")))

    def step(self):
        self.count += 1
        tables = self.tables()
        if not tables:
            self.new_table(None, [], [])
            return
        document = self.random.choice(tables)
        # Other walkers may have moved or dropped the table meanwhile.
        rows = self.ask("GET", f"/entity/{rows_of(document)}")[1]
        columns = [column for column in document["column_definitions"] if column["name"] not in SYSTEM_TYPES]
        self.random.choice(ACTIONS)(self, document, columns, rows)

    def value(self, column):
        if column["name"] in ("a", "A"):
            return None
        return VALUES[column["type"]["typename"]](self.count)

    def insert(self, document, columns, _rows):
        rows = [{column["name"]: self.value(column) for column in columns}]
        self.change("POST", f"/entity/{rows_of(document)}", rows)

    def update(self, document, columns, rows):
        if rows and columns:
            column, row = self.random.choice(columns), self.random.choice(rows)
            path = f"/attributegroup/{rows_of(document)}/RID;{quoted(column['name'])}"
            self.change("PUT", path, [{"RID": row["RID"], column["name"]: self.value(column)}])

    def refer(self, document, columns, rows):
        """Point a row of the table that refers somewhere to a row there."""
        for fkey in document["foreign_keys"]:
            target = fkey["referenced_columns"][0]
            others = self.ask("GET", f"/entity/{rows_of(target)}")[1]
            if rows and others:
                name = fkey["foreign_key_columns"][0]["column_name"]
                change = {"RID": self.random.choice(rows)["RID"], name: self.random.choice(others)["RID"]}
                self.change("PUT", f"/attributegroup/{rows_of(document)}/RID;{quoted(name)}", [change])

    def delete(self, document, _columns, rows):
        if rows:
            self.change("DELETE", f"/entity/{rows_of(document)}/RID={self.random.choice(rows)['RID']}")

    def add_column(self, document, _columns, _rows):
        more = self.random.choice([{}, {"default": "5"}, {"default": "6", "nullok": False}])
        type_ = self.random.choice(["text", "int4", "float8"])
        column = {"name": f"c{self.count}", "type": {"typename": type_}, **more}
        self.change("POST", f"{path_of(document)}/column", column)

    def drop_column(self, document, columns, _rows):
        if columns:
            self.change("DELETE", self.column_path(document, columns))

    def rename_column(self, document, columns, _rows):
        if columns:
            path = self.column_path(document, columns)
            self.change(
                "PUT", path, {"name": self.random.choice([path[-1].swapcase(), f"r{self.count}", "rowid"])}
            )

    def retype_column(self, document, columns, _rows):
        if columns:
            change = {"type": {"typename": self.random.choice(list(VALUES))}}
            self.change(
                "PUT",
                self.column_path(document, columns),
                change | self.random.choice([{}, {"nullok": False}]),
            )

    def column_path(self, document, columns):
        name = self.random.choice(columns)["name"]
        return f"{path_of(document)}/column/{quoted(name)}"

    def rename_table(self, document, _columns, _rows):
        name = self.random.choice([document["table_name"].swapcase(), f"N{self.count}"])
        self.change("PUT", f"{path_of(document)}", {"table_name": name})

    def move_table(self, document, _columns, _rows):
        self.change("PUT", path_of(document), {"schema_name": self.random.choice("st")})

    def add_key(self, document, columns, _rows):
        if columns:
            chosen = self.random.sample(columns, self.random.randint(1, min(2, len(columns))))
            names = [column["name"] for column in chosen]
            self.change("POST", f"{path_of(document)}/key", {"unique_columns": names})

    def drop_key(self, document, _columns, _rows):
        if document["keys"]:
            names = self.random.choice(document["keys"])["unique_columns"]
            self.change("DELETE", f"{path_of(document)}/key/{','.join(map(quoted, names))}")

    def drop_reference(self, document, _columns, _rows):
        for fkey in document["foreign_keys"][:1]:
            own = ",".join(quoted(column["column_name"]) for column in fkey["foreign_key_columns"])
            others = ",".join(quoted(column["column_name"]) for column in fkey["referenced_columns"])
            target = rows_of(fkey["referenced_columns"][0])
            self.change("DELETE", f"{path_of(document)}/foreignkey/{own}/reference/{target}/{others}")

    def drop_table(self, document, _columns, _rows):
        if self.random.random() < 0.3:
            self.change("DELETE", f"{path_of(document)}")

    def new_table(self, document, _columns, _rows):
        links = (
            [reference(document["schema_name"], "x", document["table_name"], "RID")]
            if document and self.random.random() < 0.5
            else []
        )
        name = f"X{self.count}"
        self.change(
            "POST", "/schema/s/table", table(name, [("x", "text"), ("n", "int4")], [["x", "n"]], links)
        )


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
    Walk.move_table,
    Walk.add_key,
    *[Walk.drop_key] * 2,
    Walk.drop_reference,
    Walk.drop_table,
    Walk.new_table,
]


def quoted(name):
    return quote(name, safe="")


def rows_of(document):
    return f"{document['schema_name']}:{quoted(document['table_name'])}"


def path_of(document):
    return f"/schema/{document['schema_name']}/table/{quoted(document['table_name'])}"


def structure(document):
    """What a table document tells of columns, keys and references."""
    columns = [
        (c["RID"], c["name"], c["type"]["typename"], c["nullok"], c["default"])
        for c in document["column_definitions"]
    ]
    keys = [(key["RID"], key["names"], key["unique_columns"]) for key in document["keys"]]
    references = [
        (fkey["RID"], fkey["names"], fkey["foreign_key_columns"], fkey["referenced_columns"])
        for fkey in document["foreign_keys"]
    ]
    return columns, keys, references


def table(name, columns, keys=(), references=()):
    given = [column(own, type_) for own, type_ in columns]
    return deployments.table("s", name, given, list(keys), list(references))


def check_again(caller, base, walks):
    """Every snapshot that any walk was given shows what it showed then; returns how many there are."""
    asks = Walk(caller, base, 0)
    for walk in walks:
        for moment, shown in walk.seen:
            assert asks.shown(f"@{moment}") == shown, (walk.seed, moment)
    return sum(len(walk.seen) for walk in walks)
