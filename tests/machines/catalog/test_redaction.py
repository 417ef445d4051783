"""Redacting any stretch of the past changes the row versions that lie in it, and nothing else."""

import random

import pytest
from tests.deployments import Direct, column, opened, table


class Past:
    """A table whose row versions are also kept here, to be redacted alike."""

    def __init__(self, caller, seed):
        self.caller, self.random = caller, random.Random(seed)
        self.base = f"/ermrest/catalog/{caller.send('POST', '/ermrest/catalog').json['id']}"
        self.ask("POST", "/schema", {"schemas": {"s": {"tables": {"T": table("s", "T", *_COLUMNS)}}}})
        self.columns = {
            document["name"]: document["RID"] for document in self.ask("GET", "/schema/s/table/T/column")
        }
        self.moments = [self.ask("GET", "")["snaptime"]]
        self.versions = []

    def ask(self, method, path, body=None):
        answer = self.caller.send(method, self.base + path, body)
        assert answer.status < 300, (method, path, body, answer.body)
        return answer.json if answer.body else None

    def write(self):
        """Change a few rows at once."""
        live = [version for version in self.versions if version["end"] is None]
        now = len(self.moments)
        action = self.random.choice(["insert", "update", "update", "delete"]) if live else "insert"
        if action == "insert":
            rows = self.ask("POST", "/entity/s:T", [self.values() for _ in range(self.random.randint(1, 3))])
        else:
            chosen = self.random.sample(live, self.random.randint(1, len(live)))
            rids = [version["row"]["RID"] for version in chosen]
            for version in chosen:
                version["end"] = now
            if action == "delete":
                self.ask("DELETE", f"/entity/s:T/RID=any({','.join(rids)})")
                rows = []
            else:
                new = [{"RID": rid, **self.values()} for rid in rids]
                self.ask("PUT", "/attributegroup/s:T/RID;a,b", new)
                rows = new
        self.versions += [
            {"start": now, "end": None, "row": {name: row[name] for name in ("RID", "a", "b")}}
            for row in rows
        ]
        self.moments.append(self.ask("GET", "")["snaptime"])

    def values(self):
        return {"a": self.random.choice([None, "x", "y"]), "b": self.random.choice([None, 1, 2])}

    def redact(self):
        """Redact a column in a stretch, maybe only where another has a value; the same here."""
        since, until = sorted(self.random.sample(range(len(self.moments)), 2))
        name, other = self.random.choice("ab"), self.random.choice("ab")
        value = self.random.choice([Ellipsis, self.values()[other]])
        path = f"/history/{self.moments[since]},{self.moments[until]}/attribute/{self.columns[name]}"
        if value is not Ellipsis:
            shown = "null" if value is None else f"%22{value}%22" if isinstance(value, str) else str(value)
            path += f"/{self.columns[other]}={shown}"
        self.ask("DELETE", path)
        for version in self.versions:
            is_inside = since <= version["start"] and version["end"] is not None and version["end"] <= until
            if is_inside and value in (Ellipsis, version["row"][other]):
                version["row"][name] = None

    def check(self):
        """Compare every snapshot, and the present."""
        for at, moment in enumerate(self.moments):
            shown = self.ask("GET", f"@{moment}/attribute/s:T/RID,a,b@sort(RID)")
            wanted = [
                version["row"]
                for version in self.versions
                if version["start"] <= at and (version["end"] is None or version["end"] > at)
            ]
            assert shown == sorted(wanted, key=lambda row: row["RID"]), (at, moment)
        assert self.ask("GET", "/attribute/s:T/RID,a,b@sort(RID)") == shown


_COLUMNS = ([column("a", "text"), column("b", "int4")], [])


@pytest.mark.parametrize("seed", range(5))
def test_redaction(tmp_path, address, seed):
    with opened(tmp_path / "lab", address) as server:
        past = Past(Direct(server), seed)
        for _ in range(12):
            past.write()
        for _ in range(6):
            past.redact()
            past.check()
        past.write()
        past.check()
