"""What the HTTP transport does for every service."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.datastructures import Headers

from deriva_server.app import Application, finished
from deriva_server.errors import Conflict, DeploymentError
from deriva_server.http.message import FilePart, Request, Response
from deriva_server.identity import Client
from deriva_server.wsgi import RunningServer, raw_target, start

KIM = Client("kim")


class Closable:
    """A body that knows whether it was closed."""

    closed = 0

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces

    def close(self) -> None:
        Closable.closed += 1


def failing(good: int) -> Iterator[bytes]:
    for _ in range(good):
        yield bytes(1 << 20)
    raise Conflict("too late" if good else "before the first piece")


class Echo:
    """Answers with what it got."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "file"
        self.file.write_bytes(b"0123456789")

    def handle(self, request: Request) -> Response:
        match request.path.rpartition("/")[2]:
            case "short":
                return Response(body=Closable(iter([b"ab", b"cd"])))
            case "long":
                return Response(body=Closable(bytes([number]) * (1 << 20) for number in range(5)))
            case "fails-early":
                return Response(body=failing(0))
            case "told":
                pieces = (bytes(1 << 20) for _ in range(5))
                return Response(200, Headers({"Content-Length": str(5 << 20)}), pieces)
            case "fails-late":
                return Response(body=failing(3))
            case "told-fails-late":
                return Response(200, Headers({"Content-Length": str(5 << 20)}), failing(3))
            case "file":
                return Response(body=FilePart(self.file, 2, 5))
            case "nothing":
                return Response(204)
            case "unchanged":
                return Response(304)
            case "defect":
                raise ZeroDivisionError("secret")
        seen = {"target": request.target, "client": request.client.id, "length": request.length}
        seen["body"] = len(request.read())
        seen["headers"] = sorted(name for name, _ in request.headers)
        return Response(200, Headers({"Content-Type": "application/json"}), json.dumps(seen).encode())


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    application = Application({"echo": Echo(tmp_path_factory.mktemp("echo"))}, lambda request: KIM)
    with start(application.handle, "127.0.0.1", 0, threads=4, max_body=3 << 20) as server:
        yield server


@pytest.fixture
def connection(running: RunningServer) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    yield made
    made.close()


def ask(
    connection: http.client.HTTPConnection, method: str, target: str, **options: Any
) -> tuple[int, bytes]:
    connection.request(method, target, **options)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("target", ["/echo/a%2Fb%3a;x=1?q=%20&%41", "/echo//a///b/", "/echo/%C3%A9?a?b"])
def test_raw_target(connection: http.client.HTTPConnection, target: str) -> None:
    status, body = ask(connection, "GET", target)
    assert status == 200
    assert json.loads(body)["target"] == target
    assert json.loads(body)["client"] == "kim"


def test_absolute_target(running: RunningServer) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as raw:
        raw.sendall(b"GET http://localhost/echo/a?b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b'"target": "/echo/a?b"' in raw.makefile("rb").read()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost"}, 200),
        ({"Host": "LOCALHOST:1"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "evil.example:8080"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost:5", "Origin": "http://localhost:5"}, 200),
        ({"Host": "localhost:5", "Origin": "http://localhost:6"}, 403),
        ({"Host": "localhost:5", "Origin": "https://evil.example"}, 403),
        ({"Host": "localhost:5", "Origin": "null"}, 403),
    ],
)
def test_foreign_sites(connection: http.client.HTTPConnection, headers: dict[str, str], status: int) -> None:
    found, body = ask(connection, "GET", "/echo/x", headers=headers)
    assert found == status
    if status == 403:
        assert b"localhost only" in body or b"another site" in body


def test_connection_stays_open(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "GET", "/echo/short") == (200, b"abcd")
    socket_before = connection.sock
    assert ask(connection, "PUT", "/echo/x", body=b"x" * 1000)[0] == 200
    assert ask(connection, "GET", "/nowhere")[0] == 404
    assert ask(connection, "GET", "/echo/file") == (200, b"23456")
    assert ask(connection, "GET", "/echo/fails-early")[0] == 409
    assert ask(connection, "GET", "/echo/defect")[0] == 500
    assert ask(connection, "HEAD", "/echo/file") == (200, b"")
    assert ask(connection, "DELETE", "/echo/nothing") == (204, b"")
    assert ask(connection, "GET", "/echo/unchanged") == (304, b"")
    assert len(ask(connection, "GET", "/echo/long")[1]) == 5 << 20
    assert ask(connection, "GET", "/echo/short") == (200, b"abcd")
    assert connection.sock is socket_before


