"""Whatever is sent to the object service, the answer is never a defect, and nothing sent before suffers."""

from __future__ import annotations

import itertools
import time
from collections import Counter

import pytest
from hypothesis import given
from tests.examples import drawn
from tests.protocol.cases_runner import Answer, Transport
from tests.protocol.garbage.conftest import judge
from tests.protocol.garbage.strategies import Garbage
from tests.protocol.hatrac.strategies import FAMILIES

SPACE = {"Content-Type": "application/x-hatrac-namespace"}
JSON = {"Content-Type": "application/json"}
KEPT = b"what was there before"
_ENOUGH = 30
"""Changes after which little of what the garbage speaks of is left; deleting is as bad as all."""
_numbers = itertools.count()


class Aim:
    """Fills in what garbage speaks of, sends it and judges every answer."""

    def __init__(self, raw: Transport) -> None:
        self.raw = raw
        self.statuses: Counter[int] = Counter()
        self.changes = 0
        self.kept = f"/hatrac/kept{next(_numbers)}"
        self._must("PUT", self.kept, {}, KEPT)
        self.renew()

    def _must(self, method: str, target: str, headers: dict[str, str], body: bytes | None = None) -> Answer:
        answer = self.raw.send(method, target, headers, body)
        assert answer.status in (201, 204), answer
        return answer

    def renew(self) -> None:
        """Another namespace with something of everything."""
        space = f"/hatrac/aim{next(_numbers)}"
        self._must("PUT", space, SPACE)
        first = self._must("PUT", f"{space}/o", {"Content-Type": "text/plain"}, b"data").headers["location"]
        second = self._must("PUT", f"{space}/o", {}, b"datum").headers["location"]
        upload = b'{"chunk-length": 2, "content-length": 5}'
        job = self._must("POST", f"{space}/o;upload", JSON, upload).headers["location"]
        self._must("PUT", f"{space}/gone", {}, b"x")
        self._must("DELETE", f"{space}/gone", {})
        self._must("PUT", f"{space}/old", {}, b"x")
        move = f'{{"command": "rename_from", "source_name": "{space[7:]}/old"}}'
        self._must("POST", f"{space}/new", JSON, move.encode())
        tag = second.rpartition(":")[2]
        self._names = {"{S}": space, "{P}": space[7:], "{V}": first, "{W}": second, "{J}": job, "{T}": tag}
        self.changes = 0

    def _filled(self, text: str) -> str:
        for name, value in self._names.items():
            text = text.replace(name, value)
        return text

    def send(self, garbage: Garbage) -> None:
        """Send, and fail when the answer is a defect."""
        if self.changes >= _ENOUGH:
            self.renew()
        target = self._filled(garbage.target)
        body = self._filled(garbage.body.decode("latin-1")).encode("latin-1")
        headers = {name: self._filled(value) for name, value in garbage.headers.items()}
        sent = body or (b"" if garbage.method in ("PUT", "POST") else None)
        began = time.monotonic()
        answer = self.raw.send(garbage.method, target, headers, sent)
        took = time.monotonic() - began
        told = (garbage.method, target[:500], headers, body[:500])
        quoted = f"{target}{headers}".encode("utf-8", "surrogatepass") + body
        if answer.status != 507:  # a chunk that lies beyond what any disk has
            judge(answer, took, quoted, told)
        self.statuses[answer.status] += 1
        if answer.status < 300 and garbage.method not in ("GET", "HEAD"):
            self.changes += 1 if garbage.method != "DELETE" or ";" in target else _ENOUGH


def throw(raw: Transport, family: str, number: int, count: int) -> None:
    """Send so many requests of one family."""
    aim = Aim(raw)

    @drawn(number, count)
    @given(FAMILIES[family])
    def one(garbage: Garbage) -> None:
        aim.send(garbage)

    one()
    assert raw.send("GET", aim.kept, {}, None).body == KEPT
    assert raw.send("GET", "/hatrac/", {}, None).status == 200
    print(f"{count} requests, {dict(sorted(aim.statuses.items()))}")


@pytest.mark.parametrize("family", FAMILIES)
def test_some_garbage(raw: Transport, family: str) -> None:
    throw(raw, family, 1, 100)


@pytest.mark.soak
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("family", FAMILIES)
def test_much_garbage(raw: Transport, family: str) -> None:
    throw(raw, family, 2, 5_000)
