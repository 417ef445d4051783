"""Rows: ``/entity``, ``/attribute``, ``/attributegroup`` and ``/aggregate``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import chain
from urllib.parse import quote

from werkzeug.datastructures import Headers

from deriva_server.catalogs import rows
from deriva_server.catalogs.catalog import Writing
from deriva_server.ermrest.call import Call
from deriva_server.ermrest.decode import body_type, decode
from deriva_server.ermrest.formats import encoded, row_texts
from deriva_server.errors import BadRequest, Forbidden, MethodNotAllowed
from deriva_server.grammar.options import Options
from deriva_server.grammar.routes import LONGEST_KEPT, DataRoute
from deriva_server.http.conditional import check, etag
from deriva_server.http.message import Response
from deriva_server.http.negotiate import CSV, response_type, suffix
from deriva_server.http.spool import Spool
from deriva_server.names import encode_id
from deriva_server.plan.relation import Format
from deriva_server.plan.writes import plan_insert, plan_update, plan_upsert

_VARY = "cookie,accept"
_WHOLE = 256 * 1024
"""Results up to so many bytes are sent as one piece with its length."""


def handle_data(route: DataRoute, call: Call) -> Response:
    """Answer a request for rows.

    Parameters
    ----------
    route : DataRoute
        Path and options of the URL.
    call : Call
        The request and its catalog.

    Raises
    ------
    ServiceError
        Whatever stands in the way.
    """
    method = call.request.method
    if method in ("GET", "HEAD"):
        return _read(route, call)
    handler = _WRITERS.get((route.path.api, method))
    if handler is None:
        raise MethodNotAllowed(f"{method} is not supported by /{route.path.api}.")
    if call.as_of is not None:
        raise Forbidden("A catalog cannot be modified at a previous revision.")
    return handler(route, call)


class _Body:
    """A response body that is read from an open transaction, and ends it."""

    def __init__(self, pieces: Iterator[bytes], transaction: ExitStack) -> None:
        self._pieces = pieces
        self._transaction = transaction

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        finally:
            self.close()

    def close(self) -> None:
        """End the transaction; may be called twice."""
        self._transaction.close()


def _read(route: DataRoute, call: Call) -> Response:
    options = route.options
    limit = _limit(options)
    media_type = response_type(options.one("accept"), call.request.headers.get("Accept"))
    with ExitStack() as stack:
        reading = stack.enter_context(call.read())
        headers = _validators(call, reading.version)
        fresh = check(call.request, headers["ETag"], vary=_VARY)
        if fresh is not None:
            return fresh
        keep = len(call.request.target) <= LONGEST_KEPT
        names, pieces = rows.read(reading, route.path, _format(media_type, options), limit, keep=keep)
        headers["Content-Type"] = media_type
        name = options.one("download")
        if name:
            headers["Content-Disposition"] = (
                f"attachment; filename*=UTF-8''{quote(name, safe='')}.{suffix(media_type)}"
            )
        content = encoded(pieces, names, media_type)
        begun: list[bytes] = []
        for piece in content:
            begun.append(piece)
            if call.request.method == "GET" and sum(map(len, begun)) > _WHOLE:
                return Response(200, headers, _Body(chain(begun, content), stack.pop_all()))
            if call.request.method == "HEAD":
                return Response(200, headers)
    return Response(200, headers, b"".join(begun))


def _limit(options: Options) -> int | None:
    text = options.one("limit")
    if text is None or text.lower() == "none":
        return None
    if not text.isdecimal():
        raise BadRequest(f"The limit must be a number or none, not {text!r}.")
    return int(text) if len(text) < 19 else (1 << 63) - 1


def _format(media_type: str, options: Options) -> Format:
    if media_type != CSV:
        return "json"
    return "csv-json-arrays" if options.one("arrays") == "json" else "csv"


def _validators(call: Call, version: str) -> Headers:
    target = call.resolved.entry.alias_target
    version = f"{version}-{target}" if target else version
    tag = etag(call.request.client.roles, call.request.headers.get("Accept"), version)
    return Headers([("ETag", tag), ("Vary", _VARY)])


def _write(
    call: Call,
    options: Options,
    work: Callable[[Writing, str, Format], tuple[list[str], Iterator[list[str]]]],
) -> Response:
    """Do a piece of work in a write transaction and send the rows it returns."""
    request = call.request
    sent_type = body_type(request.content_type)
    media_type = response_type(options.one("accept"), request.headers.get("Accept"), sent_type)
    with ExitStack() as stack:
        answer = stack.enter_context(Spool())
        with call.resolved.catalog.write(request.client) as writing:
            check(request, _validators(call, writing.version)["ETag"], vary=_VARY)
            names, pieces = work(writing, media_type, _format(media_type, options))
            for piece in encoded(pieces, names, media_type):
                answer.write(piece)
        headers = _validators(call, encode_id(writing.snaptime))
        headers["Content-Type"] = media_type
        if answer.length > _WHOLE:
            headers["Content-Length"] = str(answer.length)
            stack.pop_all()
            return Response(200, headers, answer)
        return Response(200, headers, b"".join(answer))


def _insert(route: DataRoute, call: Call) -> Response:
    options = route.options
    sent_type = body_type(call.request.content_type)

    def work(writing: Writing, _media_type: str, form: Format) -> tuple[list[str], Iterator[list[str]]]:
        model = rows.access(writing).model
        plan = plan_insert(
            model,
            route.path,
            options.set("defaults") - {""},
            options.set("nondefaults") - {""},
            options.one("onconflict"),
        )
        batches = decode(call.request.body, sent_type, plan.given, plan.defaulted)
        return [column.name for column in plan.table.columns], rows.insert(writing, plan, batches, form)

    return _write(call, options, work)


def _upsert(route: DataRoute, call: Call) -> Response:
    sent_type = body_type(call.request.content_type)

    def work(writing: Writing, _media_type: str, form: Format) -> tuple[list[str], Iterator[list[str]]]:
        plan = plan_upsert(rows.access(writing).model, route.path)
        batches = decode(call.request.body, sent_type, plan.insert.given, plan.insert.defaulted)
        names = [column.name for column in plan.insert.table.columns]
        return names, rows.upsert(writing, plan, batches, form)

    return _write(call, route.options, work)


def _update(route: DataRoute, call: Call) -> Response:
    sent_type = body_type(call.request.content_type)

    def work(writing: Writing, media_type: str, _form: Format) -> tuple[list[str], Iterator[list[str]]]:
        plan = plan_update(rows.access(writing).model, route.path)
        fields = plan.keys + plan.targets
        changes = rows.update(writing, plan, decode(call.request.body, sent_type, fields))
        pieces = (
            row_texts((values[at] for at in changed), fields, media_type) for values, changed in changes
        )
        return [field.name for field in fields], pieces

    return _write(call, route.options, work)


def _delete(route: DataRoute, call: Call) -> Response:
    remove = rows.delete if route.path.api == "entity" else rows.clear
    with call.resolved.catalog.write(call.request.client) as writing:
        check(call.request, _validators(call, writing.version)["ETag"], vary=_VARY)
        remove(writing, route.path)
    return Response(204, _validators(call, encode_id(writing.snaptime)))


_WRITERS: dict[tuple[str, str], Callable[[DataRoute, Call], Response]] = {
    ("entity", "POST"): _insert,
    ("entity", "PUT"): _upsert,
    ("entity", "DELETE"): _delete,
    ("attributegroup", "PUT"): _update,
    ("attribute", "DELETE"): _delete,
}
