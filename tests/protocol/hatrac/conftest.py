"""Servers of objects on every store of bytes, and one on files that is spoken to in process and over HTTP."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.deployments import opened_objects
from tests.protocol.cases_runner import Transport
from tests.protocol.transports import RawHttp, identify, speaking
from tests.protocol.ways import OBJECT_WAYS
from werkzeug.datastructures import Headers

from deriva_server import LocalServer
from deriva_server.http.message import FilePart, Request


@pytest.fixture(scope="session", params=OBJECT_WAYS)
def way(request: pytest.FixtureRequest) -> tuple[str, str, str]:
    """Kind of database, store of bytes, and transport."""
    return tuple(request.param)


@pytest.fixture(scope="session")
def database(way: tuple[str, str, str]) -> str:
    return way[0]


@pytest.fixture(scope="session")
def server(
    request: pytest.FixtureRequest,
    way: tuple[str, str, str],
    shared_address: Callable[[], str | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalServer]:
    folder = tmp_path_factory.mktemp("cases") / "lab"
    store = request.getfixturevalue("s3").address() if way[1] == "s3" else way[1]
    with opened_objects(folder, shared_address(), store) as server:
        server.application.identify = identify
        yield server


@pytest.fixture(scope="session")
def transport(way: tuple[str, str, str], server: LocalServer) -> Iterator[Transport]:
    with speaking(server, way[2]) as transport:
        yield transport


@pytest.fixture
def raw(way: tuple[str, str, str], server: LocalServer, transport: Transport) -> Iterator[Transport]:
    """Sends targets that are no URLs."""
    if way[2] == "call":
        yield transport
        return
    with server.serve() as running:
        yield RawHttp(running.port)


@dataclass
class Answer:
    status: int
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


Send = Callable[..., Answer]


@pytest.fixture(scope="session", params=["files", "s3"])
def deployment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalServer]:
    """Objects in files, and in a bucket."""
    objects = None if request.param == "files" else request.getfixturevalue("s3").address()
    folder = tmp_path_factory.mktemp("deployment") / "lab"
    with LocalServer.open(folder, create=True, objects=objects) as server:
        yield server


@pytest.fixture(scope="session")
def url(deployment: LocalServer) -> Iterator[str]:
    with deployment.serve() as running:
        yield running.url


def call(server: LocalServer) -> Send:
    def send(method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        given = Headers([(name.replace("_", "-"), value) for name, value in headers.items()])
        length = len(body) if body is not None else (0 if method in ("PUT", "POST") else None)
        response = server.handle(Request(method, target, given, io.BytesIO(body or b""), length))
        content = response.body
        if isinstance(content, FilePart):
            content = content.chunks()
        if not isinstance(content, bytes):
            content = b"".join(content)
        return Answer(response.status, response.headers, content)

    return send


def over_http(url: str) -> Iterator[Send]:
    place = urlsplit(url)
    assert place.hostname is not None
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)

    def send(method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body, given)
        response = connection.getresponse()
        return Answer(response.status, Headers(response.getheaders()), response.read())

    yield send
    connection.close()


@pytest.fixture(params=["call", "http"])
def send(request: pytest.FixtureRequest, deployment: LocalServer) -> Iterator[Send]:
    if request.param == "call":
        yield call(deployment)
    else:
        yield from over_http(request.getfixturevalue("url"))


@pytest.fixture
def space(send: Send, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh namespace."""
    import uuid

    path = f"/hatrac/t{uuid.uuid4().hex}"
    assert send("PUT", path, Content_Type="application/x-hatrac-namespace").status == 201
    return path
