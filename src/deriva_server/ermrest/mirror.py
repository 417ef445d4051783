"""Catalog ``0``: which catalogs and aliases exist, as rows of ``ermrest:registry``.

It is a catalog like others, so it can be queried, sorted and read at snapshots. Its access lists leave everything but
a few columns to the service, which brings its rows up to date before every request on it, and takes over what was
written to those columns after it. What the registry holds is what counts.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import Headers

from deriva_server.catalogs.registry import MIRROR, SERVICE, Entry, Registry
from deriva_server.ermrest.call import Call, json_text
from deriva_server.ermrest.data import handle_data
from deriva_server.ermrest.details import detail
from deriva_server.ermrest.modeling import change_model
from deriva_server.errors import NotFound
from deriva_server.grammar.nodes import DataPath
from deriva_server.grammar.routes import (
    CatalogRoute,
    DataRoute,
    DetailRoute,
    SchemaRoute,
    SchemasRoute,
    parse_target,
)
from deriva_server.grammar.tokens import encode
from deriva_server.http.message import FilePart, Request
from deriva_server.identity import ADMIN
from deriva_server.model.types import SYSTEM_NULLOK, SYSTEM_TYPES, TYPES
from deriva_server.model.values import json_from_stored

_ROWS = "entity/ermrest:registry"
_FIXED: Mapping[str, str] = {
    "id": "text",
    "is_catalog": "boolean",
    "deleted_on": "timestamptz",
    "owner": "text[]",
    "alias_target": "text",
}
_OPEN: Mapping[str, str] = {
    "is_persistent": "boolean",
    "clone_source": "text",
    "name": "text",
    "description": "markdown",
}
"""Columns that others than the service may write."""
_HIDDEN: Mapping[str, str] = {"descriptor": "jsonb"}


def refresh(registry: Registry) -> None:
    """Make the catalog when it is missing, and bring its rows up to date."""
    try:
        catalog = registry.catalog(MIRROR)
    except NotFound:
        catalog = registry.create_mirror()
    with catalog.read(SERVICE, admit_all=True) as reading:
        is_new = "ermrest" not in reading.model.schemas
    if is_new:
        _ask(registry, "PUT", "schema/public", {"acls": {"enumerate": []}})
        _ask(
            registry,
            "PUT",
            "acl",
            {"owner": [SERVICE.id], "enumerate": ["*"], "select": [ADMIN], "update": [ADMIN]},
        )
        # Last, because its presence tells that all is done.
        _ask(registry, "POST", "schema", {"schemas": {"ermrest": _schema()}})
    wanted = {entry.id: _row(entry) for entry in registry.entries(deleted=True) if entry.id != MIRROR}
    known = _known(registry)
    made = {entry.id: entry.created_on for entry in registry.entries(deleted=True)}
    new = [{**row, "RCT": made.get(id)} for id, row in wanted.items() if id not in known]
    if new:
        _ask(registry, "POST", f"{_ROWS}?nondefaults=RCT", new)
    changed = [row for id, row in wanted.items() if id in known and known[id] != row]
    if changed:
        _ask(registry, "PUT", _ROWS, changed)
    for id in known.keys() - wanted.keys():
        _ask(registry, "DELETE", f"{_ROWS}/id={encode(id)}")


def take_over(registry: Registry) -> None:
    """Write to the registry what was written to the rows."""
    known = _known(registry)
    for entry in registry.entries(deleted=True):
        row, was = known.get(entry.id), _row(entry)
        values = {name: row[name] for name in _OPEN if row[name] != was[name]} if row is not None else {}
        if values:
            registry.amend(entry.id, values)


def _row(entry: Entry) -> dict[str, Any]:
    deleted = entry.deleted_on
    return {
        "id": entry.id,
        "is_catalog": entry.is_catalog,
        "deleted_on": None if deleted is None else json_from_stored(TYPES["timestamptz"], deleted),
        "owner": list(entry.owner),
        "alias_target": entry.alias_target,
        "is_persistent": entry.is_persistent,
        "clone_source": entry.clone_source,
        "name": entry.name,
        "description": entry.description,
    }


def _known(registry: Registry) -> dict[str, dict[str, Any]]:
    rows = _ask(registry, "GET", _ROWS)
    return {row["id"]: {name: row[name] for name in (*_FIXED, *_OPEN)} for row in rows}


def _schema() -> dict[str, Any]:
    columns: list[dict[str, Any]] = [
        {"name": name, "type": {"typename": type_}, "nullok": SYSTEM_NULLOK[name]}
        for name, type_ in SYSTEM_TYPES.items()
    ]
    rules: tuple[tuple[Mapping[str, str], tuple[str, ...]], ...] = (
        (_FIXED, ("insert", "update")),
        (_OPEN, ()),
        (_HIDDEN, ("enumerate", "select", "insert", "update")),
    )
    for given, closed in rules:
        acls: dict[str, list[str]] = {name: [] for name in closed}
        columns += [
            {"name": name, "type": _type(type_), "nullok": name != "id", "acls": acls}
            for name, type_ in given.items()
        ]
    table = {
        "table_name": "registry",
        "column_definitions": columns,
        "keys": [{"unique_columns": ["RID"]}, {"unique_columns": ["id"]}],
        "acls": {"insert": [], "delete": []},
    }
    return {"tables": {"registry": table}}


def _type(name: str) -> dict[str, Any]:
    base = name.removesuffix("[]")
    if base == name:
        return {"typename": name}
    return {"typename": name, "is_array": True, "base_type": {"typename": base}}


def _ask(registry: Registry, method: str, path: str, body: Any = None) -> Any:
    """Answer a request of the service itself on the catalog."""
    text = b"" if body is None else json_text(body)
    target = f"/ermrest/catalog/{MIRROR}/{path}"
    request = Request(method, target, Headers(), io.BytesIO(text), len(text), SERVICE)
    call = Call(request, registry.resolve(MIRROR))
    parsed = parse_target(target)
    assert isinstance(parsed.route, CatalogRoute)
    match parsed.route.resource:
        case DataPath() as data:
            response = handle_data(DataRoute(data, parsed.options), call)
        case SchemasRoute() | SchemaRoute() as route:
            response = change_model(call, route)
        case DetailRoute() as route:
            response = detail(call, route)
        case other:
            raise AssertionError(other)
    content = response.body
    assert not isinstance(content, FilePart)
    raw = content if isinstance(content, bytes) else b"".join(content)
    return json.loads(raw) if raw else None
