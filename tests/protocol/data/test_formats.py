"""Every type in JSON, JSON lines and CSV, there and back."""

import json

import pytest

from .conftest import TYPED, q

VALUES = {
    "b": [True, False],
    "i2": [-32768, 7],
    "i4": [2**31 - 1, 0],
    "i8": [-(2**63), 2**53 + 1],
    "f4": [0.1, 16777216.0],
    "f8": [0.1, 1e300, 5e-324, -0.5],
    "n": [1.5, 7, 0.1],
    "x": ["", "a,b", 'say "hi"', "line\nbreak", "ünï😀", "null", "\\", "%s", " "],
    "u": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "d": ["2020-01-31", "0001-01-01"],
    "ts": ["2020-01-31T01:02:03", "2020-01-31T01:02:03.5"],
    "tz": ["2020-01-31T01:02:03+00:00", "2020-01-31T01:02:03.456789+00:00"],
    "t": ["01:02:03", "23:59:59.5"],
    "ttz": ["01:02:03+00", "01:02:03-07:30"],
    "iv": ["1 day 02:00:00", "-00:00:01"],
    "j": [{"b": [1, {"c": None}], "a": "é"}, [], "text", 0, False],
    "jb": [{"a": 2, "bb": [True]}, {}, 1.5, "\u0001"],
    "xs": [[], ["a", "b c", None, "NULL", ""], ["\\", '"', "{x}"]],
    "is": [[1, None, -3]],
    "tzs": [["2020-01-31T01:02:03.5+00:00"]],
}


@pytest.mark.parametrize("name", list(VALUES))
def test_round_trips(catalog, name):
    rows = [{name: value} for value in VALUES[name]]
    stored = catalog.post("/entity/S:Every", rows).rows
    assert [row[name] for row in stored] == VALUES[name]
    assert catalog.column("/entity/S:Every", name) == VALUES[name]
    lines = catalog.get(f"/attribute/S:Every/{name}", Accept="application/x-json-stream")
    assert lines.headers["Content-Type"] == "application/x-json-stream"
    assert [json.loads(line)[name] for line in lines.text.splitlines()] == VALUES[name]
    text = catalog.get(f"/attribute/S:Every/{name}?accept=csv")
    assert text.headers["Content-Type"] == "text/csv"
    catalog.delete("/entity/S:Every")
    path = "/entity/S:Every?defaults=" + ",".join(other for other in TYPED.values() if other != name)
    answer = catalog.post(path, text.body, Content_Type="text/csv", Accept="application/json")
    assert [row[name] for row in answer.rows] == VALUES[name]


@pytest.mark.parametrize("name", [name for name in VALUES if name not in ("j", "xs", "is", "tzs")])
def test_equal_values_are_found(catalog, name):
    for value in VALUES[name]:
        catalog.delete("/entity/S:Every")
        catalog.post("/entity/S:Every", [{name: value}])
        text = json.dumps(value) if name == "jb" else value if isinstance(value, str) else json.dumps(value)
        assert len(catalog.rows(f"/entity/S:Every/{name}={q(text)}")) == 1, value


def test_large_results_are_streamed(catalog):
    catalog.post("/entity/S:Every", [{"x": "y" * 500, "i4": at} for at in range(2000)])
    assert catalog.column("/attribute/S:Every/i4,x", "i4") == list(range(2000))
    assert len(catalog.get("/attribute/S:Every/i4,x?accept=csv").text.splitlines()) == 2001


def test_wide_rows(catalog):
    wide = "/attribute/S:Every/" + ",".join(f"c{at}:=i4" for at in range(250))
    catalog.post("/entity/S:Every", [{"i4": 5}])
    assert catalog.rows(wide) == [{f"c{at}": 5 for at in range(250)}]
    assert catalog.get(f"{wide}?accept=csv").text.splitlines()[1] == ",".join(["5"] * 250)
