"""Requests that are wrong: wholly, or by a hair."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from hypothesis import strategies as st
from tests.deployments import SYSTEM, column, reference, table
from tests.protocol.garbage.conftest import ODD, ODD_COLUMNS, TYPED

from deriva_server import operators


class Garbage(NamedTuple):
    """One request to be sent."""

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = {}


def _q(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any], share: int) -> st.SearchStrategy[Any]:
    """The rare one once in so many times; `one_of` would weigh each branch of a branch."""
    return st.integers(0, share - 1).flatmap(lambda number: rare if number == share // 2 else usual)


METHODS = st.sampled_from(["GET"] * 6 + ["POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "get", "TRACE"])
MEDIA = st.sampled_from(
    [
        "application/json",
        "text/csv",
        "application/x-json-stream",
        "",
        "text/plain",
        "application/json;charset=x",
    ]
)
WORDS = st.sampled_from([*TYPED, *ODD_COLUMNS, *(c["name"] for c in SYSTEM), "K", "v", "P", "w", "nope", "*"])
COMMON = st.sampled_from(["RID", "RCT", "RMB", "x", "K", "P", "*"])
NAMES = st.one_of(COMMON, WORDS.map(_q), WORDS.map(_q), WORDS.map(_q), st.text(max_size=5).map(_q))
TABLES = st.sampled_from(["S:Every", f"S:{_q(ODD)}", "S:Parent", "S:Child", "Child", "public:ERMrest_Client"])
VALUES = st.one_of(
    st.sampled_from(
        ["", "a", "1", "-5", "1.5", "1e999", "NaN", "Infinity", "9" * 30, "null", "true", "2020-01-31", "0000-00-00",
         "99999-01-01", "2020-01-31T10:00:00Z", "24:00:00", "1 day", "P1D", "{}", "{a,b}", "[1]", '{"a":1}', "\0",
         "(a|b)*c", "'; DROP TABLE x; --", "a" * 3000, "::null::"]
    ).map(_q),
    st.text(max_size=8).map(_q),
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["Accept", "Content_Type", "If_Match", "If_None_Match", "Range", "Cookie", "Referer"]),
    st.one_of(
        st.sampled_from(
            ["*", '"a"', 'W/"', "text/csv", "application/json;q=x", "text/html", "bytes=0-1", ",,;=", "*/*"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
    ),
    max_size=3,
)
_MARKS = "():;,=@&/?!$%*~'\"+[]{} \0é\r\n#<>|\\^`"


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """A text with some places cut out, doubled or overwritten."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 4)))
        new = draw(st.one_of(st.sampled_from(["", *_MARKS, "::", ":=", "%FF", "%ED%A0%80", "%00"]), VALUES))
        text = text[:at] + draw(st.sampled_from([new, text[at:end] * 2])) + text[end:]
    return text


# (a) nothing but noise, after a beginning that leads somewhere
BEGINNINGS = st.sampled_from(
    ["", "/", "/ermrest", "/ermrest/catalog", "{C}", "{C}/", "{C}@", "{C}/entity/", "{C}/attribute/", "{C}/schema/",
     "{C}/schema/S/table/", "{C}/attributegroup/S:Every/", "{C}/aggregate/S:Every/", "{C}/entity/S:Every/", "{C}/acl/",
     "{C}/entity/S:Every?", "{C}/history/", "{C}/entity_rid/", "{C}/textfacet/", "/ermrest/alias/", "/hatrac/",
     "/authn/", "{C}/annotation/", "{C}/entity/S:Every@sort("]
)  # fmt: skip
NOISE = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30).map(lambda raw: raw.decode("latin-1")),
    st.text(st.sampled_from(_MARKS + "abS1"), max_size=30),
    st.text(max_size=15).map(_q),
)
BYTES = st.one_of(
    st.binary(max_size=60), st.text(max_size=30).map(lambda text: text.encode("utf-8", "replace"))
)
NOISY = st.builds(
    Garbage, METHODS | st.text(min_size=1, max_size=6), st.builds("".join, st.tuples(BEGINNINGS, NOISE)), BYTES, HEADERS
)  # fmt: skip

