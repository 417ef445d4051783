"""The past of a catalog: ``/history/FROM,UNTIL``."""

from __future__ import annotations

from typing import Any

from deriva_server.catalogs import amend, history
from deriva_server.ermrest.call import Call, json_reply
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound
from deriva_server.grammar.routes import HistoryRoute
from deriva_server.http.document import parse_document
from deriva_server.http.message import Response
from deriva_server.names import encode_id


def handle_history(call: Call, route: HistoryRoute) -> Response:
    """Describe, truncate or amend the history of a catalog."""
    if call.as_of is not None:
        raise NotFound("history of a snapshot")
    match call.request.method:
        case "GET" | "HEAD":
            return _describe(call, route)
        case "DELETE" if route.kind is None:
            return _truncate(call, route)
        case "DELETE" if route.kind == "attribute":
            return _redact(call, route)
        case "PUT" if route.kind is not None and route.kind != "attribute":
            return _configure(call, route, route.kind)
    raise MethodNotAllowed(f"{call.request.method} on history")


def _describe(call: Call, route: HistoryRoute) -> Response:
    with call.read() as reading:
        if route.kind is not None:
            call.require_owner(reading)
        answer = call.fresh(reading.version)
        if answer is not None:
            return answer
        found = history.find_range(reading, route.since, route.until)
        if route.kind is not None:
            amend.require(reading, (found.first, found.last), route.kind, route.rid)
        headers = call.validators(reading.version)
    document: dict[str, Any] = {
        "snaprange": [encode_id(found.first), encode_id(found.last)],
        "amendver": None if found.amended is None else encode_id(found.amended),
    }
    return json_reply(document, 200, headers)


def _truncate(call: Call, route: HistoryRoute) -> Response:
    if route.since is not None or route.until is None:
        raise BadRequest("To truncate history, give the end of the range and no beginning.")
    with call.change() as writing:
        call.require_owner(writing)
        history.truncate(writing, route.until)
    return Response(204)


def _redact(call: Call, route: HistoryRoute) -> Response:
    with call.change() as writing:
        call.require_owner(writing)
        period = history.bounds(writing, route.since, route.until)
        amend.redact(writing, period, route.rid or "", route.filter)
    return Response(204)


def _configure(call: Call, route: HistoryRoute, kind: amend.Kind) -> Response:
    body = parse_document(call.request.read())
    with call.change() as writing:
        call.require_owner(writing)
        period = history.bounds(writing, route.since, route.until)
        amend.configure(writing, period, kind, route.rid, body)
    return Response(204)
