"""The service, its catalogs and aliases: ``/``, ``/catalog``, ``/alias``."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from werkzeug.datastructures import Headers

from deriva_server.catalogs.registry import Registry, denied
from deriva_server.ermrest.call import VARY, Call, json_body, json_reply, json_text
from deriva_server.errors import BadRequest, MethodNotAllowed, NotFound
from deriva_server.grammar.options import Options
from deriva_server.grammar.tokens import encode
from deriva_server.http.conditional import READS, check, etag
from deriva_server.http.message import Request, Response
from deriva_server.model.document import FEATURES
from deriva_server.names import encode_id


def advertisement(request: Request) -> Response:
    """What the service is and can do."""
    if request.method not in READS:
        raise MethodNotAllowed(f"{request.method} on the service")
    return json_reply({"version": _release(), "features": FEATURES})


@cache
def _release() -> str:
    try:
        return version("deriva-ml")
    except PackageNotFoundError:
        return "0"


def _object_body(request: Request) -> Mapping[str, Any]:
    body = json_body(request)
    if body is None:
        return {}
    if not isinstance(body, Mapping):
        raise BadRequest("The body must be a JSON object.")
    return body


def create_catalog(registry: Registry, request: Request) -> Response:
    """``POST /catalog``."""
    if request.method != "POST":
        raise MethodNotAllowed(f"{request.method} on /catalog")
    return _created(request, registry.create_catalog(request.client, _object_body(request)))


def create_alias(registry: Registry, request: Request) -> Response:
    """``POST /alias``."""
    if request.method != "POST":
        raise MethodNotAllowed(f"{request.method} on /alias")
    return _created(request, registry.create_alias(request.client, _object_body(request)))


def _created(request: Request, id: str) -> Response:
    headers = Headers([("Location", f"/ermrest/catalog/{encode(id)}")])
    if (request.headers.get("Accept") or "").strip() == "text/plain":
        headers["Content-Type"] = "text/plain"
        return Response(201, headers, f"{id}\n".encode())
    return json_reply({"id": id}, 201, headers)


def alias(registry: Registry, request: Request, id: str) -> Response:
    """``GET``, ``PUT`` and ``DELETE /alias/ID``."""
    match request.method:
        case "GET" | "HEAD":
            document = registry.alias(request.client, id)
            return check(request, _tag(request, document)) or json_reply(
                document, 200, _validators(request, document)
            )
        case "PUT":
            body = _object_body(request)
            _check_alias(registry, request, id)
            document, is_new = registry.put_alias(request.client, id, body)
            headers = _validators(request, document)
            if is_new:
                headers["Location"] = f"/ermrest/alias/{encode(id)}"
            return json_reply(document, 201 if is_new else 200, headers)
        case "DELETE":
            _check_alias(registry, request, id)
            registry.delete_alias(request.client, id)
            return Response(204)
    raise MethodNotAllowed(f"{request.method} on an alias")


def _tag(request: Request, document: Mapping[str, Any]) -> str:
    version = hashlib.sha256(json_text(document)).hexdigest()[:24]
    return etag(request.client.roles, None, version)


def _validators(request: Request, document: Mapping[str, Any]) -> Headers:
    return Headers([("ETag", _tag(request, document)), ("Vary", VARY)])


def _check_alias(registry: Registry, request: Request, id: str) -> None:
    """Let a write pass whose preconditions hold for the alias as it is, or is not yet."""
    try:
        tag = _tag(request, registry.alias(request.client, id))
    except NotFound:
        check(request, None, exists=False)
    else:
        check(request, tag)


def catalog(call: Call, registry: Registry, options: Options) -> Response:
    """``GET``, ``POST`` and ``DELETE /catalog/N``."""
    match call.request.method:
        case "GET" | "HEAD":
            return _document(call)
        case "DELETE":
            return _delete(call, registry)
        case "POST":
            if "vacuum" not in options and "analyze" not in options:
                raise BadRequest("A POST to a catalog needs ?vacuum or ?analyze.")
            with call.read() as reading:
                call.require_owner(reading)
                call.fresh(reading.version)
            return Response(204)
    raise MethodNotAllowed(f"{call.request.method} on a catalog")


def _delete(call: Call, registry: Registry) -> Response:
    with call.read() as reading:
        call.fresh(reading.version)
        if not reading.rights.catalog("owner"):
            raise denied(call.request.client, f"delete catalog {call.resolved.entry.id}")
    registry.delete(call.request.client, call.resolved.entry.id)
    return Response(204)


def _document(call: Call) -> Response:
    entry, target = call.resolved.entry, call.resolved.target
    with call.read() as reading:
        answer = call.fresh(reading.version)
        if answer is not None:
            return answer
        documents = call.documents(reading)
        document: dict[str, Any] = {
            "id": entry.id,
            "snaptime": encode_id(reading.snaptime),
            "annotations": dict(reading.model.annotations),
            "rights": documents.catalog_rights(),
            "features": FEATURES,
        }
        if reading.rights.owns(None):
            document["acls"] = documents.catalog_acls(reading.model)
        headers = call.validators(reading.version)
    shown = {
        "name": entry.name or target.name,
        "description": entry.description or target.description,
        "is_persistent": target.is_persistent or None,
        "clone_source": target.clone_source,
        "alias_target": entry.alias_target,
    }
    document |= {name: value for name, value in shown.items() if value is not None}
    return json_reply(document, 200, headers)
