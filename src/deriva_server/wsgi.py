"""The WSGI application, and a production server around it.

The raw request target is handed on, because percent-escapes are significant to both protocols.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any, BinaryIO, Protocol
from urllib.parse import quote, urlsplit

import waitress.buffers
import waitress.channel
import waitress.parser
import waitress.server
import waitress.task
import waitress.wasyncore
from werkzeug.datastructures import Headers
from werkzeug.wsgi import get_input_stream

from deriva_server.errors import (
    BadRequest,
    Busy,
    DeploymentError,
    Forbidden,
    NotFound,
    ServiceError,
    TooLarge,
)
from deriva_server.http.message import FilePart, Request, Response
from deriva_server.http.received import ANYWHERE, ReceivedFile, Receiving

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Response]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_BUFFERED = 1 << 20
_MARGIN = 1 << 20
_WAITING = 1 << 20
_ENDING = 5
"""Seconds that running requests have when the server is closed."""


class _FileWrapper(Protocol):
    def __call__(self, file: BinaryIO, size: int) -> Iterable[bytes]: ...


class WsgiApplication:
    """A WSGI application for one machine: requests addressed to or sent by other sites are refused.

    Parameters
    ----------
    handle : callable
        Answers a request.
    max_body : int
        Largest body in bytes.
    """

    def __init__(self, handle: Handler, max_body: int) -> None:
        self.handle = handle
        self.max_body = max_body

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        try:
            response = self._answer(environ)
            pieces = sendable(response, environ.get("wsgi.file_wrapper"))
        except Exception as error:  # noqa: BLE001 - bodies are made while sending; what fails first must be an answer
            response = _failure(error)
            pieces = sendable(response, None)
        return _begun(response, pieces, start_response)

    def _answer(self, environ: dict[str, Any]) -> Response:
        check_origin(environ)
        request = read_request(environ)
        if request.length is not None and request.length > self.max_body:
            raise TooLarge(f"at most {self.max_body} bytes; send larger objects in chunks")
        return self.handle(request)


def _begun(
    response: Response, pieces: Iterable[bytes], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    status = f"{response.status} {_reason(response.status)}"
    start_response(status, [(name, " ".join(value.splitlines())) for name, value in response.headers])
    return pieces


def _refuse(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer for a server that is being stopped."""
    response = _failure(Busy("this server is being stopped"))
    return _begun(response, sendable(response, None), start_response)


