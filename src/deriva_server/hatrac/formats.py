"""How listings and other small answers are written."""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Sequence
from typing import Any

from werkzeug.datastructures import Headers, MIMEAccept
from werkzeug.http import parse_accept_header

from deriva_server.errors import BadRequest, TooLarge
from deriva_server.http.conditional import check
from deriva_server.http.document import parse_document
from deriva_server.http.message import Request, Response

_LISTINGS = ("application/json", "text/uri-list", "text/html")
_LARGEST_DOCUMENT = 16 << 20


def listing(request: Request, urls: Sequence[str], title: str) -> Response:
    """A list of URLs as JSON, one per line, or a page, as the client prefers; with an entity tag."""
    accept = parse_accept_header(request.headers.get("Accept"), MIMEAccept)
    kind = accept.best_match(_LISTINGS, _LISTINGS[0]) or _LISTINGS[0]
    if kind == "text/html":
        links = "".join(f'<li><a href="{html.escape(url)}">{html.escape(url)}</a></li>\n' for url in urls)
        heading = html.escape(f"Index of {title}")
        text = f"<!DOCTYPE html>\n<html><head><title>{heading}</title></head>\n<body><h1>{heading}</h1>\n<ul>\n{links}</ul></body></html>\n"
    elif kind == "text/uri-list":
        text = "".join(f"{url}\n" for url in urls)
    else:
        text = json.dumps(list(urls)) + "\n"
    return with_tag(request, Response(200, Headers({"Content-Type": kind}), text.encode()), urls)


def document(request: Request, value: Any) -> Response:
    """A JSON value with an entity tag."""
    body = json.dumps(value).encode() + b"\n"
    return with_tag(request, Response(200, Headers({"Content-Type": "application/json"}), body), value)


def text(request: Request, value: str, whole: Any = None) -> Response:
    """A line of plain text with an entity tag, that of the `whole` which it is a part of."""
    response = Response(200, Headers({"Content-Type": "text/plain"}), f"{value}\n".encode())
    return with_tag(request, response, value if whole is None else whole)


def with_tag(request: Request, response: Response, value: Any) -> Response:
    """Add the entity tag of a value, or answer a failed precondition."""
    tag = tag_of(value)
    response.headers["ETag"] = tag
    response.headers["Vary"] = "cookie"
    return check(request, tag) or response


def tag_of(value: Any) -> str:
    """Quoted entity tag of a JSON value."""
    text = json.dumps(value, sort_keys=True)
    return f'"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"'


def created(urls: Sequence[str]) -> Response:
    """The answer to a creation; its body has exactly one newline after each URL."""
    headers = Headers({"Content-Type": "text/uri-list"})
    if urls:
        headers["Location"] = urls[0]
    return Response(201, headers, "".join(f"{url}\n" for url in urls).encode())


def read_json(request: Request) -> Any:
    """The JSON body of a request.

    Raises
    ------
    BadRequest
        If the content type says otherwise, or it is not JSON.
    TooLarge
        If it is longer than any document should be.
    """
    if request.content_type != "application/json":
        raise BadRequest("the body must be application/json")
    if (request.length or 0) > _LARGEST_DOCUMENT:
        raise TooLarge(f"a document has at most {_LARGEST_DOCUMENT} bytes")
    return parse_document(request.read())
