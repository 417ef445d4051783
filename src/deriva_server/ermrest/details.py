"""Comments, annotations, access lists and access bindings of any model element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deriva_server.catalogs.catalog import Reading
from deriva_server.ermrest import find
from deriva_server.ermrest.call import Call, json_reply
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound
from deriva_server.grammar.routes import (
    CatalogDocument,
    ColumnRoute,
    DetailRoute,
    Element,
    ForeignKeyRoute,
    KeyRoute,
    SchemaRoute,
    TableRoute,
)
from deriva_server.http.document import parse_document
from deriva_server.http.message import Response
from deriva_server.model import changes, parse
from deriva_server.model.bindings import check_binding
from deriva_server.model.elements import Column, ForeignKey, Json, Key, Model, Schema, Table
from deriva_server.model.parse import ACL_NAMES

_FIELDS = {"comment": "comment", "annotation": "annotations", "acl": "acls", "acl_binding": "acl_bindings"}


@dataclass(frozen=True, slots=True)
class _Place:
    """An element in its model, with what ownership of it depends on."""

    kind: str
    element: Model | Schema | Table | Column | Key | ForeignKey
    owner: Schema | Table | None

    def value(self, detail: str) -> Any:
        return getattr(self.element, _FIELDS[detail])

    def changed(self, model: Model, detail: str, value: Any) -> Model:
        """The model with another value of one detail."""
        new = replace(self.element, **{_FIELDS[detail]: value})
        match new:
            case Model():
                return new
            case Schema():
                return changes.put_schema(model, new, new.name)
            case Table():
                return changes.put_table(model, new, new)
        table = self.owner
        assert isinstance(table, Table)
        return changes.put_table(model, changes.with_member(table, new), table)


def _place(reading: Reading, element: Element) -> _Place:
    match element:
        case CatalogDocument():
            return _Place("catalog", reading.model, None)
        case SchemaRoute():
            schema = find.schema_itself(reading, element.schema)
            return _Place("schema", schema, schema)
        case TableRoute():
            table = find.table_itself(reading, element.schema, element.table)
            return _Place("table", table, table)
        case ColumnRoute():
            table, column = find.column_itself(reading, element)
            return _Place("column", column, table)
        case KeyRoute():
            table, key = find.key_itself(reading, element)
            return _Place("key", key, table)
        case ForeignKeyRoute():
            table, fkey = find.foreign_key_itself(reading, element)
            return _Place("foreign_key", fkey, table)


def detail(call: Call, route: DetailRoute) -> Response:
    """Answer a request on a comment, an annotation, an access list or an access binding."""
    match call.request.method:
        case "GET" | "HEAD":
            return _read(call, route)
        case "PUT":
            return _put(call, route)
        case "DELETE":
            return _delete(call, route)
    raise MethodNotAllowed(f"{call.request.method} on a {route.kind}")


def _read(call: Call, route: DetailRoute) -> Response:
    with call.read() as reading:
        place = _place(reading, route.element)
        if route.kind in ("acl", "acl_binding"):
            call.require_owner(reading, place.owner)
        answer = call.fresh(reading.model_version)
        if answer is not None:
            return answer
        headers = call.validators(reading.model_version)
        value = place.value(route.kind)
        if route.kind == "comment":
            if value is None:
                raise NotFound("comment")
            headers["Content-Type"] = "text/plain"
            return Response(200, headers, f"{value}\n".encode())
        if route.name is None:
            whole = (
                call.documents(reading).catalog_acls(reading.model) if _is_catalog_acl(route) else dict(value)
            )
            return json_reply(whole, 200, headers)
        if route.kind == "acl":
            _require_acl_name(place, route.name)
            return json_reply(value.get(route.name), 200, headers)
        if route.name not in value:
            raise NotFound(f"{route.kind} {route.name}")
        return json_reply(value[route.name], 200, headers)


def _is_catalog_acl(route: DetailRoute) -> bool:
    return route.kind == "acl" and isinstance(route.element, CatalogDocument)


def _require_acl_name(place: _Place, name: str) -> None:
    if name not in ACL_NAMES[place.kind]:
        raise NotFound(f"acl {name}")


def _put(call: Call, route: DetailRoute) -> Response:
    if route.kind == "comment":
        body: Any = call.request.read().decode("utf-8", errors="replace")
    else:
        body = parse_document(call.request.read())
    with call.change() as writing:
        place = _place(writing, route.element)
        call.require_owner(writing, place.owner)
        before = place.value(route.kind)
        value = _new_value(writing.model, place, route, body)
        model = place.changed(writing.model, route.kind, value)
        if route.kind == "acl" and place.kind in ("catalog", "schema", "table"):
            call.require_kept_ownership(model, _owner_now(model, place))
        writing.change_model(model)
    if route.kind == "comment" or (route.kind == "annotation" and route.name is None):
        return call.changed(writing)
    if route.kind == "annotation":
        if before.get(route.name) is None:
            return Response(201, call.validators(writing.model_version))
        return call.changed(writing)
    if route.name is None:
        return call.changed(writing, dict(value), 200)
    return call.changed(writing, None if body is None else value[route.name], 200)


def _owner_now(model: Model, place: _Place) -> Schema | Table | None:
    if isinstance(place.owner, Schema):
        return model.schemas[place.owner.name]
    return model.schemas[place.owner.schema].tables[place.owner.name] if place.owner else None


def _new_value(model: Model, place: _Place, route: DetailRoute, body: Json) -> Any:
    """The whole detail after a PUT of all of it or of one member."""
    if route.kind == "comment":
        return body
    present = dict(place.value(route.kind))
    if route.kind == "annotation":
        if route.name is not None:
            return {**present, route.name: body}
        if not isinstance(body, Mapping):
            raise BadRequest("Annotations must be a JSON object.")
        return dict(body)
    if route.kind == "acl":
        return _new_acls(place, route.name, present, body)
    return _new_bindings(model, place, route.name, present, body)


def _new_acls(place: _Place, name: str | None, present: dict[str, Any], body: Json) -> dict[str, Any]:
    cleared: dict[str, list[str]] = {}
    if place.kind == "catalog":
        cleared = {acl: [] for acl in ACL_NAMES["catalog"]}
    if name is None:
        return {**cleared, **parse.acls(body, place.kind)}
    if body is None:
        parse.acl([], place.kind, name)
        return {acl: members for acl, members in present.items() if acl != name} | (
            {name: []} if cleared else {}
        )
    return {**present, name: parse.acl(body, place.kind, name)}


def _new_bindings(
    model: Model, place: _Place, name: str | None, present: dict[str, Any], body: Json
) -> dict[str, Any]:
    given = parse.acl_bindings(body) if name is None else {name: body}
    start = place.owner
    if isinstance(place.element, ForeignKey):
        start = model.schemas[place.element.referenced_schema].tables[place.element.referenced_table]
    assert isinstance(start, Table)
    for binding in given.values():
        check_binding(model, start, binding, place.kind)
    return dict(given) if name is None else {**present, **given}


def _delete(call: Call, route: DetailRoute) -> Response:
    if route.kind == "annotation" and route.name is None:
        raise MethodNotAllowed("DELETE on all annotations")
    with call.change() as writing:
        place = _place(writing, route.element)
        call.require_owner(writing, place.owner)
        value = place.value(route.kind)
        if route.kind == "acl" and route.name is not None:
            _require_acl_name(place, route.name)
        if route.kind == "annotation" and route.name not in value:
            raise NotFound(f"annotation {route.name}")
        model = place.changed(writing.model, route.kind, _without(place, route, value))
        if route.kind == "acl" and place.kind in ("catalog", "schema", "table"):
            call.require_kept_ownership(model, _owner_now(model, place))
        writing.change_model(model)
    return call.changed(writing)


def _without(place: _Place, route: DetailRoute, value: Any) -> Any:
    if route.kind == "comment":
        return None
    if route.kind == "acl":
        return _new_acls(place, route.name, dict(value), None)
    return {} if route.name is None else {name: item for name, item in value.items() if name != route.name}
