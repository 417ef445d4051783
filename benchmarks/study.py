"""The catalog that the service is measured on: three linked tables and rows for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Send = Any
"""Sends method, target and body, gives status and body."""

_SYSTEM = ("RID", "RCT", "RMT", "RCB", "RMB")


def _column(name: str, type_: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": {"typename": type_}, **more}


def table(name: str, columns: list[dict[str, Any]], keys: list[str], references: dict[str, str]) -> bytes:
    """A table document; `references` maps columns to the tables whose ``name`` they hold."""
    system = [_column(c, f"ermrest_{c.lower()}", nullok=c not in _SYSTEM[:3]) for c in _SYSTEM]
    document = {
        "schema_name": "B",
        "table_name": name,
        "column_definitions": system + columns,
        "keys": [{"unique_columns": [key]} for key in ("RID", *keys)],
        "foreign_keys": [
            {
                "foreign_key_columns": [{"column_name": column}],
                "referenced_columns": [{"schema_name": "B", "table_name": target, "column_name": "name"}],
            }
            for column, target in references.items()
        ],
    }
    return json.dumps(document).encode()


COLUMNS = [
    _column("name", "text", nullok=False),
    _column("kind", "text"),
    _column("subject", "text"),
    _column("n", "int4"),
    _column("v", "float8"),
    _column("flag", "boolean"),
    _column("taken", "timestamptz"),
    _column("remark", "text"),
]
CSV_HEADER = b"name,kind,subject,n,v,flag,taken,remark\n"


def scan_table(name: str) -> bytes:
    """A table of eight columns, one of them a key and one a foreign key."""
    return table(name, COLUMNS, ["name"], {"subject": "Subject"})


def rows(start: int, stop: int) -> Iterator[dict[str, Any]]:
    """Rows of a table of scans."""
    for at in range(start, stop):
        yield {
            "name": f"scan-{at:07}",
            "kind": f"T{at % 7}",
            "subject": f"s{at % 100}",
            "n": at,
            "v": at * 0.37,
            "flag": at % 3 == 0,
            "taken": f"2025-0{1 + at % 9}-11T10:{at % 60:02}:00+00:00",
            "remark": "as seen, nothing special",
        }


def json_rows(start: int, stop: int) -> bytes:
    """The same as a JSON array."""
    return json.dumps(list(rows(start, stop))).encode()


def json_lines(start: int, stop: int) -> bytes:
    """The same, one JSON object per line."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows(start, stop))


def csv_rows(start: int, stop: int) -> bytes:
    """The same as lines of CSV without their header."""
    lines = []
    for row in rows(start, stop):
        row["flag"], row["remark"] = "t" if row["flag"] else "f", f'"{row["remark"]}"'
        lines.append(",".join(map(str, row.values())))
    return ("\n".join(lines) + "\n").encode()


def create(send: Send) -> str:
    """Make the catalog; gives its path."""
    base = "/ermrest/catalog/" + str(json.loads(send("POST", "/ermrest/catalog", b""))["id"])
    send("POST", f"{base}/schema/B", b"")
    name = _column("name", "text", nullok=False)
    send("POST", f"{base}/schema/B/table", table("Site", [name], ["name"], {}))
    subject = [name, _column("site", "text"), _column("age", "int4")]
    send("POST", f"{base}/schema/B/table", table("Subject", subject, ["name"], {"site": "Site"}))
    send("POST", f"{base}/entity/B:Site", json.dumps([{"name": f"l{at}"} for at in range(10)]).encode())
    subjects = [{"name": f"s{at}", "site": f"l{at % 10}", "age": at} for at in range(100)]
    send("POST", f"{base}/entity/B:Subject", json.dumps(subjects).encode())
    return base


def fill(send: Send, base: str, name: str, count: int) -> None:
    """Make a table of scans with rows in it."""
    send("POST", f"{base}/schema/B/table", scan_table(name))
    for start in range(0, count, 50_000):
        body = CSV_HEADER + csv_rows(start, min(count, start + 50_000))
        send("POST", f"{base}/entity/B:{name}", body, Content_Type="text/csv")