def test_bodies_are_closed(connection: http.client.HTTPConnection) -> None:
    before = Closable.closed
    assert ask(connection, "GET", "/echo/short")[0] == 200
    assert len(ask(connection, "GET", "/echo/long")[1]) == 5 << 20
    assert ask(connection, "HEAD", "/echo/long") == (200, b"")
    assert Closable.closed == before + 3


def test_a_known_length_is_told(connection: http.client.HTTPConnection) -> None:
    connection.request("GET", "/echo/told")
    answer = connection.getresponse()
    assert (answer.headers["Content-Length"], len(answer.read())) == (str(5 << 20), 5 << 20)
    assert ask(connection, "GET", "/echo/short")[0] == 200, "the connection stays open"


def test_failure_while_sending_is_noticed_by_the_length(connection: http.client.HTTPConnection) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(connection, "GET", "/echo/told-fails-late")


def test_failure_while_sending_is_noticed(connection: http.client.HTTPConnection) -> None:
    with pytest.raises(http.client.IncompleteRead):
        ask(connection, "GET", "/echo/fails-late")


def test_defects_are_not_told(connection: http.client.HTTPConnection) -> None:
    status, body = ask(connection, "GET", "/echo/defect")
    assert status == 500
    assert b"secret" not in body
    assert b"Traceback" not in body


def test_too_large(connection: http.client.HTTPConnection) -> None:
    assert ask(connection, "PUT", "/echo/x", body=bytes((3 << 20) + 1))[0] == 413


def test_chunked_body_has_a_length(connection: http.client.HTTPConnection) -> None:
    status, body = ask(connection, "PUT", "/echo/x", body=iter([b"ab", b"cd"]), encode_chunked=True)
    assert (status, json.loads(body)["body"]) == (200, 4)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/plain"),
        ("application/json", "text/plain"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json, text/html", "text/plain"),
    ],
)
def test_errors(connection: http.client.HTTPConnection, accept: str | None, kind: str) -> None:
    connection.request("GET", "/<nowhere>", headers={"Accept": accept} if accept else {})
    answer = connection.getresponse()
    body = answer.read()
    assert (answer.status, answer.reason) == (404, "Not Found")
    assert answer.headers["Content-Type"] == kind
    assert (b"<nowhere>" in body) is (kind == "text/plain")


def test_port_is_taken(running: RunningServer) -> None:
    with pytest.raises(DeploymentError, match=f"{running.port}.*another port"):
        start(lambda request: Response(), "127.0.0.1", running.port, threads=1, max_body=1)


def test_close_ends_the_thread(tmp_path: Path) -> None:
    server = start(Echo(tmp_path).handle, "127.0.0.1", 0, threads=1, max_body=1000)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    assert ask(connection, "GET", "/echo/x")[0] == 200
    server.close()
    server.close()
    connection.close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_ipv6(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = start(Echo(tmp_path).handle, "::1", 0, threads=1, max_body=1000)
    except DeploymentError:
        pytest.skip("no IPv6 here")
    with server:
        place = urlsplit(server.url)
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=5)
        assert ask(connection, "GET", "/echo/x")[0] == 200
        connection.close()


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/a%2Fb?c"}, "/a%2Fb?c"),
        ({"SCRIPT_NAME": "", "PATH_INFO": "/a;b=1/c d", "QUERY_STRING": "x=%20"}, "/a;b=1/c%20d?x=%20"),
        ({"REQUEST_URI": "/a#b"}, "/a"),
    ],
)
def test_targets_of_other_servers(environ: dict[str, str], target: str) -> None:
    assert raw_target(environ) == target


def test_no_length_for_no_content() -> None:
    assert "Content-Length" not in finished(Request("DELETE", "/"), Response(204)).headers
