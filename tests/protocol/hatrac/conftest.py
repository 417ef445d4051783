"""The same requests over both transports: as a call in this process, and as HTTP."""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from werkzeug.datastructures import Headers

from deriva_server import LocalServer
from deriva_server.http.message import FilePart, Request


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
