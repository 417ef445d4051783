"""Data paths: entity, attribute, group and aggregate requests with sort and page."""

from __future__ import annotations

from typing import get_args

from deriva_server.errors import BadRequest
from deriva_server.grammar.filters import parse_filter, parse_qname, parse_value
from deriva_server.grammar.nodes import (
    Api,
    Bin,
    Call,
    ColumnLink,
    DataPath,
    Item,
    Outer,
    PageValue,
    Path,
    QName,
    Reset,
    SortKey,
    Step,
    TableLink,
    Where,
)
from deriva_server.grammar.tokens import Cursor, Token, tokenize

DATA_APIS: frozenset[Api] = frozenset(get_args(Api))
AGGREGATES = frozenset({"array", "array_d", "avg", "sum", "cnt", "cnt_d", "min", "max"})
RIGHTS = frozenset({"trs", "tcrs"})
_OUTER: dict[str, Outer] = {"left": "left", "right": "right", "full": "full"}
_OUTER_WORDS = frozenset(_OUTER)


def parse_data_path(raw: str) -> DataPath:
    """Parse the part of a URL that follows ``/ermrest/catalog/N/``, without the query.

    Parameters
    ----------
    raw : str
        Undecoded text, e.g. ``entity/A:=S:T/x=1@sort(RID)``.

    Raises
    ------
    BadRequest
        If it is not in the language.

    Examples
    --------
    >>> str(parse_data_path("entity/S:T/x=any(1,2)@sort(RID::desc::)"))
    'entity/S:T/x=any(1,2)@sort(RID::desc::)'
    """
    return data_path_of(tokenize(raw), raw)


def data_path_of(tokens: list[Token], raw: str) -> DataPath:
    """Parse a data path that is already cut into tokens."""
    segments = _split(tokens)
    api = _api_of(segments[0], raw)
    body = [Cursor(segment, raw) for segment in segments[1:]]
    if not body:
        raise BadRequest(f"The request {raw!r} names no table.")
    columns: tuple[Item, ...] = ()
    leaves: tuple[Item, ...] = ()
    last = body[-1]
    if api == "entity":
        path = _path(body)
    else:
        if len(body) < 2:
            raise BadRequest(f"The request {raw!r} lacks a table or a list of outputs.")
        path = _path(body[:-1])
        if api == "aggregate":
            leaves = last.listed(_leaf)
        else:
            columns = last.listed(_column)
            if api == "attributegroup" and last.accept(";"):
                leaves = last.listed(_leaf)
    for cursor in body[:-1]:
        cursor.end()
    return _ordered(last, api, path, columns, leaves)


def _split(tokens: list[Token]) -> list[list[Token]]:
    segments: list[list[Token]] = [[]]
    for token in tokens:
        if token.text == "/" and not token.is_string:
            segments.append([])
        else:
            segments[-1].append(token)
    return segments


def _api_of(segment: list[Token], raw: str) -> Api:
    if len(segment) == 1 and segment[0].is_string:
        for api in DATA_APIS:
            if segment[0].text.lower() == api:
                return api
    raise BadRequest(
        f"The request {raw!r} does not start with entity, attribute, attributegroup or aggregate."
    )


def _path(segments: list[Cursor]) -> Path:
    root = segments[0]
    aliases = []
    while root.sees_string() and root.sees(":=", 1):
        aliases.append(root.take().text)
        root.take()
    return Path(parse_qname(root), tuple(aliases), tuple(_step(cursor) for cursor in segments[1:]))


def _step(cursor: Cursor) -> Step:
    if cursor.accept("$"):
        name = parse_qname(cursor)
        if len(name.parts) != 1:
            raise BadRequest(f"A context reset takes one alias, not {name}.")
        return Reset(name.parts[0])
    alias = None
    if cursor.sees_string() and cursor.sees(":=", 1):
        alias = cursor.take().text
        cursor.take()
    outer: Outer | None = None
    if cursor.sees_word(_OUTER_WORDS) and cursor.sees("(", 1):
        outer = _OUTER[cursor.take().text.lower()]
    if cursor.sees("(") and (outer or _is_name_list(cursor)):
        left = _name_list(cursor)
        right = _name_list(cursor) if cursor.accept("=") else None
        return ColumnLink(left, right, outer, alias)
    if alias is not None or _is_table(cursor):
        return TableLink(parse_qname(cursor), alias)
    return Where(parse_filter(cursor))


