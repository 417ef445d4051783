"""Protocol cases as data: YAML files of requests with the answers they must get.

A file of ``cases/<group>/`` looks like this; `tests/protocol/test_cases.py` sends it to every database and over both
transports.

.. code-block:: yaml

    setup: study                 # cases/setup/study.yaml: steps that fill the one catalog of this file, none: empty
    prepare: [STEP, ...]         # more steps for this file only
    clean: [S:T]                 # tables that every case finds empty, referring ones first
    fresh: true                  # every case has a catalog of its own
    cases:
    - name: a name matches itself
      STEP
    - name: several requests in turn
      steps: [STEP, STEP]
    - name: many alike           # one case per line
      each:
        GET /entity/S:T/x=1: {column: {x: [1]}}
        GET /entity/S:T/x=a: 400
    - name: many bodies          # one case per pair of a body and what is expected
      request: POST /schema
      bodies:
      - [[5], 400]

    - name: many alike           # one case per pair of a part of a step and what is expected
      request: GET /entity/S:T
      variants:
      - [{headers: {Accept: text/csv}}, {type: text/csv}]
      before: [STEP]             # sent before each of the cases of `each`, `bodies` and `variants`
      after: [STEP]              # and after it

Files of ``cases/hatrac/`` are about the object service: each case has an empty namespace ``${ns}`` of its own, where
``setup`` and ``prepare`` are done anew, and a target that is not absolute continues it: ``GET /o``, ``GET ;acl``.
``${place}`` is its path below the service. Objects sent by ``text_body`` have the Content-Type ``application/json`` unless
one is given. What holds for all answers of a kind need not be said: those to HEAD are those to GET, errors are plain
text, what was made is told in Location and body.

What the server does not satisfy yet on some database says why in ``flaw: {database: reason}``, and must fail there.
A step holds the request and what is expected of the answer; ``status`` is 200 when nothing else is said.

request
    Method and raw target, sent as written. A target that begins with ``//`` is absolute (``//ermrest/``), any other
    continues ``/ermrest/catalog/N``: ``GET /entity/S:T``, ``GET @${snap}/schema``, or just ``GET``.
as
    Who sends it: ``owner`` (when nothing else is said; also owns the catalogs), ``other``, ``member`` of the
    group ``https://groups/lab``, or ``anonymous``.
headers, body, text_body
    Body as a JSON value, or as text or ``!hex`` bytes; without a Content-Type of its own a body is sent as JSON. A header
    that is null is not sent, nor is the length when ``Content-Length`` is null.
status
    A number, or a list of those allowed.
type
    The Content-Type, exactly.
json
    The body, exactly; numbers are compared by value.
has
    The body, but objects may hold more members; lists are of equal length.
column
    ``{name: [values]}``: rows have these values of a column.
names
    Members of every row, in order.
count
    Number of rows.
unordered
    The list of ``json``, ``has`` or ``column`` may come in any order.
text, contains, lacks, matches
    The body as text: exactly, parts that are or are not in it, a regular expression that is found in it.
bytes
    The body, exactly.
response_headers
    Exact texts, ``!re`` patterns, null for a header that must be absent.
save
    ``{name: where}`` keeps a part of the answer for ``${name}`` in later steps: ``[0].RID``, ``header:ETag``, or ``tag``,
    the entity tag without quotes. What the set-up saves is there for all cases. ``${base}`` is ``/ermrest/catalog/N`` and ``${catalog}`` is ``N``.

Tags: ``!hex 00ff`` are bytes, ``!md5 TEXT`` and ``!sha256 TEXT`` are digests in base64, ``!re PATTERN`` is any text with that pattern in it, ``!any`` any value at all, ``!repeat [text, count, more, ...]`` a text
in which texts before a number stand so many times, ``!table`` a table document from
``{name:, schema:, columns: {name: type}, keys: [[..]], references: [[[columns], schema:table, [columns]]]}``, where a type is
``text``, ``text[]`` or ``{type: text, ...other members}``; system columns and the key of RID are added.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).parent / "cases"
_SYSTEM = (
    ("RID", "ermrest_rid", False),
    ("RCT", "ermrest_rct", False),
    ("RMT", "ermrest_rmt", False),
    ("RCB", "ermrest_rcb", True),
    ("RMB", "ermrest_rmb", True),
)


class Anything:
    """Equal to every value."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Pattern:
    """Equal to every text in which the pattern is found."""

    pattern: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.search(self.pattern, other) is not None


