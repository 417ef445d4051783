"""The application: which face answers, who is asking, and what errors become."""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from werkzeug.datastructures import Headers

from deriva_server.errors import NotFound, NotSupported, ServiceError
from deriva_server.http.message import FilePart, Request, Response
from deriva_server.identity import Client
from deriva_server.outages import Outages

logger = logging.getLogger(__name__)


class Face(Protocol):
    """One REST service."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""


class Several(Protocol):
    """A service that answers some requests together."""

    def handle_many(self, requests: Sequence[Request]) -> Sequence[Response | Exception]:
        """Answer each request, or tell why not."""


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
        self._outages = Outages()

    def handle(self, request: Request) -> Response:
        """Answer one request; never raises for what went wrong inside."""

        def answer() -> Response:
            request.client = self.identify(request)
            return self._face(request).handle(request)

        return self._answered(request, answer)

    def handle_many(self, face: Several, requests: Sequence[Request]) -> list[Response]:
        """Answer requests to one face that answers some of them together; each gets what `handle` would give it."""
        outcomes: dict[int, Response | Exception] = {}
        for number, request in enumerate(requests):
            try:
                request.client = self.identify(request)
            except ServiceError as error:
                outcomes[number] = error
        known = [number for number in range(len(requests)) if number not in outcomes]
        try:
            outcomes.update(zip(known, face.handle_many([requests[number] for number in known]), strict=True))
        except Exception as error:  # noqa: BLE001 - told to each of those who asked, as by `handle`
            outcomes.update(dict.fromkeys(known, error))

        def answer(number: int) -> Response:
            outcome = outcomes[number]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return [self._answered(request, partial(answer, number)) for number, request in enumerate(requests)]

    def _said(self, error: ServiceError) -> str | None:
        """What the log is told; None where it knows."""
        return str(error) if isinstance(error, NotSupported) else self._outages.failed(str(error))

    def _answered(self, request: Request, answer: Callable[[], Response]) -> Response:
        try:
            response = answer()
            for ended in self._outages.answered():
                logger.warning("%s", ended)
        except ServiceError as error:
            if error.status >= 500 and (said := self._said(error)):
                # It is known what is wrong; where it came from is of interest to few.
                cause = error.__cause__ if logger.isEnabledFor(logging.DEBUG) else None
                logger.warning("%s %s: %s", request.method, request.target, said, exc_info=cause)
            response = error_response(request, error)
        except Exception:  # a defect must answer 500 and must not end the server
            logger.exception("%s %s failed", request.method, request.target)
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
