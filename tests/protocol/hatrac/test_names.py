"""Namespaces, objects and versions as the protocol describes them."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from deriva_server import LocalServer

from .conftest import Send

SPACE = "application/x-hatrac-namespace"
DATA = b"0123456789"


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(send: Send, path: str, data: bytes = DATA, **headers: str) -> str:
    answer = send("PUT", path, data, **headers)
    assert answer.status == 201, answer.text
    return answer.text.rstrip("\n")


def test_namespace_life(send: Send, space: str) -> None:
    answer = send("PUT", f"{space}/a", Content_Type=SPACE, Accept="application/json")
    assert (answer.status, answer.text) == (201, f"{space}/a\n")
    assert answer.headers["Location"] == f"{space}/a"
    assert answer.headers["Content-Type"] == "text/uri-list"
    assert send("PUT", f"{space}/a", Content_Type=SPACE).status == 409
    assert send("PUT", f"{space}/a", b"x", Content_Type="text/plain").status == 409
    assert send("PUT", f"{space}/b/c", Content_Type=SPACE).status == 404
    assert send("PUT", f"{space}/b/c?parents=true", Content_Type=SPACE).status == 201
    put(send, f"{space}/obj")
    listing = send("GET", space, Accept="application/json")
    assert json.loads(listing.body) == [f"{space}/a", f"{space}/b", f"{space}/obj"]
    assert listing.body.endswith(b"\n")
    assert send("GET", space + "/", Accept="text/uri-list").text == f"{space}/a\n{space}/b\n{space}/obj\n"
    assert "Index of" in send("GET", space, Accept="text/html").text
    assert send("HEAD", space).status == 200
    assert send("HEAD", f"{space}/missing").status == 404
    assert send("GET", space, Range="bytes=0-1").status == 501
    assert send("GET", space, If_None_Match=listing.headers["ETag"]).status == 304
    assert send("DELETE", f"{space}/b").status == 204
    assert send("GET", f"{space}/b/c").status == 404
    assert send("DELETE", f"{space}/b").status == 404
    assert send("PUT", f"{space}/b", Content_Type=SPACE).status == 409
    assert send("PUT", f"{space}/b/c/d?parents=true", DATA).status == 409
    assert send("PUT", f"{space}/obj/below", DATA).status == 409
    assert send("DELETE", "/hatrac/").status == 403
    assert send("GET", "/hatrac/").status == 200


def test_object_life(send: Send, space: str) -> None:
    path = f"{space}/o.txt"
    first = put(send, path, Content_Type="Text/Plain; charset=utf-8", Content_MD5=md5(DATA))
    assert first.startswith(f"{path}:")
    head = send("HEAD", path)
    version = first.rpartition(":")[2]
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Type"] == "text/plain"
    assert head.headers["Content-Length"] == "10"
    assert head.headers["Content-MD5"] == md5(DATA)
    assert head.headers["Content-SHA256"] == sha256(DATA)
    assert head.headers["Content-Disposition"] == "filename*=UTF-8''o.txt"
    assert head.headers["Content-Location"] == first
    assert head.headers["ETag"] == f'"{version}"'
    assert head.headers["Accept-Ranges"] == "bytes"
    assert head.headers["Vary"] == "cookie"
    assert send("GET", path).body == DATA
    second = put(send, path, b"new", Content_Type=SPACE)
    assert send("GET", path).body == b"new"
    assert send("GET", first).body == DATA
    assert json.loads(send("GET", f"{path};versions").body) == [second, first]
    assert send("PUT", first, b"x").status == 405
    assert send("POST", first, b"x").status == 405
    assert send("DELETE", second).status == 204
    assert send("DELETE", second).status == 404
    assert send("GET", path).body == DATA
    assert send("DELETE", first).status == 204
    assert send("GET", path).status == 409
    assert send("GET", first).status == 404
    assert send("DELETE", path).status == 204
    assert send("GET", path).status == 404
    assert send("PUT", path, DATA).status == 409
    assert send("GET", f"{space};versions").status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_MD5": "no digest"}, 400),
        ({"Content_MD5": md5(b"other")}, 400),
        ({"Content_MD5": hashlib.md5(DATA).hexdigest()}, 201),
        ({"Content_SHA256": sha256(b"other")}, 400),
        ({"Content_SHA256": sha256(DATA)}, 201),
        ({"Content_Disposition": "attachment; filename=x"}, 400),
        ({"Content_Disposition": "filename*=UTF-8''a%2Fb"}, 400),
        ({"Content_Disposition": "filename*=UTF-8''caf%C3%A9.txt"}, 201),
        ({"If_None_Match": "*"}, 201),
        ({"If_Match": '"x"'}, 412),
    ],
)
def test_put_headers(send: Send, space: str, headers: dict[str, str], status: int) -> None:
    path = f"{space}/o"
    assert send("PUT", path, DATA, **headers).status == status
    assert send("GET", path).status == (200 if status == 201 else 404)
    if "Content_Disposition" in headers and status == 201:
        assert send("GET", path).headers["Content-Disposition"] == headers["Content_Disposition"]


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=2-5", 206, b"2345", "bytes 2-5/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=0-", 200, DATA, None),
        ("bytes=-99", 200, DATA, None),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=0-1,3-4", 501, None, None),
        ("bytes=0-1,30-40", 206, b"01", "bytes 0-1/10"),
        ("lines=1-2", 501, None, None),
        ("bytes=5-2", 200, DATA, None),
        ("bytes=-0", 200, DATA, None),
        ("garbage", 200, DATA, None),
    ],
)
def test_ranges(
    send: Send, space: str, asked: str, status: int, body: bytes | None, content_range: str | None
) -> None:
    put(send, f"{space}/o", Content_Type="text/plain")
    answer = send("GET", f"{space}/o", Range=asked)
    assert answer.status == status
    assert answer.headers.get("Content-Range") == content_range
    if body is not None:
        assert answer.body == body
        assert answer.headers["Content-Length"] == str(len(body))
    if status == 206:
        assert "Content-MD5" not in answer.headers
        assert answer.headers["Content-Type"] == "text/plain"


def test_preconditions(send: Send, space: str) -> None:
    path = f"{space}/o"
    tag = f'"{put(send, path).rpartition(":")[2]}"'
    assert send("GET", path, If_None_Match=tag).status == 304
    assert send("GET", path, If_None_Match=tag).headers["ETag"] == tag
    assert send("GET", path, If_None_Match=f'"x", W/{tag[:-1]}-gzip"').status == 304
    assert send("GET", path, If_Match='"x"').status == 304
    assert send("GET", path, If_Match=tag).status == 200
    assert send("GET", path, If_None_Match='"x"').status == 200
    assert send("PUT", path, DATA, If_None_Match="*").status == 412
    assert send("PUT", path, DATA, If_Match='"x"').status == 412
    assert send("DELETE", path, If_Match='"x"').status == 412
    assert send("PUT", path, DATA, If_Match=tag).status == 201
    assert send("DELETE", path, If_Match=tag).status == 412


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/..", 400),
        ("/%2e%2e", 400),
        ("/.", 400),
        ("/a%zz", 400),
        ("/a$b", 400),
        ("/a%2Fb", 201),
        ("/a%00b", 201),
        ("/%2e%2e%2f%2e%2e%2fetc", 201),
        ("/" + "x" * 10_000, 201),
        ("/%C3%A9%CC%81", 201),
        ("//a///b?parents=true", 201),
        ("/o;nothing", 400),
        ("/o;acl/owner/x/y", 404),
        ("/o:", 400),
    ],
)
def test_spelling(send: Send, space: str, path: str, status: int) -> None:
    answer = send("PUT", space + path, DATA)
    assert answer.status == status
    if status == 201:
        assert send("GET", answer.text.rstrip("\n")).body == DATA
        assert send("GET", space + path.partition("?")[0]).body == DATA


def test_missing_length(url: str) -> None:
    import socket
    from urllib.parse import urlsplit

    place = urlsplit(url)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(b"PUT /hatrac/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert b" 411 Length Required" in connection.makefile("rb").readline()


def test_metadata(send: Send, space: str) -> None:
    path = f"{space}/o"
    put(send, path, Content_Type="text/csv")
    assert json.loads(send("GET", f"{path};metadata/").body) == {
        "content-type": "text/csv",
        "content-md5": md5(DATA),
        "content-sha256": sha256(DATA),
    }
    field = f"{path};metadata/content-disposition"
    assert send("GET", field).status == 404
    assert send("PUT", field, b"filename*=UTF-8''a.csv", Content_Type="application/json").status == 400
    assert send("PUT", field, b"x", Content_Type="text/plain").status == 400
    assert send("PUT", field, b"filename*=UTF-8''a.csv\n", Content_Type="text/plain").status == 204
    assert send("GET", field).text == "filename*=UTF-8''a.csv\n"
    assert send("HEAD", path).headers["Content-Disposition"] == "filename*=UTF-8''a.csv"
    assert send("DELETE", field).status == 204
    assert send("DELETE", field).status == 204
    digest = f"{path};metadata/content-md5"
    assert send("PUT", digest, md5(DATA).encode(), Content_Type="text/plain").status == 204
    assert send("PUT", digest, md5(b"x").encode(), Content_Type="text/plain").status == 409
    assert send("GET", f"{path};metadata/colour").status == 400
    assert send("GET", f"{space};metadata").status == 404


def test_access_lists(send: Send, space: str) -> None:
    me = json.loads(send("GET", "/authn/session").body)["client"]["id"]
    lists = json.loads(send("GET", f"{space};acl").body)
    assert lists["owner"] == [me]
    assert {name for name, roles in lists.items() if not roles} == {
        "create", "read", "subtree-owner", "subtree-create", "subtree-read", "subtree-update"
    }  # fmt: skip
    read = f"{space};acl/read"
    assert json.loads(send("GET", read).body) == []
    assert send("PUT", read, b'["*", "a"]', Content_Type="text/plain").status == 400
    assert send("PUT", read, b'{"a": 1}', Content_Type="application/json").status == 400
    assert send("PUT", read, b"[1]", Content_Type="application/json").status == 400
    assert send("PUT", read, b'["*", "a"]', Content_Type="application/json").status == 204
    assert send("PUT", f"{read}/https%3A%2F%2Fx%2Fy", Content_Type="application/json").status == 204
    answer = send("GET", read)
    assert json.loads(answer.body) == ["*", "a", "https://x/y"]
    assert send("GET", f"{read}/https%3A%2F%2Fx%2Fy").text == "https://x/y\n"
    assert send("GET", f"{read}/b").status == 404
    assert send("GET", read, If_None_Match=answer.headers["ETag"]).status == 304
    assert send("PUT", f"{read}/b", If_Match='"x"').status == 412
    assert send("PUT", f"{read}/a", If_None_Match="*").status == 412
    assert send("DELETE", f"{read}/b").status == 404
    assert send("DELETE", f"{read}/a").status == 204
    assert send("DELETE", f"{read}/").status == 204
    assert json.loads(send("GET", f"{read}/").body) == []
    assert send("GET", f"{space};acl/friends").status == 400
    version = put(send, f"{space}/o")
    assert json.loads(send("GET", f"{version};acl").body) == {"owner": [me], "read": []}
    assert send("PUT", f"{version};acl/subtree-read", b"[]", Content_Type="application/json").status == 400
    assert set(json.loads(send("GET", f"{space}/o;acl").body)) == {
        "owner", "update", "read", "subtree-owner", "subtree-read"
    }  # fmt: skip


def test_rename(send: Send, space: str) -> None:
    old, new = f"{space}/old", f"{space}/deep/new"
    first, second = put(send, old, b"1"), put(send, old, b"2")

    def rename(target: str, **fields: object) -> tuple[int, str]:
        document = {"command": "rename_from", "source_name": old.removeprefix("/hatrac")} | fields
        answer = send("POST", target, json.dumps(document).encode(), Content_Type="application/json")
        return answer.status, answer.text

    moved = [f"{new}:{place.rpartition(':')[2]}" for place in (first, second)]
    assert rename(new)[0] == 404
    assert rename(f"{new}?parents=true", source_versions=["NOPE"])[0] == 409
    assert rename(f"{new}?parents=true") == (201, "".join(f"{place}\n" for place in moved))
    assert rename(new) == (204, "")
    assert rename(f"{space}/other")[0] == 409
    assert send("GET", new).body == b"2"
    answer = send("GET", first)
    assert (answer.body, answer.headers["Content-Location"]) == (b"1", moved[0])
    assert send("GET", old).headers["Content-Location"] == moved[1]
    assert rename(old)[0] == 409
    assert rename(space)[0] == 409
    assert rename(new, command="copy")[0] == 400
    assert rename(new, colour=1)[0] == 400
    assert rename(new, copy_acls="yes")[0] == 400
    assert rename(new, versions="all")[0] == 400
    assert rename(new, source_name=f"{space}/none".removeprefix("/hatrac"))[0] == 409
    assert send("DELETE", moved[0]).status == 204
    assert send("GET", first).status == 409
    assert send("GET", moved[0]).status == 404
    assert send("DELETE", old).status == 204
    assert send("GET", new).body == b"2"


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