# (b) the grammar, then a slip of the pen
OPERATORS = st.sampled_from(sorted(map(operators.written, operators.OPERATORS)))
OWN = {
    "S:Every": [*TYPED],
    f"S:{_q(ODD)}": [_q(name) for name in ODD_COLUMNS],
    "S:Parent": ["K", "v", "RID"],
    "S:Child": ["P", "w", "RCT"],
    "public:ERMrest_Client": ["ID", "Client_Object", "RMB"],
}
OPERANDS = st.one_of(
    VALUES,
    st.builds(
        lambda word, values: f"{word}({','.join(values)})",
        st.sampled_from(["any", "all"]),
        st.lists(VALUES, max_size=3),
    ),
)
FUNCTIONS = ["cnt", "cnt_d", "min", "max", "sum", "avg", "array", "array_d", "trs", "tcrs"]


def filters(columns: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A predicate on some columns."""
    return st.recursive(
        st.one_of(st.builds("{}{}{}".format, columns, OPERATORS, OPERANDS), columns.map("{}::null::".format)),
        lambda inner: st.one_of(
            inner.map("!({})".format),
            st.builds("({}&{})".format, inner, inner),
            st.builds("{};{}".format, inner, inner),
        ),
        max_leaves=5,
    )


def sorts(names: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Order and page of a read, often none."""
    pages = st.sampled_from(["@after({})", "@before({})", "@after({0})@before({0})"])
    key = st.builds("{}{}".format, names, st.sampled_from(["", "::desc::"]))
    values = VALUES | st.just("::null::")
    return st.one_of(
        st.just(""),
        st.just(""),
        key.map("@sort({})".format),
        st.builds("@sort({},{})".format, key, key),
        st.builds(lambda own, page, value: f"@sort({own}){page.format(value)}", key, pages, values),
    )


OUT = st.sampled_from(["o1", "o2", "o3", "x", "n"])


class At:
    """What can be said where a path has come to: strategies are costly to make, so they are made once."""

    def __init__(self, context: str, root: str) -> None:
        usual = st.sampled_from([*OWN[context] * 4, *(f"M:{own}" for own in OWN[root])])
        self.columns = mostly(usual, NAMES, 20)
        self.filters = filters(self.columns)
        bins = st.builds("bin({};{};{};{})".format, self.columns, st.just("4") | VALUES, VALUES, VALUES)
        named = st.builds("{}:={}".format, OUT | NAMES, self.columns | bins)
        call = st.builds(
            "{}:={}({})".format, OUT, st.sampled_from(FUNCTIONS), mostly(self.columns, st.just("*"), 3)
        )
        self.listed = st.lists(self.columns | named, min_size=1, max_size=3).map(",".join)
        self.called = st.lists(call, min_size=1, max_size=3).map(",".join)
        self.sorts = sorts(mostly(OUT | self.columns, NAMES, 10))


_PLACES = {(context, root): At(context, root) for context in OWN for root in OWN}
_ROOTS = st.sampled_from([*OWN])
_LINKS = {name: st.builds("({}:{})".format, st.just(name), st.sampled_from(own)) for name, own in OWN.items()}
_KINDS = st.sampled_from(["filter", "filter", "table", "link", "name", "reset"])
_OUTER = st.sampled_from(["", "left", "right", "full"])
_APIS = st.sampled_from(["entity", "attribute", "attributegroup", "attributegroup", "aggregate"])


@st.composite
def reads(draw: st.DrawFn) -> str:
    """A read that is right or nearly so."""
    root = context = draw(_ROOTS)
    steps = [f"M:={root}"]
    for _ in range(draw(st.integers(0, 3))):
        kind, at = draw(_KINDS), _PLACES[context, root]
        if kind == "filter":
            steps.append(draw(at.filters))
        elif kind == "name":
            steps.append(f"({draw(at.columns)})")
        elif kind == "table":
            context = {"S:Child": "S:Parent", "S:Parent": "S:Child"}.get(context) or draw(_ROOTS)
            steps.append(context)
        elif kind == "link":
            context = draw(_ROOTS)
            steps.append(f"{draw(_OUTER)}({draw(at.columns)})={draw(_LINKS[context])}")
        else:
            context = root
            steps.append("$M")
    path, at, api = "/".join(steps), _PLACES[context, root], draw(_APIS)
    if api == "entity":
        return f"entity/{path}{draw(at.sorts)}"
    if api == "aggregate":
        return f"aggregate/{path}/{draw(at.called)}"
    leaves = f";{draw(at.called)}" if api == "attributegroup" and draw(st.booleans()) else ""
    return f"{api}/{path}/{draw(at.listed)}{leaves}{draw(at.sorts)}"


LISTS = st.lists(NAMES, min_size=1, max_size=3).map(",".join)
OPTIONS = st.sampled_from(
    [""] * 4 + ["?limit=3"] * 5 + ["?limit=none", "?limit=-1", "?limit=x", "?accept=csv", "?accept=text%2Fcsv;limit=1",
     "?download=a%0Ab", "?defaults=x", "?nondefaults=RID&onconflict=skip", "?accept=application%2Fx-json-stream"]
)  # fmt: skip
MODEL_PATHS = st.one_of(
    st.builds("schema/{}".format, NAMES),
    st.builds("schema/S/table/{}{}".format, NAMES, st.sampled_from(["", "/column", "/key", "/foreignkey", "/acl"])),
    st.builds("schema/S/table/Every/{}/{}".format, st.sampled_from(["column", "key", "foreignkey"]), LISTS),
    st.builds("schema/S/table/Child/foreignkey/{}/reference/{}/{}".format, LISTS, TABLES, LISTS),
    st.builds("schema/S/table/Every/column/{}/{}/{}".format, NAMES,
              st.sampled_from(["annotation", "acl", "acl_binding", "comment"]), NAMES),
    st.builds("history/{},{}/attribute/{}/{}={}".format, VALUES, VALUES, NAMES, NAMES, VALUES),
    st.builds("entity_rid/{}".format, VALUES),
    st.builds("textfacet/{}".format, VALUES),
)  # fmt: skip
DATA = st.builds("{}{}".format, reads(), OPTIONS)
WRITTEN = st.builds(
    Garbage,
    st.sampled_from(["GET"] * 12 + ["HEAD", "DELETE"]),
    mostly(DATA, MODEL_PATHS, 5)
    .flatmap(lambda path: mostly(st.just(path), mutated(path), 3))
    .map("{{C}}/{}".format),
    st.just(b""),
    mostly(st.just({}), HEADERS, 4),
)

# (c) documents and rows with something wrong in them
_DEEP: Any = None
for _ in range(150):
    _DEEP = [_DEEP]
ODDITIES = st.one_of(
    st.sampled_from(
        [None, True, False, 0, -1, 1.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 2**70, 10**400, "", "a", "S",
         "Every", "RID", "text", "text[]", "\0", "\ud800", "x" * 64, "é" * 40, "x" * 5000, [], {}, [None], [[]], {"": None},
         {"a": {"b": []}}, ["*"], "*", _DEEP, {"typename": "int4"}, [["S", "k"]], "CASCADE", "'; DROP TABLE x; --"]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=4,
    ),
)  # fmt: skip


@st.composite
def spoiled(draw: st.DrawFn, document: Any) -> Any:
    """A document with some of its parts replaced, left out, doubled or added to."""
    document = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(0, 2))):
        places: list[tuple[Any, Any]] = []
        _collect(document, places)
        if not places:
            return draw(ODDITIES)
        holder, key = draw(st.sampled_from(places))
        what = draw(st.sampled_from(["replace", "replace", "drop", "double", "add", "whole"]))
        if what == "whole":
            return draw(ODDITIES)
        if what == "drop":
            del holder[key]
        elif what == "add" and isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = draw(ODDITIES)
        elif what == "double" and isinstance(holder, list):
            holder.insert(key, holder[key])
        else:
            holder[key] = draw(ODDITIES)
        document = json.loads(json.dumps(document))
    return document


