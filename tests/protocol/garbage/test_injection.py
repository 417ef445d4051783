"""SQL in the place of any name or value is a name or a value: nothing else in the catalog changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.deployments import SYSTEM, column, reference, table
from tests.protocol.garbage.conftest import Target

PAYLOADS = [
    "'; DROP TABLE \"Canary\"; --",
    "\"; DROP TABLE \"Canary\"; --",
    "x') OR 1=1; DELETE FROM \"Canary\"; --",
    "x\" FROM \"Canary\"; UPDATE \"Canary\" SET v='bad'; --",
    "' UNION SELECT v, v, v, v, v, v FROM Canary --",
    "Canary\"",
    "`Canary`; --",
    "[Canary]",
    "$$; DROP TABLE Canary; $$",
    "\\'; DROP TABLE Canary; --",
    "/* x */ Canary --",
    "%s %(x)s :v ?1 ? {0}",
    "E'\\'; DROP TABLE Canary; --",
    "0); DROP TABLE Canary; --",
    "1 OR 1=1",
    "pg_sleep(30)",
    "(SELECT v FROM \"Canary\")",
    "'||(SELECT v FROM \"Canary\")||'",
    "null; VACUUM",
    "a'b\"c`d\\e",
]  # fmt: skip
EACH = [
    pytest.param(payload, marks=() if number % 5 == 0 else pytest.mark.soak)
    for number, payload in enumerate(PAYLOADS)
]


class Canary:
    """A table that nobody names, and all that the catalog shows of it and of its system tables."""

    def __init__(self, target: Target) -> None:
        self.target = target
        target.renew()
        document = table("S", "Canary", [column("v", "text")], [["v"]])
        self.ask("POST", "/schema/S/table", document, 201)
        self.ask("POST", "/entity/S:Canary", [{"v": f"bird {number}"} for number in range(5)])
        self.before = self.seen()

    def ask(self, method: str, path: str, body: Any = None, status: int | None = 200) -> Any:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        kind = {"Content_Type": "text/csv"} if isinstance(body, bytes) else {}
        answer = self.target.send(method, "{C}" + path, raw, **kind)
        if status is not None:
            assert answer.status == status, (method, path, answer.body)
        elif method == "GET":
            assert b"bird" not in answer.body, (path, answer.body)
        return (
            json.loads(answer.body) if answer.status < 300 and answer.body.startswith((b"[", b"{")) else None
        )

    def seen(self) -> Any:
        return (
            self.ask("GET", "/entity/S:Canary"),
            self.ask("GET", "/schema/S/table/Canary"),
            self.ask("GET", "/schema/public"),
            [row["ID"] for row in self.ask("GET", "/entity/public:ERMrest_Client")],
        )

    def check(self) -> None:
        assert self.seen() == self.before


@pytest.fixture
def canary(target: Target) -> Iterator[Canary]:
    canary = Canary(target)
    yield canary
    canary.check()


def _q(text: str) -> str:
    return quote(text, safe="")


@pytest.mark.parametrize("payload", EACH)
def test_in_values(canary: Canary, payload: str) -> None:
    value = _q(payload)
    for operator in (
        "=",
        "::gt::",
        "::geq::",
        "::lt::",
        "::leq::",
        "::regexp::",
        "::ciregexp::",
        "::ts::",
        "=any(",
    ):
        close = f",{value})" if operator.endswith("(") else ""
        for name in ("x", "i4", "n", "d", "tz", "jb", "xs", "u", "b", "iv", "RID", "*"):
            canary.ask("GET", f"/entity/S:Every/{name}{operator}{value}{close}", status=None)
    for path in (
        f"/entity/S:Every@sort(x)@after({value})",
        f"/entity/S:Every@sort(x,n::desc::)@before({value},{value})?limit=2",
        f"/attribute/S:Every/o:=bin(i4;{value};{value};{value})",
        f"/attribute/S:Every/o:=bin(i4;3;{value};{value})",
        f"/entity/S:Every?limit={value}",
        f"/entity/S:Every?accept={value}&download={value}",
        f"/entity_rid/{value}",
        f"/textfacet/{value}",
        f"/history/{value},{value}",
        f"/history/,/attribute/{value}/{value}={value}",
        f"@{value}/entity/S:Every",
    ):
        canary.ask("GET", path, status=None)
    canary.ask("DELETE", f"/entity/S:Child/P={value}", status=None)
    canary.ask("DELETE", f"/attribute/S:Child/P={value}/w", status=None)
    canary.ask("DELETE", f"/history/,/attribute/{value}/{value}={value}", status=None)


@pytest.mark.parametrize("payload", EACH)
def test_in_rows(canary: Canary, payload: str) -> None:
    for name in ("x", "md", "i4", "n", "d", "u", "iv", "b"):
        canary.ask("POST", "/entity/S:Every?defaults=no", [{name: payload}], status=None)
    canary.ask(
        "POST", "/entity/S:Every?defaults=no", [{"jb": {payload: payload}, "xs": [payload], payload: payload}]
    )
    [row] = canary.ask("POST", "/entity/S:Every?defaults=no", [{"x": payload, "jb": payload, "i4": 77}])
    assert (row["x"], row["jb"]) == (payload, payload)
    assert canary.ask("GET", f"/entity/S:Every/i4=77&x={_q(payload)}") == [row]
    canary.ask("PUT", "/attributegroup/S:Every/o:=x;n:=x", [{"o": payload, "n": payload}])
    canary.ask("PUT", "/entity/S:Every?defaults=no", [{"x": payload, "i4": 77}], status=None)
    for rid in ("RID", "RCT", "RCB"):
        canary.ask("POST", f"/entity/S:Parent?nondefaults={rid}", [{rid: payload, "K": payload}], status=None)
    canary.ask("POST", f"/entity/S:Parent?defaults={_q(payload)}", [{"K": "y"}], status=409)
    header = '"' + payload.replace('"', '""') + '"'
    canary.ask("POST", "/entity/S:Parent", f"{header},v\n1,2\n".encode(), status=409)
    canary.ask("POST", "/entity/S:Parent", f"K,v\n{header},2\n".encode(), status=None)


@pytest.mark.parametrize("payload", EACH)
def test_in_names_of_a_url(canary: Canary, payload: str) -> None:
    name = _q(payload)
    [row] = canary.ask("GET", f"/attribute/S:Every/{name}:=x?limit=1")
    assert row.keys() == {payload}
    [row] = canary.ask("GET", f"/aggregate/{name}:=S:Every/{name}:=cnt({name}:x)")
    assert row.keys() == {payload}
    canary.ask("GET", f"/attributegroup/{name}:=S:Every/{name}:=x;n:=array({name}:*)@sort({name}::desc::)")
    for path in (
        f"/entity/{name}",
        f"/entity/{name}:{name}",
        f"/entity/S:Every/{name}=1",
        f"/entity/S:Every/({name})",
        f"/entity/S:Every/(x)=(S:{name}:{name})",
        f"/entity/S:Every/${name}",
        f"/attribute/S:Every/{name}",
        f"/aggregate/S:Every/n:={name}(x)",
        f"/entity/S:Every@sort({name})",
        f"/schema/{name}",
        f"/schema/S/table/{name}",
        f"/schema/S/table/Every/column/{name}",
        f"/schema/S/table/Every/key/{name}",
        f"/schema/S/table/Every/foreignkey/{name}/reference/S:{name}/{name}",
        f"/schema/S/table/Every/annotation/{name}",
        f"/schema/S/table/Every/acl/{name}",
    ):
        canary.ask("GET", path, status=None)
        canary.ask("DELETE", path, status=None)


@pytest.mark.parametrize("payload", EACH)
def test_in_names_of_the_model(canary: Canary, payload: str) -> None:
    """Every element bears the name, is used by it, and shows it."""
    name, other = _q(payload), f"{payload[:20]}2"
    link = reference("S", payload, "Parent", "K", on_delete="CASCADE") | {
        "names": [["S", f"{payload[:30]}f"]]
    }
    made = {
        "schema_name": payload,
        "table_name": payload,
        "comment": payload,
        "annotations": {payload: payload},
        "column_definitions": [
            *SYSTEM,
            column(payload, "text", default=payload, comment=payload),
            column("n", "int4"),
        ],
        "keys": [
            {"unique_columns": ["RID"]},
            {"unique_columns": [payload, "n"], "names": [["S", f"{payload[:30]}k"]]},
        ],
        "foreign_keys": [link],
    }
    canary.ask("POST", "/schema", [{"schema_name": payload, "annotations": {payload: 1}}, made], status=201)
    canary.ask("POST", "/entity/S:Parent", [{"K": payload}])
    [row] = canary.ask("POST", f"/entity/{name}:{name}?defaults={name}", [{"n": 1}])
    assert row[payload] == payload
    shown = canary.ask("GET", f"/schema/{name}/table/{name}")
    assert (shown["comment"], shown["annotations"]) == (payload, {payload: payload})
    assert canary.ask("GET", f"/entity/{name}:{name}/{name}={name}") == [row]
    assert len(canary.ask("GET", f"/entity/A:={name}:{name}/S:Parent/K={name}")) == 1
    canary.ask("PUT", f"/attributegroup/{name}:{name}/RID;n", [{"RID": row["RID"], "n": 5}])
    canary.ask("PUT", f"/schema/{name}/table/{name}/column/{name}", {"name": other})
    canary.ask("POST", f"/schema/{name}/table/{name}/column", column(payload, "int4", default=3), status=201)
    canary.ask("PUT", f"/schema/{name}/table/{name}/column/{name}", {"type": {"typename": "text"}})
    canary.ask("PUT", f"/schema/{name}/table/{name}", {"table_name": other, "schema_name": "S"})
    canary.ask("PUT", f"/schema/S/table/{_q(other)}/annotation/{name}", payload, status=None)
    canary.ask("DELETE", f"/entity/S:Parent/K={name}", status=204)
    assert canary.ask("GET", f"/entity/S:{_q(other)}") == []
    canary.ask("DELETE", f"/schema/S/table/{_q(other)}/column/{name}", status=204)
    canary.ask("DELETE", f"/schema/S/table/{_q(other)}", status=204)
    canary.ask("DELETE", f"/schema/{name}", status=204)


@pytest.mark.parametrize("payload", EACH)
def test_in_documents(canary: Canary, payload: str) -> None:
    for typename in (payload, f"text {payload}", f"{payload}[]"):
        canary.ask("POST", "/schema/S/table/Parent/column", column("z", typename), status=409)
    canary.ask("POST", "/schema/S/table/Parent/column", column("z", "int4", default=payload), status=None)
    canary.ask(
        "POST", "/schema/S/table/Parent/column", column("zz", "jsonb", default={payload: payload}), status=201
    )
    for action in ("on_delete", "on_update"):
        link = reference("S", "K", "Parent", "K", **{action: payload})
        canary.ask("POST", "/schema/S/table/Child/foreignkey", link, status=400)
    canary.ask("PUT", "/schema/S/table/Parent/acl", {"select": [payload]})
    canary.ask("PUT", "/acl", {"select": [payload], "owner": ["*", payload]}, status=None)
    binding = {"types": ["select"], "projection": [payload], "projection_type": "acl", "scope_acl": [payload]}
    canary.ask("PUT", "/schema/S/table/Parent/acl_binding", {payload: binding}, status=None)
    for target, document in (
        ("catalog", {"id": payload, "owner": [payload], "name": payload}),
        ("alias", {"id": payload, "alias_target": payload}),
    ):
        canary.target.send("POST", f"/ermrest/{target}", json.dumps(document).encode())
    canary.target.send("PUT", f"/ermrest/alias/{_q(payload)}", json.dumps({"id": payload}).encode())
    canary.target.send("DELETE", f"/ermrest/alias/{_q(payload)}")
