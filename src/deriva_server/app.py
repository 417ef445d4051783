"""The application: which face answers, who is asking, and what errors become."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from werkzeug.datastructures import Headers

from deriva_server.errors import NotFound, ServiceError
from deriva_server.http.message import FilePart, Request, Response
from deriva_server.identity import Client

_log = logging.getLogger(__name__)


class Face(Protocol):
    """One REST service."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""


class Application:
    """Faces below one root.

    Parameters
    ----------
    faces : dict of str to Face
        First path segment, e.g. ``ermrest``, to the service that answers below it.
    identify : callable
        The client that sends a request.
    """

    def __init__(self, faces: dict[str, Face], identify: Callable[[Request], Client]) -> None:
        self.faces = faces
        self.identify = identify

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises for what went wrong inside."""
        try:
            request.client = self.identify(request)
            response = self._face(request).handle(request)
        except ServiceError as error:
            if error.status >= 500:
                _log.warning("%s %s: %s", request.method, request.target, error, exc_info=error.__cause__)
            response = error_response(request, error)
        except Exception:  # noqa: BLE001 - a defect must answer 500 and must not end the server
            _log.exception("%s %s failed", request.method, request.target)
            response = error_response(request, ServiceError("internal error, see the log of the server"))
        return finished(request, response)

    def _face(self, request: Request) -> Face:
        segment = request.path.lstrip("/").partition("/")[0].partition(";")[0]
        face = self.faces.get(segment)
        if face is None:
            raise NotFound(
                f"{request.path}: this server answers below {', '.join(f'/{name}' for name in self.faces)}"
            )
        return face


def error_response(request: Request, error: ServiceError) -> Response:
    """The response that an error becomes: plain text, HTML only for those who ask for nothing else we have."""
    accept = request.headers.get("Accept") or ""
    if "text/html" in accept and "json" not in accept and "text/plain" not in accept:
        text, kind = f"<html><body><pre>{html.escape(error.text())}</pre></body></html>\n", "text/html"
    else:
        text, kind = error.text(), "text/plain"
    return Response(error.status, Headers([("Content-Type", kind), *error.headers]), text.encode())


def finished(request: Request, response: Response) -> Response:
    """Tell the length where it is known; the answer to HEAD is that to GET without its body."""
    body = response.body
    if isinstance(body, bytes | FilePart):
        if response.status not in (204, 304) and "Content-Length" not in response.headers:
            length = len(body) if isinstance(body, bytes) else body.length
            response.headers["Content-Length"] = str(length)
    elif request.method == "HEAD":
        close_body(body)
    if request.method == "HEAD":
        response.body = b""
    return response


def close_body(body: Iterable[bytes]) -> None:
    """Release what a body made of pieces holds."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