def _collect(value: Any, places: list[tuple[Any, Any]]) -> None:
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        places.append((value, key))
        if len(places) < 300:
            _collect(value[key], places)


@st.composite
def raw(draw: st.DrawFn, document: Any) -> bytes:
    """A document as bytes, some of them wrong."""
    text = json.dumps(draw(spoiled(document)), ensure_ascii=draw(st.booleans())).encode(
        "utf-8", "surrogatepass"
    )
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at]
            + draw(st.one_of(st.just(b""), st.binary(max_size=4), st.just(b"[" * 2000)))
            + (text[at:] if draw(st.booleans()) else b"")
        )
    return text


_ROWS = [
    {"x": "a", "i4": 1, "b": True, "d": "2020-01-31", "xs": ["a"], "jb": {"k": [1]}, "f8": 1.5, "tz": None}
]
_BINDING = {"types": ["select"], "projection": ["RCB"], "projection_type": "acl", "scope_acl": ["*"]}
_COLUMN = column(
    "new", "text", default="a", nullok=True, comment="c", annotations={"t": 1}, acls={"select": ["*"]}
)
_KEY = {"unique_columns": ["i4", "i8"], "names": [["S", "k"]], "comment": "c", "annotations": {"t": None}}
_LINK = reference("S", "x", "Parent", "K", on_delete="CASCADE", on_update="no action") | {
    "names": [["S", "f"]], "acls": {"insert": ["*"]}, "acl_bindings": {"b": False}, "comment": None,
}  # fmt: skip
_TABLE = table("S", "New", [_COLUMN, column("K", "text[]")], [["new"]], [reference("S", "new", "Parent", "K")]) | {
    "acl_bindings": {"b": _BINDING}, "comment": "c", "annotations": {}, "kind": "table",
}  # fmt: skip
_EVERY = "{C}/schema/S/table/Every"
DOCUMENTS: list[tuple[str, str, Any]] = [
    ("POST", "{C}/entity/S:Every", _ROWS),
    ("POST", "{C}/entity/S:Every?nondefaults=RID,RCT&defaults=no,x&onconflict=skip", _ROWS),
    ("PUT", "{C}/entity/S:Every", _ROWS),
    ("PUT", "{C}/attributegroup/S:Every/x,i4;b,d,xs,jb,f8,tz", _ROWS),
    ("PUT", "{C}/attributegroup/S:Every/o:=jb;n:=x", [{"o": {"a": 1}, "n": "b"}]),
    ("POST", "{C}/entity/S:Child", [{"P": "a", "w": 1}, {"P": None}]),
    ("POST", "{C}/schema", [{"schema_name": "New", "comment": "c", "acls": {"owner": ["x"]}}, _TABLE, _LINK]),
    ("POST", "{C}/schema", {"schemas": {"New": {"schema_name": "New", "tables": {"T": _TABLE | {"schema_name": "New", "table_name": "T"}}}}}),
    ("PUT", "{C}/schema/S", {"comment": "c", "annotations": {"a": 1}, "acls": {"select": ["*"]}}),
    ("POST", "{C}/schema/S/table", _TABLE),
    ("PUT", "{C}/schema/S/table/New", _TABLE),
    ("PUT", _EVERY, {"comment": "c", "annotations": {}, "acls": {}, "acl_bindings": {"b": _BINDING}}),
    ("POST", f"{_EVERY}/column", _COLUMN),
    ("PUT", f"{_EVERY}/column/i4", {"type": {"typename": "int8"}, "nullok": True, "default": 5, "name": "i4"}),
    ("PUT", f"{_EVERY}/column/x", {"type": {"typename": "jsonb"}, "default": {"a": 1}, "acl_bindings": {"b": _BINDING}}),
    ("POST", f"{_EVERY}/key", _KEY),
    ("PUT", f"{_EVERY}/key/x,i4", {**_KEY, "unique_columns": ["x", "i4"]}),
    ("POST", f"{_EVERY}/foreignkey", _LINK),
    ("PUT", "{C}/schema/S/table/Child/foreignkey/P/reference/S:Parent/K", {"on_delete": "SET NULL", "names": [["S", "z"]]}),
    ("PUT", f"{_EVERY}/annotation", {"a": {"b": [1]}}),
    ("PUT", f"{_EVERY}/annotation/tag%3Ax", {"b": [1]}),
    ("PUT", f"{_EVERY}/acl", {"select": ["*"], "owner": ["x"]}),
    ("PUT", f"{_EVERY}/acl/select", ["*"]),
    ("PUT", f"{_EVERY}/acl_binding", {"b": _BINDING}),
    ("PUT", f"{_EVERY}/acl_binding/b", _BINDING),
    ("PUT", f"{_EVERY}/column/x/comment", "text"),
    ("PUT", "{C}/acl", {"select": ["*"]}),
    ("PUT", "{C}/acl/insert", ["x"]),
    ("PUT", "{C}/annotation", {"a": 1}),
    ("POST", "/ermrest/catalog", {"owner": ["x"], "annotations": {}, "name": "n", "clone_source": "1"}),
    ("POST", "/ermrest/alias", {"id": "al", "alias_target": "1", "owner": ["x"]}),
    ("PUT", "/ermrest/alias/al", {"id": "al", "alias_target": None}),
    ("DELETE", "{C}/history/,2ZX-8K1T-0Q4G", None),
    ("PUT", "{C}/history/,/annotation", {"a": 1}),
]  # fmt: skip
CSV = st.lists(
    st.lists(st.one_of(st.sampled_from([*TYPED, "x", "i4", '"', '""', '"a', "1", "", "\r", "{a", "t"]), st.text(max_size=4)), max_size=5)
    .map(",".join), max_size=4,
).map("\n".join).map(lambda text: text.encode("utf-8", "replace"))  # fmt: skip
_HEADED = st.builds(
    lambda names, rows: (",".join(names) + "\n").encode() + rows,
    st.lists(st.sampled_from([*TYPED]), min_size=1, max_size=4),
    CSV,
)


