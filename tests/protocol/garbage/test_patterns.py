"""No regular expression makes the server hang, however it is made and whatever it is held against."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from tests.deployments import column, table
from tests.protocol.garbage.conftest import Target

PATHOLOGICAL = [
    "(a+)+$",
    "(a|a)*$",
    "(a|aa)+$",
    "(a*)*b",
    "(.*)*c",
    "(.*a){30}c",
    "(a?){100}a{100}",
    "(a|b)*a(a|b){200}c",
    "(a|b)*a(a|b){250}(a|b){250}(a|b){250}c",
    "((a|b)*a(a|b){100}|(b|a)*b(b|a){100})+c",
    "(((a{0,10}){0,10}){0,10})c",
    "(((((a*)*)*)*)*)*c",
    "(x+x+)+y",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "|" * 1000,
    "(" * 90 + "a*" + ")*" * 90 + "c",
    "[[:alpha:]]*" * 100 + "c",
    "a{255}" * 10,
    "(a{1,255}){1,255}",
    "\\y(a|b)*\\y" * 50 + "c",
]


@pytest.fixture(scope="module")
def haystack(target: Target) -> Iterator[Target]:
    """A table of 3,000 texts of 400 signs, and one text of a million."""
    made = target.send("POST", "{C}/schema/S/table", _json(table("S", "Hay", [column("x", "text")], [])))
    assert made.status == 201, made.body
    chance = random.Random(0)
    rows = [{"x": "".join(chance.choices("ab", k=400))} for _ in range(3000)]
    assert (
        target.send("POST", "{C}/entity/S:Hay", _json([*rows, {"x": "ab" * 500_000 + "A"}])).status == 200
    )
    yield target
    target.renew()


def _json(document: object) -> bytes:
    import json

    return json.dumps(document).encode()


@pytest.mark.parametrize("pattern", PATHOLOGICAL, ids=lambda pattern: pattern[:30])
def test_pathological_patterns(haystack: Target, pattern: str) -> None:
    for operator in ("regexp", "ciregexp"):
        began = time.monotonic()
        answer = haystack.send(
            "GET", f"{{C}}/aggregate/S:Hay/x::{operator}::{quote(pattern, safe='')}/n:=cnt(*)"
        )
        assert answer.status in (200, 400), answer.body
        took = time.monotonic() - began
        print(f"{pattern[:40]} {operator} {answer.status} {answer.body[-60:]!r} {took:.2f} s")
