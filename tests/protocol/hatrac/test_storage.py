"""What the cases cannot see: what lies on the disk, and uploads in parallel and across a restart."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from deriva_server import LocalServer
from deriva_server.http.message import Request

from .conftest import Send, call

DATA = b"0123456789"


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(send: Send, path: str, data: bytes = DATA, **headers: str) -> str:
    answer = send("PUT", path, data, **headers)
    assert answer.status == 201, answer.text
    return answer.text.rstrip("\n")


def begin(send: Send, path: str, **fields: object) -> str:
    announced = {"chunk-length": 4, "content-length": 10} | fields
    answer = send("POST", f"{path};upload", json.dumps(announced).encode(), Content_Type="application/json")
    assert answer.status == 201, answer.text
    return answer.headers["Location"]


def test_same_content_is_stored_once(send: Send, space: str, deployment: LocalServer) -> None:
    backend = deployment.objects.backend
    before = len(list(backend.keys()))
    data = hashlib.sha256(space.encode()).digest()
    key = hashlib.sha256(data).hexdigest()
    first, second, third = (put(send, f"{space}/{name}", data) for name in "aba")
    assert len(list(backend.keys())) == before + 1
    for place in (first, second):
        assert send("DELETE", place).status == 204
        assert backend.size(key) == len(data)
    assert send("DELETE", third).status == 204
    assert backend.size(key) is None
    assert list(backend.unadopted(0)) == []


def test_cancel(send: Send, space: str, deployment: LocalServer) -> None:
    path = f"{space}/o"
    job = begin(send, path)
    assert send("PUT", f"{job}/0", DATA[:4]).status == 204
    assert send("DELETE", job).status == 204
    assert send("DELETE", job).status == 404
    assert send("GET", job).status == 404
    other = begin(send, path)
    assert send("PUT", f"{other}/0", DATA[:4]).status == 204
    assert send("DELETE", path).status == 204
    assert send("POST", other).status == 404
    assert not {job, other} & {f"{path};upload/{id_}" for id_, _ in deployment.objects.backend.uploads()}


def test_parallel_chunks_survive_a_restart(send: Send, space: str, deployment: LocalServer) -> None:
    data = bytes(range(256)) * 4096
    job = begin(
        send,
        f"{space}/o",
        **{"chunk-length": 65536, "content-length": len(data), "content-sha256": sha256(data)},
    )
    local = call(deployment)

    def put(index: int) -> int:
        return local("PUT", f"{job}/{index}", data[index * 65536 : (index + 1) * 65536]).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(8))) == {204}
        deployment.objects.close()
        assert set(pool.map(put, reversed(range(8, 16)))) == {204}
    assert send("POST", job).status == 201
    assert send("GET", f"{space}/o").body == data


@pytest.mark.parametrize("is_chunk", [False, True])
def test_what_ends_early_is_nothing(send: Send, space: str, url: str, is_chunk: bool) -> None:
    path = f"{space}/o"
    target = f"{begin(send, path, **{'content-length': 4})}/0" if is_chunk else path
    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as connection:
        head = f"PUT {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n"
        connection.sendall(head.encode() + b"ab")
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer == b"" or b" 400 " in answer.splitlines()[0]
    assert send("GET", path).status == (409 if is_chunk else 404)
    if is_chunk:
        assert send("POST", target.removesuffix("/0")).status == 409


def test_what_ends_early_in_process(deployment: LocalServer, space: str) -> None:
    request = Request("PUT", f"{space}/early", body=io.BytesIO(b"ab"), length=4)
    assert deployment.handle(request).status == 400
    assert call(deployment)("GET", f"{space}/early").status == 404