@st.composite
def bodies(draw: st.DrawFn) -> Garbage:
    """A write of any resource whose body is nearly right."""
    method, target, document = draw(st.sampled_from(DOCUMENTS))
    headers = {"Content_Type": draw(MEDIA)}
    if "/entity/" in target or "/attributegroup/" in target:
        kind = headers["Content_Type"]
        if kind == "text/csv":
            return Garbage(method, target, draw(CSV | _HEADED), headers)
        if "stream" in kind:
            lines = [draw(raw(entry)) for entry in document]
            return Garbage(method, target, b"\n".join(lines), headers)
    return Garbage(method, target, draw(raw(document)), headers)


# (d) patterns
_PIECES = st.sampled_from(
    ["a", "b", ".", "*", "+", "?", "|", "(", ")", "(?:", "(?=", "(?i)", "[", "]", "[^", "[[:alpha:]]", "[[.a.]]", "^", "$",
     "{2}", "{1,3}", "{0,255}", "{255}", "{9999}", "{,", "}", "\\", "\\d", "\\1", "\\m", "\\y", "\\x41", "\\u00e9", "***=",
     "***:", "-", "é", "😀", ",", " ", "\0", "\n", "a-z", "[a-z]", "(a+)+", "(a*)*", "(a|aa)+", "(.*)*", "\\Z", "%"]
)  # fmt: skip
PATTERNS = st.one_of(
    st.lists(_PIECES, max_size=8).map("".join), st.text(max_size=10), st.lists(_PIECES, min_size=50, max_size=80).map("".join)
)  # fmt: skip
_MATCH: Callable[..., str] = "{{C}}/entity/{}/{}{}{}".format
MATCHES = st.builds(
    Garbage,
    st.just("GET"),
    st.builds(
        _MATCH,
        st.sampled_from(["S:Every", "S:Parent", "S:Child"]),
        st.sampled_from(["x", "*", "i4", "jb", "xs", "RCT", "K", "P", "f8"]),
        st.sampled_from(sorted(map(operators.written, operators.PATTERNS))),
        st.one_of(
            PATTERNS.map(_q), st.lists(PATTERNS.map(_q), min_size=1, max_size=3).map(lambda p: f"any({','.join(p)})")
        ),
    )
    | PATTERNS.map(lambda pattern: "{C}/textfacet/" + _q(pattern)),
    st.just(b""),
    st.just({}),
)  # fmt: skip
