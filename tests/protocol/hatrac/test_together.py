"""Requests that come together: each is answered as if it had come alone."""

from __future__ import annotations

import io

import pytest
from werkzeug.datastructures import Headers

from deriva_server.embed import LocalServer
from deriva_server.http.message import Request

ABC = "kAFQmDzST7DWlj99KOF/cg=="


def put(target, data=b"abc", length=None, **headers):
    given = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Request("PUT", target, given, io.BytesIO(data), len(data) if length is None else length)


REQUESTS = [
    lambda: put("/hatrac/a", Content_Type="application/x-hatrac-namespace", data=b""),
    lambda: put("/hatrac/a/o", Content_MD5=ABC, Content_Type="text/plain; charset=utf-8"),
    lambda: put("/hatrac/a/o", b"other", If_None_Match="*"),
    lambda: put("/hatrac/a/o", b"other", Content_MD5=ABC),
    lambda: put("/hatrac/a/o", b"other", Content_MD5="not one"),
    lambda: put("/hatrac/a/o", b"other", Content_Disposition="attachment"),
    lambda: put("/hatrac/b/o"),
    lambda: put("/hatrac/b/o?parents=true"),
    lambda: put("/hatrac/b/o?parents=perhaps"),
    lambda: put("/hatrac/b", Content_Type="application/x-hatrac-namespace", data=b""),
    lambda: put("/hatrac/b/../c"),
    lambda: _unmeasured("/hatrac/b/no-length"),
    lambda: put("/hatrac/b/short", length=4),
    lambda: put("/hatrac/b/o;acl/owner/kim", b""),
    lambda: put("/hatrac/b/o:V1"),
    lambda: put("/elsewhere"),
    lambda: Request("GET", "/hatrac/a/o"),
    lambda: Request("HEAD", "/hatrac/a/o"),
    lambda: Request("GET", "/hatrac/a", Headers({"Accept": "text/uri-list"})),
    lambda: Request("DELETE", "/hatrac/b/o"),
    lambda: put("/hatrac/b/o"),
    lambda: put("/hatrac/b/html", length=9, Accept="text/html"),
    *[lambda number=number: put(f"/hatrac/b/o{number}", b"%d" % number) for number in range(12)],
]


def _unmeasured(target):
    return Request("PUT", target, Headers(), io.BytesIO(b"abc"), None)


def told(request, answer):
    """What an answer says, without what is made up anew each time."""
    random = {"ETag", "Content-Location", "Location"}
    headers = {name: value for name, value in answer.headers if name not in random}
    body = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body.chunks())
    if answer.status == 201:
        place, _, version = body.decode().strip().partition(":")
        assert len(version) in (0, 26) and answer.headers["Location"] == body.decode().strip()
        body = place
    return request.method, request.target, answer.status, sorted(headers.items()), body


@pytest.fixture
def servers(tmp_path):
    with (
        LocalServer.open(tmp_path / "a", create=True) as one,
        LocalServer.open(tmp_path / "b", create=True) as other,
    ):
        yield one, other


def test_as_if_each_came_alone(servers):
    together, alone = servers
    requests = [make() for make in REQUESTS]
    answers = list(map(told, requests, together.handle_objects(requests)))
    # the answer to the one of another service is that of this one
    for at, make in enumerate(REQUESTS):
        request = make()
        if request.target.startswith("/hatrac"):
            assert answers[at] == told(request, alone.handle(request)), at
    assert {status for _, _, status, _, _ in answers} >= {200, 201, 204, 400, 404, 405, 409, 411, 412}


def test_none(servers):
    assert servers[0].handle_objects([]) == []


def test_a_defect_is_the_answer_to_all(servers, monkeypatch, caplog):
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    server = servers[0]
    monkeypatch.setattr(server.objects.backend, "stage_many", fails)
    answers = server.handle_objects([put("/hatrac/x"), put("/hatrac/y")])
    assert [answer.status for answer in answers] == [500, 500]
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert [answer.status for answer in server.handle_objects([put("/hatrac/x"), put("/hatrac/y")])] == [
        201,
        201,
    ]