class _Loader(yaml.CSafeLoader):
    """YAML with the scalars of JSON: no dates, no yes and no."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("!any", lambda loader, node: Anything())
_Loader.add_constructor("!re", lambda loader, node: Pattern(loader.construct_scalar(node)))
_Loader.add_constructor("!hex", lambda loader, node: bytes.fromhex(loader.construct_scalar(node)))
for _digest in ("md5", "sha256"):
    _Loader.add_constructor(
        f"!{_digest}",
        lambda loader, node, digest=_digest: base64.b64encode(
            hashlib.new(digest, loader.construct_scalar(node).encode()).digest()
        ).decode(),
    )
_Loader.add_constructor("!repeat", lambda loader, node: _repeated(loader.construct_sequence(node)))
_Loader.add_constructor("!table", lambda loader, node: _table(**loader.construct_mapping(node, deep=True)))


def _repeated(parts: list[str | int]) -> str:
    texts: list[str] = []
    for part in parts:
        if isinstance(part, int):
            texts[-1] *= part
        else:
            texts.append(part)
    return "".join(texts)


def _type(name: str) -> dict[str, Any]:
    base = name.removesuffix("[]")
    if base != name:
        return {"typename": name, "is_array": True, "base_type": {"typename": base}}
    return {"typename": name}


def _column(name: str, given: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(given, str):
        return {"name": name, "type": _type(given)}
    return {"name": name, **given, "type": _type(given["type"])}


def _reference(columns: list[str], target: str, referenced: list[str]) -> dict[str, Any]:
    schema, table = target.split(":")
    return {
        "foreign_key_columns": [{"column_name": column} for column in columns],
        "referenced_columns": [
            {"schema_name": schema, "table_name": table, "column_name": column} for column in referenced
        ],
    }


def _table(
    name: str, columns: Any = None, keys: Any = (), references: Any = (), schema: str = "S", **more: Any
) -> dict[str, Any]:
    system = [{"name": name, "type": {"typename": type_}, "nullok": null} for name, type_, null in _SYSTEM]
    return {
        "schema_name": schema,
        "table_name": name,
        "column_definitions": system + [_column(*item) for item in (columns or {}).items()],
        "keys": [{"unique_columns": columns} for columns in [["RID"], *keys]],
        "foreign_keys": [_reference(*reference) for reference in references],
        **more,
    }


@dataclass(frozen=True)
class Case:
    """A named sequence of steps."""

    name: str
    steps: list[dict[str, Any]]
    flaws: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CaseFile:
    """The cases of one file and what they need."""

    name: str
    setup: list[dict[str, Any]]
    clean: list[str]
    is_fresh: bool
    cases: list[Case]

    @property
    def is_of_objects(self) -> bool:
        """Whether the cases are about the object service, not about a catalog."""
        return self.name.startswith("hatrac/")


_FILE_KEYS = {"setup", "prepare", "clean", "fresh", "cases"}
_STEP_KEYS = {
    *(
        "request",
        "as",
        "headers",
        "body",
        "text_body",
        "status",
        "type",
        "json",
        "has",
        "column",
        "names",
        "count",
    ),
    *("unordered", "text", "bytes", "contains", "lacks", "matches", "response_headers", "save"),
}


def load(path: Path) -> CaseFile:
    """Read a file of cases."""
    content = _read(path)
    if unknown := set(content) - _FILE_KEYS:
        raise ValueError(f"{path}: unknown {unknown}")
    steps = _read(CASES / "setup" / f"{content['setup']}.yaml") if content.get("setup") else []
    cases = [case for entry in content["cases"] for case in _cases(entry)]
    names = [case.name for case in cases]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{path}: several cases are named {twice}")
    name = path.relative_to(CASES).with_suffix("").as_posix()
    setup = [_checked(step) for step in [*steps, *content.get("prepare", ())]]
    return CaseFile(name, setup, content.get("clean", []), content.get("fresh", False), cases)


@functools.cache
def load_all() -> list[CaseFile]:
    """Every file of cases."""
    return [load(path) for path in sorted(CASES.rglob("*.yaml")) if path.parent.name != "setup"]


def _read(path: Path) -> Any:
    with path.open(encoding="utf-8") as file:
        return yaml.load(file, _Loader)


def _cases(entry: dict[str, Any]) -> list[Case]:
    name, flaws = entry["name"], entry.get("flaw", {})
    rest = {key: value for key, value in entry.items() if key not in ("name", "flaw", "before", "after")}
    before, after = entry.get("before", []), entry.get("after", [])
    if "steps" in rest:
        alike = [(name, list(rest["steps"]))]
    elif many := {"each", "bodies", "variants"} & set(rest):
        kind = many.pop()
        common = {key: value for key, value in rest.items() if key != kind}
        alike = [(f"{name}: {label}", [{**common, **step}]) for label, step in _alike(kind, rest[kind])]
    else:
        alike = [(name, [rest])]
    return [
        Case(label, [_checked(step) for step in [*before, *steps, *after]], flaws) for label, steps in alike
    ]


def _alike(kind: str, given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Label and own part of the step of each of many cases."""
    for own, wanted in given.items() if kind == "each" else given:
        expected = wanted if isinstance(wanted, dict) else {"status": wanted}
        if kind == "each":
            yield own, {"request": own, **expected}
        elif kind == "bodies":
            yield json.dumps(own, ensure_ascii=False), {"body": own, **expected}
        else:
            label = json.dumps(own, ensure_ascii=False, default=repr)
            yield label if len(label) <= 200 else f"{label[:200]} ({len(label)})", {**own, **expected}


def _checked(step: dict[str, Any]) -> dict[str, Any]:
    if (unknown := set(step) - _STEP_KEYS) or "request" not in step:
        raise ValueError(f"not a step: {step}; unknown: {unknown}")
    return step
