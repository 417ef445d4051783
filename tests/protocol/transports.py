"""Both ways to send the requests of protocol cases to a server."""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.datastructures import Headers

from deriva_server.embed import LocalServer
from deriva_server.http.message import FilePart, Request
from deriva_server.identity import ADMIN, ANONYMOUS, Client, Group

from .cases_runner import CALLER, Answer, Transport

CALLERS = {
    "owner": Client("kim", "kim", "Kim Lee", "kim@example.org", (ADMIN,)),
    "other": Client("lee", "lee", "Lee Kim"),
    "member": Client("mo", "mo", "Mo Ok", None, (Group("https://groups/lab", "The Lab"), Group("hidden"))),
    "anonymous": ANONYMOUS,
}


def identify(request: Request) -> Client:
    """Who sends a request of a case."""
    return CALLERS[request.headers.get(CALLER, "owner")]


class InProcess:
    """Calls the server."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, *, sized: bool = True
    ) -> Answer:
        content = body or b""
        length = len(content) if sized and (body is not None or method in ("POST", "PUT")) else None
        answer = self._server.handle(
            Request(method, target, Headers(headers.items()), io.BytesIO(content), length)
        )
        received = answer.body
        if isinstance(received, FilePart):
            received = received.chunks()
        given = {name.lower(): value for name, value in answer.headers}
        return Answer(answer.status, given, received if isinstance(received, bytes) else b"".join(received))


class Http:
    """Speaks HTTP over one connection that stays open."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, *, sized: bool = True
    ) -> Answer:
        try:
            return self._send(method, target, headers, body, sized)
        except http.client.HTTPException:
            self.connection.close()
            raise

    def _send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, sized: bool
    ) -> Answer:
        self.connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self.connection.putheader(name, value)
        if sized and (body is not None or method in ("POST", "PUT")):
            self.connection.putheader("Content-Length", str(len(body or b"")))
        self.connection.endheaders(body)
        answer = self.connection.getresponse()
        given = {name.lower(): value for name, value in answer.getheaders()}
        assert answer.reason == http.client.responses[answer.status]
        return Answer(answer.status, given, answer.read())


class RawHttp:
    """Writes HTTP by hand, so that targets may be what no client would send; one connection for each request."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None, *, sized: bool = True
    ) -> Answer:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if sized and (body is not None or method in ("POST", "PUT")):
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass")
        with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
            connection.sendall(head + (body or b""))
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            given = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, given, answer.read())


@contextmanager
def speaking(server: LocalServer, transport: str) -> Iterator[Transport]:
    """A way to the server: by ``call`` or by ``http``."""
    if transport == "call":
        yield InProcess(server)
        return
    with server.serve() as running:
        speaker = Http(running.port)
        yield speaker
        speaker.connection.close()
