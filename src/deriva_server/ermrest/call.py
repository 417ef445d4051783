"""One request on one catalog: its transactions, validators and replies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from werkzeug.datastructures import Headers

from deriva_server.access.acls import Rights
from deriva_server.catalogs.catalog import Reading, Writing
from deriva_server.catalogs.registry import Resolved, denied
from deriva_server.http.conditional import check, etag
from deriva_server.http.document import parse_document
from deriva_server.http.message import Request, Response
from deriva_server.model.document import Documents
from deriva_server.model.elements import Model, Schema, Table
from deriva_server.names import encode_id

VARY = "cookie"

NOTHING = object()
"""In place of a document where null is one."""


def json_body(request: Request) -> Any:
    """The body of a request as JSON; None when it is empty.

    Raises
    ------
    BadRequest
        If it is no JSON text, or one that cannot be stored.
    """
    raw = request.read()
    return parse_document(raw) if raw.strip() else None


def json_text(document: Any) -> bytes:
    """A document as it is sent: compact, with a newline at the end."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def json_reply(document: Any, status: int = 200, headers: Headers | None = None) -> Response:
    """A JSON response."""
    headers = Headers() if headers is None else headers
    headers["Content-Type"] = "application/json"
    return Response(status, headers, json_text(document))


@dataclass(slots=True)
class Call:
    """One request on one catalog.

    Parameters
    ----------
    request : Request
        The request; its client is known.
    resolved : Resolved
        The catalog, and the id it was reached by.
    as_of : int or None
        The snapshot in the URL.
    """

    request: Request
    resolved: Resolved
    as_of: int | None = None

    @contextmanager
    def read(self) -> Iterator[Reading]:
        """Read at the moment the URL names."""
        with self.resolved.catalog.read(self.request.client, as_of=self.as_of) as reading:
            yield reading

    @contextmanager
    def change(self) -> Iterator[Writing]:
        """Change the model; the preconditions of the request are checked against the model before."""
        with self.resolved.catalog.write(self.request.client, alters=True) as writing:
            check(self.request, self.tag(writing.model_version), vary=VARY)
            yield writing

    def tag(self, version: str) -> str:
        """The entity tag of a resource of this catalog."""
        target = self.resolved.entry.alias_target
        return etag(self.request.client.roles, None, f"{version}-{target}" if target else version)

    def validators(self, version: str) -> Headers:
        """The headers that go with a version of a resource."""
        return Headers([("ETag", self.tag(version)), ("Vary", VARY)])

    def fresh(self, version: str) -> Response | None:
        """The answer that the client's copy is still good, or that its precondition fails."""
        return check(self.request, self.tag(version), vary=VARY)

    def changed(self, writing: Writing, document: Any = NOTHING, status: int = 204) -> Response:
        """The response to a change of the model; without a document it has no body."""
        headers = self.validators(encode_id(writing.now))
        return Response(status, headers) if document is NOTHING else json_reply(document, status, headers)

    def documents(self, reading: Reading) -> Documents:
        """Makes documents for the caller."""
        return Documents(reading.rights, is_past=reading.as_of is not None)

    def require_owner(self, reading: Reading, element: Schema | Table | None = None) -> None:
        """Let only an owner of an element pass; None stands for the catalog."""
        if not reading.rights.owns(element):
            raise denied(self.request.client, f"own {_shown(element)}")

    def require_kept_ownership(self, model: Model, element: Schema | Table | None) -> None:
        """Refuse a change of access lists by which the caller would lose an element."""
        if not Rights(model, self.request.client).owns(element):
            raise denied(self.request.client, f"give up the own ownership of {_shown(element)}")


def _shown(element: Schema | Table | None) -> str:
    if element is None:
        return "the catalog"
    if isinstance(element, Schema):
        return f'schema "{element.name}"'
    return f'table "{element.schema}:{element.name}"'
