"""Whatever is sent, the answer is never a defect of the server, and nothing sent before suffers."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest
from werkzeug.datastructures import Headers

from deriva_server.embed import LocalServer
from deriva_server.http.message import FilePart, Request

C = "/ermrest/catalog/1"
NASTY = [
    "'",
    '"',
    "]",
    "[",
    "%",
    "%s",
    ":x",
    "::",
    "a:b",
    "\0",
    "\n",
    "*",
    "rowid",
    "sqlite_x",
    "é😀",
    "-- ",
    "?1",
]
NASTY += [
    "..",
    ".",
    "/",
    "\\",
    "",
    "null",
    "1e999",
    "9" * 25,
    "x" * 300,
    "RID",
    "select",
    "(1)",
    "(a+)+$",
    "NaN",
]
SYSTEM = ["RID", "RCT", "RMT", "RCB", "RMB"]
DEEP = b"[" * 100_000


class Sender:
    """Sends requests, and fails the test when one is answered with 500 or worse."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server

    def __call__(
        self, method: str, target: str, body: bytes = b"", content_type: str = ""
    ) -> tuple[int, bytes]:
        headers = Headers({"Content-Type": content_type} if content_type else {})
        answer = self.server.handle(Request(method, target, headers, io.BytesIO(body), len(body)))
        pieces = answer.body.chunks() if isinstance(answer.body, FilePart) else answer.body
        content = pieces if isinstance(pieces, bytes) else b"".join(pieces)
        assert answer.status < 500 or answer.status == 501, (method, target[:200], body[:200], content)
        assert not any("\n" in value for _, value in answer.headers)
        return answer.status, content


def table(name: str, texts: Sequence[str]) -> bytes:
    """The document of a table with text columns."""
    columns = [
        {"name": name, "type": {"typename": f"ermrest_{name.lower()}"}, "nullok": name in ("RCB", "RMB")}
        for name in SYSTEM
    ]
    columns += [{"name": name, "type": {"typename": "text"}} for name in texts]
    keys = [{"unique_columns": ["RID"]}]
    return json.dumps({"table_name": name, "column_definitions": columns, "keys": keys}).encode()


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sender]:
    with LocalServer.open(tmp_path_factory.mktemp("garbage"), create=True) as server:
        send = Sender(server)
        assert send("POST", "/ermrest/catalog", b"{}")[0] == 201
        assert send("POST", f"{C}/schema/S")[0] == 201
        names = [name for name in NASTY if 0 < len(name) < 60 and name not in (*SYSTEM, "\0")]
        status, content = send("POST", f"{C}/schema/S/table", table('T"]%s:x', names))
        assert status == 201, content
        yield send


def _name(choice: random.Random) -> str:
    return quote(choice.choice(NASTY), safe="") if choice.random() < 0.9 else choice.choice(NASTY)


def _target(choice: random.Random) -> str:
    """A target that is nearly right."""
    one, two = _name(choice), _name(choice)
    known = quote('T"]%s:x', safe="")
    table = choice.choice([f"S:{known}", f"S:{known}", f"S:{known}", known, one])
    operator = choice.choice(["=", "::gt::", "::regexp::", "::ciregexp::", "=any", "::null::"])
    predicate = f"{one}{operator}" + (f"({two},{two})" if operator == "=any" else two)
    return choice.choice(
        [
            f"{C}/entity/{table}/{predicate}",
            f"{C}/entity/M:={table}/{predicate};!({one}={two})/$M@sort({one}::desc::)@after({two})?limit=2",
            f"{C}/attribute/{table}/{one}:={two}?accept=csv",
            f"{C}/attributegroup/M:={table}/{one};{two}:=array_d(M:{one}),n:=cnt(*)",
            f"{C}/attributegroup/{table}/b:=bin({one};3;{two};{two})",
            f"{C}/aggregate/{table}/a:=max({one}),b:=array(*)",
            f"{C}/entity/{table}?defaults={one}&nondefaults={two}&onconflict=skip",
            f"{C}/schema/{one}/table/{two}/column/{one}",
            f"{C}/schema/S/table/{two}/key/{one},{two}/annotation/{one}",
            f"{C}/schema/S/table/{two}/foreignkey/{one}/reference/S:{two}/{one}/acl_binding/{two}",
            f"{C}@{one}/schema",
            f"{C}/history/{one},{two}/attribute/{one}/{two}={one}",
            f"{C}/entity_rid/{one}",
            f"{C}/textfacet/{one}",
            f"/ermrest/catalog/{one}/schema",
            f"/ermrest/alias/{one}",
            f"/hatrac/{one}/{two}?parents=true",
            f"/hatrac/{one}:{two};metadata/{one}",
            f"/hatrac/{one};acl/read/{two}",
            f"/hatrac/{one};upload/{two}/{one}",
            f"/authn/preauth?referrer={one}",
            f"/{one}",
            one,
        ]
    )