def _failure(error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        logger.error("a response could not be sent", exc_info=error)
        error = ServiceError("internal error, see the log of the server")
    headers = Headers([("Content-Type", "text/plain"), *error.headers])
    return Response(error.status, headers, error.text().encode())


def check_origin(environ: dict[str, Any]) -> None:
    """Refuse requests that a web page of another site makes, or that reach us under a foreign name.

    Raises
    ------
    Forbidden
        With the reason.
    """
    host = environ.get("HTTP_HOST", "")
    if _without_port(host) not in _LOOPBACK:
        raise Forbidden(f"this server answers for localhost only, not for Host {host!r}")
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise Forbidden(f"requests from pages of another site are refused; Origin was {origin!r}")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def read_request(environ: dict[str, Any]) -> Request:
    """The request that a WSGI environment describes.

    Raises
    ------
    BadRequest
        If Content-Length is not a number.
    """
    declared = environ.get("CONTENT_LENGTH") or None
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        raise BadRequest(f"Content-Length {declared!r}")
    return Request(
        method=environ["REQUEST_METHOD"].upper(),
        target=raw_target(environ),
        headers=Headers(_header_items(environ)),
        body=get_input_stream(environ),  # type: ignore[arg-type]
        length=None if declared is None else int(declared),
    )


def raw_target(environ: dict[str, Any]) -> str:
    """Path and query as sent; servers that do not pass them on get their decoded path quoted again."""
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if raw is None:
        path = quote(
            environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
            safe="/:;,=@!$&'()*+~",
            encoding="latin-1",
        )
        query = environ.get("QUERY_STRING")
        return f"{path}?{query}" if query else path
    target = str(raw).partition("#")[0]
    if not target.startswith("/") and "://" in target:
        # absolute form, as sent to proxies
        _, slash, rest = target.partition("://")[2].partition("/")
        target = slash + rest or "/"
    return target


def _header_items(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-").title(), value
        elif key in ("CONTENT_TYPE", "CONTENT_LENGTH") and value:
            yield key.replace("_", "-").title(), value


def sendable(response: Response, wrapper: _FileWrapper | None) -> Iterable[bytes]:
    """The body as WSGI takes it, with Content-Length set where it is known without much waiting.

    Short bodies made of pieces are gathered first: connections stay open, and a failure while
    the first pieces are made can still become an error answer.

    Parameters
    ----------
    response : Response
        Its headers are completed.
    wrapper : callable or None
        How the server sends files best.
    """
    body, headers = response.body, response.headers
    if isinstance(body, FilePart):
        pieces = _open_part(body, wrapper)
        headers["Content-Length"] = str(body.length)
        return pieces
    if not isinstance(body, bytes):
        body, rest = _gather(body)
        if rest is not None:
            return rest
    if response.status not in (204, 304) and "Content-Length" not in headers:
        headers["Content-Length"] = str(len(body))
    return [body]


def _open_part(part: FilePart, wrapper: _FileWrapper | None) -> Iterable[bytes]:
    if wrapper is None:
        return part.chunks()
    try:
        file = part.path.open("rb")
    except FileNotFoundError:
        raise NotFound("the content was deleted a moment ago") from None
    file.seek(part.start)
    return wrapper(file, 1 << 18)


class _Rest:
    """Pieces already made, followed by those still to come; closes the source."""

    def __init__(self, held: list[bytes], pieces: Iterator[bytes], source: Iterable[bytes]) -> None:
        self._pieces = chain(held, pieces)
        self._source = source

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        close = getattr(self._source, "close", None)
        if close is not None:
            close()


def _gather(source: Iterable[bytes]) -> tuple[bytes, _Rest | None]:
    pieces, held, size = iter(source), [], 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size > _BUFFERED:
                return b"", _Rest(held, pieces, source)
    except BaseException:
        _Rest(held, pieces, source).close()
        raise
    _Rest(held, pieces, source).close()
    return b"".join(held), None


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class RunningServer:
    """A server that answers HTTP in threads of this process.

    Parameters
    ----------
    server : waitress server
        Bound to its address.
    host : str
        Numeric address it listens on.
    """

    def __init__(self, server: Any, host: str) -> None:
        self._server = server
        self.host = host
        self.port = int(server.effective_port)
        # The thread itself cannot be asked: up to Python 3.12 a signal during `join` makes it seem at its end.
        self._ended = threading.Event()
        threading.Thread(target=self._run, name=f"deriva-server-{self.port}", daemon=True).start()

    @property
    def url(self) -> str:
        """Root of the services, e.g. ``http://127.0.0.1:8080``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def _run(self) -> None:
        server = self._server
        try:
            server.asyncore.loop(timeout=1, map=server._map, use_poll=server.adj.asyncore_use_poll)
        finally:
            self._ended.set()

    def close(self) -> None:
        """Stop listening, and drop the connections, after a moment in which running requests end.

        Those that have not begun are told to come again, so that none needs to guess whether it was done.
        """
        if self._ended.is_set():
            return
        latest = time.monotonic() + _ENDING
        self._server.application = _refuse
        self._server.trigger.pull_trigger(self._stop_listening)
        while self._is_answering() and time.monotonic() < latest:
            time.sleep(0.02)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        self._server.trigger.pull_trigger(self._drop)
        self._ended.wait(_ENDING)

    def wait(self) -> None:
        """Block until closed."""
        while not self._ended.wait(0.5):
            pass

    def _is_answering(self) -> bool:
        working, channels = self._server.task_dispatcher, list(self._server.active_channels.values())
        return (
            bool(working.queue)
            or working.active_count > 0
            or any(channel.total_outbufs_len for channel in channels)
        )

    def _stop_listening(self) -> None:
        """Runs in the thread of the server, whose loop goes on for those who are connected."""
        waitress.wasyncore.dispatcher.close(self._server)

    def _drop(self) -> None:
        """Runs in the thread of the server: close every socket, so that its loop ends."""
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.trigger.close()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Task(waitress.task.WSGITask):
    """Keeps connections open after answers whose end is clear without a length: chunked ones, 204 and 304."""

    _heading = False

    def build_response_header(self) -> bytes:
        wants_close = self.request.headers.get("CONNECTION", "").lower() == "close"
        self._heading = self.version == "1.1" and not wants_close
        try:
            head: bytes = super().build_response_header()
            return head
        finally:
            self._heading = False

    def set_close_on_finish(self) -> None:
        if not self._heading:
            super().set_close_on_finish()


class _File(waitress.buffers.FileBasedBuffer):
    """A long body, which the object store can take in without copying it."""

    def append(self, piece: bytes) -> None:
        if isinstance(self.file, ReceivedFile):
            self.file.append(piece)
            self.remain += len(piece)
        else:
            super().append(piece)


class _Body(waitress.buffers.OverflowableBuffer):
    """A body that overflows into such a file."""

    buf: Any

    def __init__(self, overflow: int, begin: Callable[[], BinaryIO]) -> None:
        super().__init__(overflow)
        self._begin = begin

    def _set_large_buffer(self) -> None:
        before = self.buf
        self.buf = _File(self._begin())
        self.overflowed = True
        if before is not None:
            self.buf.append(before.get())
            before.close()


class _Parser(waitress.parser.HTTPRequestParser):
    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        receiver: Any = self.body_rcv
        if receiver is not None:
            begin = partial(self.adj.receiving.begin, self.command, self.request_uri)
            receiver.buf = _Body(self.adj.inbuf_overflow, begin)


class _Channel(waitress.channel.HTTPChannel):
    task_class = _Task
    parser_class = _Parser
    request: Any

    def handle_close(self) -> None:
        super().handle_close()
        with self.requests_lock:
            # What arrived of a body whose rest will not come.
            arriving, self.request = self.request, None
        if arriving is not None:
            arriving.close()


def start(
    handle: Handler, host: str, port: int, *, threads: int, max_body: int, receiving: Receiving = ANYWHERE
) -> RunningServer:
    """Answer HTTP on an address, in threads.

    Parameters
    ----------
    handle : callable
        Answers a request.
    host : str
        Numeric loopback address.
    port : int
        0 takes a free one.
    threads : int
        Requests answered at the same time.
    max_body : int
        Largest body in bytes.
    receiving : Receiving
        What becomes of long bodies while they arrive.

    Raises
    ------
    DeploymentError
        If the address is taken.
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    listening = _listen(host, port)
    try:
        server = waitress.server.create_server(
            WsgiApplication(handle, max_body),
            sockets=[listening],
            threads=threads,
            ident="deriva-server",
            recv_bytes=1 << 18,
            inbuf_overflow=4 << 20,
            # Answers wait in memory, never in files, and are not made faster than the client takes them.
            outbuf_high_watermark=_WAITING,
            outbuf_overflow=4 * _WAITING,
            max_request_body_size=max_body + _MARGIN,
            connection_limit=1000,
            channel_timeout=300,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=True,
            map={},
        )
    except BaseException:
        listening.close()
        raise
    server.channel_class = _Channel
    server.adj.receiving = receiving
    return RunningServer(server, host)


def _listen(host: str, port: int) -> socket.socket:
    """A socket on an address; bound here, because a failure inside waitress would leave its threads behind."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name != "nt":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise DeploymentError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. Choose another port, 0 takes a free one."
        ) from error
    except OverflowError as error:
        listening.close()
        raise DeploymentError(
            f"Cannot listen on {host}:{port}: a port is a number from 0 to 65535."
        ) from error
    return listening