def _name_list(cursor: Cursor) -> tuple[QName, ...]:
    cursor.expect("(")
    names = cursor.listed(parse_qname)
    cursor.expect(")")
    return names


def _is_name_list(cursor: Cursor) -> bool:
    ahead = 1
    while cursor.sees_string(ahead) or cursor.sees(":", ahead) or cursor.sees(",", ahead):
        ahead += 1
    return cursor.sees(")", ahead)


def _is_table(cursor: Cursor) -> bool:
    ahead = 0
    while cursor.sees_string(ahead) or cursor.sees(":", ahead):
        ahead += 1
    return ahead > 0 and (cursor.peek(ahead) is None or cursor.sees("@", ahead))


def _column(cursor: Cursor) -> Item:
    alias = _item_alias(cursor)
    if cursor.sees_string() and cursor.sees("(", 1):
        if (word := cursor.take().text) != "bin":
            raise BadRequest(f"The function {word!r} is not allowed here; only bin(..) is.")
        return Item(_bin(cursor), alias)
    return Item(parse_qname(cursor), alias)


def _leaf(cursor: Cursor) -> Item:
    alias = _item_alias(cursor)
    if not (cursor.sees_string() and cursor.sees("(", 1)):
        return Item(parse_qname(cursor), alias)
    word = cursor.take().text
    if word == "bin":
        return Item(_bin(cursor), alias)
    if word not in AGGREGATES and word not in RIGHTS:
        raise BadRequest(f"Unknown function {word!r}.")
    cursor.expect("(")
    column = parse_qname(cursor)
    cursor.expect(")")
    return Item(Call(word, column), alias)


def _item_alias(cursor: Cursor) -> str | None:
    if cursor.sees_string() and cursor.sees(":=", 1):
        alias = cursor.take().text
        cursor.take()
        return alias
    return None


def _bin(cursor: Cursor) -> Bin:
    cursor.expect("(")
    column = parse_qname(cursor)
    values = []
    for _ in range(3):
        cursor.expect(";")
        values.append(parse_value(cursor))
    cursor.expect(")")
    return Bin(column, *values)


def _ordered(
    cursor: Cursor, api: Api, path: Path, columns: tuple[Item, ...], leaves: tuple[Item, ...]
) -> DataPath:
    """Read what may follow the last segment: sort keys, then page boundaries."""
    sort: tuple[SortKey, ...] = ()
    pages: dict[str, tuple[PageValue, ...]] = {}
    while cursor.accept("@"):
        word = cursor.string("sort, before or after").lower()
        cursor.expect("(")
        if word == "sort" and not sort and not pages:
            sort = cursor.listed(_sort_key)
        elif word in ("before", "after") and sort and word not in pages:
            pages[word] = cursor.listed(_page_value)
            if len(pages[word]) != len(sort):
                raise BadRequest(f"@{word}(..) needs one value for each of the {len(sort)} sort keys.")
        else:
            raise BadRequest(f"@{word}(..) is unknown, repeated, or not preceded by @sort(..).")
        cursor.expect(")")
    cursor.end()
    return DataPath(api, path, columns, leaves, sort, pages.get("before"), pages.get("after"))


def _sort_key(cursor: Cursor) -> SortKey:
    name = cursor.string("a sort key")
    if not cursor.accept("::"):
        return SortKey(name)
    if cursor.string("desc").lower() != "desc":
        raise BadRequest(f"The sort key {name!r} may only be followed by ::desc::.")
    cursor.expect("::")
    return SortKey(name, True)


def _page_value(cursor: Cursor) -> PageValue:
    if not cursor.accept("::"):
        return parse_value(cursor)
    if cursor.string("null").lower() != "null":
        raise BadRequest("A page value is a string, nothing, or ::null::.")
    cursor.expect("::")
    return None