def _body(choice: random.Random) -> tuple[bytes, str]:
    one, two = choice.choice(NASTY), choice.choice(NASTY)
    documents = [
        [{one: two, two: choice.choice([None, 2**70, 1.5, [one], {two: one}, True])}],
        {
            "schema_name": "S",
            "table_name": one,
            "column_definitions": [{"name": two, "type": one}],
            "keys": two,
        },
        {"schemas": {one: {"tables": {two: one}}}},
        {"unique_columns": [one, two]},
        {"command": "rename_from", "source_name": f"/{one}", "chunk-length": 5, "content-length": 2**70},
        {"id": one, "owner": [two], "types": [one], "projection": [two], "name": two},
        one,
    ]
    kind = choice.choice(
        ["application/json", "text/csv", "application/x-hatrac-namespace", one.strip() or "x"]
    )
    raw = choice.choice([bytes(choice.randrange(256) for _ in range(30)), f"{one},{two}\n{two}\n".encode()])
    text = json.dumps(choice.choice(documents)).encode()
    return (text if choice.random() < 0.8 else raw), kind.replace("\0", "").replace("\n", "")


@pytest.mark.parametrize("seed", range(4))
def test_random_requests(send: Sender, seed: int) -> None:
    choice = random.Random(seed)
    for _ in range(200):
        target = _target(choice)
        if choice.random() < 0.2:
            at = choice.randrange(len(target) + 1)
            target = target[:at] + choice.choice("():;,=@&/?!$%*~'\"+[]{} \0é") + target[at + 1 :]
        send(choice.choice(["GET", "GET", "POST", "PUT", "HEAD", "PATCH"]), target, *_body(choice))
    assert send("GET", f"{C}/schema")[0] == 200


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/ermrest/catalog"),
        ("POST", "/ermrest/alias"),
        ("POST", f"{C}/schema"),
        ("POST", f"{C}/schema/S/table"),
        ("PUT", f"{C}/acl"),
        ("PUT", f"{C}/annotation/x"),
        ("PUT", "/hatrac/n;acl/read"),
    ],
)
@pytest.mark.parametrize(
    "body", [DEEP, b"[" * 300 + b"]" * 300, b'["\\ud800"]', b'{"id": "\\ud800"}', b"1e999", b"NaN"]
)
def test_documents_that_cannot_be_written_again(send: Sender, method: str, target: str, body: bytes) -> None:
    assert send(method, target, body, "application/json")[0] == 400
    assert send("GET", f"{C}/schema")[0] == 200


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (f"{C}/entity/public:ERMrest_Client/" + "/".join(["RID=1"] * 1100), 400),
        (f"{C}/attribute/public:ERMrest_Client/" + ",".join(f"o{n}:=ID" for n in range(2500)), 200),
        (f"{C}/attributegroup/public:ERMrest_Client/" + ",".join(f"o{n}:=ID" for n in range(2500)), 400),
        (
            f"{C}/entity/public:ERMrest_Client@sort({','.join(['ID'] * 300)})@after({','.join(['1'] * 300)})",
            400,
        ),
        (f"{C}/entity/public:ERMrest_Client?limit={'9' * 5000}", 200),
        (f"{C}@ZZZZZZZZZZZZZ/schema", 409),
        ("/hatrac" + "/a" * 40_000, 400),
        ("/hatrac/a;acl/read/%FF", 400),
        (f"/hatrac/a;upload/X/{'9' * 5000}", 405),
        ("/authn/preauth?referrer=http://[", 200),
    ],
)
def test_too_much(send: Sender, target: str, status: int) -> None:
    assert send("GET", target)[0] == status


def test_table_with_too_many_columns(send: Sender) -> None:
    wide = table("wide", [f"c{number}" for number in range(2500)])
    assert send("POST", f"{C}/schema/S/table", wide)[0] == 400
    assert send("GET", f"{C}/schema/S/table/wide")[0] == 404


def test_upload_of_absurd_size(send: Sender) -> None:
    announced = json.dumps({"chunk-length": 1, "content-length": 10**30}).encode()
    assert send("POST", "/hatrac/huge;upload", announced, "application/json")[0] == 400
    announced = json.dumps({"chunk-length": 1, "content-length": 10**18}).encode()
    status, place = send("POST", "/hatrac/huge;upload", announced, "application/json")
    assert status == 201
    assert send("POST", place.decode().rstrip())[0] == 409
    assert send("PUT", f"{place.decode().rstrip()}/{'9' * 5000}", b"x")[0] == 409


def test_nothing_escapes_the_folder(send: Sender, tmp_path: Path) -> None:
    for name in ("%2e%2e%2fescaped", "a%2F..%2F..%2Fescaped", "%00", "%2Fetc%2Fpasswd"):
        status, place = send("PUT", f"/hatrac/{name}", b"inside")
        assert status == 201
        assert send("GET", place.decode().rstrip()) == (200, b"inside")
    folder = send.server.folder
    stored = [path for path in (folder / "objects" / "data").rglob("*") if path.is_file()]
    assert all(len(path.name) == 64 for path in stored)
    assert not list(folder.parent.glob("escaped*"))
