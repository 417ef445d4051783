"""No regular expression makes the server hang, however it is made and whatever it is held against."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

import pytest
from tests.deployments import column, table
from tests.protocol.garbage.conftest import LONGEST, Target

from deriva_server.operators import PATTERNS

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


def match_all(target: Target, texts: int, longest: int) -> float:
    """Hold each pattern against texts of random letters and one long text; returns how long the slowest took."""
    target.renew()
    made = target.send(
        "POST", "{C}/schema/S/table", json.dumps(table("S", "Hay", [column("x", "text")], [])).encode()
    )
    assert made.status == 201, made.body
    chance = random.Random(0)
    rows = [{"x": "".join(chance.choices("ab", k=400))} for _ in range(texts)]
    rows.append({"x": "ab" * (longest // 2) + "A"})
    assert target.send("POST", "{C}/entity/S:Hay", json.dumps(rows).encode()).status == 200
    target.longest = 0.0
    for pattern in PATHOLOGICAL:
        for operator in PATTERNS:
            path = f"{{C}}/aggregate/S:Hay/x::{operator}::{quote(pattern, safe='')}/n:=cnt(*)"
            answer = target.send("GET", path)
            assert answer.status == 200 or (
                answer.status == 400 and (b"time limit" in answer.body or b"regular exp" in answer.body)
            ), (pattern, answer.status, answer.body)
    return target.longest


def test_pathological_patterns(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deriva_server.sql.rows.STATEMENT_SECONDS", 0.3)
    assert match_all(target, 300, 10_000) < LONGEST


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_pathological_patterns_for_long(target: Target) -> None:
    slowest = match_all(target, 3000, 1_000_000)
    print(f"slowest pattern {slowest:.1f} s")
