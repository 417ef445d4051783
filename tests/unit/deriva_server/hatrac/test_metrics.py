"""`POST /hatrac;metrics`: what it is asked, what it answers, what it refuses."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.datastructures import Headers

from deriva_server.embed import LocalServer
from deriva_server.http.message import Request, Response


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer.open(tmp_path_factory.mktemp("lab") / "lab", create=True) as opened:
        for name, content in {
            "a.jsonl": b'{"loss": Infinity}\n{"loss": NaN}',
            "b.csv": b"loss,acc\n1,2\n",
        }.items():
            send(opened, f"/hatrac/m/{name}?parents=true", content, "PUT")
        yield opened


def send(server: LocalServer, target: str, body: bytes, method: str = "POST") -> Response:
    headers = Headers({"Content-Type": "application/json"})
    return server.handle(Request(method, target, headers, io.BytesIO(body), len(body)))


def ask(server: LocalServer, wish: Any, target: str = "/hatrac;metrics") -> tuple[int, Any]:
    answer = send(server, target, json.dumps(wish).encode())
    assert isinstance(answer.body, bytes)
    return answer.status, json.loads(answer.body) if answer.status == 200 else answer.body.decode()


def test_it_is_advertised(server: LocalServer) -> None:
    answer = server.handle(Request("GET", "/ermrest/"))
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["features"]["object_metrics"] is True


def test_summaries_come_in_the_order_of_the_question(server: LocalServer) -> None:
    status, answer = ask(server, {"objects": ["/hatrac/m/b.csv", "/hatrac/m/none", "/hatrac/m/a.jsonl"]})
    assert status == 200
    table, missing, lines = answer["found"]
    assert (table["names"], table["last"], lines["last"], lines["max"]) == (
        ["loss", "acc"],
        [1, 2],
        [None],
        [float("inf")],
    )
    assert missing["status"] == 404
    assert len(answer["md5"]) == 3
    assert answer["md5"][1] is None


def test_names_of_files_can_be_given(server: LocalServer) -> None:
    _, answer = ask(server, {"objects": ["/hatrac/m/b.csv"], "names": ["b.yaml"]})
    assert answer["found"][0]["names"] == []


def test_all_records_can_be_had(server: LocalServer) -> None:
    _, answer = ask(server, {"objects": ["/hatrac/m/a.jsonl"], "records": True})
    assert answer["found"][0]["values"] == [[float("inf"), None]]


def test_nothing_is_asked_of_nothing(server: LocalServer) -> None:
    assert ask(server, {}) == (200, {"md5": [], "found": []})


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ([], 400),
        ({"objects": "/hatrac/m"}, 400),
        ({"objects": [1]}, 400),
        ({"objects": ["/hatrac/m/../x"]}, 400),
        ({"objects": ["/hatrac/m;versions"]}, 400),
        ({"objects": ["/hatrac/m"], "names": ["a", "b"]}, 400),
        ({"objects": ["/hatrac/m"] * 5001}, 400),
    ],
)
def test_wrong_questions_are_refused(server: LocalServer, wish: Any, status: int) -> None:
    assert ask(server, wish)[0] == status


def test_it_is_one_resource_with_one_method(server: LocalServer) -> None:
    assert send(server, "/hatrac/m;metrics", b"{}").status == 404
    assert send(server, "/hatrac;metrics/x", b"{}").status == 404
    assert server.handle(Request("GET", "/hatrac;metrics")).status == 405
