"""A catalog to throw garbage at, made anew when the garbage has broken too much of it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote, unquote_to_bytes

import pytest
from tests.deployments import Answer, Direct, column, opened, reference, table

from deriva_server.embed import LocalServer

TYPED = {
    "b": "boolean", "i2": "int2", "i4": "int4", "i8": "int8", "f4": "float4", "f8": "float8", "n": "numeric",
    "x": "text", "u": "uuid", "d": "date", "ts": "timestamp", "tz": "timestamptz", "t": "time", "ttz": "timetz",
    "iv": "interval", "j": "json", "jb": "jsonb", "c": "color_rgb_hex", "md": "markdown", "xs": "text[]",
    "is": "int4[]", "ds": "date[]", "jbs": "jsonb[]", "no": "serial4",
}  # fmt: skip
ODD = 'T"]%s:x'
ODD_COLUMNS = ["'", '"', "]", "%s", ":x", "a:b", "é😀", "--", "*", "rowid", "any", "x" * 60, "\n", "\\"]
TEXTS = ["", "a", "O'Neil", "a" * 4000, "ab" * 2000, "é😀", "a,b\n\"c'", "\\", "%", "x" * 30 + "y"]
LONGEST = 20.0
"""Seconds that any answer may take."""
_INTERNAL = re.compile(
    rb"Traceback|sqlite|psycopg|sqlalchemy|postgres|site-packages|deriva_server|File \"|line \d+, in|_ermrest_"
    rb"|syntax error at|near \"|no such (?:table|column)|sql_",
    re.IGNORECASE,
)


def judge(answer: Answer, took: float, sent: bytes, told: object) -> None:
    """Fail when an answer is a defect; what was `sent` may be quoted in it."""
    assert answer.status < 500 or answer.status == 501, (told, answer.status, answer.body[:500])
    assert took < LONGEST, (took, told, answer.status)
    values = answer.headers.values()
    assert not any("\n" in value or "\r" in value for value in values), (told, answer.headers)
    if answer.status >= 400:
        leaks = set(_INTERNAL.findall(answer.body)) - set(_INTERNAL.findall(sent))
        assert not leaks, (leaks, told, answer.body[:500])


class Target:
    """Sends requests to ``{C}``, the catalog of the moment, and judges every answer."""

    def __init__(self, server: LocalServer) -> None:
        self.server, self.caller = server, Direct(server)
        self.statuses: Counter[int] = Counter()
        self.longest, self.slowest = 0.0, ""
        self.changes = 0
        self.renew()

    def send(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """Send, and fail when the answer is a defect."""
        place = target.replace("{C}", self.catalog)
        began = time.monotonic()
        answer = self.caller.send(method, place, body, **headers)
        took = time.monotonic() - began
        judge(answer, took, unquote_to_bytes(place) + body, (method, place[:2000], body[:2000], headers))
        if took > self.longest:
            self.longest, self.slowest = took, f"{method} {place[:300]} {body[:100]!r}"
        self.statuses[answer.status] += 1
        self.changes += method not in ("GET", "HEAD") and answer.status < 300
        return answer

    def mend(self) -> None:
        """Make the catalog anew when much has changed."""
        if self.changes > 60:
            self.renew()

    def renew(self) -> None:
        """Another catalog with every kind of column, names that need care, and links."""
        if hasattr(self, "catalog"):
            self.caller.send("DELETE", self.catalog)
            self.server.registry.purge()
        made = self.caller.send("POST", "/ermrest/catalog")
        assert made.status == 201, made.body
        self.catalog = f"/ermrest/catalog/{made.json['id']}"
        documents = [
            table("S", "Every", [column(name, type_) for name, type_ in TYPED.items()], [["x", "i4"]]),
            table("S", ODD, [column(name, "text") for name in ODD_COLUMNS], [["'"]]),
            table("S", "Parent", [column("K", "text"), column("v", "int4", default=5)], [["K"]]),
            table(
                "S",
                "Child",
                [column("P", "text"), column("w", "float8")],
                [],
                [reference("S", "P", "Parent", "K")],
            ),
        ]
        made = self.caller.send("POST", f"{self.catalog}/schema", [{"schema_name": "S"}, *documents])
        assert made.status == 201, made.body
        rows = [{"x": text, "i4": nr, "xs": [text, None], "jb": {"a": text}} for nr, text in enumerate(TEXTS)]
        for name, content in (
            ("Every", rows),
            ("Parent", [{"K": text, "v": nr} for nr, text in enumerate(TEXTS)]),
            ("Child", [{"P": text, "w": nr} for nr, text in enumerate(TEXTS)]),
            (quote(ODD, safe=""), [dict.fromkeys(ODD_COLUMNS, text) for text in TEXTS]),
        ):
            more = "?defaults=no" if name == "Every" else ""
            made = self.caller.send("POST", f"{self.catalog}/entity/S:{name}{more}", content)
            assert made.status == 200, (name, made.body)
        self.changes = 0

    def tell(self, count: int) -> None:
        print(
            f"{count} requests, {dict(sorted(self.statuses.items()))}, longest {self.longest:.2f} s: {self.slowest}"
        )


@pytest.fixture(scope="module")
def target(
    database: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    address = None if database == "sqlite" else request.getfixturevalue("new_address")()
    with opened(tmp_path_factory.mktemp("garbage") / "lab", address) as server:
        yield Target(server)
