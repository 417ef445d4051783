"""``POST /walk``: from one row over many in one request, and what lies on the way.

An extension of this service, advertised as ``walk`` among the features of a catalog.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from werkzeug.datastructures import Headers

from deriva_server.catalogs.rids import Found, lookup
from deriva_server.catalogs.walk import look, walk
from deriva_server.ermrest.call import Call, json_body
from deriva_server.ermrest.rids import rid_document
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound
from deriva_server.http.message import Response
from deriva_server.names import encode_id
from deriva_server.plan.walk import Look, Step, Walk

_MOST_STEPS = 2000
_MOST_VALUES = 1_000_000
_MEMBERS = {
    "the body": {"start", "steps", "read", "depth", "limit"},
    "start": {"RID", "places"},
    "a step": {"from", "to", "path", "counts"},
    "an item of read": {"of", "path"},
}


def handle_walk(call: Call) -> Response:
    """Answer a walk.

    Raises
    ------
    NotFound
        If no row has the RID.
    """
    if call.request.method != "POST":
        raise MethodNotAllowed(f"{call.request.method} is not supported by /walk.")
    body = _members(json_body(call.request), "the body")
    start = _members(body.get("start"), "start")
    places = start.get("places")
    if not isinstance(places, Mapping):
        raise BadRequest('"places" of start must be an object: by table, the name of a place.')
    rid, wish = _text(start, "RID", "start"), _wish(body)
    with call.read() as reading:
        found = lookup(reading, rid)
        if found is None:
            raise NotFound(f"entity with RID={rid}")
        place = _place(found, places)
        reached, complete = ({}, True) if place is None else walk(reading, (place, found.rid), wish)
        parts = [
            b'{"snaptime":',
            _json(encode_id(reading.snaptime)),
            b',"start":',
            _json(rid_document(found)),
        ]
        parts += [b',"complete":', _json(complete), b',"rows":[']
        for at, each in enumerate(wish.looks):
            rows = look(reading, each, reached.get(each.place, ())) if complete else iter(())
            parts += [b",\n[" if at else b"\n[", *_joined(rows), b"]"]
    return Response(
        200,
        Headers([("Content-Type", "application/json"), ("Cache-Control", "no-store")]),
        b"".join([*parts, b"]}\n"]),
    )


def _place(found: Found, places: Mapping[str, Any]) -> str | None:
    if found.deleted is not None:
        return None
    place = places.get(f"{found.schema}:{found.table}")
    if place is not None and not isinstance(place, str):
        raise BadRequest(f"The place of {found.schema}:{found.table} must be a text, not {place!r}.")
    return place


def _joined(pieces: Iterator[list[str]]) -> Iterator[bytes]:
    before = ""
    for piece in pieces:
        if piece:
            yield (before + ",\n".join(piece)).encode()
            before = ",\n"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# The body ------------------------------------------------------------------------------------------------------------


def _wish(body: Mapping[str, Any]) -> Walk:
    steps = tuple(
        Step(
            _text(item, "from", "a step"),
            _text(item, "to", "a step"),
            _text(item, "path", "a step"),
            item.get("counts") is True,
        )
        for item in _items(body, "steps", "a step")
    )
    looks = tuple(
        Look(_text(item, "of", "an item of read"), _text(item, "path", "an item of read"))
        for item in _items(body, "read", "an item of read")
    )
    limit = _number(body, "limit")
    return Walk(steps, looks, _number(body, "depth"), _MOST_VALUES if limit is None else limit)


def _members(value: Any, what: str) -> Mapping[str, Any]:
    known = _MEMBERS[what]
    if not isinstance(value, Mapping):
        raise BadRequest(f"{what.capitalize()} must be a JSON object with {', '.join(sorted(known))}.")
    unknown = sorted(set(value) - known)
    if unknown:
        raise BadRequest(
            f"{what.capitalize()} has no {unknown[0]!r}; it may have {', '.join(sorted(known))}."
        )
    return value


def _items(body: Mapping[str, Any], name: str, what: str) -> Iterator[Mapping[str, Any]]:
    items = body.get(name, [])
    if not isinstance(items, list) or len(items) > _MOST_STEPS:
        raise BadRequest(f'"{name}" must be a list of at most {_MOST_STEPS} objects.')
    return (_members(item, what) for item in items)


def _text(members: Mapping[str, Any], name: str, what: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise BadRequest(f'"{name}" of {what} must be a text.')
    return value


def _number(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_VALUES:
        raise BadRequest(f'"{name}" must be a number from 0 to {_MOST_VALUES}.')
    return value
