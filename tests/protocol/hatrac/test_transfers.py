"""Uploads in chunks."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from deriva_server import LocalServer

from .conftest import Send, call
from .test_names import DATA, md5, sha256


def begin(send: Send, path: str, **fields: object) -> str:
    announced = {"chunk-length": 4, "content-length": 10} | fields
    answer = send("POST", f"{path};upload", json.dumps(announced).encode(), Content_Type="application/json")
    assert answer.status == 201, answer.text
    assert answer.text == answer.headers["Location"] + "\n"
    return answer.headers["Location"]


def test_upload(send: Send, space: str) -> None:
    path = f"{space}/o"
    job = begin(send, path, **{"content-md5": md5(DATA), "content-type": "", "content-disposition": None})
    assert send("GET", path).status == 409
    status = json.loads(send("GET", job).body)
    assert status["chunk-length"] == 4
    assert (status["url"], status["target"], status["content-md5"]) == (job, path, md5(DATA))
    assert send("PUT", f"{job}/2", DATA[8:]).status == 204
    assert send("POST", job).status == 409
    assert send("PUT", f"{job}/0", b"xxxx").status == 204
    assert send("PUT", f"{job}/1", DATA[4:8], Content_MD5=md5(b"x")).status == 400
    assert send("PUT", f"{job}/1", DATA[4:8], Content_MD5="?").status == 400
    assert send("PUT", f"{job}/1", DATA[4:8], Content_MD5=md5(DATA[4:8])).status == 204
    assert send("POST", job).status == 409, "the content is not the announced one"
    assert send("PUT", f"{job}/0", DATA[:4]).status == 204
    assert send("PUT", f"{job}/3", DATA[:4]).status == 409
    assert send("PUT", f"{job}/1", DATA).status == 409
    assert send("PUT", f"{job}/-1", DATA).status == 400
    assert send("PUT", f"{job}/x", DATA).status == 400
    assert send("GET", f"{job}/1").status == 405
    assert send("HEAD", f"{job}/1").status == 405
    assert json.loads(send("GET", f"{path};upload").body) == [job]
    done = send("POST", job, b"{}")
    assert done.status == 201
    assert done.text == done.headers["Location"] + "\n"
    answer = send("GET", path)
    assert (answer.body, answer.headers["Content-MD5"]) == (DATA, md5(DATA))
    assert answer.headers["Content-Location"] == done.headers["Location"]
    assert send("POST", job).status == 404
    assert send("PUT", f"{job}/0", DATA[:4]).status == 404
    assert send("GET", f"{path};upload").text == "[]\n"


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


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"chunk_bytes": 4, "total_bytes": 10, "content_md5": md5(DATA)}, 201),
        ({"chunk-length": 4}, 400),
        ({"chunk-length": "4", "content-length": 10}, 400),
        ({"chunk-length": 0, "content-length": 10}, 400),
        ({"chunk-length": 4, "content-length": True}, 400),
        ({"chunk-length": 4, "content-length": 10, "content-sha256": "?"}, 400),
        ({"chunk-length": 4, "content-length": 10, "content-disposition": "?"}, 400),
    ],
)
def test_announcements(send: Send, space: str, fields: dict[str, object], status: int) -> None:
    body = json.dumps(fields).encode()
    assert send("POST", f"{space}/o;upload", body, Content_Type="application/json").status == status
    assert send("POST", f"{space}/o;upload", body, Content_Type="text/plain").status == 400
    assert send("POST", f"{space};upload", body, Content_Type="application/json").status in (404, status)


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


def test_empty_upload(send: Send, space: str) -> None:
    job = begin(send, f"{space}/o", **{"content-length": 0})
    assert send("POST", job).status == 201
    assert send("GET", f"{space}/o").body == b""
