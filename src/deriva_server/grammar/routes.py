"""Which resource a URL names: the whole of ``/ermrest``, model resources included."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from deriva_server.errors import BadRequest, NotFound
from deriva_server.grammar.filters import parse_qname
from deriva_server.grammar.nodes import DataPath, QName
from deriva_server.grammar.options import Options, parse_options
from deriva_server.grammar.parse import DATA_APIS, data_path_of
from deriva_server.grammar.tokens import Cursor, Token, tokenize
from deriva_server.values import Frozen

DetailKind = Literal["comment", "acl", "annotation", "acl_binding"]


class ServiceRoute(Frozen, frozen=True):
    """``/ermrest``."""


class CatalogsRoute(Frozen, frozen=True):
    """``/ermrest/catalog``."""


class AliasesRoute(Frozen, frozen=True):
    """``/ermrest/alias``."""


class AliasRoute(Frozen, frozen=True):
    """``/ermrest/alias/ID``."""

    id: str


class CatalogDocument(Frozen, frozen=True):
    """The catalog itself; also the element that catalog ACLs and annotations belong to."""


class SchemasRoute(Frozen, frozen=True):
    """``schema``: the whole model."""


class SchemaRoute(Frozen, frozen=True):
    """``schema/S``."""

    schema: str


class TablesRoute(Frozen, frozen=True):
    """``schema/S/table``."""

    schema: str


class TableRoute(Frozen, frozen=True):
    """``schema/S/table/T``."""

    schema: str
    table: str


class ColumnsRoute(Frozen, frozen=True):
    """``…/column``."""

    schema: str
    table: str


class ColumnRoute(Frozen, frozen=True):
    """``…/column/C``."""

    schema: str
    table: str
    column: str


class KeysRoute(Frozen, frozen=True):
    """``…/key``."""

    schema: str
    table: str


class KeyRoute(Frozen, frozen=True):
    """``…/key/a,b``."""

    schema: str
    table: str
    columns: tuple[str, ...]


class ForeignKeysRoute(Frozen, frozen=True):
    """``…/foreignkey``."""

    schema: str
    table: str


class ForeignKeyRoute(Frozen, frozen=True):
    """``…/foreignkey/a,b[/reference[/S:T[/x,y]]]``; only the full form names one foreign key."""

    schema: str
    table: str
    columns: tuple[str, ...]
    referenced: QName | None = None
    referenced_columns: tuple[str, ...] | None = None

    @property
    def is_full(self) -> bool:
        """Whether both ends are named."""
        return self.referenced_columns is not None


Element = CatalogDocument | SchemaRoute | TableRoute | ColumnRoute | KeyRoute | ForeignKeyRoute


class DetailRoute(Frozen, frozen=True):
    """A comment, or the ACLs, annotations or ACL bindings of an element; `name` is None for the whole collection."""

    element: Element
    kind: DetailKind
    name: str | None = None


class RidRoute(Frozen, frozen=True):
    """``entity_rid/RID``."""

    rid: str


class TextFacetRoute(Frozen, frozen=True):
    """``textfacet/PATTERN``."""

    pattern: str


class WalkRoute(Frozen, frozen=True):
    """``walk``: from a row over many."""


class HistoryRoute(Frozen, frozen=True):
    """``history/FROM,UNTIL[/…]``.

    Parameters
    ----------
    since, until : str or None
        Snapshot ids as given.
    kind : {"attribute", "acl", "acl_binding", "annotation"} or None
        What is amended; None for the range itself.
    rid : str or None
        Column or model element.
    filter : tuple of (str, str) or None
        Column RID and JSON text that limit a redaction.
    """

    since: str | None
    until: str | None
    kind: Literal["attribute", "acl", "acl_binding", "annotation"] | None = None
    rid: str | None = None
    filter: tuple[str, str] | None = None


ModelRoute = (
    SchemasRoute
    | SchemaRoute
    | TablesRoute
    | TableRoute
    | ColumnsRoute
    | ColumnRoute
    | KeysRoute
    | KeyRoute
    | ForeignKeysRoute
    | ForeignKeyRoute
)
Resource = (
    CatalogDocument
    | ModelRoute
    | DetailRoute
    | DataPath
    | RidRoute
    | TextFacetRoute
    | WalkRoute
    | HistoryRoute
)


class CatalogRoute(Frozen, frozen=True):
    """A resource within one catalog, maybe as of a snapshot."""

    catalog: str
    snapshot: str | None
    resource: Resource


Route = ServiceRoute | CatalogsRoute | AliasesRoute | AliasRoute | CatalogRoute


class Target(Frozen, frozen=True):
    """What a request target names, and the options it carries."""

    route: Route
    options: Options


class DataRoute(Frozen, frozen=True):
    """A data request with its options, as the data handler takes it."""

    path: DataPath
    options: Options


LONGEST_KEPT = 2000
"""Targets up to so many characters are worth being remembered with what they mean."""


def parse_target(target: str, prefix: str = "/ermrest") -> Target:
    """Parse a raw request target.

    Parameters
    ----------
    target : str
        Undecoded path and query.
    prefix : str, optional
        Where the service is mounted.

    Raises
    ------
    NotFound
        If no resource has such a path.
    BadRequest
        If a known resource is addressed with malformed text.

    Examples
    --------
    >>> parse_target("/ermrest/catalog/1@2/schema/S").route
    CatalogRoute(catalog='1', snapshot='2', resource=SchemaRoute(schema='S'))
    """
    return _recent(target, prefix) if len(target) <= LONGEST_KEPT else _parsed(target, prefix)


def _parsed(target: str, prefix: str) -> Target:
    path, _, query = target.partition("?")
    if path != prefix and not path.startswith(prefix + "/"):
        raise NotFound(f"Nothing is served at {path!r}.")
    raw = path[len(prefix) :].removeprefix("/")
    return Target(_route(raw), parse_options(query))


_recent = lru_cache(maxsize=1024)(_parsed)


def _route(raw: str) -> Route:
    tokens = tokenize(raw)
    cursor = Cursor(tokens, raw)
    if cursor.at_end:
        return ServiceRoute()
    word = cursor.string("catalog or alias").lower()
    if word not in ("catalog", "alias"):
        raise NotFound(f"Nothing is served at {raw!r}.")
    if _ends(cursor):
        return CatalogsRoute() if word == "catalog" else AliasesRoute()
    cursor.expect("/")
    if word == "alias":
        id = cursor.string("an alias id")
        _finish(cursor)
        return AliasRoute(id)
    catalog = cursor.string("a catalog id")
    snapshot = cursor.string("a snapshot id") if cursor.accept("@") else None
    if _ends(cursor):
        return CatalogRoute(catalog, snapshot, CatalogDocument())
    cursor.expect("/")
    return CatalogRoute(catalog, snapshot, _resource(cursor, tokens, raw))


def _resource(cursor: Cursor, tokens: list[Token], raw: str) -> Resource:
    start = cursor.peek()
    word = start.text.lower() if start is not None and start.is_string else ""
    if start is not None and word in DATA_APIS:
        return data_path_of(tokens[tokens.index(start) :], raw)
    if word not in _READERS:
        raise NotFound(f"A catalog has no resource {raw!r}.")
    cursor.take()
    return _READERS[word](cursor)


def _ends(cursor: Cursor) -> bool:
    """Whether nothing, or only a final slash, is left."""
    if cursor.at_end:
        return True
    if cursor.sees("/") and cursor.peek(1) is None:
        cursor.take()
        return True
    return False


def _finish(cursor: Cursor) -> None:
    if not _ends(cursor):
        raise cursor.wrong("the end")


def _rid(cursor: Cursor) -> RidRoute:
    cursor.expect("/")
    rid = cursor.string("a RID")
    _finish(cursor)
    return RidRoute(rid)


def _facet(cursor: Cursor) -> TextFacetRoute:
    cursor.expect("/")
    pattern = cursor.string("a pattern")
    _finish(cursor)
    return TextFacetRoute(pattern)


def _walk(cursor: Cursor) -> WalkRoute:
    _finish(cursor)
    return WalkRoute()


def _history(cursor: Cursor) -> HistoryRoute:
    cursor.expect("/")
    since = cursor.take().text if cursor.sees_string() else None
    cursor.expect(",")
    until = cursor.take().text if cursor.sees_string() else None
    if _ends(cursor):
        return HistoryRoute(since, until)
    cursor.expect("/")
    word = cursor.string("attribute, acl, acl_binding or annotation").lower()
    if word == "attribute":
        return _amended_attribute(cursor, since, until)
    for kind in ("acl", "acl_binding", "annotation"):
        if word == kind:
            rid = None if _ends(cursor) else _one(cursor, "a RID")
            return HistoryRoute(since, until, kind, rid)
    raise BadRequest(f"The history of {word!r} cannot be amended.")


def _amended_attribute(cursor: Cursor, since: str | None, until: str | None) -> HistoryRoute:
    cursor.expect("/")
    rid = cursor.string("a column RID")
    if _ends(cursor):
        return HistoryRoute(since, until, "attribute", rid)
    cursor.expect("/")
    column = cursor.string("a column RID")
    cursor.expect("=")
    value = cursor.take().text if cursor.sees_string() else ""
    _finish(cursor)
    return HistoryRoute(since, until, "attribute", rid, (column, value))


def _one(cursor: Cursor, what: str) -> str:
    cursor.expect("/")
    text = cursor.string(what)
    _finish(cursor)
    return text


def _name(cursor: Cursor) -> str:
    """An unqualified name after a slash."""
    cursor.expect("/")
    return cursor.string("a name")


def _names(cursor: Cursor) -> tuple[str, ...]:
    cursor.expect("/")
    return cursor.listed(lambda inner: inner.string("a name"))


def _detail(cursor: Cursor, element: Element, word: str, allowed: tuple[DetailKind, ...]) -> DetailRoute:
    for kind in allowed:
        if word != kind:
            continue
        if kind == "comment":
            cursor.end()
            return DetailRoute(element, kind)
        return DetailRoute(element, kind, None if _ends(cursor) else _one(cursor, "a name"))
    raise BadRequest(f"{word!r} is not a resource of this element.")


def _catalog_detail(kind: DetailKind) -> Callable[[Cursor], Resource]:
    return lambda cursor: _detail(cursor, CatalogDocument(), kind, (kind,))


def _schema(cursor: Cursor) -> Resource:
    if _ends(cursor):
        return SchemasRoute()
    schema = _name(cursor)
    if _ends(cursor):
        return SchemaRoute(schema)
    cursor.expect("/")
    word = cursor.string("a resource of a schema").lower()
    if word != "table":
        return _detail(cursor, SchemaRoute(schema), word, ("comment", "acl", "annotation"))
    if _ends(cursor):
        return TablesRoute(schema)
    table = _name(cursor)
    if _ends(cursor):
        return TableRoute(schema, table)
    cursor.expect("/")
    word = cursor.string("a resource of a table").lower()
    if word == "column":
        return _column(cursor, schema, table)
    if word == "key":
        return _key(cursor, schema, table)
    if word == "foreignkey":
        return _foreign_key(cursor, schema, table)
    return _detail(cursor, TableRoute(schema, table), word, ("comment", "acl", "annotation", "acl_binding"))


def _column(cursor: Cursor, schema: str, table: str) -> Resource:
    if _ends(cursor):
        return ColumnsRoute(schema, table)
    element = ColumnRoute(schema, table, _name(cursor))
    return _below(cursor, element, ("comment", "acl", "annotation", "acl_binding"))


def _key(cursor: Cursor, schema: str, table: str) -> Resource:
    if _ends(cursor):
        return KeysRoute(schema, table)
    return _below(cursor, KeyRoute(schema, table, _names(cursor)), ("comment", "annotation"))


def _foreign_key(cursor: Cursor, schema: str, table: str) -> Resource:
    if _ends(cursor):
        return ForeignKeysRoute(schema, table)
    columns = _names(cursor)
    if cursor.at_end:
        return ForeignKeyRoute(schema, table, columns)
    cursor.expect("/")
    if cursor.string("reference").lower() != "reference":
        raise BadRequest("The columns of a foreign key may only be followed by /reference.")
    if _ends(cursor):
        return ForeignKeyRoute(schema, table, columns)
    cursor.expect("/")
    referenced = parse_qname(cursor)
    if _ends(cursor):
        return ForeignKeyRoute(schema, table, columns, referenced)
    element = ForeignKeyRoute(schema, table, columns, referenced, _names(cursor))
    return _below(cursor, element, ("comment", "acl", "annotation", "acl_binding"))


def _below(
    cursor: Cursor, element: ColumnRoute | KeyRoute | ForeignKeyRoute, allowed: tuple[DetailKind, ...]
) -> Resource:
    if _ends(cursor):
        return element
    cursor.expect("/")
    return _detail(cursor, element, cursor.string("a resource").lower(), allowed)


_READERS: dict[str, Callable[[Cursor], Resource]] = {
    "schema": _schema,
    "acl": _catalog_detail("acl"),
    "annotation": _catalog_detail("annotation"),
    "entity_rid": _rid,
    "textfacet": _facet,
    "walk": _walk,
    "history": _history,
}
